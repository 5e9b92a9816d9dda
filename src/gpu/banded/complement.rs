//! Schur complements of fibres in bands on the GPU, by a recursion over the neighbours on either side.

use super::inverse::{Inverses, Systems, record_factors};
use super::normal::Normal;
use super::shape::{Args, BLOCK, Shape, record, variants as of_reaches};
use crate::gpu::{Buffer, Gpu, GpuError, Named, Precision, Reals, Recording, Variant};

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
    /// Frontiers, see `shaders/banded_complement.wgsl`: those of a single fibre are replaced in place, others from one to the next.
    frontiers: Vec<Reals>,
    /// Their right-hand sides.
    sides: [Reals; 2],
    substituted: Reals,
    pub(super) inverses: Inverses,
}

impl Complements {
    /// Allocates the buffers.
    ///
    /// # Errors
    /// [`GpuError::TooLarge`] if one exceeds a binding, [`GpuError::OutOfMemory`] if the device is full.
    pub fn new(gpu: &Gpu, shape: &Shape) -> Result<Self, GpuError> {
        let (n, vector) = (shape.nfibre, BLOCK * shape.nblock());
        let of_part = |part, label, len| gpu.reals_of_layout(label, len, shape.layout(("complement", part)));
        let of_layout = |label, len| of_part(0, label, len);
        let frontier = |part| of_part(part, "frontier", 2 * n * shape.frontier_len());
        let sides = |part| of_part(part, "frontier_sides", 2 * n * shape.frontier * vector);
        Ok(Self {
            matrices: of_layout("complements", n * shape.matrix_len())?,
            reduced: of_layout("z", n * vector)?,
            bounds: of_layout("bounds", 2 * n * shape.nblock())?,
            frontiers: (0..Self::frontiers_of(shape)).map(frontier).collect::<Result<_, GpuError>>()?,
            sides: [sides(0)?, sides(1)?],
            substituted: of_layout("substituted", 2 * n * shape.substituted_len())?,
            inverses: Inverses::new(gpu, shape, 1, 2 * n, 2 * n)?,
        })
    }

    fn frontiers_of(shape: &Shape) -> usize {
        shape.frontier.min(2)
    }

    /// Returns the values per fibre of its buffers.
    pub(super) fn values(shape: &Shape) -> Vec<usize> {
        let vector = BLOCK * shape.nblock();
        let mut values = vec![shape.matrix_len(), vector, 2 * shape.nblock()];
        values.extend((0..Self::frontiers_of(shape)).map(|_| 2 * shape.frontier_len()));
        values.extend([2 * shape.frontier * vector; 2]);
        values.extend([2 * shape.substituted_len(), 2 * shape.record_len(1)]);
        values
    }

    /// Returns the bytes of the larger of these and other buffers for a shape.
    pub(super) fn bytes(gpu: &Gpu, shape: &Shape) -> Vec<u64> {
        let mut values = Self::values(shape);
        values.extend([shape.matrix_len(), shape.distances * shape.pair_len()]);
        values.into_iter().map(|of_fibre| gpu.real_bytes(shape.nfibre * of_fibre)).collect()
    }

    /// Returns the first block with a bad pivot (`u32::MAX` for none) and the bits of the smallest pivot over its diagonal
    /// element, `[2, fibre, 2]`. They are of K_ff - A_f and S_f from below, then from above.
    pub fn health(&self) -> &Buffer<u32> {
        &self.inverses.health
    }
}

/// Records S_f and z_f of all fibres with the `depth` nearest neighbours on either side, in turns with all of them.
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
    let target = Target { matrices: &out.matrices, reduced: &out.reduced };
    record_elimination(recording, shape, normal, (&normal.sums, None), depth, target, out)?;
    let bound = [out.matrices.named("complement"), out.bounds.named("bounds")];
    let work = (shape.nfibre * shape.nblock(), 2 * shape.column());
    let args = shape.args(0..shape.nfibre, 1);
    record(recording, normal.own.gpu(), shape, ("banded_complement", "gershgorin"), args, work, &bound)
}

/// Where an elimination puts S_f and what is left of the right-hand sides.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub matrices: &'a Reals,
    pub reduced: &'a Reals,
}

