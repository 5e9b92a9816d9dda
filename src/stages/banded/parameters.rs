//! From the normal equations of a bundle to decorrelated spectra; bandwidths and overlaps follow from the tolerance.

use super::BandFailure;
use super::bands::{Bands, WIDEST};
use super::complement::{Complement, complements};
use super::coupling::CouplingError;
use super::decay::correlation_length;
use super::normal::BandedNormal;
use super::root::{Accuracy, BandedRoot, Roots, root};
use super::solve::solve;

/// Share of the tolerance for the iteration for x, and for the poles; the rest is for the bands, of which there are only four.
/// It costs no measurable time, and CPU and GPU agree to 1e-6 sigma instead of 2e-6.
pub(crate) const SOLVER_TOLERANCE_SHARE: f64 = 0.1;

/// Parameters of the banded solver, measured on K for a tolerance.
#[derive(Debug)]
pub struct SolverParameters {
    /// Error of flux allowed, sigma.
    pub tolerance: f64,
    /// Bins by which chunks overlap.
    pub overlap: usize,
    /// Bands of the recursion over fibres to be tried, from the narrowest; those before the last have to lose no more than
    /// the tolerance.
    pub bands: &'static [Bands],
    accuracy: Accuracy,
}

impl SolverParameters {
    /// Refuses a half bandwidth that there is no code for; `step` is the grid's, Angstrom, for the message.
    ///
    /// # Errors
    /// [`CouplingError::TooWide`].
    pub fn check_width(half: usize, step: f64) -> Result<(), CouplingError> {
        if half > WIDEST { Err(CouplingError::TooWide { needed: half, most: WIDEST, step }) } else { Ok(()) }
    }

    /// Measures how far bins are correlated and chooses accordingly. `step` is the grid's, Angstrom, for messages; chunks
    /// overlap by `least` bins at least, because a place that is looked at may be masked.
    ///
    /// # Errors
    /// K has a wider band than there is code for.
    pub fn measure(normal: &BandedNormal, tolerance: f64, step: f64, least: usize) -> Result<Self, CouplingError> {
        Self::check_width(normal.half, step)?;
        let overlap = correlation_length(normal, tolerance).max(least);
        // Directions with less information than this are lost, and what noise makes of x in them with it: beside masks and by
        // 0.6 Angstrom 1e-9 cost 4e-4 sigma, 1e-11 nothing. Blocks whose spectrum is narrower take fewer poles.
        let floor = (10.0 * tolerance * tolerance).min(1e-11);
        let accuracy = Accuracy { roots: Roots::new(floor), tolerance: SOLVER_TOLERANCE_SHARE * tolerance, overlap };
        let bands = Bands::candidates(normal.half);
        Ok(Self { tolerance, overlap, bands, accuracy })
    }
}

/// The deconvolved flux of all fibres, `[fibre][n]`, and the iterations it took.
///
/// # Errors
/// K is not positive definite in f64, or the iteration does not converge.
pub fn banded_flux(normal: &BandedNormal, choice: &SolverParameters) -> Result<(Vec<Vec<f64>>, usize), BandFailure> {
    solve(normal, SOLVER_TOLERANCE_SHARE * choice.tolerance)
}

/// S_f of all fibres in the given bands.
///
/// # Errors
/// K is not positive definite in f64.
pub fn banded_complements(
    normal: &BandedNormal,
    bands: Bands,
    choice: &SolverParameters,
) -> Result<Vec<Complement>, BandFailure> {
    complements(normal, bands, choice.overlap)
}

/// Q of one fibre, with `half` diagonals to each side, from its S and its deconvolved flux.
pub fn banded_root(s: &Complement, x: &[f64], half: usize, choice: &SolverParameters) -> BandedRoot {
    root(s, x, half, &choice.accuracy)
}
