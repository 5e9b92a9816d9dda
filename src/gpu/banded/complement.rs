//! Schur complements of fibres in bands on the GPU, by a recursion over the neighbours on either side.

use super::inverse::{Inverses, Poles, Systems, record_inverses};
use super::normal::Normal;
use super::shape::{Args, BLOCK, Records, Shape, record, variants as of_reaches};
use crate::gpu::{Buffer, Gpu, GpuError, Reals, Recording, Variant};

/// Products of blocks per column of `O Z O^T` if all reaches are 3 blocks; they grow with the reach's square.
const PRODUCTS: usize = 71;

pub(in crate::gpu) fn variants() -> Vec<Variant> {
    of_reaches("banded_complement").collect()
}

/// S_f and z_f of all fibres on a device, and their scratch buffers.
#[derive(Clone, Debug)]
pub struct Complements {
    /// S_f, `[fibre]` matrices.
    pub matrices: Reals,
    /// z_f of the recursion, `[fibre, BLOCK nblock]`.
    pub reduced: Reals,
    /// The largest sum of magnitudes of every four rows, `[fibre, nblock]`.
    pub bounds: Reals,
    k_minus_a: Reals,
    y_minus_a: Reals,
    pub(super) inverses: Inverses,
    pub(super) none: Poles,
}

impl Complements {
    /// Allocates the buffers.
    ///
    /// # Errors
    /// [`GpuError::TooLarge`] if one exceeds a binding, [`GpuError::OutOfMemory`] if the device is full.
    pub fn new(gpu: &Gpu, shape: &Shape) -> Result<Self, GpuError> {
        let (matrix, vector) = (shape.matrix_len(), BLOCK * shape.nblock());
        Ok(Self {
            matrices: gpu.reals("complements", shape.nfibre * matrix)?,
            reduced: gpu.reals("z", shape.nfibre * vector)?,
            bounds: gpu.reals("bounds", 2 * shape.nfibre * shape.nblock())?,
            k_minus_a: gpu.reals("k_minus_a", 2 * shape.nfibre * matrix)?,
            y_minus_a: gpu.reals("y_minus_a", 2 * shape.nfibre * vector)?,
            inverses: Inverses::new(gpu, shape, Records::Wide, 2 * shape.nfibre, 2 * shape.nfibre)?,
            none: Poles::new(gpu, &[(0.0, 0.0)])?,
        })
    }

    /// Returns the bytes of the larger of these and other buffers for a shape.
    pub(super) fn bytes(gpu: &Gpu, shape: &Shape) -> Vec<u64> {
        let (matrix, records) = (shape.matrix_len(), shape.record_len(Records::Wide));
        let pairs = shape.pair_len();
        [2 * records, 2 * matrix, matrix, matrix, matrix, pairs]
            .map(|of_fibre| gpu.real_bytes(shape.nfibre * of_fibre))
            .to_vec()
    }

    /// Returns the first block with a bad pivot (`u32::MAX` for none) and the bits of the smallest pivot over its diagonal
    /// element, over K_ff - A_f and S_f from below, then from above, `[2, fibre, 2]`.
    pub fn health(&self) -> &Buffer<u32> {
        &self.inverses.health
    }
}

/// Records S_f and z_f of all fibres with the `depth` nearest neighbours on either side.
///
/// # Errors
/// [`GpuError::Shader`] if a kernel does not compile, [`GpuError::OutOfMemory`] if the device is full.
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

/// Records S_f, and the elimination of all other fibres from right-hand sides `[fibre, BLOCK nblock]`.
pub(super) fn record_elimination(
    recording: &mut Recording,
    shape: &Shape,
    normal: &Normal,
    depth: usize,
    (rhs, reduced): (&Reals, &Reals),
    out: &Complements,
) -> Result<(), GpuError> {
    let gpu = normal.own.gpu();
    let (k_own, k_pair, y) = (normal.own.named("k_own"), normal.pairs.named("k_pair"), rhs.named("y"));
    let (k_minus_a, y_minus_a) = (out.k_minus_a.named("k_minus_a"), out.y_minus_a.named("y_minus_a"));
    for level in 0..depth.max(1) {
        let (matrices, vectors, count) = match level {
            0 => (&normal.own, rhs, shape.nfibre),
            _ => (&out.k_minus_a, &out.y_minus_a, 2 * shape.nfibre),
        };
        let systems = Systems { matrices, rhs: vectors, lost: 0, bounds: &out.bounds };
        record_inverses(recording, shape, systems, 0..count, (&out.none, Records::Wide), &out.inverses)?;
        let args = Args { above_offset: (count - shape.nfibre) as u32, ..shape.args(0..count, Records::Wide) };
        let bound = [k_own, k_pair, y, out.inverses.records.named("inverses"), k_minus_a, y_minus_a];
        let operations = PRODUCTS * 128 * shape.blocks().pow(2) / 9;
        let work = (2 * shape.nfibre * shape.nblock(), operations);
        record(recording, gpu, shape, ("banded_complement", "neighbours"), args, work, &bound)?;
    }
    let args = shape.args(0..shape.nfibre, Records::Wide);
    let (complement, z) = (out.matrices.named("complement"), reduced.named("z"));
    let work = (shape.nfibre * shape.nblock(), 2 * shape.column());
    record(
        recording,
        gpu,
        shape,
        ("banded_complement", "complements"),
        args,
        work,
        &[k_own, y, k_minus_a, y_minus_a, complement, z],
    )?;
    record(
        recording,
        gpu,
        shape,
        ("banded_complement", "gershgorin"),
        args,
        work,
        &[complement, out.bounds.named("bounds")],
    )
}
