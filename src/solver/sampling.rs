//! How a CCD samples spectra: Angstrom per row and the width of spots along the dispersion, and what follows for a grid.

use crate::geometry::WaveGrid;
use crate::psf::Psf;
use crate::stages::traces::{legendre, unit};

/// The survey's step, Angstrom, and what its r camera has of the PSF's sigma per bin, which other PSFs get.
const SURVEY_STEP: f64 = 0.8;
const SIGMAS: f64 = 1.35;

/// Fewest CCD rows per bin: below 0.9 bins outnumber rows, and their noise grows a hundredfold.
const FEWEST_ROWS: f64 = 1.0;

/// Mantissas of default steps.
const MANTISSAS: [f64; 11] = [1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];

/// The survey's step serves a camera of its name within these factors of what its PSF asks for.
const SURVEY_FACTORS: [f64; 2] = [0.75, 1.4];

/// Wavelengths at which each trace is looked at.
const PLACES: usize = 17;

/// The share of places that count for the highest row: where the trace of a broken fibre turns back, rows have no height.
const HIGHEST: f64 = 0.98;

/// Most diagonals of R to each side: beyond it a file of 500 fibres would not fit a machine's memory.
const MOST_DIAGONALS: usize = 200;

/// How a CCD samples the spectra of a PSF.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Median width of spots along the dispersion: GHSIGY, Angstrom.
    pub sigma: f64,
    /// Median height of a row, Angstrom.
    pub row: f64,
    /// Height of a row that 2 % of all places exceed, Angstrom.
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
        let share = |of: fn(&(f64, f64)) -> f64, share: f64| {
            let mut values: Vec<f64> = places.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values.get((share * values.len() as f64) as usize).copied()
        };
        let (sigma, row) = (share(|place| place.0, 0.5)?, share(|place| place.1, 0.5)?);
        Some(Self { sigma, row, highest_row: share(|place| place.1, HIGHEST)? })
    }
}

/// Returns the diagonals of R to each side of its main one: as many as a spot has rows to each side. Where bins are narrower
/// than rows, they are as many as these rows have bins.
pub(super) fn half_diagonals(psf: &Psf, grid: &WaveGrid) -> usize {
    let rows = psf.half_y as f64;
    let bins = Sampling::measure(psf).map_or(rows, |sampling| (rows * sampling.highest_row / grid.step_at(0)).ceil());
    (bins.min(MOST_DIAGONALS as f64) as usize).max(psf.half_y)
}

/// Returns the default step of a PSF, Angstrom: 0.8 for DESI's cameras, else about 1.35 sigma of the PSF along the dispersion,
/// rounded.
pub fn default_step(psf: &Psf) -> f64 {
    let Some(sampling) = Sampling::measure(psf) else { return SURVEY_STEP };
    let fewest = FEWEST_ROWS * sampling.highest_row;
    let wanted = (SIGMAS * sampling.sigma).max(fewest);
    let named = psf.camera.as_deref().map_or(&b""[..], str::as_bytes);
    let of_survey = matches!(named, [b'b' | b'r' | b'z', b'0'..=b'9']);
    if of_survey && SURVEY_STEP >= fewest && (SURVEY_FACTORS[0]..SURVEY_FACTORS[1]).contains(&(SURVEY_STEP / wanted)) {
        return SURVEY_STEP;
    }
    let exponent = wanted.log10().floor();
    // A negative power of ten is not exact; division by a whole one gives the nearest number to a decimal step.
    let scaled = |mantissa: f64| match exponent < 0.0 {
        true => mantissa / 10f64.powf(-exponent),
        false => mantissa * 10f64.powf(exponent),
    };
    let near = |step: &f64| (step / wanted).ln().abs();
    let steps = MANTISSAS.map(scaled).into_iter().filter(|step| *step >= fewest);
    steps.min_by(|a, b| near(a).total_cmp(&near(b))).unwrap_or(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::synthetic::Synthetic;

    fn psf(change: impl FnOnce(&mut Synthetic)) -> Psf {
        let mut parameters = Synthetic { nfibre: 10, bundlesize: 10, npix_y: Some(1024), ..Synthetic::default() };
        change(&mut parameters);
        parameters.build().unwrap()
    }

    #[test]
    fn the_step_is_the_survey_s_for_its_cameras_and_else_follows_the_dispersion() {
        assert_eq!(default_step(&psf(|_| {})), 0.8);
        // 0.02 Angstrom per row: 1.35 sigma are 0.029.
        let fine = |p: &mut Synthetic| (p.wave_min, p.wave_max) = (Some(5000.0), Some(5020.0));
        assert_eq!(default_step(&psf(fine)), 0.03);
        // 1 Angstrom per row of a PSF so narrow that 1.35 sigma are less than a row.
        let narrow = |p: &mut Synthetic| (p.wave_min, p.wave_max, p.sigma_y) = (Some(5000.0), Some(6024.0), 0.6);
        let step = default_step(&psf(narrow));
        assert!((1.0..=1.5).contains(&step), "{step}");
        let mut without_name = psf(|p| p.sigma_y = 2.0);
        without_name.update(|p| p.camera = None).unwrap();
        assert_eq!(default_step(&without_name), 1.5);
    }
}
