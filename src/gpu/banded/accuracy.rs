//! How exact the banded stages are on a device: depth of the recursion, poles, rounds of refinement.

use super::inverse::{QUAD, RootPoles};
use crate::gpu::Precision;
use crate::stages::banded::Root;

/// In f32 spectra are resolved down to this fraction of the largest eigenvalue. Beside masks 1e-8 cost one frame in three
/// 4e-2 sigma and 3e-3 in R, 1e-9 nothing any more. It takes 24 poles in place of 16.
const FLOOR: f64 = 1e-10;

/// The floor in f64, which is the CPU's: beside dead rows spectra reach down to 1e-13.
const FLOOR_F64: f64 = 1e-16;

/// With 32 poles the root is exact in f32, with 48 to 2e-10 down to the floor of f64.
const MOST_POLES: usize = 48;

/// The largest error of the root, relative to it, whatever the tolerance: about the rounding of f32.
const MOST_ERROR: f64 = 1e-7;

/// Rounds of iterative refinement of x.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Refinement {
    /// At most `n` rounds with the fibre-diagonal preconditioner, S^-1 (y - K x); converges if cross-fibre coupling is weak.
    OfFibres(usize),
    /// At most `n` rounds in which the residual is eliminated to `depth` neighbours before, as y is.
    OfBundles(usize, usize),
}

impl Refinement {
    /// The most rounds.
    pub(super) const MOST: usize = 8;
}

/// Parameters of the banded stages on a device; the same for all bundles of a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Accuracy {
    /// Bins by which chunks overlap.
    pub overlap: usize,
    /// Fibres on either side that a fibre is eliminated from.
    pub depth: usize,
    /// Smallest resolved eigenvalue as a fraction of the largest.
    pub floor: f64,
    /// Poles of the square root.
    pub poles: RootPoles,
    /// Refinement of x, and the longer one where that does not converge, as where a fibre is masked whole.
    pub refinement: [Refinement; 2],
}

impl Accuracy {
    /// Returns the parameters for an error of flux of `tolerance` sigma, where chunks must overlap by `overlap` bins. On sim11
    /// the error beside masks is 2e-3 sigma with a depth of 1, 3e-4 with 2, 2e-4 with 3. Beside a fibre that is masked whole
    /// it is 1e-3 with 2.
    pub fn of(precision: Precision, tolerance: f64, overlap: usize) -> Self {
        let floor = match precision {
            Precision::F32 => FLOOR,
            Precision::F64 => FLOOR_F64,
        };
        let further = (1e-3 / tolerance).log10().ceil().max(0.0) as usize;
        // Signal to noise multiplies the error of the root.
        let brightest = match precision {
            Precision::F32 => 1e3,
            Precision::F64 => 1e4,
        };
        let error = MOST_ERROR.min(tolerance / brightest);
        let serves = |count: &usize| Root::new(floor, *count).error <= error;
        let most = (QUAD..MOST_POLES).step_by(QUAD).find(serves).unwrap_or(MOST_POLES);
        let poles = RootPoles::new(floor, most, error);
        let depth = 3 + further;
        let refinement = match precision {
            Precision::F32 => [Refinement::OfFibres(1), Refinement::OfBundles(2, depth)],
            Precision::F64 => [Refinement::OfFibres(Refinement::MOST), Refinement::OfBundles(4, depth)],
        };
        Self { overlap, depth, floor, poles, refinement }
    }

    /// Returns the depth of a recursion with a frontier of so many fibres. At a pitch of 3.6 sigma S is 4e-6 of its diagonal off with
    /// a depth of 4, 2e-8 with 5 and 1e-9 with 6.
    pub fn depth_of(&self, frontier: usize) -> usize {
        if frontier > 1 { self.depth + 2 } else { self.depth }
    }

    /// Returns the refinement of x. Where spots of second neighbours overlap, only that of bundles converges.
    pub fn refinement_of(&self, frontier: usize, long: bool) -> Refinement {
        match (frontier, self.refinement[1]) {
            (2.., Refinement::OfBundles(rounds, _)) => {
                Refinement::OfBundles(rounds.min(3) + usize::from(long), self.depth_of(frontier))
            }
            _ => self.refinement[usize::from(long)],
        }
    }
}
