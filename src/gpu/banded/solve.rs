//! The deconvolved flux x on the GPU by iterative refinement from S, and the z_f that all fibres' x give one another.

use super::accuracy::Refinement;
use super::complement::{Complements, Target, record_elimination};
use super::inverse::{Systems, record_factors, record_solutions};
use super::normal::Normal;
use super::shape::{Args, BLOCK, Shape, record, variants as of_reaches};
use crate::gpu::{Buffer, Gpu, GpuError, Reals, Recording, Variant};

pub(in crate::gpu) fn variants() -> Vec<Variant> {
    of_reaches("banded_solve").collect()
}

/// Largest residual, sigma, that needs no further round: far below what the strictest tolerance allows.
const CONVERGED: f32 = 1e-11;

/// x of all fibres on a device, and what it is made of.
#[derive(Clone, Debug)]
pub struct Solution {
    /// x in electron per bin, `[fibre, BLOCK nblock]`.
    pub x: Reals,
    /// `z_f = y_f - (K_ff - S_f) x_f - K_fg x_g`, then what z_f of the recursion differs from it by,
    /// `[2, fibre, BLOCK nblock]`. Before the last round the first part is the residual y - K x.
    pub z_exact: Reals,
    /// Bits of the largest `|y - K x|_i / sqrt(K_ii)` of every fibre, `[round, fibre]`: after the last round at 0, after round r
    /// at r.
    pub worst: Buffer<u32>,
    /// The residual after elimination of the other fibres, `[fibre, BLOCK nblock]`.
    eliminated: Reals,
}

impl Solution {
    /// Allocates the buffers.
    ///
    /// # Errors
    /// [`GpuError::TooLarge`] if one is beyond a binding, [`GpuError::OutOfMemory`] if memory is short.
    pub fn new(gpu: &Gpu, shape: &Shape) -> Result<Self, GpuError> {
        let vector = shape.nfibre * BLOCK * shape.nblock();
        let of_layout = |label, len| gpu.reals_of_layout(label, len, shape.layout(("solve", 0)));
        Ok(Self {
            x: of_layout("x", vector)?,
            z_exact: of_layout("z_exact", 2 * vector)?,
            worst: gpu.zeros("worst", Refinement::MOST * shape.nfibre)?,
            eliminated: of_layout("eliminated", vector)?,
        })
    }
}

/// Records x of all fibres from their complements, whose scratch it uses, and the exact z_f. That z_f makes up for bands of S
/// that are too narrow, neighbours left out, and the seams of chunks.
///
/// # Errors
/// [`GpuError`] if a kernel cannot be compiled or bound.
pub fn record_solve(
    recording: &mut Recording,
    shape: &Shape,
    normal: &Normal,
    s: &Complements,
    refinement: Refinement,
    out: &Solution,
) -> Result<(), GpuError> {
    let gpu = s.matrices.gpu();
    let (blocks, all) = (shape.nfibre * shape.nblock(), shape.args(0..shape.nfibre, 1));
    let factored = (all, shape.nfibre);
    let of = |rhs| Systems { matrices: &s.matrices, rhs, lost: 0, bounds: &s.bounds };
    let (complement, x) = (s.matrices.named("complement"), out.x.named("x"));
    let (Refinement::OfFibres(rounds) | Refinement::OfBundles(rounds, _)) = refinement;
    for round in 1..=rounds {
        recording.stage("banded_solve");
        let args = Args { round: round as u32, rounds: rounds as u32, converged: CONVERGED.to_bits(), ..all };
        match refinement {
            _ if round == 1 => record_factors(recording, shape, of(&s.reduced), factored, &s.inverses)?,
            Refinement::OfFibres(_) => {
                record_solutions(recording, shape, of(&out.z_exact), (args, &out.worst), &s.inverses)?;
            }
            Refinement::OfBundles(_, depth) => {
                let target = Target { matrices: &s.matrices, reduced: &out.eliminated };
                record_elimination(recording, shape, normal, (&out.z_exact, None), depth, target, s)?;
                record_factors(recording, shape, of(&out.eliminated), factored, &s.inverses)?;
            }
        }
        let worst = out.worst.named("largest_residuals");
        let bound = [s.inverses.records.named("inverses"), x, worst];
        record(recording, gpu, shape, ("banded_solve", "solutions"), args, (blocks, shape.column()), &bound)?;
        if let (true, true, Refinement::OfBundles(_, depth)) = (round == rounds, shape.frontier > 1, refinement) {
            // z_f with one neighbour fewer for this x: its difference from S x tells what bands and depth cost.
            let fewer = depth - 1;
            let target = s.keeping(shape, fewer, &s.reduced);
            record_elimination(recording, shape, normal, (&normal.sums, Some(&out.x)), fewer, target, s)?;
        }
        let (k_own, k_pair, y) = (normal.own.named("k_own"), normal.pairs.named("k_pair"), normal.sums.named("y"));
        let (z, z_exact) = (s.reduced.named("z"), out.z_exact.named("z_exact"));
        let bound = [k_own, k_pair, y, x, complement, z, z_exact, worst];
        record(recording, gpu, shape, ("banded_solve", "residuals"), args, (blocks, 8 * shape.column()), &bound)?;
    }
    Ok(())
}
