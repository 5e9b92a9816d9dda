//! Schur complements of fibres in bands on the GPU, by a recursion over the neighbours on either side.

use super::inverse::{Inverses, Poles, Systems, record_inverses};
use super::normal::Normal;
use super::shape::{Args, BLOCK, Records, Shape, record, variants as of_reaches};
use crate::gpu::{Buffer, Gpu, GpuError, Reals, Recording, Variant};

/// Products of blocks for one column of `O Z O^T` where all reaches are 3 blocks; they grow with the reach's square.
const PRODUCTS: usize = 71;

pub(super) fn variants() -> Vec<Variant> {
    ["banded_through", "banded_complement"].into_iter().flat_map(of_reaches).collect()
}

/// S_f and z_f of all fibres on a device, and what they are made of.
#[derive(Clone, Debug)]
pub struct Complements {
    /// S_f, `[fibre]` matrices.
    pub matrices: Reals,
    /// z_f, `[fibre, BLOCK nblock]`.
    pub reduced: Reals,
    /// The largest sum of magnitudes of every four rows, `[fibre, nblock]`.
    pub bounds: Reals,
    less: Reals,
    rest: Reals,
    pub(super) inverses: Inverses,
    pub(super) none: Poles,
}

impl Complements {
    /// Room for the complements.
    ///
    /// # Errors
    /// [`GpuError::TooLarge`] where they are beyond a binding; what the driver reports.
    pub fn new(gpu: &Gpu, shape: &Shape) -> Result<Self, GpuError> {
        let (matrix, vector) = (shape.matrix_len(), BLOCK * shape.nblock());
        Ok(Self {
            matrices: gpu.reals("complements", shape.nfibre * matrix)?,
            reduced: gpu.reals("reduced", shape.nfibre * vector)?,
            bounds: gpu.reals("bounds", 2 * shape.nfibre * shape.nblock())?,
            less: gpu.reals("less", 2 * shape.nfibre * matrix)?,
            rest: gpu.reals("rest", 2 * shape.nfibre * vector)?,
            inverses: Inverses::new(gpu, shape, Records::Wide, 2 * shape.nfibre, 2 * shape.nfibre)?,
            none: Poles::new(gpu, &[(0.0, 0.0)])?,
        })
    }

    /// Bytes of the larger of these and other buffers for a shape.
    pub(super) fn bytes(gpu: &Gpu, shape: &Shape) -> Vec<u64> {
        let (matrix, records) = (shape.matrix_len(), shape.record_len(Records::Wide));
        let pairs = shape.pair_len();
        [2 * records, 2 * matrix, matrix, matrix, matrix, pairs]
            .map(|of_fibre| gpu.real_bytes(shape.nfibre * of_fibre))
            .to_vec()
    }

    /// Of the matrices met on the way and of S_f, from below, then from above: the first block with a bad pivot (`u32::MAX` for none)
    /// and the bits of the smallest pivot over its diagonal element, `[2, fibre, 2]`.
    pub fn health(&self) -> &Buffer<u32> {
        &self.inverses.health
    }
}

/// Records S_f and z_f of all fibres as if only the `depth` nearest on either side were there.
///
/// # Errors
/// What the driver reports.
pub fn record_complements(
    recording: &mut Recording,
    shape: &Shape,
    normal: &Normal,
    depth: usize,
    out: &Complements,
) -> Result<(), GpuError> {
    recording.stage("banded_complement");
    record_elimination(recording, shape, normal, depth, (&normal.sums, &out.reduced), out)
}

/// Records S_f, and what the elimination of all other fibres makes of any right-hand sides, `[fibre, BLOCK nblock]`.
pub(super) fn record_elimination(
    recording: &mut Recording,
    shape: &Shape,
    normal: &Normal,
    depth: usize,
    (rhs, reduced): (&Reals, &Reals),
    out: &Complements,
) -> Result<(), GpuError> {
    let gpu = normal.own.gpu();
    let (own, of_fibres) = (normal.own.named("own"), rhs);
    let rhs = rhs.named("rhs");
    let (less, rest) = (out.less.named("less"), out.rest.named("rest"));
    for level in 0..depth.max(1) {
        let (matrices, vectors, count) = match level {
            0 => (&normal.own, of_fibres, shape.nfibre),
            _ => (&out.less, &out.rest, 2 * shape.nfibre),
        };
        let systems = Systems { matrices, rhs: vectors, lost: 0, bounds: &out.bounds };
        record_inverses(recording, shape, systems, 0..count, (&out.none, Records::Wide), &out.inverses)?;
        let args = Args { upward: (count - shape.nfibre) as u32, ..shape.args(0..count, Records::Wide) };
        let bound = [own, normal.pairs.named("pairs"), rhs, out.inverses.records.named("records"), less, rest];
        let operations = PRODUCTS * 128 * shape.blocks().pow(2) / 9;
        let work = (2 * shape.nfibre * shape.nblock(), operations);
        record(recording, gpu, shape, ("banded_through", "neighbours"), args, work, &bound)?;
    }
    let args = shape.args(0..shape.nfibre, Records::Wide);
    let (matrices, reduced) = (out.matrices.named("complement"), reduced.named("reduced"));
    let work = (shape.nfibre * shape.nblock(), 2 * shape.column());
    record(
        recording,
        gpu,
        shape,
        ("banded_complement", "complements"),
        args,
        work,
        &[own, rhs, less, rest, matrices, reduced],
    )?;
    record(
        recording,
        gpu,
        shape,
        ("banded_complement", "gershgorin"),
        args,
        work,
        &[matrices, out.bounds.named("bounds")],
    )
}
