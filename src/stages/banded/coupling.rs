//! What the banded solver rests on, measured: spots couple with those of the same and of the next fibre, no farther.

use crate::stages::patch::PatchSpots;

/// Every how many bins the coupling of fibres is measured: spots change slowly along a trace.
const STEP: usize = 16;

/// Signal to noise of the brightest bins: what leaks from one into a neglected fibre is that many sigma times the coupling.
const BRIGHTEST: f64 = 1e4;

/// How strongly spots overlap, relative: `s_i . s_j / (|s_i| |s_j|)`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Coupling {
    /// Of neighbouring fibres at most.
    pub neighbours: f64,
    /// Of fibres two or more apart at most.
    pub beyond: f64,
}

/// Why a bundle cannot be solved in bands.
#[derive(Clone, Debug, thiserror::Error, PartialEq)]
pub enum CouplingError {
    /// Fibres two or more apart overlap.
    #[error(
        "spots of fibres two or more apart overlap by {found:.1e}, the banded solver allows {allowed:.1e} for a tolerance of \
         {tolerance:.0e} sigma: give --solver patches, or a larger --tolerance"
    )]
    SecondNeighbours {
        /// Largest relative overlap.
        found: f64,
        /// Largest allowed.
        allowed: f64,
        /// The tolerance, sigma.
        tolerance: f64,
    },
    /// Bins are correlated over more bins than there is code for.
    #[error(
        "bins are coupled over {needed} bins, the banded solver goes to {most}: give a coarser step than {step:.2} \
         Angstrom, a larger --tolerance, or --solver patches"
    )]
    TooWide {
        /// The band it takes.
        needed: usize,
        /// The widest band there is code for.
        most: usize,
        /// Step of the grid, Angstrom.
        step: f64,
    },
}

impl Coupling {
    /// Measures the coupling of a bundle's fibres within `half` bins.
    pub fn measure(spots: &PatchSpots, half: usize) -> Self {
        let mut out = Self::default();
        let norms = |f: usize| -> Vec<f64> {
            let norm = |b: usize| spots.place(b * spots.nspec + f).2.iter().map(|v| v * v).sum::<f64>().sqrt();
            (0..spots.nbin).map(norm).collect()
        };
        let norms: Vec<Vec<f64>> = (0..spots.nspec).map(norms).collect();
        for bin in (0..spots.nbin).step_by(STEP) {
            for f in 0..spots.nspec {
                for g in f + 1..spots.nspec {
                    let partners = bin.saturating_sub(half)..(bin + half + 1).min(spots.nbin);
                    let of = |b: usize| overlap(spots, (f, bin), (g, b)) / (norms[f][bin] * norms[g][b]);
                    let largest = partners.map(of).filter(|c| c.is_finite()).fold(0.0, f64::max);
                    let slot = if g == f + 1 { &mut out.neighbours } else { &mut out.beyond };
                    *slot = slot.max(largest);
                }
            }
        }
        out
    }

    /// Checks that what is neglected stays below `tolerance` sigma.
    ///
    /// # Errors
    /// Fibres two or more apart are coupled too strongly.
    pub fn check(&self, tolerance: f64) -> Result<(), CouplingError> {
        let allowed = tolerance / BRIGHTEST;
        if self.beyond <= allowed {
            return Ok(());
        }
        Err(CouplingError::SecondNeighbours { found: self.beyond, allowed, tolerance })
    }
}

/// The product of two spots over their common pixels.
fn overlap(spots: &PatchSpots, a: (usize, usize), b: (usize, usize)) -> f64 {
    let place = |(fibre, bin): (usize, usize)| spots.place(bin * spots.nspec + fibre);
    let ((ya, xa, a), (yb, xb, b)) = (place(a), place(b));
    let (down, right) = (yb - ya, xb - xa);
    let (ny, nx) = (spots.ny as i64, spots.nx as i64);
    if down.abs() >= ny || right.abs() >= nx {
        return 0.0;
    }
    let mut sum = 0.0;
    for y in down.max(0)..ny.min(ny + down) {
        for x in right.max(0)..nx.min(nx + right) {
            sum += a[(y * nx + x) as usize] * b[((y - down) * nx + x - right) as usize];
        }
    }
    sum
}
