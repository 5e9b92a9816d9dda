//! Least squares that outliers do not decide.

use crate::base::median::median;
use crate::stages::legendre::{legendre, legendre_fit};
use nalgebra::{DMatrix, DVector};

/// Rounds of fit and clip.
const ROUNDS: usize = 6;
/// Departure of an outlier, in the usual departure.
const CLIP: f64 = 4.0;

/// Returns which values are within the usual departure from a model, or within `least`.
fn inliers(residuals: &[f64], least: f64) -> Vec<bool> {
    let usual = 1.48 * median(residuals.iter().map(|r| r.abs()).collect());
    residuals.iter().map(|r| r.abs() <= (CLIP * usual).max(least)).collect()
}

/// Fits a Legendre series to values at `u`; departures below `least` are never outliers.
pub(super) fn series(u: &[f64], values: &[f64], terms: usize, least: f64) -> Vec<f64> {
    let mut kept = vec![true; u.len()];
    let mut coeff = Vec::new();
    for _ in 0..ROUNDS {
        let of = |from: &[f64]| -> Vec<f64> { from.iter().zip(&kept).filter(|(_, k)| **k).map(|(v, _)| *v).collect() };
        let (at, of_values) = (of(u), of(values));
        coeff = legendre_fit(&at, &of_values, terms.min(at.len()).max(1));
        let residuals: Vec<f64> = u.iter().zip(values).map(|(u, v)| v - legendre(&coeff, *u)).collect();
        let now = inliers(&residuals, least);
        if now == kept {
            break;
        }
        kept = now;
    }
    coeff.resize(terms, 0.0);
    coeff
}

/// Fits the coefficients of any linear model to values: rows of `design`, `unknowns` each. A weak prior of `hold` (1 / sigma^2)
/// holds what no value determines.
pub(super) fn linear(design: &[Vec<(usize, f64)>], values: &[f64], unknowns: usize, least: f64) -> Vec<f64> {
    const HOLD: f64 = 1e-9;
    let mut kept = vec![true; values.len()];
    let mut found = vec![0.0; unknowns];
    for _ in 0..ROUNDS {
        let (mut matrix, mut right) = (DMatrix::zeros(unknowns, unknowns), DVector::zeros(unknowns));
        (0..unknowns).for_each(|k| matrix[(k, k)] = HOLD);
        for ((row, value), _) in design.iter().zip(values).zip(&kept).filter(|(_, kept)| **kept) {
            for (i, a) in row {
                right[*i] += a * value;
                row.iter().for_each(|(j, b)| matrix[(*i, *j)] += a * b);
            }
        }
        let Some(factor) = matrix.cholesky() else { return found };
        found = factor.solve(&right).as_slice().to_vec();
        let residuals: Vec<f64> = design
            .iter()
            .zip(values)
            .map(|(row, value)| value - row.iter().map(|(k, a)| a * found[*k]).sum::<f64>())
            .collect();
        let now = inliers(&residuals, least);
        if now == kept {
            break;
        }
        kept = now;
    }
    found
}
