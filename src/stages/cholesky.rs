//! Batched Cholesky factorisation of symmetric positive definite matrices, dense or banded, and its solves.
//!
//! K = L L^T is factored under its skyline in blocks of eight rows (`skyline`), after scaling rows and columns by
//! powers of two to a diagonal between 1 and 4: exact, so the scaling rounds nothing. Matrices are independent:
//! each gives the same bits whatever batch, order or number of threads it comes in.
//!
//! ```
//! use spextral::stages::cholesky::{self, Layout};
//!
//! // A batch of two: [[4, 2], [2, 5]] and the indefinite [[1, 2], [2, 1]], one right-hand side each.
//! let matrices = [4.0, 2.0, 2.0, 5.0, 1.0, 2.0, 2.0, 1.0];
//! let mut x = [8.0, 12.0, 1.0, 1.0];
//! let status = cholesky::factor_solve(Layout::dense(2), &matrices, &mut x)?;
//! assert_eq!(&x[..2], &[1.0, 2.0]);
//! let failure = status[1].as_ref().unwrap_err();
//! assert_eq!((failure.matrix, failure.index, failure.pivot), (1, 1, -3.0));
//! # Ok::<(), cholesky::ShapeError>(())
//! ```

use super::simd::{Octet, dispatch};
use super::skyline::{Backward, BadPivot, Factor, Forward, Skyline, TILE};
use rayon::prelude::*;

/// Where the lower triangle of one n x n matrix lies in its slice. The upper triangle is never read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    n: usize,
    half_bandwidth: usize,
    dense: bool,
}

impl Layout {
    /// `[n, n]`, row after row.
    pub fn dense(n: usize) -> Self {
        Self { n, half_bandwidth: n.saturating_sub(1), dense: true }
    }

    /// `[n, half_bandwidth + 1]`: row i holds the columns i - half_bandwidth ..= i, the diagonal last. Slots left of
    /// column 0 are never read.
    pub fn band(n: usize, half_bandwidth: usize) -> Self {
        Self { n, half_bandwidth, dense: false }
    }

    /// Rows of a matrix.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Values of a matrix's storage.
    pub fn len(&self) -> usize {
        if self.dense { self.n * self.n } else { self.n * (self.half_bandwidth + 1) }
    }

    /// Whether the matrix has no rows.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// First stored column of a row: K is zero left of it.
    pub fn first_column(&self, row: usize) -> usize {
        row.saturating_sub(self.half_bandwidth)
    }

    /// Place of element (row, column), for first_column(row) <= column <= row.
    pub fn index(&self, row: usize, column: usize) -> usize {
        if self.dense { row * self.n + column } else { row * self.half_bandwidth + column + self.half_bandwidth }
    }

    /// First column of a row that is not zero, the diagonal's at most.
    pub(super) fn first_nonzero(&self, matrix: &[f64], row: usize) -> usize {
        let first = self.first_column(row);
        let left = &matrix[self.index(row, first)..self.index(row, row)];
        first + left.iter().take_while(|&&value| value == 0.0).count()
    }

    /// Columns first ..= row of a row, for first_column(row) <= first <= row.
    pub(super) fn row_from<'a>(&self, matrix: &'a [f64], row: usize, first: usize) -> &'a [f64] {
        &matrix[self.index(row, first)..=self.index(row, row)]
    }

    /// Number of matrices in a slice of this length.
    pub(super) fn batch(&self, found: usize) -> Result<usize, ShapeError> {
        if self.is_empty() {
            return Err(ShapeError::Empty);
        }
        let size = self.len();
        if found.is_multiple_of(size) { Ok(found / size) } else { Err(ShapeError::Matrices { found, size }) }
    }
}

