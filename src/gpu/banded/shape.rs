//! Sizes that the banded kernels share, and the layout of their matrices.

use crate::gpu::args::kernel_args;
use crate::gpu::{Gpu, GpuError, Kernel, Named, Precision, Recording, Variant};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

/// Bins per block: matrices are stored and processed in 4 x 4 blocks.
pub const BLOCK: usize = 4;

/// Blocks below the diagonal, one variant each. With the first a thread's registers hold the window of a recursion; the others
/// read it from memory again and again.
pub(super) const REACHES: [usize; 5] = [3, 4, 6, 8, 16];

/// The widest half bandwidth, bins.
pub const WIDEST: usize = BLOCK * REACHES[REACHES.len() - 1];

/// Half bandwidths of S_f, bins.
const KEPT: [usize; REACHES.len()] = {
    let mut kept = REACHES;
    let mut k = 0;
    while k < kept.len() {
        kept[k] *= BLOCK;
        k += 1;
    }
    kept
};

/// Least half bandwidth of S_f where spots of second neighbours overlap. It is longer there.
const KEPT_OF_FAR: [usize; 2] = [24, 32];

/// Most fibres to each side that a fibre may share light with.
pub const MOST_DISTANCES: usize = 3;

/// Returns the half bandwidths of S_f to be tried for a K of half bandwidth `half`, from the narrowest; none where there is no code.
pub fn kept(half: usize, distances: usize, precision: Precision) -> &'static [usize] {
    let far = KEPT_OF_FAR[usize::from(precision == Precision::F64)];
    let least = if distances > 1 { half.max(far) } else { half };
    &KEPT[KEPT.iter().position(|&kept| kept >= least).unwrap_or(KEPT.len())..]
}

pub(super) use crate::gpu::shaders::SIDES;

/// Blocks per chunk without its overlap. Longer chunks do less work twice, shorter ones give more threads: 96
/// bins give 600 threads per DESI bundle.
const CORE: usize = 24;

/// Blocks per chunk where poles give threads enough: 192 bins give some 3000 per DESI bundle.
const CORE_OF_POLES: usize = 48;

/// Invocations of a workgroup of independent threads: as few as devices run in lockstep.
const THREADS: usize = 32;

/// Fibres on a grid, cut into chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Fibres.
    pub nfibre: usize,
    /// Fibres per bundle; the last bundle may have fewer.
    pub bundle: usize,
    /// Bins.
    pub nbin: usize,
    /// Half bandwidth of K, bins, at most the one kept.
    pub reach: usize,
    /// Half bandwidth of S_f, at most [`WIDEST`].
    pub kept: usize,
    /// Fibres over which K has blocks: a fibre and so many to each side overlap.
    pub distances: usize,
    /// Fibres of a frontier of the recursion, at most `distances`.
    pub frontier: usize,
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
        pub k_reach: u32,
        pub above_offset: u32,
        pub r_half: u32,
        pub s_half: u32,
        pub frontier: u32,
        pub fill_reach: u32,
        pub tail: u32,
        pub merging: u32,
        pub knows_x: u32,
        pub turn: u32,
        pub distances: u32,
        pub lost_rhs: u32,
        pub round: u32,
        pub rounds: u32,
        pub converged: u32,
        pub is_f64: u32,
    }
}

