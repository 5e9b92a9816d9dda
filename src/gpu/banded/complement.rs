//! Schur complements of fibres in bands on the GPU, by a recursion over the neighbours on either side.

use super::inverse::{Inverses, Poles, Systems, record_inverses};
use super::normal::Normal;
use super::shape::{Args, BLOCK, COLUMN, Records, Shape, record, variant};
use crate::gpu::{Buffer, Gpu, GpuError, Reals, Recording, Variant};

/// Floating-point operations of one column of blocks of `O Z O^T`, at K's full reach.
const OPERATIONS: usize = 2 * 71 * 64;

pub(super) fn variants() -> Vec<Variant> {
    ["banded_through", "banded_complement"].map(variant).to_vec()
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
            inverses: Inverses::new(gpu, shape, Records::Both, 2 * shape.nfibre, 2 * shape.nfibre)?,
            none: Poles::new(gpu, &[(0.0, 0.0)])?,
        })
    }

    /// Bytes of the larger of these and other buffers for a shape.
    pub(super) fn bytes(gpu: &Gpu, shape: &Shape) -> Vec<u64> {
        let (matrix, records) = (shape.matrix_len(), shape.record_len(Records::Both));
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
    let gpu = normal.own.gpu();
    recording.stage("schur");
    let (own, rhs) = (normal.own.named("own"), normal.sums.named("rhs"));
    let (less, rest) = (out.less.named("less"), out.rest.named("rest"));
    for level in 0..depth.max(1) {
        let (matrices, vectors, count) = match level {
            0 => (&normal.own, &normal.sums, shape.nfibre),
            _ => (&out.less, &out.rest, 2 * shape.nfibre),
        };
        let systems = Systems { matrices, rhs: vectors, bounds: &out.bounds };
        record_inverses(recording, shape, systems, 0..count, (&out.none, Records::Both), &out.inverses)?;
        let args = Args { upward: (count - shape.nfibre) as u32, ..shape.args(0..count, Records::Both) };
        let bound = [own, normal.pairs.named("pairs"), rhs, out.inverses.records.named("records"), less, rest];
        let work = (2 * shape.nfibre * shape.nblock(), OPERATIONS);
        record(recording, gpu, ("banded_through", "neighbours"), args, work, &bound)?;
    }
    let args = shape.args(0..shape.nfibre, Records::Both);
    let (matrices, reduced) = (out.matrices.named("complement"), out.reduced.named("reduced"));
    let work = (shape.nfibre * shape.nblock(), 2 * COLUMN);
    record(
        recording,
        gpu,
        ("banded_complement", "complements"),
        args,
        work,
        &[own, rhs, less, rest, matrices, reduced],
    )?;
    record(recording, gpu, ("banded_complement", "gershgorin"), args, work, &[matrices, out.bounds.named("bounds")])
}
