//! From the normal equations of a bundle to decorrelated spectra; bandwidths and overlaps follow from the tolerance.

use super::bands::{self, WIDEST};
use super::block::{Accuracy, Roots};
use super::complement::{Complement, Recursion, complements};
use super::coupling::CouplingError;
use super::decay::correlation_length;
use super::normal::BandedNormal;
use super::root::{BandedRoot, root};
use super::solve::solve;
use super::{BandFailure, frontier};
use std::sync::LazyLock;

/// Share of the tolerance for the iteration for x, and for the poles; the rest is for the bands, of which there are only few.
/// It costs no measurable time, and CPU and GPU agree to 1e-6 sigma instead of 2e-6.
pub(crate) const SOLVER_TOLERANCE_SHARE: f64 = 0.1;

/// Smallest eigenvalue of S over its largest that poles reach. Every mode above 0 gives unit noise to flux, whatever its
/// eigenvalue. Beside dead rows there are some at 1e-13, and a floor of 1e-11 cost 3e-4 sigma, in half-masked bins 0.2.
const FLOOR: f64 = 1e-16;

/// Approximations of the root down to that floor.
static ROOTS: LazyLock<Roots> = LazyLock::new(|| Roots::new(FLOOR));

/// By which factor correlations reach farther than those of K_ff alone, from which overlap of neighbours on: fibres that share
/// light carry them on.
const WIDER: [(f64, f64); 2] = [(0.08, 1.3), (1e-3, 1.15)];

/// Returns the correlation length of bins, given that of a fibre alone and the overlap of neighbours.
pub fn widened(alone: usize, neighbours: f64) -> usize {
    let factor = WIDER.into_iter().find(|(from, _)| neighbours >= *from).map_or(1.0, |(_, factor)| factor);
    (factor * alone as f64).ceil() as usize
}

/// Overlap of neighbours from which on the narrowest bands serve hardly a fibre.
const CROWDED: f64 = 3e-3;

/// Factor on the estimated error of flux in f64, by which it is judged and reported. With 4, flux of 3 in 8000 worlds of random
/// PSFs, light and masks was up to 3 times the tolerance off unreported; with 8, of none.
pub const OVER_ESTIMATE: f64 = 8.0;

/// Parameters of the banded solver, measured on K for a tolerance.
#[derive(Debug)]
pub struct SolverParameters {
    /// Error of flux allowed, sigma.
    pub tolerance: f64,
    /// Bins by which chunks overlap.
    pub overlap: usize,
    /// Half bandwidths of S to be tried, from the narrowest.
    pub bands: &'static [usize],
    /// Whether fibres share so much light that the narrowest bands are in vain.
    pub crowded: bool,
    pub(super) accuracy: Accuracy,
}

impl SolverParameters {
    /// Refuses a half bandwidth that there is no code for; `step` is the grid's, Angstrom, for the message.
    ///
    /// # Errors
    /// [`CouplingError::TooWide`].
    pub fn check_width(half: usize, step: f64) -> Result<(), CouplingError> {
        if half > WIDEST { Err(CouplingError::TooWide { needed: half, most: WIDEST, step }) } else { Ok(()) }
    }

    /// Measures how far bins are correlated and chooses accordingly. `step` is the grid's, Angstrom, for messages. Chunks
    /// overlap by `least` bins at least, because a place that is looked at may be masked. They overlap by more where spots of
    /// neighbours overlap by as much as `neighbours`, relative.
    ///
    /// # Errors
    /// K has a wider band than there is code for.
    pub fn measure(
        normal: &BandedNormal,
        tolerance: f64,
        step: f64,
        least: usize,
        neighbours: f64,
    ) -> Result<Self, CouplingError> {
        Self::check_width(normal.half, step)?;
        let overlap = widened(correlation_length(normal, tolerance), neighbours).max(least);
        let accuracy = Accuracy { roots: &ROOTS, tolerance: SOLVER_TOLERANCE_SHARE * tolerance, overlap };
        let crowded = neighbours >= CROWDED;
        Ok(Self { tolerance, overlap, bands: bands::kept(normal.half), crowded, accuracy })
    }
}

/// The deconvolved flux of all fibres, `[fibre][n]`, and the iterations it took.
///
/// # Errors
/// K is not positive definite in f64, or the iteration does not converge.
pub fn banded_flux(normal: &BandedNormal, choice: &SolverParameters) -> Result<(Vec<Vec<f64>>, usize), BandFailure> {
    solve(normal, SOLVER_TOLERANCE_SHARE * choice.tolerance)
}

/// S_f of all fibres in a band of half width `kept`, by a frontier as wide as they overlap, at most three fibres.
///
/// # Errors
/// K is not positive definite in f64.
pub fn banded_complements(
    normal: &BandedNormal,
    kept: usize,
    choice: &SolverParameters,
) -> Result<Vec<Complement>, BandFailure> {
    let recursion =
        Recursion { kept, frontier: frontier::candidates(normal.pairs.len()).end - 1, overlap: choice.overlap };
    let all = 0..normal.diagonal.len();
    complements(normal, &normal.rhs, recursion, all.clone(), all)
}

/// Q of one fibre, with `half` diagonals to each side, from its S and its deconvolved flux.
pub fn banded_root(s: &Complement, x: &[f64], half: usize, choice: &SolverParameters) -> BandedRoot {
    root(s, x, half, &choice.accuracy)
}
