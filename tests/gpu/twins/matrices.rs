//! Matrices to test with, the same at every run.

use nalgebra::DMatrix;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// Uniform numbers in [-1, 1).
pub fn noise(seed: u64, len: usize) -> Vec<f64> {
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    (0..len).map(|_| random.random_range(-1.0..1.0)).collect()
}

/// A symmetric matrix with these eigenvalues and random eigenvectors.
pub fn with_eigenvalues(seed: u64, eigenvalues: &[f64]) -> DMatrix<f64> {
    let n = eigenvalues.len();
    let q = DMatrix::from_vec(n, n, noise(seed, n * n)).qr().q();
    let a = &q * DMatrix::from_diagonal(&nalgebra::DVector::from_row_slice(eigenvalues)) * q.transpose();
    (&a + a.transpose()) * 0.5
}

/// Eigenvalues from 1 down to 1 / condition, evenly in the logarithm.
pub fn spread(n: usize, condition: f64) -> Vec<f64> {
    (0..n).map(|k| condition.powf(-(k as f64) / (n.max(2) - 1) as f64)).collect()
}

/// A positive definite band matrix, condition some 10 to 100.
pub fn banded(seed: u64, n: usize, half_band: usize) -> DMatrix<f64> {
    let values = noise(seed, n * n);
    let decay = |distance: usize| 0.7f64.powi(distance as i32);
    let mut a = DMatrix::zeros(n, n);
    for i in 0..n {
        for j in i.saturating_sub(half_band)..i {
            a[(i, j)] = decay(i - j) * values[i * n + j];
            a[(j, i)] = a[(i, j)];
        }
    }
    for i in 0..n {
        a[(i, i)] = 0.1 + a.row(i).iter().map(|x: &f64| x.abs()).sum::<f64>();
    }
    a
}

/// Row after row.
pub fn rows(a: &DMatrix<f64>) -> Vec<f64> {
    a.transpose().iter().copied().collect()
}

/// Packs `a` in band storage. Slots outside of the matrix hold NaN, which nobody may read.
pub fn band(a: &DMatrix<f64>, half_band: usize) -> Vec<f64> {
    let n = a.nrows();
    let slot = |i: usize, s: usize| {
        if i + s < half_band { f64::NAN } else { a[(i, i + s - half_band)] }
    };
    (0..n).flat_map(|i| (0..=half_band).map(move |s| (i, s))).map(|(i, s)| slot(i, s)).collect()
}