impl Complements {
    /// Keeps S_f: matrices go where the last step of an elimination does not read.
    pub(super) fn keeping<'a>(&'a self, shape: &Shape, depth: usize, reduced: &'a Reals) -> Target<'a> {
        let spare = depth + shape.frontier - 1;
        Target { matrices: &self.frontiers[spare % self.frontiers.len()], reduced }
    }
}

/// Records S_f, and the elimination of all other fibres from right-hand sides `[fibre, BLOCK nblock]`. If x is known, fibres beyond
/// `depth` have their part in them.
pub(super) fn record_elimination(
    recording: &mut Recording,
    shape: &Shape,
    normal: &Normal,
    (rhs, x): (&Reals, Option<&Reals>),
    depth: usize,
    target: Target,
    out: &Complements,
) -> Result<(), GpuError> {
    let elimination = Elimination { shape, normal, rhs, s: out };
    let n = shape.nfibre;
    if takes_turns(normal.own.gpu(), shape) {
        debug_assert!(x.is_none(), "no fibre is beyond");
        return elimination.in_turns(recording, target);
    }
    let frontier = |level: usize| (&out.frontiers[level % out.frontiers.len()], &out.sides[level % 2]);
    let depth = depth.max(1);
    elimination.begin(recording, x, frontier(1).1)?;
    for level in 0..depth {
        let (last, next) = (frontier(level + 1), frontier(level));
        let (matrices, count) = if level == 0 { (&normal.own, n) } else { (last.0, 2 * n) };
        // Both sides' first steps share their factors.
        let lost = if level == 0 { n * BLOCK * shape.nblock() } else { 0 };
        let systems = Systems { matrices, rhs: last.1, lost, bounds: &out.bounds };
        record_factors(recording, shape, systems, (shape.args(0..count, 1), count), &out.inverses)?;
        let args = Args { above_offset: (count - n) as u32, ..shape.args(0..count, 1) };
        // A frontier of one fibre is not read from its buffer, but from the factors: any other stands for it.
        let last = if shape.frontier > 1 { last } else { (&normal.own, last.1) };
        elimination.step(recording, args, last, next)?;
    }
    let separator = |count: usize| elimination.separator(count);
    let left = |count: usize, level: usize| match count {
        1 => (target.matrices, target.reduced),
        _ => frontier(level),
    };
    let (last, next) = (frontier(depth - 1), left(shape.frontier, depth));
    elimination.meet(recording, last, next)?;
    for (level, count) in (2..=shape.frontier).rev().enumerate() {
        let (last, next) = (frontier(depth + level), left(count - 1, depth + level + 1));
        let systems = Systems { matrices: last.0, rhs: last.1, lost: 0, bounds: &out.bounds };
        record_factors(recording, shape, systems, (shape.args(0..n, 1), n), &out.inverses)?;
        elimination.step(recording, separator(count), last, next)?;
    }
    Ok(())
}

/// The inputs that the steps of one elimination share.
struct Elimination<'a> {
    shape: &'a Shape,
    normal: &'a Normal,
    rhs: &'a Reals,
    s: &'a Complements,
}

/// Fibres of the longest bundle that is eliminated in turns: each has its dispatches.
const LONGEST_IN_TURNS: usize = 64;

/// Whether fibres are eliminated in turns from the ends of their bundles. Where arithmetic is dear, that is f64, one step per
/// fibre and side is worth more than threads.
fn takes_turns(gpu: &Gpu, shape: &Shape) -> bool {
    gpu.precision() == Precision::F64 && shape.frontier == 1 && shape.bundle <= LONGEST_IN_TURNS
}

