//! Batched Cholesky factors and triangular solves on the GPU: one workgroup per matrix or right-hand side.

use std::ops::Range;

use super::args::kernel_args;
use super::buffer::{expect_len, keep};
use super::{Buffer, DeviceKind, Gpu, GpuError, Reals, Recording, Variant};
use crate::stages::cholesky::{Layout, NonPositivePivot, Status};

/// The largest n: a solve keeps its right-hand side in workgroup memory.
pub const LARGEST: usize = 1024;

/// Status of a matrix whose pivots were all positive; otherwise it is the index of the first pivot that was not.
pub const ALL_POSITIVE: u32 = u32::MAX;

/// Elements of a matrix in workgroup memory, one variant each, beside the 64 of the diagonal block: in f32 16, 32 and 48 KiB.
const CAPACITIES: [usize; 3] = [4_000, 8_000, 12_000];

/// Threads and rows per thread. On lavapipe, where barriers are expensive and the compiler makes the vectors, 32 x 4 was fastest;
/// GPUs take many threads with one row each.
const SHAPES: [(usize, usize); 3] = [(32, 4), (64, 1), (128, 1)];

/// Invocations of a workgroup of a solve, whose blocks update no more rows than the half bandwidth, some 50 to 100.
const SOLVE_THREADS: usize = 64;

/// The triangles to solve with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passes {
    /// L y = b.
    Forward = 1,
    /// L^T x = y.
    Backward = 2,
    /// L L^T x = b.
    Both = 3,
}

kernel_args! {
    struct Args {
        first: u32,
        end: u32,
        n: u32,
        half_band: u32,
        pitch: u32,
        origin: u32,
        size: u32,
        right_sides: u32,
        passes: u32,
    }
}

impl Args {
    fn new(layout: Layout, range: &Range<usize>) -> Self {
        let place = Place::of(layout);
        Self {
            first: range.start as u32,
            end: range.end as u32,
            n: layout.n() as u32,
            half_band: place.half_band,
            pitch: place.pitch,
            origin: place.origin,
            size: layout.len() as u32,
            right_sides: 1,
            passes: 0,
        }
    }
}

/// A [`Layout`] in shaders: element (i, j) is at `i * pitch + origin + j`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub half_band: u32,
    pub pitch: u32,
    pub origin: u32,
}

impl Place {
    pub(super) fn of(layout: Layout) -> Self {
        let last = layout.n() - 1;
        let origin = layout.index(0, 0);
        let pitch = if last == 0 { 0 } else { layout.index(1, 1) - origin - 1 };
        let half_band = last - layout.first_column(last);
        Self { half_band: half_band as u32, pitch: pitch as u32, origin: origin as u32 }
    }
}

/// Returns every variant that this file dispatches.
pub(super) fn variants() -> Vec<Variant> {
    let mut all = vec![solve_variant()];
    for shape in SHAPES {
        all.push(factor_variant(shape, None));
        all.extend(CAPACITIES.map(|capacity| factor_variant(shape, Some(capacity))));
    }
    all
}

fn factor_variant((threads, rows): (usize, usize), capacity: Option<usize>) -> Variant {
    let variant = Variant::new("cholesky").set("THREADS", threads).set("ROWS", rows);
    match capacity {
        Some(capacity) => variant.set("IN_WORKGROUP", true).set("CAPACITY", capacity),
        None => variant,
    }
}

fn solve_variant() -> Variant {
    Variant::new("cholesky").set("THREADS", SOLVE_THREADS).set("LARGEST", LARGEST)
}

/// Returns the variant for matrices of this layout on this device, in workgroup memory if one fits.
fn choose(gpu: &Gpu, layout: Layout) -> Variant {
    let rows = Place::of(layout).half_band as usize + 8;
    let shape = match gpu.kind() {
        DeviceKind::Software => SHAPES[0],
        _ if rows <= SHAPES[1].0 => SHAPES[1],
        _ => SHAPES[2],
    };
    let granted = u64::from(gpu.limits().workgroup_bytes);
    let fits = |&capacity: &usize| layout.len() <= capacity && gpu.real_bytes(capacity + 64) <= granted;
    let capacity = CAPACITIES.into_iter().find(fits);
    factor_variant(shape, capacity)
}

