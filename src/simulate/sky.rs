//! The night sky: a continuum and the lines of the built-in list.
//!
//! Brightness is in electron/Angstrom in 1000 s, at the level of a dark sky in a DESI fibre.

use crate::fits::night_sky_lines;

/// Intrinsic width of a sky line, Angstrom: narrower than the grid, wide enough for its bins.
const LINE_SIGMA: f64 = 0.4;

/// Returns the intrinsic width of the lines, Angstrom, on a grid of a step: that of a simulation, as bins are points of
/// light. Lines of the real sky are narrower.
pub fn line_sigma(step: f64) -> f64 {
    LINE_SIGMA.max(0.5 * step)
}

/// Computes the sky brightness at `wave` (Angstrom), electron/Angstrom in 1000 s.
pub fn spectrum(wave: &[f64]) -> Vec<f64> {
    let mut sky: Vec<f64> = wave.iter().map(|&w| continuum(w)).collect();
    for line in night_sky_lines() {
        add_sky_line(wave, &mut sky, line.wave, line.weight.unwrap_or(0.0));
    }
    sky
}

/// Adds a line of `electrons` in total. Its centre and width are exact: where bins are too wide to sample a Gaussian, three
/// bins have its sum, its mean and its variance.
fn add_sky_line(wave: &[f64], flux: &mut [f64], centre: f64, electrons: f64) {
    let step = if wave.len() > 1 { wave[1] - wave[0] } else { return };
    let sigma = line_sigma(step);
    if sigma > 0.75 * step {
        return add_line(wave, flux, centre, sigma, electrons);
    }
    let nearest = ((centre - wave[0]) / step).round();
    if !(1.0..wave.len() as f64 - 1.0).contains(&nearest) {
        return;
    }
    let (k, off) = (nearest as usize, (centre - wave[0]) / step - nearest);
    let square = (sigma / step).powi(2) + off * off;
    let weights = [0.5 * (square - off), 1.0 - square, 0.5 * (square + off)];
    (0..3).for_each(|i| flux[k - 1 + i] += weights[i] * electrons / step);
}

/// Returns the continuum: it rises to the red, with the broad hump of street lamps about 5900 Angstrom.
fn continuum(wave: f64) -> f64 {
    let hump = (-0.5 * ((wave - 5900.0) / 180.0).powi(2)).exp();
    55.0 + 9.0 * (wave - 6000.0) / 1000.0 + 12.0 * hump
}

/// Adds a Gaussian line of `electrons` in total to a spectrum in electron/Angstrom.
pub fn add_line(wave: &[f64], flux: &mut [f64], centre: f64, sigma: f64, electrons: f64) {
    let peak = electrons / (sigma * (2.0 * std::f64::consts::PI).sqrt());
    let first = wave.partition_point(|&w| w < centre - 6.0 * sigma);
    for (w, f) in wave[first..].iter().zip(&mut flux[first..]) {
        let t = (w - centre) / sigma;
        if t > 6.0 {
            break;
        }
        *f += peak * (-0.5 * t * t).exp();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(low: f64, high: f64) -> Vec<f64> {
        (0..((high - low) / 0.1) as usize).map(|k| low + 0.1 * k as f64).collect()
    }

    #[test]
    fn bright_lines_stand_where_the_night_sky_has_them() {
        let wave = grid(5550.0, 7820.0);
        let sky = spectrum(&wave);
        let brightest = (0..wave.len()).max_by(|&a, &b| sky[a].total_cmp(&sky[b])).unwrap();
        assert!((wave[brightest] - 5578.9).abs() < 0.2);
        let at = |w: f64| sky[wave.partition_point(|&x| x < w)];
        assert!(at(6302.0) > 10.0 * at(6310.0) && at(6365.5) > 10.0 * at(6372.0));
        assert!(sky.iter().all(|&s| s > 40.0));
    }

    #[test]
    fn a_line_holds_its_electrons() {
        let wave = grid(6000.0, 6100.0);
        let mut flux = vec![0.0; wave.len()];
        add_line(&wave, &mut flux, 6051.23, 0.4, 1234.0);
        let total: f64 = flux.iter().sum::<f64>() * 0.1;
        assert!((total - 1234.0).abs() < 1e-5, "{total}");
    }

    #[test]
    fn a_sky_line_has_its_centre_and_width_on_wide_bins() {
        let wave: Vec<f64> = (0..100).map(|k| 6000.0 + 0.8 * f64::from(k)).collect();
        for k in 0..9 {
            let (mut flux, centre) = (vec![0.0; 100], 6040.0 + 0.1 * f64::from(k));
            add_sky_line(&wave, &mut flux, centre, 500.0);
            let moment = |power: i32| -> f64 {
                0.8 * wave.iter().zip(&flux).map(|(w, f)| f * (w - centre).powi(power)).sum::<f64>() / 500.0
            };
            assert!(flux.iter().all(|f| *f > -1e-12));
            let found = [0, 1, 2].map(moment);
            assert!((found[0] - 1.0).abs() < 1e-9 && found[1].abs() < 1e-9 && (found[2] - 0.16).abs() < 1e-9, "{found:?}");
        }
    }
}
