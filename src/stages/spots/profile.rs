//! Profiles of eight spots at once along one axis, one spot per lane.
//!
//! [`super::spot`](fn@super::spot) evaluates a profile edge by edge; this file uses recurrences. With h the pixel in units of
//! sigma, phi goes from edge to edge by factors that themselves fall by exp(-h^2). It starts at the centre, so that rounding
//! grows with the square of at most half the spot's width. Order 0 between two edges is a two-point Hermite quadrature of phi.
//! The recurrence of the higher orders gives its derivatives (-1)^k He_k phi, so there is no erf.

use crate::stages::simd::{Arithmetic, Kernel, Octet, Simd, dispatch};
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
        for k in 0..S::PARTS {
            profile::<_, D>(simd.part(k), &self.offset, &self.sigma, self.half, self.degree, self.out);
        }
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
pub(super) fn profile<P: Arithmetic, const D: usize>(
    part: P,
    offset: &Octet,
    sigma: &Octet,
    half: usize,
    degree: usize,
    out: &mut [Octet],
) {
    // Equal intervals of at most one sigma, `steps` a pixel.
    let mut steps = 1.0f64;
    for sigma in sigma.0 {
        steps = steps.max((1.0 / sigma).ceil());
    }
    let steps = steps as usize;
    let start = Start::new(part, offset, sigma, steps);
    let profile = Profile { start: &start, weights: weights(part, start.width), steps, half, degree };
    profile.fill::<D, true>(part, out);
    profile.fill::<D, false>(part, out);
}

/// Quantities that the pixels on both sides of the edge next to the centre share.
struct Profile<'a, P: Arithmetic> {
    start: &'a Start<P>,
    weights: [P::Lanes; ORDER],
    /// Intervals a pixel.
    steps: usize,
    half: usize,
    degree: usize,
}

impl<P: Arithmetic> Profile<'_, P> {
    /// Fills the pixels above or below that edge, going away from it.
    #[inline(always)]
    fn fill<const D: usize, const ABOVE: bool>(&self, part: P, out: &mut [Octet]) {
        let Self { start, weights, steps, half, degree } = self;
        let (n, one) = (2 * half + 1, part.splat(1.0));
        let direction = part.splat(if ABOVE { 1.0 } else { -1.0 });
        let mut edge = Edge::at(part, start, ABOVE);
        let mut before = edge.derivatives::<D>(part);
        let mut terms = quadrature(part, weights, &before);
        for k in 0..if ABOVE { half + 1 } else { *half } {
            let first = before;
            let mut integral = part.splat(0.0);
            for _ in 0..*steps {
                edge.step(part);
                before = edge.derivatives::<D>(part);
                let after = quadrature(part, weights, &before);
                // Odd derivatives have opposite signs at the two ends.
                let odd = part.neg_mul_add(one, terms[1], after[1]);
                integral = part.add(integral, part.add(terms[0], after[0]));
                integral = part.mul_add(direction, odd, integral);
                terms = after;
            }
            let mut at = if ABOVE { half + k } else { half - 1 - k };
            part.store(integral, &mut out[at]);
            // Constant bounds: derivatives stay in registers.
            for order in 0..D {
                if order < *degree {
                    let (left, right) =
                        if ABOVE { (first[order], before[order]) } else { (before[order], first[order]) };
                    at += n;
                    part.store(part.neg_mul_add(one, right, left), &mut out[at]);
                }
            }
        }
    }
}

/// Weights of derivatives of phi at the ends of an interval `width` sigmas long.
#[inline(always)]
fn weights<P: Arithmetic>(part: P, width: P::Lanes) -> [P::Lanes; ORDER] {
    let (mut weights, mut power) = ([width; ORDER], width);
    for k in 0..ORDER {
        weights[k] = part.mul(part.splat(WEIGHTS[k]), power);
        power = part.mul(power, width);
    }
    weights
}

/// Terms of one end of an interval: the even derivatives, and the odd ones, which have the other sign at its left end.
#[inline(always)]
fn quadrature<P: Arithmetic, const D: usize>(
    part: P,
    weights: &[P::Lanes; ORDER],
    derivatives: &[P::Lanes; D],
) -> [P::Lanes; 2] {
    let mut terms = [part.splat(0.0); 2];
    for k in (0..ORDER).rev() {
        terms[k % 2] = part.mul_add(weights[k], derivatives[k], terms[k % 2]);
    }
    terms
}

