//! Random matrices with a known spectrum or band.

use nalgebra::{DMatrix, DVector};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use rayon::ThreadPoolBuilder;

pub fn generator(seed: u64) -> Pcg64Mcg {
    Pcg64Mcg::seed_from_u64(seed)
}

pub fn uniform(rng: &mut Pcg64Mcg, nrow: usize, ncolumn: usize) -> DMatrix<f64> {
    DMatrix::from_fn(nrow, ncolumn, |_, _| rng.random_range(-1.0..1.0))
}

/// U diag(spectrum) U^T, U random and orthogonal, exactly symmetric.
pub fn with_spectrum(rng: &mut Pcg64Mcg, spectrum: &[f64]) -> DMatrix<f64> {
    let n = spectrum.len();
    let q = uniform(rng, n, n).qr().q();
    let full = &q * DMatrix::from_diagonal(&DVector::from_column_slice(spectrum)) * q.transpose();
    (&full + full.transpose()) * 0.5
}

/// n values from 1 to 10^decades, equal steps of the logarithm.
pub fn decades(n: usize, decades: f64) -> Vec<f64> {
    (0..n).map(|k| 10f64.powf(decades * k as f64 / (n.max(2) - 1) as f64)).collect()
}

/// A positive definite band matrix: the product of a random band factor with its transpose.
pub fn banded(rng: &mut Pcg64Mcg, n: usize, half_bandwidth: usize) -> DMatrix<f64> {
    let factor = DMatrix::from_fn(n, n, |i, j| {
        let value = rng.random_range(-1.0..1.0);
        if i == j {
            2.0 + value
        } else if j < i && i - j <= half_bandwidth {
            value / (half_bandwidth as f64).sqrt()
        } else {
            0.0
        }
    });
    &factor * factor.transpose()
}

/// Row after row.
pub fn dense(matrix: &DMatrix<f64>) -> Vec<f64> {
    matrix.transpose().as_slice().to_vec()
}

pub fn from_dense(n: usize, values: &[f64]) -> DMatrix<f64> {
    DMatrix::from_row_slice(n, n, values)
}

pub fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Largest absolute element of the difference.
pub fn distance(a: &DMatrix<f64>, b: &DMatrix<f64>) -> f64 {
    (a - b).amax()
}

pub fn with_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}
