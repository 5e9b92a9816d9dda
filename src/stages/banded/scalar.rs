//! One banded matrix at a time, without lanes: for what is measured once, and for stages run apart from their neighbours.

/// Factors a symmetric matrix in place into L D L^T and returns the smallest pivot over its diagonal element. It is not
/// positive if the matrix is not positive definite. `columns` is `[n, half + 1]`: element d of column j is (j + d, j).
pub(crate) fn factor(columns: &mut [f64], half: usize) -> f64 {
    let width = half + 1;
    let n = columns.len() / width;
    let diagonal: Vec<f64> = columns.iter().step_by(width).copied().collect();
    let mut least = f64::MAX;
    for j in 0..n {
        let pivot = columns[j * width];
        least = least.min(pivot / diagonal[j]);
        for d in 1..=half.min(n - 1 - j) {
            let factor = columns[j * width + d] / pivot;
            for e in d..=half.min(n - 1 - j) {
                columns[(j + d) * width + e - d] -= factor * columns[j * width + e];
            }
        }
    }
    least
}

/// Solves with the factor of [`factor`], whose columns are L D.
pub(crate) fn solve(columns: &[f64], half: usize, rhs: &[f64]) -> Vec<f64> {
    let (width, n) = (half + 1, rhs.len());
    let mut x = rhs.to_vec();
    for j in 0..n {
        // The division does not wait for x.
        let inverse = 1.0 / columns[j * width];
        let scaled = x[j] * inverse;
        for d in 1..=half.min(n - 1 - j) {
            x[j + d] -= columns[j * width + d] * scaled;
        }
    }
    for j in (0..n).rev() {
        // Four sums that do not wait for each other; the newest element, which all wait for, comes last.
        let mut below = [0.0; 4];
        for d in (1..=half.min(n - 1 - j)).rev() {
            below[d % 4] += columns[j * width + d] * x[j + d];
        }
        let inverse = 1.0 / columns[j * width];
        x[j] = (x[j] - ((below[2] + below[3]) + (below[0] + below[1]))) * inverse;
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::{DMatrix, DVector};

    #[test]
    fn factor_and_solution_are_those_of_the_dense_matrix() {
        let (n, half) = (30, 4);
        let g =
            DMatrix::from_fn(n, n, |i, j| if i.abs_diff(j) <= half / 2 { ((3 * i + 5 * j) as f64).sin() } else { 0.0 });
        let dense = &g * g.transpose() + DMatrix::identity(n, n);
        let element = |k: usize| match (k / (half + 1), k % (half + 1)) {
            (j, d) if j + d < n => dense[(j + d, j)],
            _ => 0.0,
        };
        let mut columns: Vec<f64> = (0..n * (half + 1)).map(element).collect();
        let least = factor(&mut columns, half);
        let l = dense.clone().cholesky().unwrap().l();
        let expected = (0..n).map(|i| l[(i, i)].powi(2) / dense[(i, i)]).fold(f64::MAX, f64::min);
        assert!((least / expected - 1.0).abs() < 1e-9);
        let rhs = DVector::from_fn(n, |i, _| i as f64 - 7.0);
        let x = DVector::from_vec(solve(&columns, half, rhs.as_slice()));
        assert!((dense * x - &rhs).amax() < 1e-9 * rhs.amax());
    }
}
