//! Profiles of eight spots at once along one axis, one spot per lane.
//!
//! [`super::spot`](fn@super::spot) evaluates a profile edge by edge; this file uses recurrences. With h the pixel in units of
//! sigma, phi goes from edge to edge by factors that themselves fall by exp(-h^2). It starts at the centre, so that rounding
//! grows with the square of at most half the spot's width. Order 0 between two edges is a two-point Hermite quadrature of phi.
//! The recurrence of the higher orders gives its derivatives (-1)^k He_k phi, so there is no erf.

use crate::stages::simd::{Kernel, Octet, Simd, dispatch};
use std::f64::consts::PI;

/// Narrower than 1/8 pixel the intervals get too many, and so do the digits lost: such spots are evaluated one by one.
const MAX_STEPS: f64 = 8.0;

/// Most Hermite orders of a profile by recurrence.
pub(super) const MAX_DEGREE: usize = 16;

/// Whether recurrences serve spots of these widths and of a degree; NaN is served edge by edge, too.
pub(super) fn serves(mut widths: impl Iterator<Item = f64>, degree: usize) -> bool {
    degree < MAX_DEGREE && widths.all(|sigma| sigma >= 1.0 / MAX_STEPS)
}

/// Writes the profiles along both axes of one spot, in the first two lanes, `[degree + 1, 2 half + 1]`. Returns whether
/// recurrences serve it; nothing is written if not.
pub(in crate::stages) fn profiles_of_axes(
    offset: [f64; 2],
    sigma: [f64; 2],
    half: usize,
    degree: usize,
    out: &mut Vec<Octet>,
) -> bool {
    if !serves(sigma.into_iter(), degree) {
        return false;
    }
    // Pairs in all lanes: none is out of range.
    let lanes = |pair: [f64; 2]| Octet(std::array::from_fn(|lane| pair[lane % 2]));
    out.resize((degree + 1) * (2 * half + 1), Octet::default());
    let (offset, sigma) = (lanes(offset), lanes(sigma));
    match degree {
        0..=ORDER => dispatch(Axes::<ORDER> { offset, sigma, half, degree, out }),
        _ => dispatch(Axes::<MAX_DEGREE> { offset, sigma, half, degree, out }),
    }
    true
}

/// [`profile`] for every instruction set.
struct Axes<'a, const D: usize> {
    offset: Octet,
    sigma: Octet,
    half: usize,
    degree: usize,
    out: &'a mut [Octet],
}

impl<const D: usize> Kernel for Axes<'_, D> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        profile::<S, D>(simd, &self.offset, &self.sigma, self.half, self.degree, self.out);
    }
}

/// Derivatives of phi used at either end of a quadrature interval, and the highest Hermite order that needs no more.
pub(super) const ORDER: usize = 8;

/// Weights of the quadrature of 2 x 8 derivatives: `C(8, k+1) / C(16, k+1) / (k+1)!`. On an interval of one sigma
/// it is exact to 5e-14.
const WEIGHTS: [f64; ORDER] =
    [0.5, 7.0 / 60.0, 1.0 / 60.0, 1.0 / 624.0, 1.0 / 9360.0, 1.0 / 205_920.0, 1.0 / 7_207_200.0, 1.0 / 518_918_400.0];

/// Pixel-integrated Gauss-Hermite profiles of all orders, `[degree + 1, 2 half + 1]`, by recurrence instead of erf.
#[inline(always)]
pub(super) fn profile<S: Simd, const D: usize>(
    simd: S,
    offset: &Octet,
    sigma: &Octet,
    half: usize,
    degree: usize,
    out: &mut [Octet],
) {
    let n = 2 * half + 1;
    // Equal intervals of at most one sigma, `steps` a pixel.
    let mut steps = 1.0f64;
    for sigma in sigma.0 {
        steps = steps.max((1.0 / sigma).ceil());
    }
    let steps = steps as usize;
    let start = Start::new(simd, offset, sigma, steps);
    let weights = weights(simd, simd.load(&start.width));
    for (direction, pixels) in [(1.0, half..n), (-1.0, 0..half)] {
        let mut edge = Edge::at(simd, &start, direction);
        let mut before = edge.derivatives::<D>(simd);
        let mut terms = quadrature(simd, &weights, &before);
        for k in 0..pixels.len() {
            let pixel = if direction > 0.0 { pixels.start + k } else { pixels.end - 1 - k };
            let first = before;
            let mut integral = simd.splat(0.0);
            for _ in 0..steps {
                edge.step(simd);
                before = edge.derivatives::<D>(simd);
                let after = quadrature(simd, &weights, &before);
                // Odd derivatives have opposite signs at the two ends.
                let odd = simd.neg_mul_add(simd.splat(1.0), terms[1], after[1]);
                integral = simd.add(integral, simd.add(terms[0], after[0]));
                integral = simd.mul_add(simd.splat(direction), odd, integral);
                terms = after;
            }
            let (left, right) = if direction > 0.0 { (&first, &before) } else { (&before, &first) };
            simd.store(integral, &mut out[pixel]);
            for order in 1..=degree {
                let difference = simd.neg_mul_add(simd.splat(1.0), right[order - 1], left[order - 1]);
                simd.store(difference, &mut out[order * n + pixel]);
            }
        }
    }
}

