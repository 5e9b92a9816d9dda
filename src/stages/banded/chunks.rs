//! Bins of a fibre as eight overlapping chunks, a lane each.

use super::interleave::{interleave, separate};
use crate::stages::simd::{Kernel, Octet, Simd, dispatch};

/// Most numbers of a bin.
const WIDEST: usize = 2 * super::WIDEST_CODE + 1;

/// Nothing, of a bin that is not on the grid.
static OFF_GRID: [f64; WIDEST] = [0.0; WIDEST];

/// Eight chunks of n bins, fixed by the grid alone: each has rows of its own, its core, and shares some with either neighbour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunks {
    n: usize,
    core: usize,
    overlap: usize,
}

impl Chunks {
    /// Cuts `n` bins into chunks that overlap by twice `overlap`.
    pub(super) fn new(n: usize, overlap: usize) -> Self {
        Self { n, core: n.div_ceil(8), overlap }
    }

    /// Rows of a chunk.
    pub(super) fn len(&self) -> usize {
        self.core + 2 * self.overlap
    }

    /// The bin of a row of a chunk, None beyond the grid.
    #[inline(always)]
    pub(super) fn bin(&self, row: usize, lane: usize) -> Option<usize> {
        (lane * self.core + row).checked_sub(self.overlap).filter(|&bin| bin < self.n)
    }

    /// Makes `to` the rows of `[n, width]`, 0 beyond the grid.
    pub(super) fn rows(&self, from: &[f64], width: usize, to: &mut Vec<Octet>) {
        to.resize(self.len() * width, Octet::default());
        dispatch(Rows { chunks: self, from, width, beside: 0, to });
    }

    /// Makes `to` the rows of a banded block, `[row, 2 wide + 1]`, from `[n, 2 half + 1]`. Element d of bin i of these belongs to bins
    /// i and i + d - half. Elements with an end beyond the grid or the chunk are 0.
    pub(super) fn block(&self, from: &[f64], half: usize, wide: usize, to: &mut Vec<Octet>) {
        let width = 2 * half + 1;
        to.resize(self.len() * (2 * wide + 1), Octet::default());
        dispatch(Rows { chunks: self, from, width, beside: wide - half, to });
        let inside = |at: usize, n: usize| wide.saturating_sub(at)..(2 * wide + 1).min(n + wide - at);
        for (row, elements) in to.chunks_exact_mut(2 * wide + 1).enumerate() {
            let on_chunk = inside(row, self.len());
            elements[..on_chunk.start].fill(Octet::default());
            elements[on_chunk.end..].fill(Octet::default());
            for lane in 0..8 {
                let Some(bin) = self.bin(row, lane) else { continue };
                let on_grid = inside(bin, self.n);
                elements[..on_grid.start].iter_mut().for_each(|element| element.0[lane] = 0.0);
                elements[on_grid.end..].iter_mut().for_each(|element| element.0[lane] = 0.0);
            }
        }
    }

    /// Subtracts the rows of the cores from `[n, width]`: of each row the first `width` of its `stride` octets.
    pub(super) fn subtract(&self, rows: &[Octet], stride: usize, width: usize, from: &mut [f64]) {
        dispatch(Subtract { chunks: self, rows, stride, width, from });
    }
}

/// Makes `to` the rows of the transpose of a banded block, `[row, 2 half + 1]`.
pub(super) fn transpose_block(block: &[Octet], half: usize, to: &mut Vec<Octet>) {
    let width = 2 * half + 1;
    let n = block.len() / width;
    to.resize(block.len(), Octet::default());
    for (row, elements) in to.chunks_exact_mut(width).enumerate() {
        for (d, element) in elements.iter_mut().enumerate() {
            let other = (row + d).checked_sub(half).filter(|&other| other < n);
            *element = other.map_or(Octet::default(), |other| block[other * width + width - 1 - d]);
        }
    }
}

struct Rows<'a> {
    chunks: &'a Chunks,
    from: &'a [f64],
    width: usize,
    /// Zeros on either side.
    beside: usize,
    to: &'a mut [Octet],
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { chunks, from, width, beside, to } = self;
        for (row, to) in to.chunks_exact_mut(width + 2 * beside).enumerate() {
            let mut bins = [&OFF_GRID[..width]; 8];
            for lane in 0..8 {
                if let Some(bin) = chunks.bin(row, lane) {
                    bins[lane] = &from[bin * width..][..width];
                }
            }
            to[..beside].fill(Octet::default());
            to[beside + width..].fill(Octet::default());
            interleave(simd, &bins, &mut to[beside..beside + width]);
        }
    }
}

struct Subtract<'a> {
    chunks: &'a Chunks,
    rows: &'a [Octet],
    stride: usize,
    width: usize,
    from: &'a mut [f64],
}

impl Kernel for Subtract<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { chunks, rows, stride, width, from } = self;
        let mut terms = [[0.0; WIDEST]; 8];
        for (row, octets) in rows.chunks_exact(stride).skip(chunks.overlap).take(chunks.core).enumerate() {
            let mut lanes = terms.each_mut().map(|lane| &mut lane[..width]);
            separate(simd, &octets[..width], &mut lanes);
            for lane in 0..8 {
                let Some(from) = from.get_mut((lane * chunks.core + row) * width..) else { break };
                for (value, term) in from.iter_mut().zip(&terms[lane][..width]) {
                    *value -= term;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn rows_blocks_and_differences_are_those_of_bins_one_by_one(
            n in 1usize..60, overlap in 0usize..20, half in 0usize..12, more in 0usize..5
        ) {
            let (chunks, wide, width) = (Chunks::new(n, overlap), half + more, 2 * half + 1);
            // Elements beyond the grid are no zeros here.
            let from: Vec<f64> = (0..n * width).map(|k| k as f64 + 1.0).collect();
            let (mut rows, mut block, mut transposed) = (vec![], vec![], vec![]);
            chunks.rows(&from, width, &mut rows);
            chunks.block(&from, half, wide, &mut block);
            transpose_block(&block, wide, &mut transposed);
            let element = |row: usize, lane: usize, d: usize| {
                let other = (row + d).checked_sub(wide).filter(|&other| other < chunks.len())?;
                let (bin, other) = (chunks.bin(row, lane)?, chunks.bin(other, lane)?);
                let at = (other + half).checked_sub(bin).filter(|&at| at < width)?;
                Some(from[bin * width + at])
            };
            for (row, lane) in (0..chunks.len()).flat_map(|row| (0..8).map(move |lane| (row, lane))) {
                for k in 0..width {
                    let expected = chunks.bin(row, lane).map_or(0.0, |bin| from[bin * width + k]);
                    prop_assert_eq!(rows[row * width + k].0[lane], expected);
                }
                for d in 0..2 * wide + 1 {
                    let at = |row: usize, d: usize| row * (2 * wide + 1) + d;
                    prop_assert_eq!(block[at(row, d)].0[lane], element(row, lane, d).unwrap_or(0.0));
                    let other = (row + d).checked_sub(wide).filter(|&other| other < chunks.len());
                    let expected = other.and_then(|other| element(other, lane, 2 * wide - d)).unwrap_or(0.0);
                    prop_assert_eq!(transposed[at(row, d)].0[lane], expected);
                }
            }
            // Every bin is in one core.
            let mut left = from.clone();
            chunks.subtract(&rows, width, width, &mut left);
            prop_assert!(left.iter().all(|value| *value == 0.0));
        }
    }
}
