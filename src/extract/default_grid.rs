//! The grid of an extraction that names none: where the chosen fibres are on the CCD, by a step that suits the PSF.

use crate::psf::Psf;
use crate::solver::Sampling;
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

/// Places at which each trace is looked at for the CCD's ends.
const PLACES: usize = 257;

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

/// Returns (WMIN, WMAX, DW) in Angstrom of an extraction of fibres of a PSF that names none: the part of WAVEMIN, WAVEMIN + DW, …
/// to WAVEMAX where all of them are on the CCD.
pub fn default_wavelength(psf: &Psf, specmin: usize, nspec: Option<usize>) -> (f64, f64, f64) {
    let (low, high, step) = (psf.wave_min, psf.wave_max, default_step(psf));
    let first = specmin.min(psf.nfibre);
    let end = nspec.map_or(psf.nfibre, |n| first.saturating_add(n).min(psf.nfibre));
    let on_ccd = (first..end).filter_map(|fibre| range_on_ccd(psf, fibre));
    let common = on_ccd.fold([low, high], |all, own| [all[0].max(own[0]), all[1].min(own[1])]);
    let bins = [((common[0] - low) / step).ceil(), ((common[1] - low) / step).floor()];
    // A fibre apart from all others leaves no common range.
    if bins[0] > bins[1] { (low, high, step) } else { (low + bins[0] * step, low + bins[1] * step, step) }
}

/// Returns the wavelengths between which a trace is on the CCD; None for a trace that is off it for more than half of them.
fn range_on_ccd(psf: &Psf, fibre: usize) -> Option<[f64; 2]> {
    let spacing = (psf.wave_max - psf.wave_min) / (PLACES - 1) as f64;
    let last = (psf.npix_y - 1) as f64;
    let inside = |w: f64| (0.0..=last).contains(&legendre(psf.trace_y.of(fibre), unit(psf.trace_y.domain, w)));
    let wave = |k: usize| psf.wave_min + k as f64 * spacing;
    let places: Vec<usize> = (0..PLACES).filter(|&k| inside(wave(k))).collect();
    if 2 * places.len() < PLACES {
        return None;
    }
    // Bisection between a place on the CCD and the one before or after, which is off it.
    let edge = |mut on: f64, mut off: f64| {
        for _ in 0..40 {
            let middle = 0.5 * (on + off);
            *(if inside(middle) { &mut on } else { &mut off }) = middle;
        }
        on
    };
    let (first, end) = (places[0], places[places.len() - 1]);
    let low = if first == 0 { psf.wave_min } else { edge(wave(first), wave(first - 1)) };
    let high = if end == PLACES - 1 { psf.wave_max } else { edge(wave(end), wave(end + 1)) };
    Some([low, high])
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

    #[test]
    fn the_range_is_where_all_chosen_fibres_are_on_the_ccd_on_the_bins_of_the_whole_one() {
        let psf = psf(|_| {});
        let y = |fibre: usize, w: f64| legendre(psf.trace_y.of(fibre), unit(psf.trace_y.domain, w));
        for (specmin, nspec) in [(0, None), (3, Some(2)), (9, Some(1))] {
            let (low, high, step) = default_wavelength(&psf, specmin, nspec);
            let fibres = specmin..nspec.map_or(10, |n| specmin + n);
            let all_on = |w: f64| fibres.clone().all(|fibre| (0.0..=1023.0).contains(&y(fibre, w)));
            assert!(all_on(low) && all_on(high), "{low} to {high}");
            assert!(low < psf.wave_min + step || !all_on(low - 1.01 * step), "{low} is not the first");
            assert!(high > psf.wave_max - step || !all_on(high + 1.01 * step), "{high} is not the last");
            assert!((((low - psf.wave_min) / step).round() * step + psf.wave_min - low).abs() < 1e-9);
        }
    }
}
