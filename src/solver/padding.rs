//! Properties of the PSF alone: bins needed beyond the ends of the grid, and the noise of deconvolved bins.

use super::Options;
use super::options::TOLERANCE;
use crate::geometry::WaveGrid;
use crate::psf::Psf;
use crate::stages::banded::{Overlaps, PsfDecay, half_bandwidth, widened};
use crate::stages::spots::SpotSource;
use crate::stages::traces::{legendre, unit};

/// Fewest bins beyond each end of the grid, extracted and thrown away: with 12 the first and the last bin are 3e-2 sigma off.
const FEWEST_BEYOND_ENDS: usize = 30;

/// Bins to each side at which the overlap of neighbours is looked at.
const AROUND: usize = 8;

/// How far bins of a grid are correlated by the PSF alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Correlation {
    /// Bins over which correlations fall to the tolerance.
    pub bins: usize,
    /// Bins beyond each end of the grid, so that its ends are as exact as its middle.
    pub beyond_ends: usize,
    /// The most bins beyond each end that may hold light.
    pub most_beyond_ends: usize,
    /// Correlation over the bins beyond an end, in units of a bin's own noise.
    pub of_ends: f64,
    /// Noise of a deconvolved bin over that of a bin alone.
    pub noise_gain: f64,
    /// Relative overlap of neighbouring fibres in the middle of the slit and of the grid.
    pub neighbours: f64,
}

impl Correlation {
    /// Measures the correlation for the tolerance of the options.
    pub fn measure(psf: &Psf, grid: &WaveGrid, options: &Options) -> Self {
        let tolerance = options.tolerance.unwrap_or(TOLERANCE);
        let decay = PsfDecay::measure(psf, grid, options.psf_tails, tolerance);
        let neighbours = neighbours(psf, grid, options.psf_tails);
        let [bins, beyond_ends] = [decay.bins, decay.beyond_ends].map(|alone| widened(alone, neighbours));
        let most_beyond_ends = to_the_end(psf, grid).max(FEWEST_BEYOND_ENDS);
        Self {
            bins: bins.max(FEWEST_BEYOND_ENDS),
            beyond_ends: beyond_ends.clamp(FEWEST_BEYOND_ENDS, most_beyond_ends),
            most_beyond_ends,
            of_ends: decay.of_ends(tolerance),
            noise_gain: decay.noise_gain,
            neighbours,
        }
    }
}

/// Returns the bins from the farther end of the grid to that of the PSF's range, and those whose spots reach back from beyond it.
/// There is no light farther out, and series are not to be extrapolated far.
fn to_the_end(psf: &Psf, grid: &WaveGrid) -> usize {
    let (step, first, last) = (grid.step_at(0), grid.wave()[0], grid.wave()[grid.nwave() - 1]);
    let y = |wave: f64| legendre(psf.trace_y.of(psf.nfibre / 2), unit(psf.trace_y.domain, wave));
    let middle = 0.5 * (psf.wave_min + psf.wave_max);
    let rows = (y(middle + 0.5 * step) - y(middle - 0.5 * step)).abs();
    let beyond = (first - psf.wave_min).max(psf.wave_max - last).max(0.0) / step;
    // A trace that turns back in the middle has no rows per bin there.
    let reaching = (psf.half_y as f64 / rows).min((psf.wave_max - psf.wave_min) / step);
    (beyond + reaching).ceil() as usize
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
