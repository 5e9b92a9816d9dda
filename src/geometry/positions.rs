//! Where the spots of a bundle lie, and how far they overlap.

use super::SpotShape;

/// Where the spots of a bundle lie.
#[derive(Clone, Copy, Debug)]
pub struct Positions<'a> {
    /// Number of fibres.
    pub nfibre: usize,
    /// Number of bins.
    pub nbin: usize,
    /// Nearest pixel column of each spot, `[nfibre, nbin]`.
    pub pixel_x: &'a [i32],
    /// Nearest pixel row of each spot, `[nfibre, nbin]`.
    pub pixel_y: &'a [i32],
    /// Size of the spots.
    pub spot: SpotShape,
}

impl Positions<'_> {
    /// The largest d < nbin for which a spot of fibre f overlaps the one of fibre g that lies d bins before it.
    pub(crate) fn reach(&self, f: usize, g: usize, nbin: usize) -> Option<usize> {
        let [(xf, yf), (xg, yg)] = [f, g].map(|fibre| {
            let bins = fibre * self.nbin..(fibre + 1) * self.nbin;
            (&self.pixel_x[bins.clone()], &self.pixel_y[bins])
        });
        let apart = |a: i32, b: i32| (i64::from(a) - i64::from(b)).unsigned_abs() as usize;
        // On ascending traces the bins too far below stay so: they are left out once and for all.
        let ascending = yf.is_sorted() && yg.is_sorted();
        let mut low = 0;
        let of_bin = |b: usize| {
            let first = (b + 1).saturating_sub(nbin);
            let too_low = |c: &usize| i64::from(yg[*c]) <= i64::from(yf[b]) - self.spot.ny() as i64;
            if ascending {
                low = (low.max(first)..=b).find(|c| !too_low(c)).unwrap_or(b + 1);
            }
            let overlaps = |c: &usize| apart(yf[b], yg[*c]) < self.spot.ny() && apart(xf[b], xg[*c]) < self.spot.nx();
            (low.max(first)..=b).find(overlaps).map(|c| b - c)
        };
        (0..self.nbin).filter_map(of_bin).max()
    }
}
