//! The frame that is extracted: simulated, like DESI's r frames or a part of one, with masked cosmics but without dead pixels.

use super::BenchError;
use crate::fits::Preproc;
use crate::geometry::WaveGrid;
use crate::psf::Psf;
use crate::simulate::synthetic::Synthetic;
use crate::simulate::{Simulation, simulate};

/// Step of the grid, Angstrom.
const STEP: f64 = 0.8;

/// Fibres of a bundle.
const BUNDLE: usize = 25;

/// Fewest bins that a frame is worth measuring with.
const FEWEST_BINS: usize = 32;

/// Fibres and bins of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Size {
    /// Fibres.
    pub fibres: usize,
    /// Bins.
    pub bins: usize,
}

impl Size {
    /// DESI's r frames.
    pub const FRAME: Self = Self { fibres: 500, bins: 2326 };
    /// Two bundles of fewer bins: seconds on a software GPU.
    pub const QUICK: Self = Self { fibres: 50, bins: 600 };

    pub(super) fn check(self) -> Result<Self, BenchError> {
        let Self { fibres, bins } = self;
        let fits = (1..=Self::FRAME.fibres).contains(&fibres) && (FEWEST_BINS..=Self::FRAME.bins).contains(&bins);
        if fits { Ok(self) } else { Err(BenchError::Size { fibres, bins }) }
    }
}

/// A frame with its PSF and grid.
#[derive(Debug)]
pub struct Case {
    pub(super) psf: Psf,
    pub(super) preproc: Preproc,
    pub(super) grid: WaveGrid,
    pub(super) size: Size,
}

impl Case {
    /// Simulates a frame.
    ///
    /// # Errors
    /// [`BenchError::Size`] if there are too few or too many fibres or bins, [`BenchError::Psf`] and [`BenchError::Frame`] if it
    /// cannot be made.
    pub fn new(size: Size) -> Result<Self, BenchError> {
        let Size { fibres, bins } = size.check()?;
        let psf = Synthetic { nfibre: fibres.next_multiple_of(BUNDLE), ..Synthetic::default() }.build()?;
        let middle = 0.5 * (psf.wave_min + psf.wave_max);
        let first = middle - STEP * (bins / 2) as f64;
        let last = first + STEP * (bins - 1) as f64;
        // Beside dead pixels a device may be slower, or another may serve.
        let clean = Simulation { bad_columns: Some(0), dead_patches: Some(0), ..Simulation::default() };
        let preproc = simulate(&psf, &Simulation { nspec: Some(fibres), ..clean })?.preproc;
        let preproc = preproc.masked_by(u32::MAX).expect("the mask of its pixels");
        let grid = WaveGrid::new(first, last, STEP).expect("the checked number of bins lies within the PSF's range");
        Ok(Self { psf, preproc, grid, size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_with_a_mask_bit_have_no_weight() {
        let case = Case::new(Size { fibres: 1, bins: FEWEST_BINS }).unwrap();
        let mask = case.preproc.mask.as_deref().unwrap();
        let masked = mask.iter().zip(case.preproc.ccd.ivar()).filter(|(mask, _)| **mask != 0);
        assert!(masked.clone().count() > 10, "cosmics");
        assert!({ masked }.all(|(_, ivar)| *ivar == 0.0));
    }
}
