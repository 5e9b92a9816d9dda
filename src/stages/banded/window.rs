//! The part of the CCD under some bins of a bundle, with a margin of nothing where spots reach beyond the CCD.

use crate::geometry::Ccd;
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

    /// Index of the octet at which a spot begins, `[octets, ny]`; None where the spot lies off the CCD, outside the window.
    #[inline(always)]
    pub fn at(&self, y: i64, octet: i64, ny: usize, octets: usize) -> Option<usize> {
        let inside = y >= self.rows.start
            && y + ny as i64 <= self.rows.end
            && octet >= self.octets.start
            && octet + octets as i64 <= self.octets.end;
        inside.then(|| (octet - self.octets.start) as usize * self.ny() + (y - self.rows.start) as usize)
    }

    /// Visits the octets with pixels on the CCD: `visit(octet, lanes, pixel)`. `lanes` of the octet at `octet`, `[octets, ny]`,
    /// are on the CCD, and `pixel` is the first of them.
    pub fn for_each_octet(&self, ccd: &Ccd, mut visit: impl FnMut(usize, Range<usize>, usize)) {
        let columns = ccd.nx() as i64;
        for y in self.rows.start.max(0)..self.rows.end.min(ccd.ny() as i64) {
            for octet in self.octets.clone() {
                let lanes = (-8 * octet).clamp(0, 8)..(columns - 8 * octet).clamp(0, 8);
                if !lanes.is_empty() {
                    let at = (octet - self.octets.start) as usize * self.ny() + (y - self.rows.start) as usize;
                    let pixel = y as usize * ccd.nx() + (8 * octet + lanes.start) as usize;
                    visit(at, lanes.start as usize..lanes.end as usize, pixel);
                }
            }
        }
    }
}
