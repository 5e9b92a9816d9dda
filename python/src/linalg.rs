//! Batched Cholesky and Jacobi on numpy arrays.

use crate::arrays::{Numbers, array, is_f4, numbers, to_numpy};
use crate::device::open_words;
use crate::error::{Kind, Raise, exception, input};
use crate::work::released;
use pyo3::prelude::*;
use spextral::gpu::{self, Device};
use spextral::stages::cholesky::{self as cpu_cholesky, Layout};
use spextral::stages::jacobi as cpu_jacobi;
use std::fmt::Display;

type Any<'py> = Bound<'py, PyAny>;

/// A batch of square matrices: an array `[..., n, n]`, and how it came.
struct Batch {
    values: Vec<f64>,
    shape: Vec<usize>,
    n: usize,
    /// Results are f4 as the input.
    f4: bool,
}

impl Batch {
    fn of(matrices: &Any) -> PyResult<Self> {
        let matrices = array("matrices", matrices, "")?;
        let f4 = is_f4(&matrices)?;
        let Numbers { values, shape } = numbers("matrices", &matrices, "")?;
        match shape[..] {
            [.., rows, n] if rows == n && n > 0 => Ok(Self { values, shape, n, f4 }),
            _ => Err(input(format!("matrices has shape {shape:?}, [..., n, n] with n > 0 is needed"))),
        }
    }

    fn array<'py>(&self, py: Python<'py>, values: Vec<f64>, shape: &[usize]) -> PyResult<Any<'py>> {
        if self.f4 {
            let values = values.into_iter().map(|v| v as f32).collect();
            return to_numpy::<f32>(py, values, shape).map(Bound::into_any);
        }
        to_numpy(py, values, shape).map(Bound::into_any)
    }
}

/// The first failure of a batch as an exception.
fn whole<T, E: Display>(statuses: Vec<Result<T, E>>) -> PyResult<()> {
    let failure = |error: E| exception(Kind::LinAlg, error.to_string());
    statuses.into_iter().try_for_each(|status| status.map(|_| ()).map_err(failure))
}

/// Cholesky factors of a batch of symmetric positive definite matrices, K = L Lᵀ.
///
/// Parameters
/// ----------
/// matrices : array of f4 or f8, [..., n, n]
///     K; lower triangles are read.
/// device : str
///     Where: ``"cpu"`` computes in f64, a GPU in f32.
///
/// Returns
/// -------
/// array, [..., n, n]
///     L, zero above its diagonal, in the type of the input.
///
/// Raises
/// ------
/// LinAlgError
///     A matrix is not positive definite; which, and its pivot.
#[pyfunction]
#[pyo3(signature = (matrices, *, device = "cpu"))]
pub fn cholesky<'py>(matrices: &Any<'py>, device: &str) -> PyResult<Any<'py>> {
    let py = matrices.py();
    let mut batch = Batch::of(matrices)?;
    let (n, layout) = (batch.n, Layout::dense(batch.n));
    let mut values = std::mem::take(&mut batch.values);
    let statuses = match open_words(device)? {
        Device::Cpu => {
            let work = || cpu_cholesky::factor(layout, &mut values);
            released(py, None, work)?.map_err(|error| input(error.to_string()))?
        }
        Device::Gpu(gpu) => {
            let work = || gpu::cholesky::factor(&gpu, layout, &mut values);
            released(py, None, work)?.map_err(Raise::raise)?
        }
    };
    whole(statuses)?;
    for matrix in values.chunks_exact_mut(n * n) {
        for (i, row) in matrix.chunks_exact_mut(n).enumerate() {
            row[i + 1..].fill(0.0);
        }
    }
    batch.array(py, values, &batch.shape)
}

