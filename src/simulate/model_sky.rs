//! A computed night sky: the bright atomic lines and an OH forest of rotating molecules, at any wavelength.

use super::sky::{add_line, continuum};

/// Intrinsic width of a line, Angstrom.
const LINE_SIGMA: f64 = 0.4;

/// Atomic lines: wavelength in vacuum (Angstrom), electrons in 1000 s. Street lamps included.
const ATOMIC: [(f64, f64); 14] = [
    (3663.3, 300.0),    // Hg
    (4047.7, 500.0),    // Hg
    (4359.6, 1500.0),   // Hg
    (5199.3, 1200.0),   // [N I]
    (5462.3, 1800.0),   // Hg
    (5578.9, 55_000.0), // [O I]
    (5685.1, 900.0),    // Na
    (5771.2, 600.0),    // Hg
    (5891.6, 7000.0),   // Na D2
    (5897.6, 4000.0),   // Na D1
    (6302.0, 25_000.0), // [O I]
    (6365.5, 8300.0),   // [O I]
    (7473.0, 700.0),    // [N I]
    (8448.7, 2500.0),   // O I
];

/// OH Meinel bands: origin (Angstrom), upper and lower vibrational level, electrons of its strongest line.
const OH_BANDS: [(f64, f64, f64, f64); 16] = [
    (5562.0, 7.0, 1.0, 400.0),
    (5893.0, 8.0, 2.0, 1200.0),
    (6168.0, 5.0, 0.0, 600.0),
    (6264.0, 9.0, 3.0, 3000.0),
    (6506.0, 6.0, 1.0, 3500.0),
    (6840.0, 7.0, 2.0, 9000.0),
    (7284.0, 8.0, 3.0, 10_000.0),
    (7524.0, 4.0, 0.0, 3000.0),
    (7758.0, 9.0, 4.0, 13_000.0),
    (7920.0, 5.0, 1.0, 16_000.0),
    (8352.0, 6.0, 2.0, 25_000.0),
    (8775.0, 7.0, 3.0, 36_000.0),
    (9382.0, 8.0, 4.0, 38_000.0),
    (9795.0, 3.0, 0.0, 16_000.0),
    (10_010.0, 9.0, 5.0, 30_000.0),
    (10_275.0, 4.0, 1.0, 30_000.0),
];

/// Rotational temperature of the OH layer, K.
const OH_TEMPERATURE: f64 = 200.0;
/// Boltzmann's constant, 1/(cm K).
const BOLTZMANN: f64 = 0.695;
/// Shift of the second spin ladder's P and R lines to the blue, 1/cm, and their relative brightness.
const SECOND_LADDER: (f64, f64) = (23.0, 0.45);

/// Computes the sky brightness at `wave` (Angstrom), electron/Angstrom in 1000 s.
pub fn spectrum(wave: &[f64]) -> Vec<f64> {
    let mut sky: Vec<f64> = wave.iter().map(|&w| continuum(w)).collect();
    for (centre, electrons) in ATOMIC.into_iter().chain(oh_lines()) {
        add_line(wave, &mut sky, centre, LINE_SIGMA, electrons);
    }
    sky
}

/// Returns the lines of all [`OH_BANDS`]: P, Q and R branches of a rotating molecule in thermal equilibrium.
fn oh_lines() -> impl Iterator<Item = (f64, f64)> {
    OH_BANDS.into_iter().flat_map(|(origin, upper, lower, strongest)| {
        // Rotational constants of OH by vibrational level, 1/cm.
        let constant = |v: f64| 18.5 - 0.714 * (v + 0.5);
        let (b_upper, b_lower) = (constant(upper), constant(lower));
        let energy = |b: f64, n: f64| b * n * (n + 1.0);
        let weight = move |n: f64| (2.0 * n + 1.0) * (-energy(b_upper, n) / (BOLTZMANN * OH_TEMPERATURE)).exp();
        let brightest = (1..=9).map(|n| weight(n as f64)).fold(0.0, f64::max);
        (1..=9).flat_map(move |n| {
            let n = n as f64;
            let line = move |n_lower: f64, shift: f64, share: f64| {
                let wavenumber = 1e8 / origin + energy(b_upper, n) - energy(b_lower, n_lower) + shift;
                (1e8 / wavenumber, strongest * share * weight(n) / brightest)
            };
            let (shift, second) = SECOND_LADDER;
            [
                line(n + 1.0, 0.0, 1.0),
                line(n + 1.0, shift, second),
                line(n, 0.0, 0.9 / n),
                line(n - 1.0, 0.0, 0.5),
                line(n - 1.0, shift, 0.5 * second),
            ]
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oh_forest_lies_between_its_bands_ends() {
        let lines: Vec<_> = oh_lines().collect();
        assert_eq!(lines.len(), OH_BANDS.len() * 45);
        assert!(lines.iter().all(|(w, e)| (5300.0..11_000.0).contains(w) && *e > 0.0));
    }
}