/// Weights of derivatives of phi at the ends of an interval `width` sigmas long.
#[inline(always)]
fn weights<S: Simd>(simd: S, width: S::Lanes) -> [S::Lanes; ORDER] {
    let (mut weights, mut power) = ([width; ORDER], width);
    for k in 0..ORDER {
        weights[k] = simd.mul(simd.splat(WEIGHTS[k]), power);
        power = simd.mul(power, width);
    }
    weights
}

/// Terms of one end of an interval: the even derivatives, and the odd ones, which have the other sign at its left end.
#[inline(always)]
fn quadrature<S: Simd, const D: usize>(
    simd: S,
    weights: &[S::Lanes; ORDER],
    derivatives: &[S::Lanes; D],
) -> [S::Lanes; 2] {
    let mut terms = [simd.splat(0.0); 2];
    for k in (0..ORDER).rev() {
        terms[k % 2] = simd.mul_add(weights[k], derivatives[k], terms[k % 2]);
    }
    terms
}

/// Quantities at the edge next to the centre, from which both directions start.
struct Start {
    /// The edge in sigmas.
    edge: Octet,
    /// An interval in sigmas.
    width: Octet,
    phi: Octet,
    /// Factor of phi to the next edge upwards and downwards.
    ratio: [Octet; 2],
    /// Factor of the ratios.
    decay: Octet,
}

impl Start {
    #[inline(always)]
    fn new<S: Simd>(simd: S, offset: &Octet, sigma: &Octet, steps: usize) -> Self {
        let one = simd.splat(1.0);
        let w = simd.div(one, simd.mul(simd.load(sigma), simd.splat(steps as f64)));
        let e = simd.div(simd.neg_mul_add(one, simd.load(offset), simd.splat(-0.5)), simd.load(sigma));
        // |offset| <= 0.5 keeps the edge within 1/sigma, and intervals are at most a sigma.
        let mut narrowest = f64::INFINITY;
        for sigma in sigma.0 {
            narrowest = narrowest.min(sigma);
        }
        let largest = (0.5 / (narrowest * narrowest)).max(1.0 / narrowest + 0.5);
        let squarings = (2.0 * largest).log2().ceil().max(0.0) as u32;
        let half = simd.splat(-0.5);
        let (square, we) = (simd.mul(w, w), simd.mul(w, e));
        let phi = exp(simd, simd.mul(half, simd.mul(e, e)), squarings);
        let up = exp(simd, simd.neg_mul_add(one, we, simd.mul(half, square)), squarings);
        let down = exp(simd, simd.mul_add(one, we, simd.mul(half, square)), squarings);
        let decay = exp(simd, simd.mul(simd.splat(-1.0), square), squarings);
        Self {
            phi: octet(simd, simd.mul(phi, simd.splat(1.0 / (2.0 * PI).sqrt()))),
            ratio: [octet(simd, up), octet(simd, down)],
            decay: octet(simd, decay),
            edge: octet(simd, e),
            width: octet(simd, w),
        }
    }
}

#[inline(always)]
fn octet<S: Simd>(simd: S, lanes: S::Lanes) -> Octet {
    let mut out = Octet::default();
    simd.store(lanes, &mut out);
    out
}

/// e^x for |x| <= 2^squarings / 2: the Taylor series of `x / 2^squarings` to x^14, squared so many times.
#[inline(always)]
fn exp<S: Simd>(simd: S, x: S::Lanes, squarings: u32) -> S::Lanes {
    let x = simd.mul(x, simd.splat(0.5f64.powi(squarings as i32)));
    let mut sum = simd.splat(1.0);
    for k in (1..=14).rev() {
        sum = simd.mul_add(simd.mul(x, simd.splat(1.0 / f64::from(k))), sum, simd.splat(1.0));
    }
    for _ in 0..squarings {
        sum = simd.mul(sum, sum);
    }
    sum
}

/// An edge that moves away from the centre.
struct Edge<S: Simd> {
    at: S::Lanes,
    phi: S::Lanes,
    ratio: S::Lanes,
    decay: S::Lanes,
    /// An interval with the sign of the direction.
    move_by: S::Lanes,
}

impl<S: Simd> Edge<S> {
    #[inline(always)]
    fn at(simd: S, start: &Start, direction: f64) -> Self {
        let width = simd.load(&start.width);
        Self {
            at: simd.load(&start.edge),
            phi: simd.load(&start.phi),
            ratio: simd.load(&start.ratio[usize::from(direction < 0.0)]),
            decay: simd.load(&start.decay),
            move_by: simd.mul(width, simd.splat(direction)),
        }
    }

    #[inline(always)]
    fn step(&mut self, simd: S) {
        self.phi = simd.mul(self.phi, self.ratio);
        self.ratio = simd.mul(self.ratio, self.decay);
        self.at = simd.add(self.at, self.move_by);
    }

    /// He_k phi, k < D, by `He_{k+1} = e He_k - k He_{k-1}`.
    #[inline(always)]
    fn derivatives<const D: usize>(&self, simd: S) -> [S::Lanes; D] {
        let mut out = [self.phi; D];
        out[1] = simd.mul(self.at, self.phi);
        for k in 1..D - 1 {
            out[k + 1] = simd.neg_mul_add(simd.splat(k as f64), out[k - 1], simd.mul(self.at, out[k]));
        }
        out
    }
}
