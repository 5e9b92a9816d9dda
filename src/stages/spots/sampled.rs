//! Spots of sampled images: rebinned at every whole displacement beforehand, so that a spot is a sum of few small images.

use crate::geometry::SpotShape;
use crate::psf::{PolynomialImages, Remainder, SpotImages, SpotNorm};
use crate::stages::simd::{Kernel, Simd, dispatch};
use std::f64::consts::PI;

/// Reach of the damped sinc in pixels, and the pixels over which it is damped.
const SINC_REACH: i64 = 10;
const SINC_DAMPING: f64 = 3.25;
/// Displacements below this, in pixels, are none.
const NO_SHIFT: f64 = 1e-6;

/// Returns the cell of ascending `places` around a value and the weights of its two ends. Beyond the ends it is extrapolated.
pub(super) fn cell(places: &[f64], value: f64) -> [(usize, f64); 2] {
    if places.len() == 1 {
        return [(0, 1.0), (0, 0.0)];
    }
    let upper = places.partition_point(|place| *place < value).clamp(1, places.len() - 1);
    let weight = (value - places[upper - 1]) / (places[upper] - places[upper - 1]);
    [(upper - 1, 1.0 - weight), (upper, weight)]
}

/// Returns the slit positions around one, of the same bundle, and their weights.
pub(super) fn positions_around(images: &SpotImages, position: f64) -> [(usize, f64); 2] {
    let of_bundle = images.positions_at(position);
    cell(&images.parts().positions[of_bundle.clone()], position).map(|(at, weight)| (of_bundle.start + at, weight))
}

/// Returns the first pixel of an image on its window, and its displacement within that pixel in samples: whole and remainder.
fn placed(centre: f64, oversampling: usize, offset: f64, half: usize) -> (usize, usize, f64) {
    let r = oversampling as f64;
    // The sample `centre` falls on the trace; pixels are divided at their edges.
    let start = offset + 0.5 - (centre + 0.5) / r;
    // The floor; without SSE4 that is a call.
    let towards_0 = start as i32 as f64;
    let pixel = if towards_0 > start { towards_0 - 1.0 } else { towards_0 };
    let displacement = (r * (start - pixel)).clamp(0.0, r);
    let whole = (displacement as usize).min(oversampling - 1);
    ((pixel + half as f64) as usize, whole, displacement - whole as f64)
}

/// Where an image falls on its window: the first pixel, and along either axis the two displacements in samples with their
/// weights. y before x.
pub(super) struct Placement {
    pub corner: [usize; 2],
    phases: [[(usize, f64); 2]; 2],
    /// Displacement beyond whole samples in pixels, for the sinc alone.
    rest: Option<[f64; 2]>,
}

impl Placement {
    pub fn of(shape: &SpotShape, images: &SpotImages, offset: (f64, f64)) -> Option<Self> {
        let parts = images.parts();
        let axes = [(parts.centre[0], offset.1, shape.half_y), (parts.centre[1], offset.0, shape.half_x)];
        if axes.iter().any(|(_, offset, _)| !offset.is_finite()) {
            return None;
        }
        let [y, x] = axes.map(|(centre, offset, half)| placed(centre, parts.oversampling, offset, half));
        let sinc = parts.remainder == Remainder::Sinc;
        let phases = |(_, phase, rest): (usize, usize, f64)| match sinc {
            true => [(phase, 1.0), (phase, 0.0)],
            false => [(phase, 1.0 - rest), (phase + 1, rest)],
        };
        let r = parts.oversampling as f64;
        let rest = sinc.then(|| [y.2 / r, x.2 / r]);
        Some(Self { corner: [y.0, x.0], phases: [phases(y), phases(x)], rest })
    }

    /// Lists the displacements `[y, x]` with weights above 0.
    pub fn terms(&self) -> impl Iterator<Item = ([usize; 2], f64)> {
        let [along_y, along_x] = self.phases;
        let pairs = along_y.into_iter().flat_map(move |(y, of_y)| along_x.map(|(x, of_x)| ([y, x], of_y * of_x)));
        pairs.filter(|(_, weight)| *weight != 0.0)
    }

    /// Adds up images, moves the sum by a rest, clips it at 0 and normalises it, and puts it onto its window.
    fn finish(
        &self,
        shape: &SpotShape,
        images: &SpotImages,
        terms: &[(f64, &[f64])],
        sum: &mut [f64],
        out: &mut [f64],
    ) {
        let [_, columns] = images.size();
        sum.fill(0.0);
        dispatch(Sum { terms, out: sum });
        if let Some(rest) = self.rest {
            sinc_shift(sum, columns, rest);
        }
        dispatch(Normalise { image: sum, norm: images.parts().norm });
        let [y0, x0] = self.corner;
        for (row, from) in sum.chunks_exact(columns).enumerate() {
            out[(y0 + row) * shape.nx() + x0..][..columns].copy_from_slice(from);
        }
    }
}

