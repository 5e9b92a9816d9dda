//! Spots and pixels on a common grid of eight columns, so that every load of theirs is aligned and no lane is shifted.

use super::patch::PatchSpots;
use super::simd::Octet;
use crate::geometry::PatchPixels;

/// Spots of a patch or of a fibre: they start at a CCD column that is a multiple of eight, zero around the spot. The rows of an
/// octet of columns follow each other. So two spots meet in one run per octet, however far apart their rows are.
#[derive(Debug, Default)]
pub(crate) struct AlignedSpots {
    /// Octets of a row.
    pub octets: usize,
    /// Rows of a spot.
    pub ny: usize,
    /// Columns of a spot.
    pub nx: usize,
    /// CCD row of each spot's first row, `[n]`.
    pub y: Vec<i64>,
    /// CCD column of each spot's first octet over eight, `[n]`.
    pub octet: Vec<i64>,
    /// CCD column of each spot's first column, `[n]`.
    pub column: Vec<i64>,
    /// Factor that makes the sum of a spot 1, `[n]`; 0 for a spot that covers nothing.
    pub scale: Vec<f64>,
    /// `[n, octets, ny]`.
    pub stamps: Vec<Octet>,
    /// Room for whoever evaluates the spots, kept from call to call.
    pub room: Vec<Octet>,
}

impl AlignedSpots {
    /// Aligns all spots of a patch, in the order of its unknowns.
    pub fn new(spots: &PatchSpots) -> Self {
        // A row may start at any of the eight lanes of its first octet.
        let octets = (spots.nx + 7).div_ceil(8);
        let (n, size) = (spots.n(), spots.ny * octets);
        let mut stamps = vec![Octet::default(); n * size];
        let (mut y, mut octet, mut first) = (Vec::with_capacity(n), Vec::with_capacity(n), Vec::with_capacity(n));
        for (i, stamp) in stamps.chunks_exact_mut(size).enumerate() {
            let (row, column, spot) = spots.place(i);
            let shift = column.rem_euclid(8) as usize;
            for (y, line) in spot.chunks_exact(spots.nx).enumerate() {
                for (k, &value) in line.iter().enumerate() {
                    stamp[(shift + k) / 8 * spots.ny + y].0[(shift + k) % 8] = value;
                }
            }
            y.push(row);
            octet.push(column.div_euclid(8));
            first.push(column);
        }
        Self { octets, ny: spots.ny, nx: spots.nx, y, octet, column: first, scale: vec![1.0; n], stamps, room: vec![] }
    }

    /// Octets of one spot.
    #[inline(always)]
    pub fn size(&self) -> usize {
        self.octets * self.ny
    }

    /// One spot, `[octets, ny]`.
    #[inline(always)]
    pub fn stamp(&self, i: usize) -> &[Octet] {
        &self.stamps[i * self.size()..][..self.size()]
    }

    /// The octets of columns of one spot, `[ny]` each.
    #[inline(always)]
    pub fn columns(&self, i: usize) -> std::slice::ChunksExact<'_, Octet> {
        self.stamp(i).chunks_exact(self.ny)
    }
}

/// The pixels of a patch, zero beyond them.
pub(crate) struct AlignedPixels {
    /// First CCD row.
    pub y: i64,
    /// CCD column of the first octet over eight.
    pub x: i64,
    /// Rows.
    pub ny: i64,
    /// Octets of a row.
    pub octets: i64,
    /// Weights W, `[octets, ny]`.
    pub weight: Vec<Octet>,
    /// Weighted values W p, `[octets, ny]`.
    pub weighted: Vec<Octet>,
    /// 1 where W > 0, `[octets, ny]`.
    pub used: Vec<Octet>,
}

impl AlignedPixels {
    /// Aligns a patch's pixels.
    pub fn new(pixels: &PatchPixels) -> Self {
        let at = &pixels.at;
        let shift = at.x0 % 8;
        let octets = (shift + at.nx).div_ceil(8);
        let mut weight = vec![Octet::default(); at.ny * octets];
        let (mut weighted, mut used) = (weight.clone(), weight.clone());
        for (k, (&p, &w)) in pixels.image.iter().zip(&pixels.ivar).enumerate() {
            let column = shift + k % at.nx;
            let (octet, lane) = (column / 8 * at.ny + k / at.nx, column % 8);
            weight[octet].0[lane] = w;
            weighted[octet].0[lane] = w * p;
            used[octet].0[lane] = f64::from(u8::from(w > 0.0));
        }
        let (y, x) = (at.y0 as i64, (at.x0 / 8) as i64);
        Self { y, x, ny: at.ny as i64, octets: octets as i64, weight, weighted, used }
    }
}
