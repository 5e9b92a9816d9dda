//! Properties of the PSF alone: bins needed beyond the ends of the grid, and the noise of deconvolved bins.

use super::Options;
use super::options::TOLERANCE;
use crate::geometry::WaveGrid;
use crate::psf::Psf;
use crate::stages::banded::{Overlaps, PsfDecay, half_bandwidth, widened};
use crate::stages::spots::SpotSource;

/// Fewest bins beyond each end of the grid, extracted and thrown away: with 12 the first and the last bin are 3e-2 sigma off.
const FEWEST_BEYOND_ENDS: usize = 30;

/// Bins to each side at which the overlap of neighbours is looked at.
const AROUND: usize = 8;

/// Returns the bins beyond each end of the grid that the tolerance needs, so that its ends are as exact as its middle, and the noise
/// gain.
pub(super) fn beyond_ends(psf: &Psf, grid: &WaveGrid, options: &Options) -> (usize, f64) {
    let tolerance = options.tolerance.unwrap_or(TOLERANCE);
    let decay = PsfDecay::measure(psf, grid, options.psf_tails, tolerance);
    let bins = widened(decay.bins, neighbours(psf, grid, options.psf_tails));
    (bins.max(FEWEST_BEYOND_ENDS), decay.noise_gain)
}

/// Returns the relative overlap of neighbouring fibres in the middle of the slit and of the grid.
fn neighbours(psf: &Psf, grid: &WaveGrid, with_tails: bool) -> f64 {
    let (fibre, bin) = (psf.nfibre / 2, grid.nwave() / 2);
    let fibres = fibre.saturating_sub(1)..(fibre + 2).min(psf.nfibre);
    let wave = &grid.wave()[bin.saturating_sub(AROUND)..(bin + AROUND + 1).min(grid.nwave())];
    let spots = SpotSource::new(psf, fibres, wave, with_tails);
    let half = half_bandwidth(&spots.positions(), 1);
    Overlaps::measure(&spots, half).coupling(1).neighbours
}
