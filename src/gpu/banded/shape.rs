//! Sizes that the banded solver's kernels share, and where elements lie.

use crate::gpu::{Gpu, GpuError, Kernel, Named, Recording, Variant};
use std::ops::Range;
use std::sync::Arc;

/// Bins of a block: matrices are held and worked on in 4 x 4 blocks.
pub const BLOCK: usize = 4;

/// Blocks below the diagonal: bands of up to `BLOCK * REACH` bins to each side.
pub const REACH: usize = 3;

/// Values of a column of blocks of a matrix.
pub(super) const COLUMN: usize = (REACH + 1) * BLOCK * BLOCK;

/// Values of a column of blocks of a factor, or of an inverse, with two solutions.
pub(super) const RECORD: usize = COLUMN + 2 * BLOCK;

/// Blocks of a chunk without its overlap. The longer, the less is done twice; the shorter, the more threads there are: 96
/// bins give 10 000 threads a DESI bundle, and buffers of 120 MB.
const CORE: usize = 24;

/// Invocations of a workgroup whose threads have nothing to do with each other: as few as devices run in lockstep.
const THREADS: usize = 32;

/// Fibres on a grid, cut into chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Fibres.
    pub nfibre: usize,
    /// Fibres of a bundle; the first and the next fibres, up to the last bundle, which may have fewer.
    pub bundle: usize,
    /// Bins.
    pub nbin: usize,
    /// Half bandwidth of K, bins, at most `BLOCK * REACH`.
    pub reach: usize,
    /// Bins by which chunks overlap at least.
    pub overlap: usize,
    /// Diagonals of R to each side, at most `BLOCK * REACH`.
    pub half: usize,
}

/// The same struct stands in `shaders/shared/banded.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, bytemuck::NoUninit)]
pub(super) struct Args {
    pub count: u32,
    pub first: u32,
    pub nfibre: u32,
    pub bundle: u32,
    pub nbin: u32,
    pub nblock: u32,
    pub core: u32,
    pub overlap: u32,
    pub nchunk: u32,
    pub stride: u32,
    pub first_matrix: u32,
    pub npole: u32,
    pub record: u32,
    pub inverse: u32,
    pub reach: u32,
    pub upward: u32,
    pub half: u32,
}

/// What is kept of a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Records {
    /// The factor without a pole, and the inverse.
    Both,
    /// The inverse alone, with so many poles.
    Inverse(usize),
}

impl Records {
    fn npole(self) -> usize {
        match self {
            Self::Both => 1,
            Self::Inverse(npole) => npole,
        }
    }

    /// Values of a column of blocks.
    fn values(self) -> usize {
        if self == Self::Both { 2 * RECORD } else { RECORD }
    }
}

impl Shape {
    /// Blocks of a fibre, the last one filled up.
    pub fn nblock(&self) -> usize {
        self.nbin.div_ceil(BLOCK)
    }

    /// Chunks of a fibre.
    pub fn nchunk(&self) -> usize {
        self.nblock().div_ceil(CORE)
    }

    /// Blocks of the longest chunk.
    pub(super) fn chunk_blocks(&self) -> usize {
        (CORE + 2 * self.overlap.div_ceil(BLOCK)).min(self.nblock())
    }

    /// Values of one matrix.
    pub(super) fn matrix_len(&self) -> usize {
        self.nblock() * COLUMN
    }

    /// Values of the blocks that lead from a fibre to the one before it.
    pub(super) fn pair_len(&self) -> usize {
        self.nblock() * (2 * REACH + 1) * BLOCK * BLOCK
    }

    /// Place of element (i, j) of a matrix, j <= i <= j + `BLOCK * REACH`; elements of diagonal blocks stand at (j, i), too.
    pub fn element(&self, i: usize, j: usize) -> usize {
        let k = i / BLOCK - j / BLOCK;
        (j / BLOCK) * COLUMN + (k * BLOCK + i % BLOCK) * BLOCK + j % BLOCK
    }

    /// Place of element (i, j) of K_{f,f-1}, `BLOCK * REACH` bins apart at most.
    pub fn pair_element(&self, i: usize, j: usize) -> usize {
        let k = j / BLOCK + REACH - i / BLOCK;
        ((i / BLOCK * (2 * REACH + 1) + k) * BLOCK + i % BLOCK) * BLOCK + j % BLOCK
    }

    /// Values that one matrix takes in `records`.
    pub(super) fn record_len(&self, kind: Records) -> usize {
        self.nchunk() * kind.npole() * self.chunk_blocks() * kind.values()
    }

    /// Arguments for the `matrices` in `records`.
    pub(super) fn args(&self, matrices: Range<usize>, kind: Records) -> Args {
        Args {
            count: 0,
            first: 0,
            nfibre: self.nfibre as u32,
            bundle: self.bundle as u32,
            nbin: self.nbin as u32,
            nblock: self.nblock() as u32,
            core: CORE as u32,
            overlap: self.overlap.div_ceil(BLOCK) as u32,
            nchunk: self.nchunk() as u32,
            stride: (matrices.len() * self.nchunk() * kind.npole()) as u32,
            first_matrix: matrices.start as u32,
            npole: kind.npole() as u32,
            record: (kind.values() / BLOCK) as u32,
            inverse: if kind == Records::Both { (RECORD / BLOCK) as u32 } else { 0 },
            reach: self.reach.div_ceil(BLOCK) as u32,
            upward: 0,
            half: self.half as u32,
        }
    }
}

/// The variant of a shader whose threads are independent.
pub(super) fn variant(shader: &'static str) -> Variant {
    Variant::new(shader).set("THREADS", THREADS)
}

/// Records one thread for each of `count` items of `operations` floating-point operations.
pub(super) fn record(
    recording: &mut Recording,
    gpu: &Gpu,
    kernel: (&'static str, &'static str),
    args: Args,
    (count, operations): (usize, usize),
    bound: &[Named],
) -> Result<(), GpuError> {
    let kernel: Arc<Kernel> = gpu.kernel(&variant(kernel.0), kernel.1)?;
    for items in gpu.dispatches(count, operations as u64) {
        let args = Args { count: items.len() as u32, first: items.start as u32, ..args };
        recording.dispatch(&kernel, items.len().div_ceil(THREADS), &args, bound)?;
    }
    Ok(())
}