/// Records the factorisation K = L L^T of a batch of matrices in place, `[batch, layout.len()]`. Returns the statuses `[batch]`:
/// [`ALL_POSITIVE`], or the index of the first pivot that is not positive and finite, whose matrix holds no factor then.
///
/// # Errors
/// [`GpuError::Length`] if `matrices` is not a whole number of matrices, [`GpuError::Limit`] beyond [`LARGEST`].
pub fn record_factor(recording: &mut Recording, layout: Layout, matrices: &Reals) -> Result<Buffer<u32>, GpuError> {
    let batch = batch_of(layout, "matrices", matrices.len())?;
    let gpu = matrices.gpu();
    let scales = gpu.reals("scales", batch * layout.n())?;
    let status = gpu.zeros::<u32>("status", batch)?;
    let kernel = gpu.kernel(&choose(gpu, layout), "factor")?;
    for range in gpu.dispatches(batch, operations(layout)) {
        let bound = [matrices.named("band"), scales.named("scales"), status.named("status")];
        recording.dispatch(&kernel, range.len(), &Args::new(layout, &range), &bound)?;
    }
    Ok(status)
}

/// Records triangular solves with factors of [`record_factor`]: `sides` `[batch, right-hand sides, n]` holds b and receives x.
///
/// # Errors
/// [`GpuError::Length`] if `sides` is not a whole number of right-hand sides per matrix, [`GpuError::Limit`] beyond [`LARGEST`].
pub fn record_solve(
    recording: &mut Recording,
    layout: Layout,
    factors: &Reals,
    sides: &Reals,
    passes: Passes,
) -> Result<(), GpuError> {
    let batch = batch_of(layout, "factors", factors.len())?;
    let right_sides = sides.len() / (batch * layout.n()).max(1);
    sides.expect_len(batch * right_sides * layout.n())?;
    let gpu = factors.gpu();
    let kernel = gpu.kernel(&solve_variant(), "solve")?;
    let each = 4 * (layout.len() as u64);
    for range in gpu.dispatches(batch * right_sides, each) {
        let args = Args { right_sides: right_sides as u32, passes: passes as u32, ..Args::new(layout, &range) };
        recording.dispatch(&kernel, range.len(), &args, &[factors.named("band"), sides.named("solution")])?;
    }
    Ok(())
}

/// Replaces each matrix of a batch on the host by its factor; the twin of [`crate::stages::cholesky::factor`]. A matrix that is
/// not positive definite stays as it was. Batches of any size go through the device in parts that fit.
///
/// # Errors
/// [`GpuError::Length`] if `matrices` is not a whole number of matrices, [`GpuError::Limit`] beyond [`LARGEST`], and those of
/// a device that failed.
pub fn factor(gpu: &Gpu, layout: Layout, matrices: &mut [f64]) -> Result<Vec<Status>, GpuError> {
    factor_then(gpu, layout, matrices, None)
}

/// Solves K x = b for a batch of K on the host, which become their factors. `sides` `[batch, right-hand sides, n]` holds b
/// and receives x. A matrix that is not positive definite and its b stay as they were.
///
/// # Errors
/// [`GpuError::Length`] if a length does not fit the shape, [`GpuError::Limit`] beyond [`LARGEST`], and those of a device
/// that failed.
pub fn factor_solve(
    gpu: &Gpu,
    layout: Layout,
    matrices: &mut [f64],
    sides: &mut [f64],
) -> Result<Vec<Status>, GpuError> {
    factor_then(gpu, layout, matrices, Some(sides))
}

