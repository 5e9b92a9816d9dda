//! Batched symmetric eigendecomposition on the GPU: one workgroup per matrix.

use std::ops::Range;

use super::args::kernel_args;
use super::buffer::{expect_len, keep};
use super::shaders::PROGRESS_WORDS;
use super::{Buffer, Gpu, GpuError, Precision, Reals, Recording, Variant, cholesky};
use crate::stages::cholesky::Layout;
use crate::stages::jacobi::{MAX_SWEEPS, NotFinite, Status, Sweeps};

/// vec4s of a matrix in workgroup memory, one variant each. With 16 bytes for the count and 16 for the flag these are 16, 32
/// and 48 KiB in f32.
const CAPACITIES: [usize; 3] = [1_020, 2_040, 3_060];

/// Invocations of a workgroup, one per pair of columns, up to WebGPU's guaranteed number.
const THREADS: [usize; 3] = [32, 64, 256];

/// Returns the cosine of the angle between columns of n elements below which they count as orthogonal. It is twice the rounding
/// of a sum of n products.
fn tolerance(precision: Precision, n: usize) -> f32 {
    (2.0 * precision.epsilon() * (n as f64).sqrt()) as f32
}

/// Margin that a shift adds to Gershgorin's bound, in units in the last place of the largest eigenvalue.
const MARGIN: f64 = 80.0;

kernel_args! {
    struct Args {
        first: u32,
        end: u32,
        n: u32,
        height: u32,
        round: u32,
        rounds: u32,
        shifting: u32,
        tolerance: f32,
        margin: f32,
    }
}

impl Args {
    fn new(gpu: &Gpu, n: usize, range: &Range<usize>) -> Self {
        let precision = gpu.precision();
        Self {
            first: range.start as u32,
            end: range.end as u32,
            n: n as u32,
            height: height(n) as u32,
            round: 0,
            rounds: 0,
            shifting: 0,
            tolerance: tolerance(precision, n),
            margin: (MARGIN * precision.epsilon()) as f32,
        }
    }
}

/// Returns the vec4s between columns: odd, so that columns start in different banks of workgroup memory.
fn height(n: usize) -> usize {
    n.div_ceil(4) | 1
}

/// Returns every variant that this file dispatches.
pub(super) fn variants() -> Vec<Variant> {
    let in_storage = THREADS.map(|threads| variant(threads, None));
    let in_workgroup =
        THREADS.into_iter().flat_map(|threads| CAPACITIES.map(|capacity| variant(threads, Some(capacity))));
    in_storage.into_iter().chain(in_workgroup).collect()
}

fn variant(threads: usize, capacity: Option<usize>) -> Variant {
    let variant = Variant::new("jacobi").set("THREADS", threads).set("LARGEST", cholesky::LARGEST);
    match capacity {
        Some(capacity) => variant.set("IN_WORKGROUP", true).set("CAPACITY", capacity),
        None => variant,
    }
}

/// Returns the variant for n x n matrices on this device, in workgroup memory if one fits.
fn choose(gpu: &Gpu, n: usize) -> Variant {
    let pairs = n.div_ceil(2);
    let threads = THREADS.into_iter().find(|&threads| pairs <= threads).unwrap_or(THREADS[2]);
    let (needed, granted) = (n * height(n), gpu.limits().workgroup_bytes as usize);
    let fits = |&capacity: &usize| needed <= capacity && gpu.real_bytes(4 * capacity) as usize + 32 <= granted;
    variant(threads, CAPACITIES.into_iter().find(fits))
}

/// Eigenvalues and eigenvectors on a device.
#[derive(Clone, Debug)]
pub struct Eigen {
    /// Eigenvalues `[batch, n]`, ascending.
    pub values: Reals,
    /// Eigenvectors of unit length `[batch, n, n]`, the k-th in row k.
    pub vectors: Reals,
    /// Progress of each matrix, for [`Eigen::status`].
    progress: Buffer<u32>,
}

impl Eigen {
    /// Waits and returns the sweeps of each matrix; None if a matrix has elements that are not finite, whose values and
    /// vectors are meaningless.
    ///
    /// # Errors
    /// [`GpuError::Lost`], [`GpuError::Hung`] or [`GpuError::Driver`] if the device failed.
    pub fn status(&self) -> Result<Vec<Option<Sweeps>>, GpuError> {
        let words = self.progress.download()?;
        let one =
            |words: &[u32]| (words[3] == 0).then(|| Sweeps { sweeps: words[1] as usize, converged: words[2] != 0 });
        Ok(words.chunks_exact(PROGRESS_WORDS).map(one).collect())
    }
}

