//! One spot, evaluated edge by edge.

use crate::geometry::{SpotShape, param};
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Pixel-integrated Gauss-Hermite profiles of all orders on `2 half + 1` pixels, `[degree + 1, 2 half + 1]`.
///
/// e is a pixel edge in units of sigma from the centre. Order 0 is the difference of `erf(e / sqrt 2) / 2`; order k > 0 is
/// `He_{k-1}(e) phi(e)` at the left edge minus at the right.
fn profiles(offset: f64, sigma: f64, half: usize, degree: usize, out: &mut [f64]) {
    let n = 2 * half + 1;
    let edge = |i: usize| (i as f64 - half as f64 - 0.5 - offset) / sigma;
    let at = |e: f64, order: &mut [f64]| {
        order[0] = -0.5 * libm::erf(e * FRAC_1_SQRT_2);
        let (mut before, mut current) = (0.0, (-0.5 * e * e).exp() / (2.0 * PI).sqrt());
        for k in 1..=degree {
            order[k] = current;
            (before, current) = (current, e * current - (k - 1) as f64 * before);
        }
    };
    let (mut left, mut right) = (vec![0.0; degree + 1], vec![0.0; degree + 1]);
    at(edge(0), &mut left);
    for i in 0..n {
        at(edge(i + 1), &mut right);
        for k in 0..=degree {
            out[k * n + i] = left[k] - right[k];
        }
        std::mem::swap(&mut left, &mut right);
    }
}

/// One spot `[ny, nx]`, clipped at 0 and normalised to sum 1.
///
/// `shape` are the parameters of [`param`]'s order; `offset` the trace's offset (x, y) from its pixel.
/// Where nothing positive is left the spot is zero.
pub fn spot(spots: &SpotShape, offset: (f64, f64), shape: &[f64], out: &mut [f64]) {
    out.fill(0.0);
    sum_of_profiles(spots, offset, shape, out);
    if spots.tails {
        add_tails(spots, offset, &shape[spots.nparam() - param::TAILS..], out);
    }
    normalise(out);
}

/// Adds the Gauss-Hermite functions of widths and coefficients `shape` to a spot.
pub(in crate::stages) fn sum_of_profiles(spots: &SpotShape, offset: (f64, f64), shape: &[f64], out: &mut [f64]) {
    let (nx, ny) = (spots.nx(), spots.ny());
    let (degx, degy) = (spots.degree_x, spots.degree_y);
    let mut along_x = vec![0.0; (degx + 1) * nx];
    let mut along_y = vec![0.0; (degy + 1) * ny];
    profiles(offset.0, shape[param::SIGMA_X], spots.half_x, degx, &mut along_x);
    profiles(offset.1, shape[param::SIGMA_Y], spots.half_y, degy, &mut along_y);
    for (i, row) in along_x.chunks(nx).enumerate() {
        let gh = &shape[param::GH + i * (degy + 1)..][..degy + 1];
        for y in 0..ny {
            let weight: f64 = gh.iter().enumerate().map(|(j, c)| c * along_y[j * ny + y]).sum();
            for (pixel, profile) in out[y * nx..(y + 1) * nx].iter_mut().zip(row) {
                *pixel += weight * profile;
            }
        }
    }
}

/// Clips a spot at 0 and normalises its sum to 1.
pub(super) fn normalise(out: &mut [f64]) {
    // NaN compares false: a spot of non-finite parameters is zero, it covers nothing.
    out.iter_mut().for_each(|p| *p = if *p > 0.0 { *p } else { 0.0 });
    let sum: f64 = out.iter().sum();
    if sum > 0.0 && sum.is_finite() {
        out.iter_mut().for_each(|p| *p /= sum);
    } else {
        out.fill(0.0);
    }
}

/// Adds specter's power-law tail, evaluated at pixel centres.
pub(super) fn add_tails(spots: &SpotShape, offset: (f64, f64), tails: &[f64], out: &mut [f64]) {
    let [amplitude, core, x_scale, y_scale, index] = *tails else {
        return;
    };
    let nx = spots.nx();
    for (i, pixel) in out.iter_mut().enumerate() {
        let dx = (i % nx) as f64 - spots.half_x as f64 - offset.0;
        let dy = (i / nx) as f64 - spots.half_y as f64 - offset.1;
        let r2 = (dx * x_scale).powi(2) + (dy * y_scale).powi(2);
        *pixel += amplitude * r2 / (core * core + r2).powf(1.0 + 0.5 * index);
    }
}
