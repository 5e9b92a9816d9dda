//! The part of the CCD under some bins of a bundle, with a margin of nothing where spots reach beyond the CCD.

use crate::geometry::Ccd;
use crate::stages::aligned::AlignedPixels;
use crate::stages::simd::Octet;
use crate::stages::spots::SpotSource;
use std::ops::Range;

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
        let mut window: Option<Self> = None;
        for fibre in 0..spots.nfibre() {
            for bin in bins.clone() {
                let (y, x) = spots.corner(fibre, bin);
                // Spots off the CCD touch nothing, and may be anywhere.
                if y + ny <= 0 || y >= ccd.ny() as i64 || x + nx <= 0 || x >= ccd.nx() as i64 {
                    continue;
                }
                let x = x.div_euclid(8);
                let w = window.get_or_insert(Self { rows: y..y, octets: x..x });
                w.rows = w.rows.start.min(y)..w.rows.end.max(y + ny);
                w.octets = w.octets.start.min(x)..w.octets.end.max(x + octets);
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

    /// Index of the octet at which a spot begins; None where the spot lies off the CCD, outside the window.
    #[inline(always)]
    pub fn at(&self, y: i64, octet: i64, ny: usize, octets: usize) -> Option<usize> {
        let inside = y >= self.rows.start
            && y + ny as i64 <= self.rows.end
            && octet >= self.octets.start
            && octet + octets as i64 <= self.octets.end;
        inside.then(|| (y - self.rows.start) as usize * self.nx() + (octet - self.octets.start) as usize)
    }

    /// Visits the rows on the CCD: `visit(octet, lane, pixels)`. `octet` is the row's first octet in the window, `lane` the
    /// lane of its first pixel on the CCD, counted from there, and `pixels` the run of pixels.
    pub fn for_each_row(&self, ccd: &Ccd, mut visit: impl FnMut(usize, usize, Range<usize>)) {
        let columns = (8 * self.octets.start).max(0)..(8 * self.octets.end).min(ccd.nx() as i64);
        if columns.is_empty() {
            return;
        }
        let lane = (columns.start - 8 * self.octets.start) as usize;
        for y in self.rows.start.max(0)..self.rows.end.min(ccd.ny() as i64) {
            let first = y as usize * ccd.nx();
            let row = (y - self.rows.start) as usize * self.nx();
            visit(row, lane, first + columns.start as usize..first + columns.end as usize);
        }
    }
}

impl AlignedPixels {
    /// The pixels of a window of the CCD; pixels with weight 0 count as 0, whatever they hold.
    pub fn on(window: &Window, ccd: &Ccd) -> Self {
        let mut weight = vec![Octet::default(); window.len()];
        let (mut weighted, mut used) = (weight.clone(), weight.clone());
        window.for_each_row(ccd, |row, lane, pixels| {
            let octets = row..row + window.nx();
            let weight: &mut [f64] = bytemuck::cast_slice_mut(&mut weight[octets.clone()]);
            let weighted: &mut [f64] = bytemuck::cast_slice_mut(&mut weighted[octets.clone()]);
            let used: &mut [f64] = bytemuck::cast_slice_mut(&mut used[octets]);
            let planes = ccd.image()[pixels.clone()].iter().zip(&ccd.ivar()[pixels]);
            let lanes = weight[lane..].iter_mut().zip(&mut weighted[lane..]).zip(&mut used[lane..]);
            for (((w, wp), used), (&p, &ivar)) in lanes.zip(planes) {
                *w = f64::from(ivar);
                *wp = if ivar > 0.0 { f64::from(ivar) * f64::from(p) } else { 0.0 };
                *used = f64::from(u8::from(ivar > 0.0));
            }
        });
        let (y, x) = (window.rows.start, window.octets.start);
        Self { y, x, ny: window.ny() as i64, octets: window.nx() as i64, weight, weighted, used }
    }
}
