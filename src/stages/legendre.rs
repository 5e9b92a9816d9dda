//! Legendre series of a wavelength.

/// Value of the Legendre series `coeff` at `u`, by Bonnet's recurrence
/// `k P_k = (2k - 1) u P_{k-1} - (k - 1) P_{k-2}`.
pub fn legendre(coeff: &[f64], u: f64) -> f64 {
    let (mut before, mut current, mut sum) = (0.0, 1.0, 0.0);
    for (k, c) in coeff.iter().enumerate() {
        sum += c * current;
        let n = k as f64;
        let next = ((2.0 * n + 1.0) * u * current - n * before) / (n + 1.0);
        (before, current) = (current, next);
    }
    sum
}

/// `u` of a wavelength on a series' domain: -1 at its lower end, 1 at its upper end.
pub fn unit(domain: [f64; 2], wave: f64) -> f64 {
    2.0 * (wave - domain[0]) / (domain[1] - domain[0]) - 1.0
}

/// Values of the Legendre polynomials P_0, P_1, … at `u`.
pub fn polynomials(count: usize, u: f64) -> Vec<f64> {
    let (mut before, mut current) = (0.0, 1.0);
    (0..count)
        .map(|k| {
            let (value, n) = (current, k as f64);
            (before, current) = (current, ((2.0 * n + 1.0) * u * current - n * before) / (n + 1.0));
            value
        })
        .collect()
}