/// Quantities at the edge next to the centre, from which both directions start.
struct Start<P: Arithmetic> {
    /// The edge in sigmas.
    edge: P::Lanes,
    /// An interval in sigmas.
    width: P::Lanes,
    phi: P::Lanes,
    /// Factors of phi to the next edge above and below.
    up: P::Lanes,
    down: P::Lanes,
    /// Factor of these factors.
    decay: P::Lanes,
}

impl<P: Arithmetic> Start<P> {
    #[inline(always)]
    fn new(part: P, offset: &Octet, sigma: &Octet, steps: usize) -> Self {
        let one = part.splat(1.0);
        let width = part.div(one, part.mul(part.load(sigma), part.splat(steps as f64)));
        let edge = part.div(part.neg_mul_add(one, part.load(offset), part.splat(-0.5)), part.load(sigma));
        // |offset| <= 0.5 keeps the edge within 1/sigma, and intervals are at most a sigma.
        let mut narrowest = f64::INFINITY;
        for sigma in sigma.0 {
            narrowest = narrowest.min(sigma);
        }
        let largest = (0.5 / (narrowest * narrowest)).max(1.0 / narrowest + 0.5);
        let squarings = (2.0 * largest).log2().ceil().max(0.0) as u32;
        let half = part.splat(-0.5);
        let (square, product) = (part.mul(width, width), part.mul(width, edge));
        let exponents = [
            part.mul(half, part.mul(edge, edge)),
            part.neg_mul_add(one, product, part.mul(half, square)),
            part.mul_add(one, product, part.mul(half, square)),
            part.mul(part.splat(-1.0), square),
        ];
        let [phi, up, down, decay] = exp(part, exponents, squarings);
        Self { edge, width, phi: part.mul(phi, part.splat(1.0 / (2.0 * PI).sqrt())), up, down, decay }
    }
}

/// Coefficients of the Taylor series of e^x from x^14 to x^0.
const TAYLOR: [f64; 15] = {
    let (mut out, mut factorial, mut k) = ([1.0; 15], 1.0, 1);
    while k < 15 {
        factorial *= k as f64;
        out[14 - k] = 1.0 / factorial;
        k += 1;
    }
    out
};

/// e^x for four values of x, |x| <= 2^squarings / 2: the Taylor series of `x / 2^squarings` to x^14, squared so many times.
#[inline(always)]
fn exp<P: Arithmetic>(part: P, x: [P::Lanes; 4], squarings: u32) -> [P::Lanes; 4] {
    let (mut x, scale) = (x, part.splat(0.5f64.powi(squarings as i32)));
    let mut sums = [part.splat(TAYLOR[0]); 4];
    for i in 0..4 {
        x[i] = part.mul(x[i], scale);
    }
    for k in 1..TAYLOR.len() {
        for i in 0..4 {
            sums[i] = part.mul_add(x[i], sums[i], part.splat(TAYLOR[k]));
        }
    }
    for _ in 0..squarings {
        for i in 0..4 {
            sums[i] = part.mul(sums[i], sums[i]);
        }
    }
    sums
}

/// An edge that moves away from the centre.
struct Edge<P: Arithmetic> {
    at: P::Lanes,
    phi: P::Lanes,
    ratio: P::Lanes,
    decay: P::Lanes,
    /// An interval with the sign of the direction.
    move_by: P::Lanes,
}

impl<P: Arithmetic> Edge<P> {
    #[inline(always)]
    fn at(part: P, start: &Start<P>, above: bool) -> Self {
        Self {
            at: start.edge,
            phi: start.phi,
            ratio: if above { start.up } else { start.down },
            decay: start.decay,
            move_by: part.mul(start.width, part.splat(if above { 1.0 } else { -1.0 })),
        }
    }

    #[inline(always)]
    fn step(&mut self, part: P) {
        self.phi = part.mul(self.phi, self.ratio);
        self.ratio = part.mul(self.ratio, self.decay);
        self.at = part.add(self.at, self.move_by);
    }

    /// He_k phi, k < D, by `He_{k+1} = e He_k - k He_{k-1}`.
    #[inline(always)]
    fn derivatives<const D: usize>(&self, part: P) -> [P::Lanes; D] {
        let mut out = [self.phi; D];
        out[1] = part.mul(self.at, self.phi);
        for k in 1..D - 1 {
            // One operation waits for the newest of them.
            out[k + 1] = part.mul_add(self.at, out[k], part.mul(part.splat(-(k as f64)), out[k - 1]));
        }
        out
    }
}
