//! Q = S^1/2 of one fibre, joined of blocks of its bins.

use super::WIDEST_CODE;
use super::block::{Accuracy, BlockRoot, block_roots, cores};
use super::complement::Complement;

/// Q of one fibre as decorrelation needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct BandedRoot {
    /// s = Q 1, `[n]`; infinite where rounding leaves nothing of the row: flux and R are 0 then, and ivar no number.
    pub row_sums: Vec<f64>,
    /// Q x of the band, `[n]`.
    pub qx: Vec<f64>,
    /// Correction to be added to Q x, `[n]`: the effect of the rest of S to first order.
    pub correction: Vec<f64>,
    /// Estimate of how far flux is off, sigma: S is a band, blocks overlap by so many bins, poles serve an interval only, and fibres
    /// lie beyond the frontier.
    pub truncation_error: Vec<f64>,
    /// Diagonals of Q, `[n, half + 1]`: element d of bin i is Q[i + d, i].
    pub diagonals: Vec<f64>,
    /// Poles taken, eight at a time, summed over the blocks.
    pub octets: usize,
    /// Blocks of bins.
    pub blocks: usize,
}

/// Returns Q of one fibre, with `half` diagonals to each side, from one band of S. Diagonals beyond the widest band that there is
/// code for are 0.
pub(crate) fn root(s: &Complement, x: &[f64], half: usize, accuracy: &Accuracy) -> BandedRoot {
    let rest = s.residual(x);
    let known = half.min(WIDEST_CODE);
    let cores: Vec<_> = cores(x.len()).collect();
    joined(&block_roots(s, (x, &rest), &cores, known, accuracy), half)
}

/// Returns Q of one fibre from all its blocks, which are in order.
pub(super) fn joined(blocks: &[BlockRoot], half: usize) -> BandedRoot {
    let of = |part: fn(&BlockRoot) -> &Vec<f64>| blocks.iter().flat_map(part).copied().collect::<Vec<f64>>();
    let known = half.min(WIDEST_CODE);
    let mut diagonals = of(|block| &block.diagonals);
    if known < half {
        let beyond = std::iter::repeat_n(0.0, half - known);
        let rows = diagonals.chunks_exact(known + 1);
        diagonals = rows.flat_map(|row| row.iter().copied().chain(beyond.clone())).collect();
    }
    let mut out = BandedRoot {
        row_sums: of(|block| &block.row_sums),
        qx: of(|block| &block.qx),
        correction: of(|block| &block.correction),
        truncation_error: of(|block| &block.truncation_error),
        diagonals,
        octets: blocks.iter().map(|block| block.octets).sum(),
        blocks: blocks.len(),
    };
    for (block, next) in blocks.iter().zip(blocks.iter().skip(1)) {
        let first = next.core.start;
        let off = block.seam(next);
        out.truncation_error[first - 1..=first].iter_mut().for_each(|told| *told += off);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::block::Roots;
    use super::*;
    use nalgebra::{DMatrix, DVector};
    use std::sync::LazyLock;

    static ROOTS: LazyLock<Roots> = LazyLock::new(|| Roots::new(1e-9));

    /// G^T G with G a banded, smooth matrix of widely different rows: condition number about 1e7.
    fn spectrum(n: usize, band: usize) -> DMatrix<f64> {
        let g = DMatrix::from_fn(n, n, |i, j| {
            let row = 1.0 + 30.0 * f64::from(u8::from(i % 17 == 3));
            if i.abs_diff(j) <= band / 2 { row * (-0.5 * (i as f64 - j as f64).powi(2)).exp() } else { 0.0 }
        });
        g.transpose() * g
    }

    /// S cut to a band, and the true S x.
    fn complement(dense: &DMatrix<f64>, band: usize, x: &DVector<f64>) -> Complement {
        let n = dense.nrows();
        let element = |(i, d): (usize, usize)| if i + d < n { dense[(i + d, i)] } else { 0.0 };
        let matrix = (0..n * (band + 1)).map(|k| element((k / (band + 1), k % (band + 1)))).collect();
        Complement { band, matrix, rhs: (dense * x).as_slice().to_vec() }
    }

    fn dense_root(dense: &DMatrix<f64>) -> DMatrix<f64> {
        let modes = dense.clone().symmetric_eigen();
        let roots = modes.eigenvalues.map(|v| v.max(0.0).sqrt());
        &modes.eigenvectors * DMatrix::from_diagonal(&roots) * modes.eigenvectors.transpose()
    }

    #[test]
    fn the_root_is_that_of_the_eigenvectors() {
        let (n, band, half) = (900, 12, 5);
        let dense = spectrum(n, band);
        let x = DVector::from_fn(n, |i, _| 3.0 + (i as f64 * 0.7).sin());
        let accuracy = Accuracy { roots: &ROOTS, tolerance: 1e-5, overlap: 60 };
        let ours = root(&complement(&dense, band, &x), x.as_slice(), half, &accuracy);
        let q = dense_root(&dense);
        let (ones, flux) = (&q * DVector::from_element(n, 1.0), &q * &x);
        assert!(ours.blocks > 1, "the overlap of blocks is tested");
        for i in 0..n {
            assert!((ours.row_sums[i] / ones[i] - 1.0).abs() < 1e-6, "s of bin {i}");
            assert!((ours.qx[i] - flux[i]).abs() < 1e-5, "Q x of bin {i}: {} {}", ours.qx[i], flux[i]);
            assert!(ours.truncation_error[i] < 1e-9, "nothing is cut off");
            for d in (0..=half).filter(|d| i + d < n) {
                assert!((ours.diagonals[i * (half + 1) + d] - q[(i + d, i)]).abs() < 1e-6 * ones[i], "Q of bin {i}");
            }
        }
    }

    #[test]
    fn what_a_band_misses_is_what_it_tells() {
        let n = 200;
        let dense = spectrum(n, 12);
        for (band, signal) in [(8, 1e3), (9, 1e4), (8, 1e5)] {
            let x = DVector::from_fn(n, |i, _| signal * (1.0 + (i as f64 * 0.7).sin()));
            let accuracy = Accuracy { roots: &ROOTS, tolerance: 1e-7, overlap: 60 };
            let ours = root(&complement(&dense, band, &x), x.as_slice(), 5, &accuracy);
            let exact = dense_root(&dense) * &x;
            let error = (0..n).map(|i| (ours.qx[i] - exact[i]).abs()).fold(0.0, f64::max);
            let told = ours.truncation_error.iter().copied().fold(0.0, f64::max);
            assert!(error > 2e-5 && (0.2..5.0).contains(&(told / error)), "band {band}: {told:e}, in fact {error:e}");
        }
    }
}
