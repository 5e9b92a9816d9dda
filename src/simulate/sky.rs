//! The night sky: a continuum and the lines of the built-in list.
//!
//! Brightness is in electron/Angstrom in 1000 s, at the level of a dark sky in a DESI fibre.

use crate::fits::night_sky_lines;
use nalgebra::{Matrix3, Vector3};

/// Intrinsic width of a sky line, Angstrom, and at least in steps of the grid. A narrower line is no Gaussian on its bins, and
/// its centre depends on where these are.
const LINE_SIGMA: f64 = 0.4;
const LINE_STEPS: f64 = 0.65;

/// Returns the intrinsic width of the lines, Angstrom, on a grid of a step: that of a simulation, as bins are points of
/// light. Lines of the real sky are narrower.
pub fn line_sigma(step: f64) -> f64 {
    LINE_SIGMA.max(LINE_STEPS * step)
}

/// Computes the sky brightness at `wave` (Angstrom), electron/Angstrom in 1000 s.
pub fn spectrum(wave: &[f64]) -> Vec<f64> {
    let mut sky: Vec<f64> = wave.iter().map(|&w| continuum(w)).collect();
    for line in night_sky_lines() {
        add_sky_line(wave, &mut sky, line.wave, line.weight.unwrap_or(0.0));
    }
    sky
}

/// Adds a line of `electrons` in total: a Gaussian, changed a little at the bins so that sum, centre and variance are exact.
/// Sampled as it is on wide bins, its centre would be off by up to 0.02 Angstrom.
fn add_sky_line(wave: &[f64], flux: &mut [f64], centre: f64, electrons: f64) {
    let at = wave.partition_point(|&w| w < centre);
    let step = if (1..wave.len()).contains(&at) { wave[at] - wave[at - 1] } else { return };
    let sigma = line_sigma(step);
    let first = wave.partition_point(|&w| w < centre - 6.0 * sigma);
    let last = wave.partition_point(|&w| w <= centre + 6.0 * sigma);
    let place = |k: usize| (wave[k] - centre) / sigma;
    let gauss: Vec<f64> = (first..last).map(|k| (-0.5 * place(k).powi(2)).exp()).collect();
    let moment = |power: i32| gauss.iter().zip(first..).map(|(g, k)| g * place(k).powi(power)).sum::<f64>();
    let [m0, m1, m2, m3, m4] = [0, 1, 2, 3, 4].map(moment);
    let matrix = Matrix3::new(m0, m1, m2, m1, m2, m3, m2, m3, m4);
    // Lines beside the grid have no bins, or too few.
    let Some(c) = matrix.try_inverse().map(|inverse| inverse * Vector3::new(1.0, 0.0, 1.0)) else { return };
    for (g, k) in gauss.iter().zip(first..) {
        let t = place(k);
        flux[k] += (g * (c[0] + c[1] * t + c[2] * t * t)).max(0.0) * electrons / step;
    }
}

/// Returns the continuum: it rises to the red, with the broad hump of street lamps about 5900 Angstrom.
pub(super) fn continuum(wave: f64) -> f64 {
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
            assert!(
                (found[0] - 1.0).abs() < 1e-6 && found[1].abs() < 1e-6 && (found[2] - 0.52f64.powi(2)).abs() < 1e-6,
                "{found:?}"
            );
        }
    }
}
