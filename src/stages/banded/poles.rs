//! Poles and weights of the square root: `sqrt(z) ~ sum_k w_k z / (z + sigma_k)` on an interval.
//!
//! Method 3 of Hale, Higham & Trefethen, SIAM J. Numer. Anal. 46, 2505 (2008): the trapezoidal rule after a conformal
//! map by Jacobi's elliptic functions. With N poles on [m, M] the relative error is about
//! `exp(-2 pi^2 N / (ln(M/m) + 3))`; here it is measured on a grid of z.

use crate::stages::simd::Octet;

/// Poles and weights for the interval [ratio, 1]; for [ratio M, M] poles scale with M, weights with sqrt(M).
#[derive(Clone, Debug)]
pub(crate) struct Root {
    /// Lower end of the interval.
    pub(crate) ratio: f64,
    /// sigma_k.
    pub(crate) poles: Vec<f64>,
    /// w_k.
    pub(crate) weights: Vec<f64>,
    /// Largest relative error on the interval.
    pub(crate) error: f64,
}

/// The quarter period K(m) of the parameter m = 1 - `complement`, by Gauss's arithmetic-geometric mean.
fn quarter_period(complement: f64) -> f64 {
    let (mut a, mut b) = (1.0, complement.sqrt());
    while (a - b).abs() > 1e-15 * a {
        (a, b) = (0.5 * (a + b), (a * b).sqrt());
    }
    std::f64::consts::FRAC_PI_2 / a
}

/// (cn/sn, dn)(u | 1 - `complement`) by descending Landen transformations (Bulirsch, Numer. Math. 7, 78, 1965).
fn jacobi_elliptic(u: f64, complement: f64) -> (f64, f64) {
    let (mut a, mut b, mut means) = (1.0, complement, Vec::new());
    let mean = loop {
        b = b.sqrt();
        means.push((a, b));
        let mean = 0.5 * (a + b);
        if (a - b).abs() <= 1e-8 * a {
            break mean;
        }
        (b, a) = (a * b, mean);
    };
    let (sin, cos) = (u * mean).sin_cos();
    let (mut ratio, mut cotangent, mut dn) = (cos / sin, mean * cos / sin, 1.0);
    for (a, b) in means.into_iter().rev() {
        ratio *= cotangent;
        cotangent *= dn;
        dn = (b + ratio) / (a + ratio);
        ratio = cotangent / a;
    }
    (cotangent, dn)
}

impl Root {
    /// The approximation on [`ratio`, 1] with `count` poles.
    pub(crate) fn new(ratio: f64, count: usize) -> Self {
        let period = quarter_period(ratio);
        let pole = |k: usize| {
            let (cotangent, dn) = jacobi_elliptic((k as f64 + 0.5) * period / count as f64, ratio);
            let square = cotangent * cotangent;
            // cn^2 = c^2 / (1 + c^2) with c = cn/sn.
            let weight =
                2.0 * period * ratio.sqrt() / (std::f64::consts::PI * count as f64) * dn * (1.0 + square) / square;
            (ratio / square, weight)
        };
        let (poles, weights) = (0..count).map(pole).unzip();
        let mut root = Self { ratio, poles, weights, error: 0.0 };
        // The error oscillates with as many maxima as there are poles.
        let samples = 16 * count;
        let z = |i: usize| ratio.powf(i as f64 / samples as f64);
        root.error = (0..=samples).map(|i| (root.at(z(i)) / z(i).sqrt() - 1.0).abs()).fold(0.0, f64::max);
        root
    }

    /// The approximation of sqrt(z).
    pub(crate) fn at(&self, z: f64) -> f64 {
        self.poles.iter().zip(&self.weights).map(|(sigma, weight)| weight * z / (z + sigma)).sum()
    }

    /// Poles and weights, eight at a time.
    pub(crate) fn octets(&self) -> impl ExactSizeIterator<Item = (Octet, Octet)> {
        let (poles, weights) = (self.poles.as_chunks().0, self.weights.as_chunks().0);
        poles.iter().zip(weights).map(|(poles, weights)| (Octet(*poles), Octet(*weights)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_what_theory_says_for_any_interval() {
        for ratio in [0.3f64, 1e-2, 1e-4, 1e-6, 1e-9, 1e-16] {
            for count in (8..=48).step_by(4) {
                let root = Root::new(ratio, count);
                let theory = (-2.0 * std::f64::consts::PI.powi(2) * count as f64 / ((1.0 / ratio).ln() + 3.0)).exp();
                assert!(root.error < 4.0 * theory + 1e-13, "{ratio} {count}: {} {theory}", root.error);
            }
        }
    }

    #[test]
    fn poles_and_weights_are_those_of_another_program() {
        // scipy.special.ellipk, ellipj: ratio 1e-4, 8 poles, the first and the last.
        let root = Root::new(1e-4, 8);
        let close = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-11;
        assert!(close(root.poles[0], FIRST.0) && close(root.weights[0], FIRST.1));
        assert!(close(root.poles[7], LAST.0) && close(root.weights[7], LAST.1));
    }

    const FIRST: (f64, f64) = (1.4691047482317766e-05, 0.005106227087595414);
    const LAST: (f64, f64) = (6.806866570974507, 3.475740646635509);
}
