//! Gauss-Hermite spots of one core or two on the GPU: one workgroup per spot.

use super::args::kernel_args;
use super::traces::Traces;
use super::{GpuError, Reals, Recording, Variant};
use crate::geometry::{SpotShape, param};
use std::ops::Range;

/// Invocations of a workgroup: a spot has 187 pixels in DESI.
const THREADS: usize = 64;

/// Values of workgroup memory for profiles, one variant each; in f32 the largest fills WebGPU's 16 KiB.
const PROFILES: [usize; 4] = [512, 1024, 2048, 4096 - THREADS];

kernel_args! {
    struct Args {
        count: u32,
        first_spot: u32,
        nbin: u32,
        first_bin: u32,
        take: u32,
        stride: u32,
        half_x: u32,
        half_y: u32,
        degree_x: u32,
        degree_y: u32,
        tails: u32,
        second_x: u32,
        second_y: u32,
    }
}

pub(super) fn variants() -> Vec<Variant> {
    PROFILES.into_iter().map(variant).collect()
}

fn variant(profiles: usize) -> Variant {
    Variant::new("spots").set("THREADS", THREADS).set("PROFILES", profiles)
}

/// Returns the values of a core's profiles in workgroup memory.
fn profiles_of(shape: &SpotShape, [degree_x, degree_y]: [usize; 2]) -> usize {
    (degree_x + 1) * (shape.nx() + shape.ny()) + (degree_y + 1) * shape.ny()
}

/// Computes the spots of `bins` of all fibres, `[nfibre, bins, ny, nx]`; the twin of [`crate::stages::spots::spots`].
///
/// # Errors
/// [`GpuError::Limit`] if a spot's profiles, `(degree_x + 1) nx + (degree_x + degree_y + 2) ny` values, exceed
/// workgroup memory. [`GpuError::TooLarge`] if the spots exceed a binding; [`GpuError::OutOfMemory`] if the device is full.
pub fn spots(traces: &Traces, shape: &SpotShape, bins: Range<usize>) -> Result<Reals, GpuError> {
    traces.shape.expect_len(shape.nparam() * traces.nfibre * traces.nbin)?;
    run("spots_of_traces", traces, shape, None, bins)
}

/// Whether workgroup memory holds the profiles of two cores, the second one of `degrees` x and y.
pub fn serves_two_cores(shape: &SpotShape, degrees: [usize; 2]) -> bool {
    let needed = profiles_of(shape, [shape.degree_x, shape.degree_y]) + profiles_of(shape, degrees);
    PROFILES.into_iter().any(|profiles| profiles >= needed)
}

/// Computes the spots of `bins` of all fibres with a second core of `degrees` x and y, `[nfibre, bins, ny, nx]`. Twin of
/// [`SpotModel::spots`](crate::stages::spots::SpotModel::spots) of two cores.
///
/// A pixel within rounding of the end of the first core may count as on its other side.
///
/// # Errors
/// As of [`spots`].
pub fn spots_of_two_cores(
    traces: &Traces,
    shape: &SpotShape,
    degrees: [usize; 2],
    bins: Range<usize>,
) -> Result<Reals, GpuError> {
    let second = 1 + param::GH + (degrees[0] + 1) * (degrees[1] + 1);
    traces.shape.expect_len((shape.nparam() + second) * traces.nfibre * traces.nbin)?;
    run("spots_of_two_cores", traces, shape, Some(degrees), bins)
}

/// Runs a kernel over the spots of `bins`.
fn run(
    kernel: &'static str,
    traces: &Traces,
    shape: &SpotShape,
    second: Option<[usize; 2]>,
    bins: Range<usize>,
) -> Result<Reals, GpuError> {
    let gpu = traces.offset.gpu();
    let stride = traces.nfibre * traces.nbin;
    traces.offset.expect_len(2 * stride)?;
    let of_second = second.map_or(0, |degrees| profiles_of(shape, degrees));
    let needed = profiles_of(shape, [shape.degree_x, shape.degree_y]) + of_second;
    let profiles = PROFILES.into_iter().find(|&p| p >= needed).ok_or_else(|| GpuError::Limit {
        what: "values of a spot's profiles in workgroup memory".to_string(),
        value: needed as u64,
        limit: PROFILES[PROFILES.len() - 1] as u64,
    })?;
    let count = traces.nfibre * bins.len();
    let spots = gpu.scratch_reals("spots", count * shape.size())?;
    let [second_x, second_y] = second.unwrap_or_default().map(|degree| degree as u32);
    let args = |items: &Range<usize>| Args {
        count: items.len() as u32,
        first_spot: items.start as u32,
        nbin: traces.nbin as u32,
        first_bin: bins.start as u32,
        take: bins.len() as u32,
        stride: stride as u32,
        half_x: shape.half_x as u32,
        half_y: shape.half_y as u32,
        degree_x: shape.degree_x as u32,
        degree_y: shape.degree_y as u32,
        tails: shape.tails.into(),
        second_x,
        second_y,
    };
    let mut recording = Recording::new();
    let kernel = gpu.kernel(&variant(profiles), kernel)?;
    let bound = [traces.offset.named("offset"), traces.shape.named("shape"), spots.named("spots")];
    let orders = shape.degree_x + 1 + second.map_or(0, |[degree_x, _]| degree_x + 1);
    let operations = 2 * shape.size() * orders + 4 * needed;
    for items in gpu.dispatches(count, operations as u64) {
        recording.dispatch(&kernel, items.len(), &args(&items), &bound)?;
    }
    gpu.run(recording)?;
    Ok(spots)
}
