//! Batched eigendecomposition of symmetric matrices by one-sided Jacobi rotations on the Cholesky factor.
//!
//! With A = L L^T, rotations V that make the columns of L orthogonal give L V = U Sigma. A's eigenvalues are the columns'
//! squared lengths and its eigenvectors their directions (Veselic & Hari 1989). The factor is pivoted, which sorts the
//! columns and saves sweeps. Small eigenvalues of a positive definite A come out with the relative accuracy that A's
//! diagonally scaled form allows, however large the others are. Where A is not positive definite to working
//! precision, A + shift I is taken instead, and errors are relative to the largest eigenvalue.
//! Matrices are independent: each gives the same bits whatever batch, order or number of threads it comes in.

use super::cholesky::ShapeError;
use super::simd::dispatch;
use columns::{Columns, PivotedCholesky};
use rayon::prelude::*;
use rotations::Rotate;

mod columns;
mod rotations;
mod sweeps;

pub use sweeps::{MAX_SWEEPS, Sweeps};

/// An element that is NaN or infinite.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("matrix {matrix} has the value {value} in row {row}, column {column}; only finite matrices have eigenvalues")]
pub struct NotFinite {
    /// Which of the batch.
    pub matrix: usize,
    /// Row of the first such element.
    pub row: usize,
    /// Its column.
    pub column: usize,
    /// Its value.
    pub value: f64,
}

/// The outcome of one matrix.
pub type Status = Result<Sweeps, NotFinite>;

/// Computes eigenvalues and eigenvectors of a batch of symmetric matrices `[batch, n, n]`, from their lower triangles.
/// `values` `[batch, n]` ascend; `vectors` `[batch, n, n]` hold eigenvector k in row k, of unit length. Returns one status
/// per matrix. If a matrix is not finite, its values and vectors stay as they were.
///
/// ```
/// use spextral::stages::jacobi::eigen;
///
/// let (mut values, mut vectors) = ([0.0; 2], [0.0; 4]);
/// let status = eigen(2, &[2.0, 1.0, 1.0, 2.0], &mut values, &mut vectors)?;
/// assert!(status[0].is_ok_and(|sweeps| sweeps.converged));
/// assert!((values[0] - 1.0).abs() < 1e-15 && (values[1] - 3.0).abs() < 1e-15);
/// assert!((vectors[2] - vectors[3]).abs() < 1e-15);
/// # Ok::<(), spextral::stages::cholesky::ShapeError>(())
/// ```
pub fn eigen(n: usize, matrices: &[f64], values: &mut [f64], vectors: &mut [f64]) -> Result<Vec<Status>, ShapeError> {
    if n == 0 {
        return Err(ShapeError::Empty);
    }
    let (found, size) = (matrices.len(), n * n);
    if !found.is_multiple_of(size) {
        return Err(ShapeError::Matrices { found, size });
    }
    let expected = found / n;
    if values.len() != expected {
        return Err(ShapeError::Output { found: values.len(), expected });
    }
    if vectors.len() != found {
        return Err(ShapeError::Output { found: vectors.len(), expected: found });
    }
    let outputs = values.par_chunks_exact_mut(n).zip(vectors.par_chunks_exact_mut(size));
    let systems = matrices.par_chunks_exact(size).zip(outputs).enumerate();
    Ok(systems
        .map_init(
            || Workspace::new(n),
            |work, (matrix, (elements, (values, vectors)))| {
                let scale = work.load(matrix, elements)?;
                let shift = work.factor_or_shift();
                let sweeps = dispatch(Rotate { columns: &mut work.columns, norms: &mut work.norms });
                work.store(scale, shift, values, vectors);
                Ok(sweeps)
            },
        )
        .collect())
}

/// One thread's matrix, its factor's columns and their squared lengths.
struct Workspace {
    matrix: Columns,
    columns: Columns,
    norms: Vec<f64>,
}

impl Workspace {
    fn new(n: usize) -> Self {
        Self { matrix: Columns::new(n), columns: Columns::new(n), norms: vec![0.0; n] }
    }

    /// Takes a matrix, both triangles, times a power of two that brings its largest element into [1/2, 1): squares then
    /// neither overflow nor vanish. Returns what takes the scaling back.
    fn load(&mut self, matrix: usize, elements: &[f64]) -> Result<f64, NotFinite> {
        let n = self.matrix.n;
        let mut largest: f64 = 0.0;
        for row in 0..n {
            for column in 0..=row {
                let value = elements[row * n + column];
                if !value.is_finite() {
                    return Err(NotFinite { matrix, row, column, value });
                }
                largest = largest.max(value.abs());
            }
        }
        // Exponents within +-1000 keep both the scale and its inverse finite.
        let exponent = ((largest.to_bits() >> 52) as i32 - 1022).clamp(-1000, 1000);
        let (down, up) = (2f64.powi(-exponent), 2f64.powi(exponent));
        for row in 0..n {
            for column in 0..=row {
                let value = elements[row * n + column] * down;
                *self.matrix.at_mut(row, column) = value;
                *self.matrix.at_mut(column, row) = value;
            }
        }
        Ok(up)
    }

    /// Factors the matrix, or failing that the matrix plus a multiple of the identity, which is returned.
    fn factor_or_shift(&mut self) -> f64 {
        if dispatch(PivotedCholesky { matrix: &self.matrix, factor: &mut self.columns }) {
            return 0.0;
        }
        let (mut norm, mut lowest) = (0f64, 0f64);
        for k in 0..self.matrix.n {
            let sum: f64 = self.matrix.column(k).iter().flat_map(|octet| octet.0).map(f64::abs).sum();
            let diagonal = *self.matrix.at_mut(k, k);
            norm = norm.max(sum);
            lowest = lowest.min(diagonal - (sum - diagonal.abs()));
        }
        // Gershgorin: eigenvalues lie in [lowest, norm]; shifted, in [norm, 3 norm], so that L loses no digits.
        let shift = if norm > 0.0 { norm - lowest } else { 1.0 };
        for k in 0..self.matrix.n {
            *self.matrix.at_mut(k, k) += shift;
        }
        let factored = dispatch(PivotedCholesky { matrix: &self.matrix, factor: &mut self.columns });
        debug_assert!(factored, "a diagonally dominant matrix is positive definite");
        shift
    }

    /// Writes eigenpairs in ascending order.
    fn store(&self, scale: f64, shift: f64, values: &mut [f64], vectors: &mut [f64]) {
        let n = self.columns.n;
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&p, &q| self.norms[p].total_cmp(&self.norms[q]).then(p.cmp(&q)));
        for (k, &column) in order.iter().enumerate() {
            let norm = self.norms[column];
            values[k] = (norm - shift) * scale;
            let unit = 1.0 / norm.sqrt();
            let elements = self.columns.column(column).iter().flat_map(|octet| octet.0);
            for (vector, element) in vectors[k * n..(k + 1) * n].iter_mut().zip(elements) {
                *vector = element * unit;
            }
        }
    }
}
