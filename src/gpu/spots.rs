//! Gauss-Hermite spots of one core or two on the GPU: one or two spots per workgroup.

use super::args::kernel_args;
use super::traces::Traces;
use super::{Gpu, GpuError, Reals, Recording, Variant};
use crate::geometry::{SpotShape, param};
use std::ops::Range;

/// Invocations of a workgroup. A thread makes pixels by four: a spot of DESI has 51 such quads.
const THREADS: usize = 64;

/// Values and quads of workgroup memory, one variant each. In f32 the largest fills WebGPU's 16 KiB, in f64 the second
/// and the third do.
const WORKSPACES: [Workspace; 4] = [
    Workspace { lanes: 32, values: 320, sums: 48 },
    Workspace { lanes: 32, values: 624, sums: 88 },
    Workspace { lanes: 64, values: 1312, sums: 164 },
    Workspace { lanes: 64, values: 2688, sums: 336 },
];

/// Workgroup memory of a spot.
#[derive(Clone, Copy)]
struct Workspace {
    /// Threads of a spot.
    lanes: usize,
    /// Parameters, and profiles along either axis.
    values: usize,
    /// Quads of rows, four values each.
    sums: usize,
}

impl Workspace {
    /// Returns the smallest one that holds a spot, with a second core of some degrees x and y.
    ///
    /// # Errors
    /// [`GpuError::Limit`] if there is none or the device's workgroups have less memory.
    fn of(gpu: &Gpu, shape: &SpotShape, second: Option<[usize; 2]>) -> Result<Self, GpuError> {
        let quads = shape.ny().div_ceil(4);
        let (mut values, mut sums) = (nparam(shape, second), 0);
        for [x, y] in [[shape.degree_x, shape.degree_y]].into_iter().chain(second) {
            values += (x + 1) * shape.nx() + (y + 1) * 4 * quads;
            sums += (x + 1) * quads;
        }
        let limit = u64::from(gpu.limits().workgroup_bytes);
        let least = WORKSPACES.into_iter().find(|w| w.values >= values && w.sums >= sums);
        least.filter(|w| w.bytes(gpu) <= limit).ok_or_else(|| GpuError::Limit {
            what: "workgroup memory of a spot's profiles (bytes)".to_string(),
            value: least.map_or(gpu.real_bytes(values + 4 * sums), |w| w.bytes(gpu)),
            limit,
        })
    }

    /// Returns the bytes of a workgroup: of its spots, and of a sum over its threads.
    fn bytes(self, gpu: &Gpu) -> u64 {
        gpu.real_bytes(THREADS / self.lanes * (self.values + 4 * self.sums) + THREADS)
    }
}

kernel_args! {
    struct Args {
        count: u32,
        first_spot: u32,
        nbin: u32,
        first_bin: u32,
        take: u32,
        stride: u32,
        nparam: u32,
        half_x: u32,
        half_y: u32,
        degree_x: u32,
        degree_y: u32,
        tails: u32,
        second_x: u32,
        second_y: u32,
    }
}

/// Returns the parameters of a spot, with a second core of some degrees x and y.
fn nparam(shape: &SpotShape, second: Option<[usize; 2]>) -> usize {
    shape.nparam() + second.map_or(0, |[x, y]| 1 + param::GH + (x + 1) * (y + 1))
}

pub(super) fn variants() -> Vec<Variant> {
    WORKSPACES.into_iter().map(variant).collect()
}

fn variant(workspace: Workspace) -> Variant {
    let variant = Variant::new("spots").set("THREADS", THREADS).set("LANES", workspace.lanes);
    variant.set("VALUES", workspace.values).set("SUMS", workspace.sums)
}

/// Computes the spots of `bins` of all fibres, `[nfibre, bins, ny, nx]`; the twin of [`crate::stages::spots::spots`].
///
/// # Errors
/// [`GpuError::Limit`] if workgroup memory does not hold a spot's parameters, profiles and sums, about
/// `(degree_x + 1) nx + (degree_x + degree_y + 2) ny` values. [`GpuError::TooLarge`] if the spots exceed a binding;
/// [`GpuError::OutOfMemory`] if the device is full.
pub fn spots(traces: &Traces, shape: &SpotShape, bins: Range<usize>) -> Result<Reals, GpuError> {
    run("spots_of_traces", traces, shape, None, bins)
}

/// Whether workgroup memory holds the profiles of a spot, of two cores if there is a second one of some degrees x and y.
pub fn serves(gpu: &Gpu, shape: &SpotShape, second: Option<[usize; 2]>) -> bool {
    Workspace::of(gpu, shape, second).is_ok()
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
    let nparam = nparam(shape, second);
    traces.offset.expect_len(2 * stride)?;
    traces.shape.expect_len(nparam * stride)?;
    let workspace = Workspace::of(gpu, shape, second)?;
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
        nparam: nparam as u32,
        half_x: shape.half_x as u32,
        half_y: shape.half_y as u32,
        degree_x: shape.degree_x as u32,
        degree_y: shape.degree_y as u32,
        tails: shape.tails.into(),
        second_x,
        second_y,
    };
    let mut recording = Recording::new();
    let kernel = gpu.kernel(&variant(workspace), kernel)?;
    let bound = [traces.offset.named("offset"), traces.shape.named("shape"), spots.named("spots")];
    let orders = shape.degree_x + 1 + second.map_or(0, |[degree_x, _]| degree_x + 1);
    let operations = 2 * shape.size() * orders + 4 * (workspace.values + 4 * workspace.sums);
    for items in gpu.dispatches(count, operations as u64) {
        recording.dispatch(&kernel, items.len().div_ceil(THREADS / workspace.lanes), &args(&items), &bound)?;
    }
    gpu.run(recording)?;
    Ok(spots)
}