/// Evaluates a spot of images on a grid, clipped and normalised; `params` are slit position and wavelength.
pub(super) fn grid_spot(shape: &SpotShape, images: &SpotImages, offset: (f64, f64), params: &[f64], out: &mut [f64]) {
    out.fill(0.0);
    let Some(placement) = Placement::of(shape, images, offset).filter(|_| params.iter().all(|p| p.is_finite())) else {
        return;
    };
    let (parts, [rows, columns]) = (images.parts(), images.size());
    let mut terms: Vec<(f64, &[f64])> = Vec::with_capacity(16);
    for (position, of_position) in positions_around(images, params[0]) {
        for (wave, of_wave) in cell(&parts.waves[position], params[1]) {
            let (image, of_place) = (images.first()[position] + wave, of_position * of_wave);
            let all = placement.terms().filter(|_| of_place != 0.0);
            terms.extend(all.map(|(phase, weight)| (of_place * weight, images.phase(image, phase))));
        }
    }
    placement.finish(shape, images, &terms, &mut vec![0.0; rows * columns], out);
}

/// Clips an image at 0, and normalises its sum to 1 unless it is the part of all light. One without a finite positive sum
/// covers nothing.
struct Normalise<'a> {
    image: &'a mut [f64],
    norm: SpotNorm,
}

impl Kernel for Normalise<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        // Lanes of their own keep the additions independent.
        let mut lanes = [0.0; 8];
        for chunk in self.image.chunks_mut(8) {
            for (lane, p) in lanes.iter_mut().zip(chunk) {
                *p = if *p > 0.0 { *p } else { 0.0 };
                *lane += *p;
            }
        }
        let sum: f64 = lanes.iter().sum();
        let scale = if sum > 0.0 && sum.is_finite() { 1.0 / sum } else { 0.0 };
        if scale == 0.0 {
            return self.image.fill(0.0);
        }
        if self.norm == SpotNorm::Total {
            return;
        }
        self.image.iter_mut().for_each(|p| *p *= scale);
    }
}

/// Adds up weighted images of one size.
struct Sum<'a, 'b> {
    terms: &'a [(f64, &'a [f64])],
    out: &'b mut [f64],
}

impl Kernel for Sum<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for four in self.terms.chunks(4) {
            match *four {
                // Four images at a time, so that the sum is loaded and stored once for all of them.
                [(a, p), (b, q), (c, r), (d, s)] => {
                    let n = self.out.len();
                    let (p, q, r, s) = (&p[..n], &q[..n], &r[..n], &s[..n]);
                    for k in 0..n {
                        self.out[k] += (a * p[k] + b * q[k]) + (c * r[k] + d * s[k]);
                    }
                }
                ref few => {
                    for (weight, image) in few {
                        self.out.iter_mut().zip(*image).for_each(|(to, from)| *to += weight * from);
                    }
                }
            }
        }
    }
}

/// Evaluates a spot of images with powers of the position, before it is clipped and normalised; `params` are the group and
/// the scaled position.
pub(super) fn polynomial_spot(images: &PolynomialImages, offset: (f64, f64), params: &[f64], out: &mut [f64]) {
    let parts = images.parts();
    out.fill(0.0);
    if !(offset.0.is_finite() && offset.1.is_finite() && params.iter().all(|p| p.is_finite())) {
        return;
    }
    let [group, x, y] = [params[0], params[1], params[2]];
    let all = images.of(group.round().max(0.0) as usize).chunks_exact(parts.ny * parts.nx);
    for (powers, image) in parts.powers.iter().zip(all) {
        let weight = x.powi(powers[0]) * y.powi(powers[1]);
        out.iter_mut().zip(image).for_each(|(to, from)| *to += weight * from);
    }
    sinc_shift(out, parts.nx, [offset.1, offset.0]);
}

/// Moves an image of `columns` by `[y, x]` pixels with a damped sinc. Rows count as one long line, as do columns: the end of
/// one adjoins the next.
fn sinc_shift(image: &mut [f64], columns: usize, [y, x]: [f64; 2]) {
    let rows = image.len() / columns;
    if x.abs() > NO_SHIFT {
        let line = convolved(image, x);
        image.copy_from_slice(&line);
    }
    if y.abs() > NO_SHIFT {
        let turned: Vec<f64> = (0..image.len()).map(|k| image[k % rows * columns + k / rows]).collect();
        let line = convolved(&turned, y);
        line.into_iter().enumerate().for_each(|(k, value)| image[k % rows * columns + k / rows] = value);
    }
}

/// Convolves a line with the sinc of a displacement.
fn convolved(line: &[f64], shift: f64) -> Vec<f64> {
    let kernel: Vec<f64> = (-SINC_REACH..=SINC_REACH)
        .map(|s| {
            let at = (s as f64 - shift) * PI;
            (-(at / (SINC_DAMPING * PI)).powi(2)).exp() * at.sin() / at
        })
        .collect();
    let at = |k: usize| {
        let tap = |(s, weight): (i64, &f64)| {
            let from = usize::try_from(k as i64 - s).ok()?;
            line.get(from).map(|value| weight * value)
        };
        (-SINC_REACH..=SINC_REACH).zip(&kernel).filter_map(tap).sum()
    };
    (0..line.len()).map(at).collect()
}