impl Elimination<'_> {
    /// Records the elimination of all other fibres of a bundle, from both of its ends, for frontiers of one fibre.
    fn in_turns(&self, recording: &mut Recording, target: Target) -> Result<(), GpuError> {
        let (shape, s) = (self.shape, self.s);
        let all = 0..2 * shape.nfibre;
        let (blocks, sides) = (&s.frontiers[0], &s.sides[0]);
        let slots = 2 * shape.nfibre.div_ceil(shape.bundle);
        for behind in 0..shape.bundle {
            let (above_offset, turn) = (shape.nfibre as u32, behind as u32 + 1);
            let args = Args { above_offset, turn, ..shape.args(all.clone(), 1) };
            if behind > 0 {
                let systems = Systems { matrices: blocks, rhs: sides, lost: 0, bounds: &s.bounds };
                record_factors(recording, shape, systems, (args, slots), &s.inverses)?;
            }
            // Frontiers are not read from their buffer, but from the factors: any other stands for it.
            self.steps(recording, args, slots, (&self.normal.own, &s.sides[1]), (blocks, sides))?;
        }
        self.meet(recording, (blocks, sides), (target.matrices, target.reduced))
    }

    /// Returns the arguments for a separator of `count` fibres.
    fn separator(&self, count: usize) -> Args {
        Args { merging: 1, frontier: count as u32, ..self.shape.args(0..self.shape.nfibre, 1) }
    }

    /// Records what both sides' frontiers leave of a separator.
    fn meet(&self, recording: &mut Recording, last: (&Reals, &Reals), next: (&Reals, &Reals)) -> Result<(), GpuError> {
        let shape = self.shape;
        let items = shape.nfibre * shape.nblock() * (shape.frontier + shape.frontier_blocks(shape.frontier));
        self.record(recording, "meet", self.separator(shape.frontier), (items, 3 * BLOCK * BLOCK), last, next)
    }

    /// Records the right-hand sides of frontiers before any step.
    fn begin(&self, recording: &mut Recording, x: Option<&Reals>, sides: &Reals) -> Result<(), GpuError> {
        let (shape, normal) = (self.shape, self.normal);
        let args = Args { knows_x: u32::from(x.is_some()), ..shape.args(0..shape.nfibre, 1) };
        let bound = [
            normal.pairs.named("k_pair"),
            self.rhs.named("y"),
            x.unwrap_or(self.rhs).named("x"),
            sides.named("sides_out"),
        ];
        let work = (2 * shape.frontier * shape.nfibre * shape.nblock(), 4 * shape.distances * shape.column());
        record(recording, normal.own.gpu(), shape, ("banded_complement", "begin"), args, work, &bound)
    }

    /// Records a step from the frontiers `last`, whose first matrices are factored, to `next`.
    fn step(
        &self,
        recording: &mut Recording,
        args: Args,
        last: (&Reals, &Reals),
        next: (&Reals, &Reals),
    ) -> Result<(), GpuError> {
        let slots = if args.merging == 1 { self.shape.nfibre } else { 2 * self.shape.nfibre };
        self.steps(recording, args, slots, last, next)
    }

    /// Records a step that makes so many frontiers.
    fn steps(
        &self,
        recording: &mut Recording,
        args: Args,
        slots: usize,
        last: (&Reals, &Reals),
        next: (&Reals, &Reals),
    ) -> Result<(), GpuError> {
        let shape = self.shape;
        let made = (args.frontier - args.merging) as usize;
        let (columns, rows) = (slots * shape.nblock(), shape.substituted_blocks());
        let product = 2 * BLOCK * BLOCK * BLOCK;
        let work = (made * columns, product * rows * (shape.blocks() + 1));
        self.record(recording, "substitute", args, work, last, next)?;
        let work = (columns * shape.frontier_blocks(made), product * rows);
        self.record(recording, "eliminate", args, work, last, next)?;
        self.record(recording, "eliminate_sides", args, (made * columns, 2 * BLOCK * BLOCK * rows), last, next)
    }

    fn record(
        &self,
        recording: &mut Recording,
        entry: &'static str,
        args: Args,
        work: (usize, usize),
        (blocks_in, sides_in): (&Reals, &Reals),
        (blocks_out, sides_out): (&Reals, &Reals),
    ) -> Result<(), GpuError> {
        let (normal, s) = (self.normal, self.s);
        let k = [normal.own.named("k_own"), normal.pairs.named("k_pair")];
        let (y, inverses) = (self.rhs.named("y"), s.inverses.records.named("inverses"));
        let blocks = [blocks_in.named("frontier_in"), blocks_out.named("frontier_out")];
        let sides = [sides_in.named("sides_in"), sides_out.named("sides_out")];
        let substituted = s.substituted.named("substituted");
        let bound: Vec<Named> = match entry {
            "substitute" => vec![k[0], k[1], inverses, blocks[0], substituted],
            "eliminate" => vec![k[0], k[1], blocks[0], blocks[1], substituted],
            "eliminate_sides" => vec![k[0], k[1], y, inverses, blocks[0], sides[0], sides[1]],
            _ => vec![k[0], k[1], y, blocks[0], blocks[1], sides[0], sides[1]],
        };
        record(recording, normal.own.gpu(), self.shape, ("banded_complement", entry), args, work, &bound)
    }
}
