//! Legendre series of a wavelength.

use nalgebra::{DMatrix, DVector};

pub use crate::psf::{legendre, unit};

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

/// Fits the Legendre series of `ncoeff` terms to `values` at `u` by least squares; the shortest one where the points leave a
/// choice.
pub fn legendre_fit(u: &[f64], values: &[f64], ncoeff: usize) -> Vec<f64> {
    /// Singular values below this part of the largest one are of no polynomial that the points determine.
    const DEPENDENT: f64 = 1e-9;
    // The decomposition of what is no number never ends.
    if u.is_empty() || u.iter().any(|u| !u.is_finite()) {
        return vec![0.0; ncoeff];
    }
    let rows: Vec<Vec<f64>> = u.iter().map(|&u| polynomials(ncoeff, u)).collect();
    let svd = DMatrix::from_fn(u.len(), ncoeff, |row, k| rows[row][k]).svd(true, true);
    let least = DEPENDENT * svd.singular_values.max();
    let found = svd.solve(&DVector::from_column_slice(values), least);
    found.map_or_else(|_| vec![0.0; ncoeff], |coeff| coeff.as_slice().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fit_finds_the_series_that_its_points_are_of_and_goes_through_few_points() {
        let series = [2000.0, 1500.0, -30.0, 4.0, 0.3];
        let u: Vec<f64> = (0..40).map(|k| (0.9 * f64::from(k)).sin()).collect();
        let values: Vec<f64> = u.iter().map(|&u| legendre(&series, u)).collect();
        let found = legendre_fit(&u, &values, 7);
        assert!(found.iter().zip(series.iter().chain(&[0.0; 2])).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}");
        let few = legendre_fit(&u[..2], &values[..2], 4);
        assert!((0..2).all(|k| (legendre(&few, u[k]) - values[k]).abs() < 1e-9), "{few:?}");
        assert_eq!(legendre_fit(&[], &[], 2), [0.0; 2]);
    }
}