impl Shape {
    /// Returns a number of all sizes and of a buffer's part in the stages: kernels write the same places of it each time.
    pub(super) fn layout(&self, part: (&'static str, usize)) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self, part).hash(&mut hasher);
        hasher.finish()
    }

    /// Returns the blocks per fibre, the last one padded.
    pub fn nblock(&self) -> usize {
        self.nbin.div_ceil(BLOCK)
    }

    /// Returns the chunks per fibre, and the blocks of the longest.
    pub(super) fn chunks(&self, npole: usize) -> [usize; 2] {
        let core = core(npole);
        let longest = core + 2 * self.overlap.div_ceil(BLOCK);
        [self.nblock().div_ceil(core), longest.min(self.nblock())]
    }

    /// Returns the blocks below the diagonal of a matrix.
    pub(super) fn blocks(&self) -> usize {
        let most = self.kept.max(self.half).max(self.reach).div_ceil(BLOCK);
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

    /// Returns the values per K_{f,f-d}.
    pub fn pair_len(&self) -> usize {
        self.nblock() * (2 * self.blocks() + 1) * BLOCK * BLOCK
    }

    /// Returns the index of element (i, j) of a matrix, j <= i within its band. Diagonal blocks are stored whole.
    pub fn element(&self, i: usize, j: usize) -> usize {
        let k = i / BLOCK - j / BLOCK;
        (j / BLOCK) * self.column() + (k * BLOCK + i % BLOCK) * BLOCK + j % BLOCK
    }

    /// Returns the index of element (i, j) of K_{f,f-d}, within the band of matrices.
    pub fn pair_element(&self, i: usize, j: usize) -> usize {
        let (reach, k) = (self.blocks(), j / BLOCK + self.blocks() - i / BLOCK);
        ((i / BLOCK * (2 * reach + 1) + k) * BLOCK + i % BLOCK) * BLOCK + j % BLOCK
    }

    /// Returns the values of one distance's K_{f,f-d} of all fibres.
    pub fn pairs_len(&self) -> usize {
        self.nfibre * self.pair_len()
    }

    /// Returns the values per matrix of its factors or inverses at `npole` poles.
    pub(super) fn record_len(&self, npole: usize) -> usize {
        let [count, longest] = self.chunks(npole);
        count * npole * longest * (self.column() / BLOCK + SIDES) * BLOCK
    }

    /// Returns the blocks to each side of the diagonal of K.
    fn k_reach(&self) -> usize {
        self.reach.div_ceil(BLOCK)
    }

    /// Returns the blocks to each side of what leads from an eliminated fibre to one of its frontier. Two thirds of the band kept
    /// lose nothing.
    fn fill_reach(&self) -> usize {
        let filled = if self.frontier > 1 { (2 * self.kept).div_ceil(3 * BLOCK) } else { 0 };
        filled.max(self.k_reach())
    }

    /// Returns the blocks that substitution goes on for beyond the band: what is left out enters products squared.
    fn tail(&self) -> usize {
        (self.overlap / 2).max(self.kept).div_ceil(BLOCK)
    }

    /// Returns the values per fibre and side of a frontier.
    pub(super) fn frontier_len(&self) -> usize {
        self.frontier * self.matrix_len() + self.frontier * (self.frontier - 1) / 2 * self.pair_len()
    }

    /// Returns the blocks per bin of a frontier of `count` fibres.
    pub(super) fn frontier_blocks(&self, count: usize) -> usize {
        count * (self.blocks() + 1) + count * (count - 1) / 2 * (2 * self.blocks() + 1)
    }

    /// Returns the blocks per column that substitution makes.
    pub(super) fn substituted_blocks(&self) -> usize {
        2 * self.fill_reach() + 1 + self.tail()
    }

    /// Returns the values per fibre and side that substitution makes.
    pub(super) fn substituted_len(&self) -> usize {
        self.frontier * self.nblock() * self.substituted_blocks() * BLOCK * BLOCK
    }

    /// Returns the arguments for the inverses of `matrices` at `npole` poles.
    pub(super) fn args(&self, matrices: Range<usize>, npole: usize) -> Args {
        let [nchunk, _] = self.chunks(npole);
        Args {
            count: 0,
            first: 0,
            nfibre: self.nfibre as u32,
            bundle: self.bundle as u32,
            nbin: self.nbin as u32,
            nblock: self.nblock() as u32,
            core: core(npole) as u32,
            overlap: self.overlap.div_ceil(BLOCK) as u32,
            nchunk: nchunk as u32,
            stride: (matrices.len() * nchunk * npole) as u32,
            first_matrix: matrices.start as u32,
            npole: npole as u32,
            k_reach: self.k_reach() as u32,
            above_offset: 0,
            r_half: self.half as u32,
            s_half: self.kept as u32,
            frontier: self.frontier as u32,
            fill_reach: self.fill_reach() as u32,
            tail: self.tail() as u32,
            merging: 0,
            knows_x: 0,
            turn: 0,
            distances: self.distances as u32,
            lost_rhs: 0,
            round: 0,
            rounds: 0,
            converged: 0,
            is_f64: 0,
        }
    }

    /// Returns the variant of a shader with independent threads.
    fn variant(&self, shader: &'static str) -> Variant {
        variant(shader, self.blocks())
    }
}

/// Returns the blocks per chunk of matrices at `npole` poles.
fn core(npole: usize) -> usize {
    if npole > 1 { CORE_OF_POLES } else { CORE }
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
