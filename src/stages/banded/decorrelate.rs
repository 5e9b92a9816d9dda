//! From the normal equations of a bundle to decorrelated spectra; bandwidths and overlaps follow from the tolerance.

use super::BandFailure;
use super::complement::{Bands, Complement, complements};
use super::coupling::CouplingError;
use super::decay::correlation_length;
use super::normal::BandedNormal;
use super::root::{Accuracy, BandedRoot, Roots, root};
use super::solve::solve;
use rayon::prelude::*;
use std::ops::Range;

/// Pairs of half bandwidths for the recursion over fibres. Step by 0.8 Angstrom on DESI's CCDs the first serves, finer
/// grids and very bright stars need the others.
const BANDS: [Bands; 3] =
    [Bands { inverse: 16, kept: 12 }, Bands { inverse: 24, kept: 16 }, Bands { inverse: 48, kept: 24 }];

/// The residual of the banded equations over the error of flux it stands for: it is largest in masked bins, of which no
/// accuracy is asked (sim11: residual 1.1e-4 sigma, worst error 6.7e-6).
const RESIDUAL_OVER_ERROR: f64 = 20.0;

/// Error in sigma at which patches serve as well: their own.
const PATCHES: f64 = 0.05;

/// What is read off K and the tolerance.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Error of flux allowed, sigma.
    pub tolerance: f64,
    /// Bins by which chunks overlap.
    pub overlap: usize,
    /// Spectra are resolved down to this fraction of the largest eigenvalue.
    pub floor: f64,
}

impl Choice {
    /// Measures how far bins are correlated and chooses accordingly. `step` is the grid's, Angstrom, for messages.
    ///
    /// # Errors
    /// K has a wider band than there is code for.
    pub fn measure(normal: &BandedNormal, tolerance: f64, step: f64) -> Result<Self, CouplingError> {
        let most = BANDS[BANDS.len() - 1].kept;
        if normal.half > most {
            return Err(CouplingError::TooWide { needed: normal.half, most, step });
        }
        Ok(Self {
            tolerance,
            overlap: correlation_length(normal, normal.diagonal.len() / 2, tolerance),
            // sqrt(floor) is the relative error of Q in directions without information: 1e-9 costs sim11 nothing.
            floor: 10.0 * tolerance * tolerance,
        })
    }
}

/// A bundle's spectra.
#[derive(Debug)]
pub struct BandedSpectra {
    /// Deconvolved flux of every fibre, `[fibre][n]`, electron a bin.
    pub x: Vec<Vec<f64>>,
    /// Q of the fibres wanted.
    pub roots: Vec<BandedRoot>,
    /// Iterations that x took.
    pub iterations: usize,
    /// Half bandwidths taken.
    pub bands: Bands,
    /// See [`BandedComplements::residual`].
    pub residual: f64,
}

/// The deconvolved flux of all fibres.
///
/// # Errors
/// K is not positive definite in f64, or the iteration does not converge.
pub fn banded_flux(normal: &BandedNormal, choice: &Choice) -> Result<(Vec<Vec<f64>>, usize), BandFailure> {
    solve(normal, 0.5 * choice.tolerance)
}

/// S_f of all fibres.
#[derive(Debug)]
pub struct BandedComplements {
    /// One a fibre.
    pub fibres: Vec<Complement>,
    /// Half bandwidths taken.
    pub bands: Bands,
    /// How far the exact x fails to solve the banded equations, sigma at most.
    pub residual: f64,
}

/// S_f of all fibres in the narrowest bands that leave x within the tolerance of its equations.
///
/// # Errors
/// K is not positive definite in f64, or the widest bands leave more than patches do.
pub fn banded_complements(
    normal: &BandedNormal,
    x: &[Vec<f64>],
    choice: &Choice,
) -> Result<BandedComplements, BandFailure> {
    let mut error = f64::INFINITY;
    let mut best = None;
    for bands in BANDS.into_iter().filter(|b| b.kept >= normal.half) {
        let fibres = complements(normal, bands, choice.overlap)?;
        let residual = fibres.iter().zip(x).map(|(s, x)| s.residual(x)).fold(0.0, f64::max);
        error = residual / RESIDUAL_OVER_ERROR;
        best = Some(BandedComplements { fibres, bands, residual });
        if error <= choice.tolerance {
            break;
        }
    }
    // A residual that is not a number fails, too.
    best.filter(|_| error < PATCHES).ok_or(BandFailure::Inaccurate { error }).inspect(|best| {
        if error > choice.tolerance {
            tracing::warn!(
                "flux may be {error:.1e} sigma off, more than the tolerance; the residual is {:.1e}",
                best.residual
            );
        }
    })
}

/// Q of the fibres `wanted`, with `half` diagonals to each side.
pub fn banded_roots(
    s: &[Complement],
    x: &[Vec<f64>],
    wanted: Range<usize>,
    half: usize,
    choice: &Choice,
) -> Vec<BandedRoot> {
    let accuracy = Accuracy { roots: Roots::new(choice.floor), tolerance: choice.tolerance, overlap: choice.overlap };
    wanted.into_par_iter().map(|f| root(&s[f], &x[f], half, &accuracy)).collect()
}
