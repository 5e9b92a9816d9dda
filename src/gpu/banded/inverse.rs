//! Bands of inverses on the GPU: one thread per matrix, chunk and pole.

use super::shape::{Args, BLOCK, REACHES, Shape, record, variant};
use crate::gpu::{Buffer, Gpu, GpuError, Reals, Recording, Variant};
use crate::stages::banded::Root;
use std::ops::Range;

/// Floating-point operations of one column of three blocks, factorisation and inversion; they grow with the blocks' square.
const OPERATIONS: usize = 3800;

pub(in crate::gpu) fn variants() -> Vec<Variant> {
    let wide = REACHES[1..].iter().map(|&reach| variant("banded_inverse_wide", reach));
    wide.chain([variant("banded_inverse", REACHES[0])]).collect()
}

/// Poles of a rational function of a matrix, `[npole, 2]`: shift relative to the largest bound, and weight.
#[derive(Clone, Debug)]
pub struct Poles {
    pub(super) buffer: Reals,
    pub(super) npole: usize,
}

impl Poles {
    /// Uploads poles and weights.
    ///
    /// # Errors
    /// [`GpuError::OutOfMemory`] if the device is full.
    pub fn new(gpu: &Gpu, poles: &[(f64, f64)]) -> Result<Self, GpuError> {
        let values: Vec<f64> = poles.iter().flat_map(|&(pole, weight)| [pole, weight]).collect();
        Ok(Self { buffer: gpu.upload_reals("poles", &values)?, npole: poles.len() })
    }
}

/// Returns `octets` times eight poles and weights of the square root on [floor, 1], and (0, 0) for the inverse itself.
pub fn poles(floor: f64, octets: usize) -> Vec<(f64, f64)> {
    let root = Root::new(floor, octets);
    root.poles.iter().zip(&root.weights).flat_map(|(p, w)| p.0.into_iter().zip(w.0)).chain([(0.0, 0.0)]).collect()
}

/// Distance of matrices from singular ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Health {
    /// Fibre and bin of a pivot that is not positive.
    pub bad_pivot: Option<(usize, usize)>,
    /// The smallest pivot over its diagonal element: up to a factor the inverse of the condition.
    pub least_pivot: f64,
}

impl Health {
    /// Returns the initial values, which the device lowers.
    pub(super) fn all_well(matrices: usize) -> Vec<u32> {
        [u32::MAX, 1f32.to_bits()].repeat(matrices)
    }

    /// Converts the device's values, `[matrix, 2]`; matrices repeat the same `nfibre` fibres.
    pub fn of(found: &[u32], nfibre: usize) -> Self {
        let bad = |(matrix, f): (usize, &[u32])| (f[0] != u32::MAX).then_some((matrix % nfibre, BLOCK * f[0] as usize));
        let least = found.chunks_exact(2).map(|f| f64::from(f32::from_bits(f[1]))).fold(1.0, f64::min);
        Self { bad_pivot: found.chunks_exact(2).enumerate().find_map(bad), least_pivot: least }
    }
}

/// Matrices, two right-hand sides each besides 1, and bounds of their eigenvalues.
#[derive(Clone, Copy, Debug)]
pub(super) struct Systems<'a> {
    pub matrices: &'a Reals,
    pub rhs: &'a Reals,
    /// First value of the second right-hand side in `rhs`, a multiple of four.
    pub lost: usize,
    pub bounds: &'a Reals,
}

/// Buffers for the inverses.
#[derive(Clone, Debug)]
pub(super) struct Inverses {
    pub records: Reals,
    pub health: Buffer<u32>,
}

impl Inverses {
    /// Allocates `most` matrices at a time, and the health of `all`.
    pub fn new(gpu: &Gpu, shape: &Shape, npole: usize, most: usize, all: usize) -> Result<Self, GpuError> {
        let records =
            gpu.reals_of_layout("inverses", most * shape.record_len(npole), shape.layout(("inverse", npole)))?;
        Ok(Self { records, health: gpu.upload("health", &Health::all_well(all))? })
    }
}

/// Records the inverses of `matrices` at every pole.
pub(super) fn record_inverses(
    recording: &mut Recording,
    shape: &Shape,
    systems: Systems,
    matrices: Range<usize>,
    poles: &Poles,
    out: &Inverses,
) -> Result<(), GpuError> {
    record_chunks(recording, shape, ("invert_chunks", OPERATIONS), systems, matrices, poles, out)
}

/// Records the factors of `matrices`, and the solutions for their first right-hand side.
pub(super) fn record_factors(
    recording: &mut Recording,
    shape: &Shape,
    systems: Systems,
    matrices: Range<usize>,
    poles: &Poles,
    out: &Inverses,
) -> Result<(), GpuError> {
    record_chunks(recording, shape, ("factor_chunks", OPERATIONS / 2), systems, matrices, poles, out)
}

fn record_chunks(
    recording: &mut Recording,
    shape: &Shape,
    (entry, operations): (&'static str, usize),
    systems: Systems,
    matrices: Range<usize>,
    poles: &Poles,
    out: &Inverses,
) -> Result<(), GpuError> {
    let count = matrices.len() * shape.nchunk() * poles.npole;
    let bound = [
        systems.matrices.named("matrices"),
        systems.rhs.named("rhs"),
        systems.bounds.named("bounds"),
        poles.buffer.named("poles"),
        out.records.named("inverses"),
        out.health.named("health"),
    ];
    let (gpu, lost_rhs) = (out.records.gpu(), (systems.lost / BLOCK) as u32);
    let args = Args { lost_rhs, ..shape.args(matrices, poles.npole) };
    let shader = if shape.is_narrow() { "banded_inverse" } else { "banded_inverse_wide" };
    let operations = operations * shape.blocks().pow(2) / REACHES[0].pow(2);
    record(recording, gpu, shape, (shader, entry), args, (count, operations * shape.chunk_blocks()), &bound)
}
