//! Spots: the pixel-integrated Gauss-Hermite PSF of every fibre and wavelength bin.

mod block;
mod source;

use super::simd::Octet;
use super::traces::{Traces, param};
use crate::geometry::SpotShape;
use block::{Block, LANES};
use rayon::prelude::*;
pub use source::SpotSource;
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Pixel-integrated Gauss-Hermite profiles of all orders on `2 half + 1` pixels, `[degree + 1, 2 half + 1]`.
///
/// With e the pixel edges in units of sigma from the centre: order 0 is the difference of
/// `erf(e / sqrt 2) / 2`, order k > 0 is `He_{k-1}(e) phi(e)` at the left edge minus at the right.
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
    let (nx, ny) = (spots.nx(), spots.ny());
    let (degx, degy) = (spots.degree_x, spots.degree_y);
    let mut along_x = vec![0.0; (degx + 1) * nx];
    let mut along_y = vec![0.0; (degy + 1) * ny];
    profiles(offset.0, shape[param::SIGMA_X], spots.half_x, degx, &mut along_x);
    profiles(offset.1, shape[param::SIGMA_Y], spots.half_y, degy, &mut along_y);
    out.fill(0.0);
    for (i, row) in along_x.chunks(nx).enumerate() {
        let gh = &shape[param::GH + i * (degy + 1)..][..degy + 1];
        for y in 0..ny {
            let weight: f64 = gh.iter().enumerate().map(|(j, c)| c * along_y[j * ny + y]).sum();
            for (pixel, profile) in out[y * nx..(y + 1) * nx].iter_mut().zip(row) {
                *pixel += weight * profile;
            }
        }
    }
    if spots.tails {
        add_tails(spots, offset, &shape[spots.nparam() - param::TAILS..], out);
    }
    normalise(out);
}

/// Clips a spot at 0 and normalises its sum to 1.
fn normalise(out: &mut [f64]) {
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
fn add_tails(spots: &SpotShape, offset: (f64, f64), tails: &[f64], out: &mut [f64]) {
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

/// All spots of `traces`, `[nfibre, nbin, ny, nx]`. The corner pixel of a spot is
/// (`pixel_x - half_x`, `pixel_y - half_y`).
pub fn spots(traces: &Traces, shape: &SpotShape) -> Vec<f64> {
    let mut out = vec![0.0; traces.nfibre * traces.nbin * shape.size()];
    if out.is_empty() {
        return out;
    }
    let of_fibre = |(fibre, out): (usize, &mut [f64])| {
        let mut block = Block::new(shape);
        let mut stamps = vec![Octet::default(); LANES * block.size()];
        for (k, out) in out.chunks_mut(LANES * shape.size()).enumerate() {
            load(&mut block, traces, fibre * traces.nbin + LANES * k, out.len() / shape.size());
            block.evaluate(&mut stamps);
            for (out, stamp) in out.chunks_exact_mut(shape.size()).zip(stamps.chunks_exact(block.size())) {
                let rows = stamp.chunks_exact(shape.octets());
                for (out, row) in out.chunks_exact_mut(shape.nx()).zip(rows) {
                    out.copy_from_slice(&bytemuck::cast_slice(row)[..shape.nx()]);
                }
            }
        }
    };
    out.par_chunks_mut(traces.nbin * shape.size()).enumerate().for_each(of_fibre);
    out
}

/// Loads `used` spots from index `first` of the traces on; further lanes repeat the last of them.
fn load(block: &mut Block, traces: &Traces, first: usize, used: usize) {
    let count = traces.nfibre * traces.nbin;
    let octet = |row: &[f64]| Octet(std::array::from_fn(|lane| row[first + lane.min(used - 1)]));
    block.offset = [octet(&traces.offset_x), octet(&traces.offset_y)];
    block.shift = [0; LANES];
    for (param, row) in block.params.iter_mut().zip(traces.shape.chunks_exact(count)) {
        *param = octet(row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One fibre of `n` spots with all kinds of widths, offsets and Hermite terms.
    fn traces(shape: &SpotShape, n: usize, narrowest: f64) -> Traces {
        let wave = |k: usize, i: usize| ((1 + k) as f64 * 0.7 * (1 + i) as f64).sin();
        let mut values = vec![0.0; shape.nparam() * n];
        for (k, row) in values.chunks_exact_mut(n).enumerate() {
            for (i, v) in row.iter_mut().enumerate() {
                *v = match k {
                    param::SIGMA_X | param::SIGMA_Y => narrowest * (2.0 + wave(k, i)),
                    param::GH => 1.0,
                    _ => 0.02 * wave(k, i),
                };
            }
        }
        let offset = |s: f64| (0..n).map(|i| 0.5 * (s * i as f64).sin()).collect();
        let pixel = vec![0; n];
        Traces {
            nfibre: 1,
            nbin: n,
            pixel_x: pixel.clone(),
            pixel_y: pixel,
            offset_x: offset(1.3),
            offset_y: offset(2.1),
            shape: values,
        }
    }

    #[test]
    fn eight_at_once_give_what_one_by_one_gives() {
        for (half_x, half_y, degree, narrowest) in [(8, 5, 6, 1.0), (14, 8, 8, 0.5), (3, 2, 0, 0.2), (4, 4, 1, 2.0)] {
            let shape = SpotShape { half_x, half_y, degree_x: degree, degree_y: degree, tails: false };
            let traces = traces(&shape, 21, narrowest);
            let all = spots(&traces, &shape);
            let mut alone = vec![0.0; shape.size()];
            for (i, ours) in all.chunks_exact(shape.size()).enumerate() {
                let params: Vec<f64> = (0..shape.nparam()).map(|k| traces.shape[k * 21 + i]).collect();
                spot(&shape, (traces.offset_x[i], traces.offset_y[i]), &params, &mut alone);
                let close = ours.iter().zip(&alone).all(|(a, b)| (a - b).abs() < 1e-13);
                assert!(close, "half {half_x}, degree {degree}, spot {i}");
            }
        }
    }

    #[test]
    fn a_spot_sums_to_1_and_one_of_impossible_parameters_covers_nothing() {
        let shape = SpotShape { half_x: 6, half_y: 6, degree_x: 2, degree_y: 2, tails: false };
        let mut traces = traces(&shape, 5, 1.0);
        traces.shape[param::SIGMA_X * 5 + 1] = f64::NAN;
        traces.shape[param::SIGMA_Y * 5 + 2] = 0.0;
        traces.shape[param::SIGMA_Y * 5 + 3] = 1e-3;
        let all = spots(&traces, &shape);
        let sum = |i: usize| all[i * shape.size()..(i + 1) * shape.size()].iter().sum::<f64>();
        assert!((sum(0) - 1.0).abs() < 1e-14 && (sum(3) - 1.0).abs() < 1e-14 && (sum(4) - 1.0).abs() < 1e-14);
        assert_eq!((sum(1), sum(2)), (0.0, 0.0));
        assert!(all.iter().all(|p| p.is_finite() && *p >= 0.0));
    }
}
