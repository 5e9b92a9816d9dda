//! Properties of the PSF alone: bins needed beyond the ends of the grid, and the noise of deconvolved bins.

use super::Options;
use super::options::TOLERANCE;
use crate::geometry::WaveGrid;
use crate::psf::Psf;
use crate::stages::banded::PsfDecay;

/// Fewest bins beyond each end of the grid, extracted and thrown away: with 12 the first and the last bin are 3e-2 sigma off.
const FEWEST_BEYOND_ENDS: usize = 30;

/// Returns the bins beyond each end of the grid that the tolerance needs, so that its ends are as exact as its middle, and the noise
/// gain.
pub(super) fn beyond_ends(psf: &Psf, grid: &WaveGrid, options: &Options) -> (usize, f64) {
    let tolerance = options.tolerance.unwrap_or(TOLERANCE);
    let decay = PsfDecay::measure(psf, grid, options.psf_tails, tolerance);
    (decay.bins.max(FEWEST_BEYOND_ENDS), decay.noise_gain)
}