/// Slices whose lengths do not fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// Matrices without rows.
    #[error("the matrices have no rows; n must be at least 1")]
    Empty,
    /// The matrices' slice is not a whole number of matrices.
    #[error("the matrices hold {found} values, which is not a multiple of {size}, the size of one")]
    Matrices {
        /// Length of the slice.
        found: usize,
        /// Values of one matrix.
        size: usize,
    },
    /// The right-hand sides' slice does not fit the batch.
    #[error("the right-hand sides hold {found} values, which is not a multiple of {unit}: {batch} matrices of n = {n}")]
    RightHandSides {
        /// Length of the slice.
        found: usize,
        /// Values of one right-hand side of every matrix.
        unit: usize,
        /// Number of matrices.
        batch: usize,
        /// Rows of a matrix.
        n: usize,
    },
    /// An output slice of the wrong length.
    #[error("the output holds {found} values where {expected} are needed")]
    Output {
        /// Length of the slice.
        found: usize,
        /// Length it must have.
        expected: usize,
    },
    /// Matrices that do not hold whole bins.
    #[error("n = {n} is not a multiple of the number of fibres, {nspec}")]
    Fibres {
        /// Rows of a matrix.
        n: usize,
        /// Number of fibres.
        nspec: usize,
    },
    /// A fibre or patch that the batch does not have.
    #[error("{what} {found} does not exist: there are {count}")]
    Index {
        /// The kind of thing counted.
        what: &'static str,
        /// The index requested.
        found: usize,
        /// Their number.
        count: usize,
    },
}

/// A matrix that is not positive definite to working precision, or not finite.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("matrix {matrix} is not positive definite: pivot {index} is {pivot:e}")]
pub struct NonPositivePivot {
    /// Which of the batch.
    pub matrix: usize,
    /// Row of the first pivot that is not a positive finite number.
    pub index: usize,
    /// Its value; NaN or infinite where the input is.
    pub pivot: f64,
}

/// The outcome of one matrix.
pub type Status = Result<(), NonPositivePivot>;

/// Replaces each matrix K of a batch by its factor L, K = L L^T, in the lower triangle. A matrix that is not positive
/// definite is left as it was; the others are not disturbed. One status per matrix.
pub fn factor(layout: Layout, matrices: &mut [f64]) -> Result<Vec<Status>, ShapeError> {
    layout.batch(matrices.len())?;
    let each = |work: &mut Workspace, (index, matrix): (usize, &mut [f64])| {
        work.factor(layout, matrix).map_err(|bad| work.name(index, bad))?;
        work.store(layout, matrix);
        Ok(())
    };
    Ok(matrices.par_chunks_exact_mut(layout.len()).enumerate().map_init(Workspace::default, each).collect())
}

/// Solves K x = b without touching K: `matrices` is the batch of K, `rhs` `[batch, nrhs, n]` holds b and receives x,
/// nrhs follows from its length. Where a matrix is not positive definite its b stay. One status per matrix.
pub fn factor_solve(layout: Layout, matrices: &[f64], rhs: &mut [f64]) -> Result<Vec<Status>, ShapeError> {
    for_each_system(layout, matrices, rhs, |work, matrix, rhs| {
        work.factor(layout, matrix)?;
        work.solve(rhs, Sides::Both);
        Ok(())
    })
}

/// Solves L L^T x = b with L from [`factor`]; `rhs` `[batch, nrhs, n]` holds b and receives x. The status of a matrix
/// whose L has a diagonal element that is not positive and finite names it; its b stay.
pub fn solve(layout: Layout, factors: &[f64], rhs: &mut [f64]) -> Result<Vec<Status>, ShapeError> {
    solve_sides(layout, factors, rhs, Sides::Both)
}

/// Solves L x = b, as [`solve`].
pub fn solve_lower(layout: Layout, factors: &[f64], rhs: &mut [f64]) -> Result<Vec<Status>, ShapeError> {
    solve_sides(layout, factors, rhs, Sides::Lower)
}

/// Solves L^T x = b, as [`solve`].
pub fn solve_upper(layout: Layout, factors: &[f64], rhs: &mut [f64]) -> Result<Vec<Status>, ShapeError> {
    solve_sides(layout, factors, rhs, Sides::Upper)
}

/// Which of the triangles to solve with.
#[derive(Clone, Copy, PartialEq)]
enum Sides {
    Lower,
    Upper,
    Both,
}

fn solve_sides(layout: Layout, factors: &[f64], rhs: &mut [f64], sides: Sides) -> Result<Vec<Status>, ShapeError> {
    for_each_system(layout, factors, rhs, |work, factor, rhs| {
        work.load(layout, factor, |_| 1.0);
        work.skyline.accept_as_factor()?;
        work.solve(rhs, sides);
        Ok(())
    })
}

