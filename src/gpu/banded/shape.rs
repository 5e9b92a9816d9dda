//! Sizes that the banded solver's kernels share, and where elements lie.

use crate::gpu::args::kernel_args;
use crate::gpu::{Gpu, GpuError, Kernel, Named, Recording, Variant};
use crate::stages::banded::Bands;
use std::ops::Range;
use std::sync::Arc;

/// Bins of a block: matrices are held and worked on in 4 x 4 blocks.
pub const BLOCK: usize = 4;

/// Blocks below the diagonal that matrices may have. A thread's registers hold the window of a recursion on the first; the
/// others are read from memory over and over.
pub(super) const REACHES: [usize; 4] = [3, 4, 8, 16];

/// The widest half bandwidth, bins.
pub const WIDEST: usize = BLOCK * REACHES[REACHES.len() - 1];

pub(super) use crate::gpu::shaders::SIDES;

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
    /// Half bandwidth of K, bins, at most that kept.
    pub reach: usize,
    /// Half bandwidths of S_f, at most [`WIDEST`], and of the inverses on the way to it, whole blocks.
    pub bands: Bands,
    /// Bins by which chunks overlap at least.
    pub overlap: usize,
    /// Diagonals of R to each side, at most [`WIDEST`].
    pub half: usize,
}

kernel_args! {
    /// The same struct stands in `shaders/shared/banded.wgsl`.
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
        pub kept: u32,
        pub wide: u32,
        pub extension: u32,
        pub beyond: u32,
        pub lost: u32,
        pub round: u32,
        pub rounds: u32,
        pub is_fine: u32,
    }
}

/// What is kept of a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Records {
    /// The inverse without a pole, as wide as [`Bands::inverse`].
    Wide,
    /// The inverse with so many poles, as wide as the matrix.
    Narrow(usize),
}

impl Records {
    fn npole(self) -> usize {
        match self {
            Self::Wide => 1,
            Self::Narrow(npole) => npole,
        }
    }
}

/// Where a column of a record has what, four values a row.
struct Layout {
    rows: usize,
    /// The first row of the inverse: that of the factor, which is then lost, or behind it.
    inverse: usize,
    /// Blocks of the inverse beyond the matrix's, and the first row of them.
    extension: usize,
    beyond: usize,
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

    /// Blocks below the diagonal of a matrix.
    pub(super) fn blocks(&self) -> usize {
        let most = self.bands.kept.max(self.half).max(self.reach).div_ceil(BLOCK);
        REACHES.into_iter().find(|&reach| reach >= most).unwrap_or(WIDEST / BLOCK)
    }

    /// Whether a thread's registers hold what it works on.
    pub(super) fn is_narrow(&self) -> bool {
        self.blocks() == REACHES[0]
    }

    /// Values of a column of blocks of a matrix.
    pub(super) fn column(&self) -> usize {
        (self.blocks() + 1) * BLOCK * BLOCK
    }

    /// Values of one matrix.
    pub fn matrix_len(&self) -> usize {
        self.nblock() * self.column()
    }

    /// Values of the blocks that lead from a fibre to the one before it.
    pub fn pair_len(&self) -> usize {
        self.nblock() * (2 * self.blocks() + 1) * BLOCK * BLOCK
    }

    /// Place of element (i, j) of a matrix, j <= i within its band; elements of diagonal blocks stand at (j, i), too.
    pub fn element(&self, i: usize, j: usize) -> usize {
        let k = i / BLOCK - j / BLOCK;
        (j / BLOCK) * self.column() + (k * BLOCK + i % BLOCK) * BLOCK + j % BLOCK
    }

    /// Place of element (i, j) of K_{f,f-1}, within the band of matrices.
    pub fn pair_element(&self, i: usize, j: usize) -> usize {
        let (reach, k) = (self.blocks(), j / BLOCK + self.blocks() - i / BLOCK);
        ((i / BLOCK * (2 * reach + 1) + k) * BLOCK + i % BLOCK) * BLOCK + j % BLOCK
    }

    fn layout(&self, kind: Records) -> Layout {
        let record = self.column() / BLOCK + SIDES;
        let extension = match kind {
            Records::Wide => (self.bands.inverse / BLOCK).saturating_sub(self.blocks()),
            Records::Narrow(_) => 0,
        };
        if self.is_narrow() && extension > 0 {
            // One block more, in place of a factor that is kept for it.
            return Layout { rows: 2 * record, inverse: record, extension: 1, beyond: 0 };
        }
        Layout { rows: record + BLOCK * extension, inverse: 0, extension, beyond: record }
    }

    /// Values that one matrix takes in `records`.
    pub(super) fn record_len(&self, kind: Records) -> usize {
        self.nchunk() * kind.npole() * self.chunk_blocks() * self.layout(kind).rows * BLOCK
    }

    /// Arguments for the `matrices` in `records`.
    pub(super) fn args(&self, matrices: Range<usize>, kind: Records) -> Args {
        let layout = self.layout(kind);
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
            record: layout.rows as u32,
            inverse: layout.inverse as u32,
            reach: self.reach.div_ceil(BLOCK) as u32,
            upward: 0,
            half: self.half as u32,
            kept: self.bands.kept as u32,
            wide: (self.bands.inverse / BLOCK) as u32,
            extension: layout.extension as u32,
            beyond: layout.beyond as u32,
            lost: 0,
            round: 0,
            rounds: 0,
            is_fine: 0,
        }
    }

    /// The variant of a shader whose threads are independent.
    fn variant(&self, shader: &'static str) -> Variant {
        variant(shader, self.blocks())
    }
}

/// The variant of a shader for matrices of so many blocks below the diagonal.
pub(super) fn variant(shader: &'static str, reach: usize) -> Variant {
    Variant::new(shader).set("THREADS", THREADS).set("REACH", reach)
}

/// All variants of a shader.
pub(super) fn variants(shader: &'static str) -> impl Iterator<Item = Variant> {
    REACHES.into_iter().map(move |reach| variant(shader, reach))
}

/// Records one thread for each of `count` items of `operations` floating-point operations.
pub(super) fn record(
    recording: &mut Recording,
    gpu: &Gpu,
    shape: &Shape,
    kernel: (&'static str, &'static str),
    args: Args,
    (count, operations): (usize, usize),
    bound: &[Named],
) -> Result<(), GpuError> {
    let kernel: Arc<Kernel> = gpu.kernel(&shape.variant(kernel.0), kernel.1)?;
    for items in gpu.dispatches(count, operations as u64) {
        let args = Args { count: items.len() as u32, first: items.start as u32, ..args };
        recording.dispatch(&kernel, items.len().div_ceil(THREADS), &args, bound)?;
    }
    Ok(())
}