/// Records the eigendecomposition of a batch of symmetric matrices `[batch, n, n]`, whose lower triangles are read;
/// n up to [`cholesky::LARGEST`].
///
/// # Errors
/// [`GpuError::Length`] if `matrices` is not a whole number of matrices, [`GpuError::Limit`] if n is too large.
pub fn record_eigen(recording: &mut Recording, n: usize, matrices: &Reals) -> Result<Eigen, GpuError> {
    let batch = batch_of(n, matrices.len())?;
    let gpu = matrices.gpu();
    let variant = choose(gpu, n);
    let factors = gpu.reals("factors", matrices.len())?;
    let shifts = gpu.reals("shifts", batch)?;
    let columns = gpu.reals("columns", batch * n * height(n) * 4)?;
    let progress = gpu.zeros::<u32>("progress", batch * PROGRESS_WORDS)?;
    let values = gpu.reals("values", batch * n)?;
    let vectors = gpu.reals("vectors", matrices.len())?;
    let whole = 0..batch;

    // A may not be positive definite: the second round factors A again, shifted if the first factor failed.
    let prepare = gpu.kernel(&variant, "prepare")?;
    let mut status = gpu.zeros::<u32>("status", batch)?;
    for shifting in [0, 1] {
        let args = Args { shifting, ..Args::new(gpu, n, &whole) };
        let bound =
            [matrices.named("matrices"), factors.named("factors"), status.named("status"), shifts.named("shifts")];
        recording.dispatch(&prepare, batch, &args, &bound)?;
        status = cholesky::record_factor(recording, Layout::dense(n), &factors)?;
    }
    let bound =
        [factors.named("factors"), status.named("status"), columns.named("columns"), progress.named("progress")];
    recording.dispatch(&gpu.kernel(&variant, "gather")?, batch, &Args::new(gpu, n, &whole), &bound)?;

    record_sweeps(recording, n, batch, &variant, &columns, &progress)?;
    let bound = [columns.named("columns"), shifts.named("shifts"), values.named("values"), vectors.named("vectors")];
    recording.dispatch(&gpu.kernel(&variant, "finish")?, batch, &Args::new(gpu, n, &whole), &bound)?;
    Ok(Eigen { values, vectors, progress })
}

/// Records [`MAX_SWEEPS`] sweeps; those of converged matrices return at once. A sweep that is too long for a dispatch is cut by
/// rounds.
fn record_sweeps(
    recording: &mut Recording,
    n: usize,
    batch: usize,
    variant: &Variant,
    columns: &Reals,
    progress: &Buffer<u32>,
) -> Result<(), GpuError> {
    let gpu = columns.gpu();
    let kernel = gpu.kernel(variant, "sweep")?;
    // n / 2 pairs per round, each 7 n operations; a single column is done after one empty round.
    let ring = (n + n % 2 - 1) as u64;
    let round = 4 * (n * n) as u64;
    let rounds = (gpu.operations_per_dispatch() / round).clamp(1, ring);
    for _ in 0..MAX_SWEEPS {
        for range in gpu.dispatches(batch, round * rounds) {
            for first in (0..ring).step_by(rounds as usize) {
                let count = rounds.min(ring - first);
                let args = Args { round: first as u32, rounds: count as u32, ..Args::new(gpu, n, &range) };
                let bound = [columns.named("columns"), progress.named("progress")];
                recording.dispatch(&kernel, range.len(), &args, &bound)?;
            }
        }
    }
    Ok(())
}

/// Computes eigenvalues and eigenvectors of a batch on the host; the twin of [`crate::stages::jacobi::eigen`]. `values`
/// `[batch, n]` ascend, and `vectors` `[batch, n, n]` has eigenvector k in row k. Batches of any size go through the device in parts
/// that fit. Values and vectors of a matrix that is not finite stay as they were.
///
/// # Errors
/// [`GpuError::Length`] if a length does not fit n, [`GpuError::Limit`] if n is too large, and those of a device that failed.
pub fn eigen(
    gpu: &Gpu,
    n: usize,
    matrices: &[f64],
    values: &mut [f64],
    vectors: &mut [f64],
) -> Result<Vec<Status>, GpuError> {
    let batch = batch_of(n, matrices.len())?;
    expect_len("values", batch * n, values.len())?;
    expect_len("vectors", batch * n * n, vectors.len())?;
    let [square, columns, rest] = [n * n, 4 * n * height(n), 4 * n].map(|count| gpu.real_bytes(count));
    let part = gpu.batch("matrices", &[square, square, square, columns, rest])?;
    let mut statuses = Vec::with_capacity(batch);
    for first in (0..batch).step_by(part) {
        let range = first..batch.min(first + part);
        let host = &matrices[range.start * n * n..range.end * n * n];
        let mut recording = Recording::new();
        let eigen = record_eigen(&mut recording, n, &gpu.upload_reals("matrices", host)?)?;
        gpu.run(recording)?;
        let parts = host.chunks_exact(n * n).zip(eigen.status()?).enumerate();
        let judged: Vec<Status> = parts.map(|(k, (matrix, sweeps))| judge(n, first + k, matrix, sweeps)).collect();
        keep(&judged, &mut values[range.start * n..range.end * n], &eigen.values.download()?, n);
        keep(&judged, &mut vectors[range.start * n * n..range.end * n * n], &eigen.vectors.download()?, n * n);
        statuses.extend(judged);
    }
    Ok(statuses)
}

/// Returns the sweeps of one matrix, or its first element that is not finite.
fn judge(n: usize, matrix: usize, elements: &[f64], sweeps: Option<Sweeps>) -> Status {
    let lower = (0..n).flat_map(|row| (0..=row).map(move |column| (row, column)));
    let mut bad = lower.filter(|&(row, column)| !elements[row * n + column].is_finite());
    match bad.next() {
        Some((row, column)) => Err(NotFinite { matrix, row, column, value: elements[row * n + column] }),
        // A finite matrix fails only if its bounds overflow, which counts as not converged.
        None => Ok(sweeps.unwrap_or(Sweeps { sweeps: 0, converged: false })),
    }
}

fn batch_of(n: usize, len: usize) -> Result<usize, GpuError> {
    if n == 0 || n > cholesky::LARGEST {
        let what = "n of the eigenproblem".to_string();
        return Err(GpuError::Limit { what, value: n as u64, limit: cholesky::LARGEST as u64 });
    }
    let batch = len / (n * n);
    expect_len("matrices", batch * n * n, len)?;
    Ok(batch)
}