/// Solutions of K x = b for a batch of symmetric positive definite matrices.
///
/// Parameters
/// ----------
/// matrices : array of f4 or f8, [..., n, n]
///     K; lower triangles are read.
/// rhs : array of f4 or f8, [..., n] or [..., nrhs, n]
///     b, one or several per matrix.
/// device : str
///     Where: ``"cpu"`` computes in f64, a GPU in f32.
///
/// Returns
/// -------
/// array, the shape of ``rhs``
///     x, in the type of ``matrices``.
///
/// Raises
/// ------
/// LinAlgError
///     A matrix is not positive definite; which, and its pivot.
#[pyfunction]
#[pyo3(signature = (matrices, rhs, *, device = "cpu"))]
pub fn cholesky_solve<'py>(matrices: &Any<'py>, rhs: &Any<'py>, device: &str) -> PyResult<Any<'py>> {
    let py = matrices.py();
    let mut batch = Batch::of(matrices)?;
    let Numbers { values: mut sides, shape } = numbers::<f64>("rhs", rhs, "")?;
    let leading = &batch.shape[..batch.shape.len() - 2];
    let fits = |extra: usize| {
        shape.len() == leading.len() + extra && shape.starts_with(leading) && shape.last() == Some(&batch.n)
    };
    if !(fits(1) || fits(2)) {
        let wanted = format!("{:?} or the same with nrhs before the last axis", [leading, &[batch.n]].concat());
        return Err(input(format!("rhs has shape {shape:?}, for matrices {:?} {wanted} is needed", batch.shape)));
    }
    let layout = Layout::dense(batch.n);
    let statuses = match open_words(device)? {
        Device::Cpu => {
            let work = || cpu_cholesky::factor_solve(layout, &batch.values, &mut sides);
            released(py, None, work)?.map_err(|error| input(error.to_string()))?
        }
        Device::Gpu(gpu) => {
            let work = || gpu::cholesky::factor_solve(&gpu, layout, &mut batch.values, &mut sides);
            released(py, None, work)?.map_err(Raise::raise)?
        }
    };
    whole(statuses)?;
    batch.array(py, sides, &shape)
}

/// Eigenvalues and eigenvectors of a batch of symmetric matrices by one-sided Jacobi rotations.
///
/// Parameters
/// ----------
/// matrices : array of f4 or f8, [..., n, n]
///     Lower triangles are read.
/// device : str
///     Where: ``"cpu"`` computes in f64, a GPU in f32.
///
/// Returns
/// -------
/// values : array, [..., n]
///     Ascending, in the type of the input.
/// vectors : array, [..., n, n]
///     Eigenvector k in row k, of unit length (numpy.linalg.eigh has them in columns).
///
/// Raises
/// ------
/// LinAlgError
///     A matrix is not finite, or its rotations do not converge.
#[pyfunction]
#[pyo3(signature = (matrices, *, device = "cpu"))]
pub fn jacobi<'py>(matrices: &Any<'py>, device: &str) -> PyResult<(Any<'py>, Any<'py>)> {
    let py = matrices.py();
    let batch = Batch::of(matrices)?;
    let n = batch.n;
    let (mut values, mut vectors) = (vec![0.0; batch.values.len() / n], vec![0.0; batch.values.len()]);
    let statuses = match open_words(device)? {
        Device::Cpu => {
            let work = || cpu_jacobi::eigen(n, &batch.values, &mut values, &mut vectors);
            released(py, None, work)?.map_err(|error| input(error.to_string()))?
        }
        Device::Gpu(gpu) => {
            let work = || gpu::jacobi::eigen(&gpu, n, &batch.values, &mut values, &mut vectors);
            released(py, None, work)?.map_err(Raise::raise)?
        }
    };
    let stuck = statuses.iter().position(|status| status.as_ref().is_ok_and(|sweeps| !sweeps.converged));
    whole(statuses)?;
    if let Some(matrix) = stuck {
        let sentence = format!("the rotations of matrix {matrix} did not converge: scale it to elements near 1");
        return Err(exception(Kind::LinAlg, sentence));
    }
    let values = batch.array(py, values, &batch.shape[..batch.shape.len() - 1])?;
    Ok((values, batch.array(py, vectors, &batch.shape)?))
}