fn factor_then(
    gpu: &Gpu,
    layout: Layout,
    matrices: &mut [f64],
    mut sides: Option<&mut [f64]>,
) -> Result<Vec<Status>, GpuError> {
    let batch = batch_of(layout, "matrices", matrices.len())?;
    let side_len = sides.as_ref().map_or(0, |sides| sides.len() / batch.max(1));
    if let Some(sides) = sides.as_ref() {
        let whole = side_len / layout.n() * layout.n() * batch;
        expect_len("sides", whole, sides.len())?;
    }
    let bytes = [layout.len(), layout.n(), side_len].map(|count| gpu.real_bytes(count));
    let part = gpu.batch("matrices", &bytes)?;
    let mut statuses = Vec::with_capacity(batch);
    for first in (0..batch).step_by(part) {
        let range = first..batch.min(first + part);
        let host = &mut matrices[range.start * layout.len()..range.end * layout.len()];
        let mut recording = Recording::new();
        let device = gpu.upload_reals("matrices", host)?;
        let status = record_factor(&mut recording, layout, &device)?;
        let host_sides = sides.as_mut().map(|sides| &mut sides[range.start * side_len..range.end * side_len]);
        let device_sides = host_sides.as_ref().map(|sides| gpu.upload_reals("sides", sides)).transpose()?;
        if let Some(sides) = &device_sides {
            record_solve(&mut recording, layout, &device, sides, Passes::Both)?;
        }
        gpu.run(recording)?;
        let judged = judge(layout, first, host, &device.download()?, &status.download()?);
        keep(&judged, host, &device.download()?, layout.len());
        if let (Some(host), Some(device)) = (host_sides, device_sides) {
            keep(&judged, host, &device.download()?, side_len);
        }
        statuses.extend(judged);
    }
    Ok(statuses)
}

/// Converts the shader's status of each matrix. A failed pivot, times the scale of its row, is in the place of L's diagonal.
fn judge(layout: Layout, first: usize, matrices: &[f64], factors: &[f64], status: &[u32]) -> Vec<Status> {
    let one = |(k, &status): (usize, &u32)| {
        if status == ALL_POSITIVE {
            return Ok(());
        }
        let index = status as usize;
        let place = k * layout.len() + layout.index(index, index);
        let pivot = factors[place] / scale_of(matrices[place]);
        Err(NonPositivePivot { matrix: first + k, index, pivot })
    };
    status.iter().enumerate().map(one).collect()
}

/// Returns 2^-k with 4^k <= pivot < 4^(k + 1), see the shader's `scale_of`.
fn scale_of(pivot: f64) -> f64 {
    let pivot = pivot as f32;
    let usable = pivot > 0.0 && pivot.is_finite();
    let exponent = if usable { (pivot.to_bits() >> 23) as i32 - 127 } else { 0 };
    f64::from(-(exponent >> 1)).exp2()
}

/// Solves with factors on the host: L y = b, L^T x = y or both; `sides` `[batch, right-hand sides, n]` holds b and receives x.
///
/// # Errors
/// [`GpuError::Length`] if a length does not fit the shape, [`GpuError::Limit`] beyond [`LARGEST`], and those of a device
/// that failed.
pub fn solve(gpu: &Gpu, layout: Layout, factors: &[f64], sides: &mut [f64], passes: Passes) -> Result<(), GpuError> {
    let batch = batch_of(layout, "factors", factors.len())?;
    let side_len = sides.len() / batch.max(1);
    expect_len("sides", side_len / layout.n() * layout.n() * batch, sides.len())?;
    let part = gpu.batch("factors", &[gpu.real_bytes(layout.len()), gpu.real_bytes(side_len)])?;
    for first in (0..batch).step_by(part) {
        let range = first..batch.min(first + part);
        let host = &mut sides[range.start * side_len..range.end * side_len];
        let device = gpu.upload_reals("sides", host)?;
        let factors = gpu.upload_reals("factors", &factors[range.start * layout.len()..range.end * layout.len()])?;
        let mut recording = Recording::new();
        record_solve(&mut recording, layout, &factors, &device, passes)?;
        gpu.run(recording)?;
        host.copy_from_slice(&device.download()?);
    }
    Ok(())
}

/// Returns the approximate floating-point operations of one factorisation.
fn operations(layout: Layout) -> u64 {
    let half = u64::from(Place::of(layout).half_band) + 8;
    layout.n() as u64 * half * half
}

fn batch_of(layout: Layout, what: &str, len: usize) -> Result<usize, GpuError> {
    if layout.is_empty() {
        return Err(GpuError::Length { what: what.to_string(), expected: 1, found: 0 });
    }
    if layout.n() > LARGEST {
        let what = format!("n of `{what}`");
        return Err(GpuError::Limit { what, value: layout.n() as u64, limit: LARGEST as u64 });
    }
    let batch = len / layout.len();
    expect_len(what, batch * layout.len(), len)?;
    Ok(batch)
}
