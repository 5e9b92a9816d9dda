//! Sizes that the banded kernels share, and the layout of their matrices.

use crate::gpu::args::kernel_args;
use crate::gpu::{Gpu, GpuError, Kernel, Named, Recording, Variant};
use crate::stages::banded::Bands;
use std::ops::Range;
use std::sync::Arc;

/// Bins per block: matrices are stored and processed in 4 x 4 blocks.
pub const BLOCK: usize = 4;

/// Blocks below the diagonal, one variant each. With the first a thread's registers hold the window of a recursion; the others
/// read it from memory again and again.
pub(super) const REACHES: [usize; 4] = [3, 4, 8, 16];

/// The widest half bandwidth, bins.
pub const WIDEST: usize = BLOCK * REACHES[REACHES.len() - 1];

pub(super) use crate::gpu::shaders::SIDES;

/// Blocks per chunk without its overlap. Longer chunks do less work twice, shorter ones give more threads: 96
/// bins give 10 000 threads per DESI bundle, and buffers of 120 MB.
const CORE: usize = 24;

/// Invocations of a workgroup of independent threads: as few as devices run in lockstep.
const THREADS: usize = 32;

/// Fibres on a grid, cut into chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Fibres.
    pub nfibre: usize,
    /// Fibres per bundle; the last bundle may have fewer.
    pub bundle: usize,
    /// Bins.
    pub nbin: usize,
    /// Half bandwidth of K, bins, at most the one kept.
    pub reach: usize,
    /// Half bandwidths of S_f, at most [`WIDEST`], and of the inverses that lead to it, whole blocks.
    pub bands: Bands,
    /// Least overlap of chunks, bins.
    pub overlap: usize,
    /// Diagonals of R to each side, at most [`WIDEST`].
    pub half: usize,
}

kernel_args! {
    /// Arguments of all banded kernels but the normal equations', see `shaders/shared/banded.wgsl`.
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
        pub column_rows: u32,
        pub inverse_row: u32,
        pub k_reach: u32,
        pub above_offset: u32,
        pub r_half: u32,
        pub s_half: u32,
        pub inverse_reach: u32,
        pub extension: u32,
        pub extension_row: u32,
        pub lost_rhs: u32,
        pub round: u32,
        pub rounds: u32,
        pub marks_unresolved: u32,
    }
}

/// The inverses kept of a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Records {
    /// The inverse without a pole, as wide as [`Bands::inverse`].
    Wide,
    /// The inverses with this many poles, as wide as the matrix.
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

/// Layout of a column of a record, in rows of four values.
struct Layout {
    rows: usize,
    /// First row of the inverse: the factor's, which it overwrites, or the one behind the factor.
    inverse: usize,
    /// Blocks of the inverse beyond the matrix's band, and their first row.
    extension: usize,
    extension_row: usize,
}

impl Shape {
    /// Returns the blocks per fibre, the last one padded.
    pub fn nblock(&self) -> usize {
        self.nbin.div_ceil(BLOCK)
    }

    /// Returns the chunks per fibre.
    pub fn nchunk(&self) -> usize {
        self.nblock().div_ceil(CORE)
    }

    /// Returns the blocks of the longest chunk.
    pub(super) fn chunk_blocks(&self) -> usize {
        (CORE + 2 * self.overlap.div_ceil(BLOCK)).min(self.nblock())
    }

    /// Returns the blocks below the diagonal of a matrix.
    pub(super) fn blocks(&self) -> usize {
        let most = self.bands.kept.max(self.half).max(self.reach).div_ceil(BLOCK);
        REACHES.into_iter().find(|&reach| reach >= most).unwrap_or(WIDEST / BLOCK)
    }

    /// Whether a thread's registers hold the window of its recursion.
    pub(super) fn is_narrow(&self) -> bool {
        self.blocks() == REACHES[0]
    }

    /// Returns the values per column of blocks of a matrix.
    pub(super) fn column(&self) -> usize {
        (self.blocks() + 1) * BLOCK * BLOCK
    }

    /// Returns the values per matrix.
    pub fn matrix_len(&self) -> usize {
        self.nblock() * self.column()
    }

    /// Returns the values per K_{f,f-1}.
    pub fn pair_len(&self) -> usize {
        self.nblock() * (2 * self.blocks() + 1) * BLOCK * BLOCK
    }

    /// Returns the index of element (i, j) of a matrix, j <= i within its band. Diagonal blocks are stored whole.
    pub fn element(&self, i: usize, j: usize) -> usize {
        let k = i / BLOCK - j / BLOCK;
        (j / BLOCK) * self.column() + (k * BLOCK + i % BLOCK) * BLOCK + j % BLOCK
    }

    /// Returns the index of element (i, j) of K_{f,f-1}, within the band of matrices.
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
            // The factor is kept for one block more, which then overwrites it.
            return Layout { rows: 2 * record, inverse: record, extension: 1, extension_row: 0 };
        }
        Layout { rows: record + BLOCK * extension, inverse: 0, extension, extension_row: record }
    }

    /// Returns the values per matrix in `records`.
    pub(super) fn record_len(&self, kind: Records) -> usize {
        self.nchunk() * kind.npole() * self.chunk_blocks() * self.layout(kind).rows * BLOCK
    }

    /// Returns the arguments for the `matrices` in `records`.
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
            column_rows: layout.rows as u32,
            inverse_row: layout.inverse as u32,
            k_reach: self.reach.div_ceil(BLOCK) as u32,
            above_offset: 0,
            r_half: self.half as u32,
            s_half: self.bands.kept as u32,
            inverse_reach: (self.bands.inverse / BLOCK) as u32,
            extension: layout.extension as u32,
            extension_row: layout.extension_row as u32,
            lost_rhs: 0,
            round: 0,
            rounds: 0,
            marks_unresolved: 0,
        }
    }

    /// Returns the variant of a shader with independent threads.
    fn variant(&self, shader: &'static str) -> Variant {
        variant(shader, self.blocks())
    }
}

/// Returns the variant of a shader for matrices with `reach` blocks below the diagonal.
pub(super) fn variant(shader: &'static str, reach: usize) -> Variant {
    Variant::new(shader).set("THREADS", THREADS).set("REACH", reach)
}

/// Returns all variants of a shader.
pub(super) fn variants(shader: &'static str) -> impl Iterator<Item = Variant> {
    REACHES.into_iter().map(move |reach| variant(shader, reach))
}

/// Records one thread per item, for `count` items of `operations` floating-point operations each.
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
