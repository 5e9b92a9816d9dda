//! The distribution of chi, and the normal distribution that it should be.

/// Returns the density of `chi` on -limit..limit in cells of width `1 / per_unit`. NaN is left out.
pub fn chi_density(chi: &[f64], limit: f64, per_unit: f64) -> Vec<f64> {
    let mut density = vec![0.0; (2.0 * limit * per_unit) as usize];
    let judged = chi.iter().filter(|c| !c.is_nan()).count();
    for chi in chi.iter().filter(|c| c.abs() < limit) {
        density[((chi + limit) * per_unit) as usize] += per_unit / judged as f64;
    }
    density
}

/// Returns the density of N(0, 1).
pub fn normal_density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()
}
