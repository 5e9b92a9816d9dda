//! How a CCD samples spectra: Angstrom per row and the width of spots along the dispersion, and what follows for a grid.

use crate::geometry::WaveGrid;
use crate::psf::Psf;
use crate::stages::traces::{legendre, unit};

/// Wavelengths at which each trace is looked at.
const PLACES: usize = 17;

/// Most diagonals of R to each side: beyond it a file of 500 fibres would not fit a machine's memory.
const MOST_DIAGONALS: usize = 200;

/// How a CCD samples the spectra of a PSF.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Median width of spots along the dispersion: GHSIGY, Angstrom.
    pub sigma: f64,
    /// Median height of a row, Angstrom.
    pub row: f64,
    /// Height of the highest row, Angstrom.
    pub highest_row: f64,
}

impl Sampling {
    /// Measures a PSF at places spread over all traces, those on the CCD; None where there is none.
    pub fn measure(psf: &Psf) -> Option<Self> {
        let step = (psf.wave_max - psf.wave_min) / (PLACES - 1) as f64;
        // Short enough for the curvature of traces not to count.
        let near = 1e-3 * step;
        let mut places = Vec::with_capacity(psf.nfibre * PLACES);
        for fibre in 0..psf.nfibre {
            let y = |w: f64| legendre(psf.trace_y.of(fibre), unit(psf.trace_y.domain, w));
            for w in (0..PLACES).map(|k| psf.wave_min + k as f64 * step) {
                let row = 2.0 * near / (y(w + near) - y(w - near)).abs();
                let sigma = legendre(psf.sigma_y.of(fibre), unit(psf.sigma_y.domain, w)) * row;
                let on_ccd = (0.0..=(psf.npix_y - 1) as f64).contains(&y(w));
                if on_ccd && row.is_finite() && sigma.is_finite() && sigma > 0.0 {
                    places.push((sigma, row));
                }
            }
        }
        let highest_row = places.iter().map(|place| place.1).fold(0.0, f64::max);
        let median = |of: fn(&(f64, f64)) -> f64| {
            let mut values: Vec<f64> = places.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied()
        };
        Some(Self { sigma: median(|place| place.0)?, row: median(|place| place.1)?, highest_row })
    }
}

/// Returns the diagonals of R to each side of its main one: as many bins as a spot has rows to each side, or those of its
/// rows where bins are narrower.
pub(super) fn half_diagonals(psf: &Psf, grid: &WaveGrid) -> usize {
    let rows = psf.half_y as f64;
    let bins = Sampling::measure(psf).map_or(rows, |sampling| (rows * sampling.highest_row / grid.step()).ceil());
    (bins.min(MOST_DIAGONALS as f64) as usize).max(psf.half_y)
}