fn for_each_system(
    layout: Layout,
    matrices: &[f64],
    rhs: &mut [f64],
    solve: impl Fn(&mut Workspace, &[f64], &mut [f64]) -> Result<(), BadPivot> + Sync,
) -> Result<Vec<Status>, ShapeError> {
    let batch = layout.batch(matrices.len())?;
    let (n, found, unit) = (layout.n, rhs.len(), batch * layout.n);
    if unit == 0 && found == 0 {
        return Ok(Vec::new());
    }
    if unit == 0 || found == 0 || !found.is_multiple_of(unit) {
        return Err(ShapeError::RightHandSides { found, unit, batch, n });
    }
    let systems = matrices.par_chunks_exact(layout.len()).zip(rhs.par_chunks_exact_mut(found / batch));
    let each = |work: &mut Workspace, (index, (matrix, rhs)): (usize, (&[f64], &mut [f64]))| {
        solve(work, matrix, rhs).map_err(|bad| work.name(index, bad))
    };
    Ok(systems.enumerate().map_init(Workspace::default, each).collect())
}

/// 2^-k with 2^2k <= |diagonal| < 2^(2k + 2): scales a diagonal element into [1, 4) without rounding.
pub(super) fn power_of_two_scale(diagonal: f64) -> f64 {
    let exponent = (diagonal.to_bits() >> 52 & 0x7ff) as i64 - 1023;
    f64::from_bits(((1023 - exponent.div_euclid(2)) as u64) << 52)
}

/// One thread's copy of a matrix, rows and columns multiplied by `scale`, and of a right-hand side.
#[derive(Default)]
struct Workspace {
    skyline: Skyline,
    first_columns: Vec<usize>,
    scale: Vec<f64>,
    x: Vec<Octet>,
}

impl Workspace {
    fn load(&mut self, layout: Layout, matrix: &[f64], scale: impl Fn(f64) -> f64) {
        let padded = layout.n.next_multiple_of(TILE);
        self.scale.clear();
        self.scale.extend((0..layout.n).map(|i| scale(matrix[layout.index(i, i)])));
        self.first_columns.clear();
        self.first_columns.extend((0..layout.n).map(|i| layout.first_nonzero(matrix, i)).chain(layout.n..padded));
        self.skyline.reshape(&self.first_columns);
        for i in 0..layout.n {
            let first = self.first_columns[i];
            for (j, value) in (first..).zip(layout.row_from(matrix, i, first)) {
                *self.skyline.at_mut(i, j) = value * self.scale[i] * self.scale[j];
            }
        }
        for i in layout.n..padded {
            *self.skyline.at_mut(i, i) = 1.0;
        }
    }

    fn factor(&mut self, layout: Layout, matrix: &[f64]) -> Result<(), BadPivot> {
        self.load(layout, matrix, power_of_two_scale);
        let leading = self.skyline.strips();
        dispatch(Factor { matrix: &mut self.skyline, leading })
    }

    fn store(&self, layout: Layout, matrix: &mut [f64]) {
        for i in 0..layout.n {
            let unscale = 1.0 / self.scale[i];
            for j in self.first_columns[i]..=i {
                matrix[layout.index(i, j)] = self.skyline.at(i, j) * unscale;
            }
        }
    }

    fn solve(&mut self, rhs: &mut [f64], sides: Sides) {
        for rhs in rhs.chunks_exact_mut(self.scale.len()) {
            self.x.clear();
            self.x.resize(self.skyline.strips(), Octet::default());
            for (i, &b) in rhs.iter().enumerate() {
                self.x[i / TILE].0[i % TILE] = b * self.scale[i];
            }
            if sides != Sides::Upper {
                dispatch(Forward { factor: &self.skyline, x: &mut self.x });
            }
            if sides != Sides::Lower {
                dispatch(Backward { factor: &self.skyline, x: &mut self.x });
            }
            for (i, b) in rhs.iter_mut().enumerate() {
                *b = self.x[i / TILE].0[i % TILE] * self.scale[i];
            }
        }
    }

    /// A bad pivot of this thread's matrix in the units of the caller's.
    fn name(&self, matrix: usize, (index, pivot): BadPivot) -> NonPositivePivot {
        NonPositivePivot { matrix, index, pivot: pivot / (self.scale[index] * self.scale[index]) }
    }
}
