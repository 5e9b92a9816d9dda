//! The part of the CCD under some bins of a bundle, with a margin of nothing where spots reach beyond the CCD.

use crate::geometry::Ccd;
use crate::stages::spots::SpotSource;
use std::ops::Range;

/// Rows of pixels that are fetched together.
const ROWS: usize = 16;

/// Rows and octets of columns that hold every spot that touches the CCD.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Window {
    /// CCD rows, perhaps beyond the CCD.
    pub rows: Range<i64>,
    /// CCD columns over eight, likewise.
    pub octets: Range<i64>,
}

impl Window {
    /// The window of `bins` of all fibres.
    pub fn of(spots: &SpotSource, bins: Range<usize>, ccd: &Ccd) -> Self {
        let (ny, nx) = (spots.shape().ny() as i64, spots.shape().nx() as i64);
        let octets = spots.shape().octets() as i64;
        let positions = spots.positions();
        let mut window: Option<Self> = None;
        let mut hold = |y: Range<i64>, x: Range<i64>| {
            let x = x.start.div_euclid(8)..x.end.div_euclid(8);
            let w = window.get_or_insert(Self { rows: y.start..y.start, octets: x.start..x.start });
            w.rows = w.rows.start.min(y.start)..w.rows.end.max(y.end + ny);
            w.octets = w.octets.start.min(x.start)..w.octets.end.max(x.end + octets);
        };
        let touches = |y: &Range<i64>, x: &Range<i64>| {
            y.start + ny > 0 && y.end < ccd.ny() as i64 && x.start + nx > 0 && x.end < ccd.nx() as i64
        };
        for fibre in 0..spots.nfibre() {
            let row = fibre * spots.nbin();
            let [y, x] = [(positions.pixel_y, ny), (positions.pixel_x, nx)].map(|(pixels, n)| {
                let pixels = &pixels[row + bins.start..row + bins.end];
                let (low, high) = pixels.iter().fold((i32::MAX, i32::MIN), |(l, h), &p| (l.min(p), h.max(p)));
                i64::from(low) - n / 2..i64::from(high) - n / 2
            });
            if bins.is_empty() {
                continue;
            }
            if touches(&y, &x) {
                hold(y, x);
                continue;
            }
            for bin in bins.clone() {
                let (y, x) = spots.corner(fibre, bin);
                // Spots off the CCD touch nothing, and may be anywhere.
                if touches(&(y..y), &(x..x)) {
                    hold(y..y, x..x);
                }
            }
        }
        window.unwrap_or_default()
    }

    /// Rows.
    pub fn ny(&self) -> usize {
        (self.rows.end - self.rows.start) as usize
    }

    /// Octets of a row.
    pub fn nx(&self) -> usize {
        (self.octets.end - self.octets.start) as usize
    }

    /// Octets in all.
    pub fn len(&self) -> usize {
        self.ny() * self.nx()
    }

    /// Index of the octet at which a spot begins, `[octets, ny]`; None where the spot lies off the CCD, outside the window.
    #[inline(always)]
    pub fn at(&self, y: i64, octet: i64, ny: usize, octets: usize) -> Option<usize> {
        let inside = y >= self.rows.start
            && y + ny as i64 <= self.rows.end
            && octet >= self.octets.start
            && octet + octets as i64 <= self.octets.end;
        inside.then(|| (octet - self.octets.start) as usize * self.ny() + (y - self.rows.start) as usize)
    }

    /// Visits the octets with pixels on the CCD: `visit(octet, lanes, image, ivar)`. `lanes` of the octet at `octet`,
    /// `[octets, ny]`, are on the CCD; the other pixels are 0.
    fn for_each_octet(&self, ccd: &Ccd, mut visit: impl FnMut(usize, Range<usize>, &[f32; 8], &[f32; 8])) {
        let (nx, first) = (self.nx(), 8 * self.octets.start);
        let on_ccd =
            |columns: i64, of: i64| (-first).clamp(0, columns) as usize..(of - first).clamp(0, columns) as usize;
        let columns = on_ccd(8 * nx as i64, ccd.nx() as i64);
        let rows = self.rows.start.max(0)..self.rows.end.min(ccd.ny() as i64);
        if columns.is_empty() {
            return;
        }
        // Rows are far apart in memory: some are fetched together, so that their latencies overlap.
        let mut fetched = [vec![[0.0f32; 8]; ROWS * nx], vec![[0.0f32; 8]; ROWS * nx]];
        for top in rows.clone().step_by(ROWS) {
            let some = top..(top + ROWS as i64).min(rows.end);
            for (y, k) in some.clone().zip(0..) {
                let from = y as usize * ccd.nx() + (first + columns.start as i64) as usize;
                for (plane, pixels) in [ccd.image(), ccd.ivar()].into_iter().zip(&mut fetched) {
                    let row: &mut [f32] = pixels[k * nx..(k + 1) * nx].as_flattened_mut();
                    row[columns.clone()].copy_from_slice(&plane[from..from + columns.len()]);
                }
            }
            for (y, k) in some.zip(0..) {
                for octet in columns.start / 8..columns.end.div_ceil(8) {
                    let at = octet * self.ny() + (y - self.rows.start) as usize;
                    let lanes = columns.start.max(8 * octet) - 8 * octet..columns.end.min(8 * octet + 8) - 8 * octet;
                    visit(at, lanes, &fetched[0][k * nx + octet], &fetched[1][k * nx + octet]);
                }
            }
        }
    }
}

/// Pixels of a window, `[octets, ny]`; off the CCD ivar is -1.
#[derive(Clone, Debug)]
pub(super) struct Pixels {
    pub image: Vec<[f32; 8]>,
    pub ivar: Vec<[f32; 8]>,
}

impl Pixels {
    pub fn of(window: &Window, ccd: &Ccd) -> Self {
        let (mut image, mut ivar) = (vec![[0.0; 8]; window.len()], vec![[-1.0; 8]; window.len()]);
        window.for_each_octet(ccd, |at, lanes, pixels, weights| {
            image[at] = *pixels;
            ivar[at][lanes.clone()].copy_from_slice(&weights[lanes]);
        });
        Self { image, ivar }
    }
}
