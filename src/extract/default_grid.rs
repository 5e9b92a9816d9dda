//! The grid of an extraction that names none: where the chosen fibres are on the CCD, by a step that suits the PSF.

use crate::psf::Psf;
use crate::solver::default_step;
use crate::stages::traces::{legendre, unit};

/// Places at which each trace is looked at for the CCD's ends.
const PLACES: usize = 257;

/// Returns the default (WMIN, WMAX, DW) of an extraction of some fibres, Angstrom. The grid is the part of WAVEMIN,
/// WAVEMIN + DW, … to WAVEMAX where all of them are on the CCD.
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
