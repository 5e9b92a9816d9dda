//! Spots: the pixel-integrated PSF of every fibre and wavelength bin, by the equations of its kind.

mod block;
mod fibre_images;
mod model;
mod profile;
mod sampled;
mod source;
mod spot;

use super::simd::Octet;
use super::traces::Traces;
use crate::geometry::SpotShape;
use block::{Block, LANES};
pub use model::{SpotKind, SpotModel};
pub(super) use profile::profiles_of_axes;
use rayon::prelude::*;
pub use source::SpotSource;
pub use spot::spot;
pub(super) use spot::sum_of_profiles;

/// All Gauss-Hermite spots of `traces`, `[nfibre, nbin, ny, nx]`. The corner pixel of a spot is
/// (`pixel_x - half_x`, `pixel_y - half_y`).
pub fn spots(traces: &Traces, shape: &SpotShape) -> Vec<f64> {
    let mut out = vec![0.0; traces.nfibre * traces.nbin * shape.size()];
    if out.is_empty() {
        return out;
    }
    let of_fibre = |(fibre, out): (usize, &mut [f64])| {
        let mut block = Block::new(shape);
        let mut stamps = vec![Octet::default(); LANES * block.size()];
        let mut scale = [0.0; LANES];
        for (k, out) in out.chunks_mut(LANES * shape.size()).enumerate() {
            load(&mut block, traces, fibre * traces.nbin + LANES * k, out.len() / shape.size());
            block.evaluate(&mut stamps, &mut scale);
            let spots = out.chunks_exact_mut(shape.size()).zip(stamps.chunks_exact(block.size()));
            for ((out, stamp), scale) in spots.zip(scale) {
                for (k, pixel) in out.iter_mut().enumerate() {
                    let (y, x) = (k / shape.nx(), k % shape.nx());
                    *pixel = scale * stamp[x / 8 * shape.ny() + y].0[x % 8];
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
    block.series[..2].copy_from_slice(&[octet(&traces.offset_x), octet(&traces.offset_y)]);
    block.shift = [0; LANES];
    for (param, row) in block.series[2..].iter_mut().zip(traces.shape.chunks_exact(count)) {
        *param = octet(row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::param;

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
