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

/// Fits the Legendre series of `ncoeff` terms to `values` at `u` by least squares. Terms that the points do not determine are 0.
///
/// The polynomials at the points are made orthonormal by Gram and Schmidt's way, done twice for digits.
pub fn legendre_fit(u: &[f64], values: &[f64], ncoeff: usize) -> Vec<f64> {
    /// A polynomial whose remainder is smaller than this depends on those of lower order.
    const DEPENDENT: f64 = 1e-9;
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    // Every orthonormal column with its own coefficients in Legendre polynomials.
    let mut columns: Vec<(Vec<f64>, Vec<f64>)> = Vec::new();
    let mut coeff = vec![0.0; ncoeff];
    for k in 0..ncoeff {
        let mut own = vec![0.0; ncoeff];
        own[k] = 1.0;
        let mut column: Vec<f64> = u.iter().map(|&u| legendre(&own[..=k], u)).collect();
        let whole = dot(&column, &column).sqrt();
        for _ in 0..2 {
            for (other, of_other) in &columns {
                let share = dot(other, &column);
                column.iter_mut().zip(other).for_each(|(c, o)| *c -= share * o);
                own.iter_mut().zip(of_other).for_each(|(c, o)| *c -= share * o);
            }
        }
        let norm = dot(&column, &column).sqrt();
        if norm > DEPENDENT * whole {
            column.iter_mut().chain(&mut own).for_each(|c| *c /= norm);
            columns.push((column, own));
        }
    }
    let mut residual = values.to_vec();
    for (column, own) in &columns {
        let share = dot(column, &residual);
        residual.iter_mut().zip(column).for_each(|(r, c)| *r -= share * c);
        coeff.iter_mut().zip(own).for_each(|(c, o)| *c += share * o);
    }
    coeff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fit_finds_the_series_that_its_points_are_of_and_leaves_out_what_they_do_not_determine() {
        let series = [2000.0, 1500.0, -30.0, 4.0, 0.3];
        let u: Vec<f64> = (0..40).map(|k| (0.9 * f64::from(k)).sin()).collect();
        let values: Vec<f64> = u.iter().map(|&u| legendre(&series, u)).collect();
        let found = legendre_fit(&u, &values, 7);
        assert!(found.iter().zip(series.iter().chain(&[0.0; 2])).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}");
        let few = legendre_fit(&u[..2], &values[..2], 4);
        assert!((legendre(&few, u[1]) - values[1]).abs() < 1e-9 && few[2..] == [0.0; 2], "{few:?}");
    }
}
