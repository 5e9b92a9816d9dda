//! Eight spots at once, one per lane: consecutive bins of one fibre.
//!
//! [`super::spot`](fn@super::spot) evaluates a profile edge by edge; this file uses recurrences. With h the pixel in units of
//! sigma, phi goes from edge to edge by factors that themselves fall by exp(-h^2). It starts at the centre, so that rounding
//! grows with the square of at most half the spot's width. Order 0 between two edges is a two-point Hermite quadrature of phi.
//! The recurrence of the higher orders gives its derivatives (-1)^k He_k phi, so there is no erf.

use super::spot::{add_tails, spot};
use crate::geometry::{SpotShape, param};
use crate::stages::simd::{Kernel, Octet, Simd, dispatch};
use std::f64::consts::PI;

/// Spots evaluated at once.
pub(crate) const LANES: usize = 8;

/// Derivatives of phi used at either end of a quadrature interval, and the highest Hermite order that needs no more.
const ORDER: usize = 8;

/// Weights of the quadrature of 2 x 8 derivatives: `C(8, k+1) / C(16, k+1) / (k+1)!`. On an interval of one sigma
/// it is exact to 5e-14.
const WEIGHTS: [f64; ORDER] =
    [0.5, 7.0 / 60.0, 1.0 / 60.0, 1.0 / 624.0, 1.0 / 9360.0, 1.0 / 205_920.0, 1.0 / 7_207_200.0, 1.0 / 518_918_400.0];

/// Narrower than 1/8 pixel the intervals get too many, and so do the digits lost: such spots are evaluated one by one.
const MAX_STEPS: f64 = 8.0;

/// Most Hermite orders of the fast path.
const MAX_DEGREE: usize = 16;

/// Eight spots of one fibre: their parameters, and room to evaluate them.
pub(crate) struct Block {
    pub shape: SpotShape,
    /// Offsets of the traces from their pixels, x and y.
    pub offset: [Octet; 2],
    /// Parameters, `[nparam]`.
    pub params: Vec<Octet>,
    /// Column of each spot's first pixel within its first octet.
    pub shift: [usize; LANES],
    /// Profiles along x and y, `[degree + 1, n]`.
    profiles: [Vec<Octet>; 2],
    /// Hermite terms summed over y's orders, `[ny, degree_x + 1]`.
    weights: Vec<Octet>,
    /// Profiles along x of one spot on its octets, `[degree_x + 1, octets]`.
    along_x: Vec<Octet>,
}

impl Block {
    pub fn new(shape: &SpotShape) -> Self {
        let zeros = |n: usize| vec![Octet::default(); n];
        Self {
            shape: *shape,
            offset: [Octet::default(); 2],
            params: zeros(shape.nparam()),
            shift: [0; LANES],
            profiles: [zeros((shape.degree_x + 1) * shape.nx()), zeros((shape.degree_y + 1) * shape.ny())],
            weights: zeros(shape.ny() * (shape.degree_x + 1)),
            along_x: zeros((shape.degree_x + 1) * shape.octets()),
        }
    }

    /// Octets of one spot.
    pub fn size(&self) -> usize {
        self.shape.ny() * self.shape.octets()
    }

    /// Writes the spots of the first lanes, `[lanes, ny, octets]`.
    pub fn evaluate(&mut self, out: &mut [Octet]) {
        let widths = [param::SIGMA_X, param::SIGMA_Y].map(|k| self.params[k].0);
        let degree = self.shape.degree_x.max(self.shape.degree_y);
        // NaN compares false and goes the careful way, too.
        if degree < MAX_DEGREE && widths.iter().flatten().all(|sigma| *sigma >= 1.0 / MAX_STEPS) {
            match degree {
                0..=ORDER => dispatch(Evaluate::<ORDER>(self, out)),
                _ => dispatch(Evaluate::<MAX_DEGREE>(self, out)),
            }
        } else {
            self.one_by_one(out);
        }
    }

    fn lane(&self, lane: usize) -> ((f64, f64), Vec<f64>) {
        ((self.offset[0].0[lane], self.offset[1].0[lane]), self.params.iter().map(|p| p.0[lane]).collect())
    }

    fn one_by_one(&self, out: &mut [Octet]) {
        let mut pixels = vec![0.0; self.shape.size()];
        let octets = self.shape.octets();
        out.fill(Octet::default());
        for (lane, stamp) in out.chunks_exact_mut(self.size()).enumerate() {
            let (offset, params) = self.lane(lane);
            spot(&self.shape, offset, &params, &mut pixels);
            for (k, p) in pixels.iter().enumerate() {
                let column = self.shift[lane] + k % self.shape.nx();
                stamp[k / self.shape.nx() * octets + column / 8].0[column % 8] = *p;
            }
        }
    }

    /// Adds the tails of one lane, which come before a spot is clipped and normalised.
    fn add_tails(&self, lane: usize, stamp: &mut [Octet]) {
        let (offset, params) = self.lane(lane);
        let mut tails = vec![0.0; self.shape.size()];
        add_tails(&self.shape, offset, &params[self.shape.nparam() - param::TAILS..], &mut tails);
        let (nx, octets) = (self.shape.nx(), self.shape.octets());
        for (k, tail) in tails.into_iter().enumerate() {
            let column = self.shift[lane] + k % nx;
            stamp[k / nx * octets + column / 8].0[column % 8] += tail;
        }
    }
}

/// Evaluates a block; `D` derivatives of phi are at least those of the orders and of the quadrature.
struct Evaluate<'a, 'b, const D: usize>(&'a mut Block, &'b mut [Octet]);

impl<const D: usize> Kernel for Evaluate<'_, '_, D> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self(block, out) = self;
        block.profiles::<S, D>(simd);
        block.sum_over_y(simd);
        let tails = block.shape.tails;
        for (lane, stamp) in out.chunks_exact_mut(block.size()).enumerate() {
            block.place(lane);
            match block.shape.octets() {
                1 => block.rows::<S, 1>(simd, lane, stamp),
                2 => block.rows::<S, 2>(simd, lane, stamp),
                3 => block.rows::<S, 3>(simd, lane, stamp),
                4 => block.rows::<S, 4>(simd, lane, stamp),
                _ => block.wide_rows(simd, lane, stamp),
            }
            if tails {
                block.add_tails(lane, stamp);
            }
            normalise(simd, stamp);
        }
    }
}

impl Block {
    #[inline(always)]
    fn profiles<S: Simd, const D: usize>(&mut self, simd: S) {
        let Self { shape, offset, params, profiles: [along_x, along_y], .. } = self;
        profile::<S, D>(simd, &offset[0].0, &params[param::SIGMA_X], shape.half_x, shape.degree_x, along_x);
        profile::<S, D>(simd, &offset[1].0, &params[param::SIGMA_Y], shape.half_y, shape.degree_y, along_y);
    }

    /// The Hermite terms of every row and order along x, lanes still being spots.
    #[inline(always)]
    fn sum_over_y<S: Simd>(&mut self, simd: S) {
        let (ny, terms) = (self.shape.ny(), self.shape.degree_y + 1);
        let along_y = &self.profiles[1];
        for (k, weight) in self.weights.iter_mut().enumerate() {
            let (y, i) = (k / (self.shape.degree_x + 1), k % (self.shape.degree_x + 1));
            let coefficients = &self.params[param::GH + i * terms..][..terms];
            let mut sum = simd.splat(0.0);
            for (j, c) in coefficients.iter().enumerate() {
                sum = simd.mul_add(simd.load(c), simd.load(&along_y[j * ny + y]), sum);
            }
            simd.store(sum, weight);
        }
    }

    /// Puts the profiles along x of one lane onto its octets.
    #[inline(always)]
    fn place(&mut self, lane: usize) {
        let (nx, octets, shift) = (self.shape.nx(), self.shape.octets(), self.shift[lane]);
        self.along_x.fill(Octet::default());
        let rows = self.along_x.chunks_exact_mut(octets).zip(self.profiles[0].chunks_exact(nx));
        for (to, from) in rows {
            let to: &mut [f64] = bytemuck::cast_slice_mut(to);
            to[shift..shift + nx].iter_mut().zip(from).for_each(|(t, f)| *t = f.0[lane]);
        }
    }

    /// One spot, lanes being columns.
    #[inline(always)]
    fn rows<S: Simd, const O: usize>(&self, simd: S, lane: usize, stamp: &mut [Octet]) {
        let terms = self.shape.degree_x + 1;
        for (weights, row) in self.weights.chunks_exact(terms).zip(stamp.chunks_exact_mut(O)) {
            let mut sums = [simd.splat(0.0); O];
            for (weight, profile) in weights.iter().zip(self.along_x.chunks_exact(O)) {
                let weight = simd.splat(weight.0[lane]);
                for o in 0..O {
                    sums[o] = simd.mul_add(weight, simd.load(&profile[o]), sums[o]);
                }
            }
            for o in 0..O {
                simd.store(sums[o], &mut row[o]);
            }
        }
    }

    /// Sums rows of any width.
    #[inline(always)]
    fn wide_rows<S: Simd>(&self, simd: S, lane: usize, stamp: &mut [Octet]) {
        let (terms, octets) = (self.shape.degree_x + 1, self.shape.octets());
        for (weights, row) in self.weights.chunks_exact(terms).zip(stamp.chunks_exact_mut(octets)) {
            for (o, pixels) in row.iter_mut().enumerate() {
                let mut sum = simd.splat(0.0);
                for (i, weight) in weights.iter().enumerate() {
                    sum = simd.mul_add(simd.splat(weight.0[lane]), simd.load(&self.along_x[i * octets + o]), sum);
                }
                simd.store(sum, pixels);
            }
        }
    }
}

/// Clips a spot at 0 and normalises its sum to 1; one without a finite positive sum covers nothing.
#[inline(always)]
fn normalise<S: Simd>(simd: S, stamp: &mut [Octet]) {
    let zero = simd.splat(0.0);
    let mut sum = zero;
    for p in stamp.iter() {
        sum = simd.add(sum, simd.max(simd.load(p), zero));
    }
    let sum = simd.sum(sum);
    if sum > 0.0 && sum.is_finite() {
        let scale = simd.splat(1.0 / sum);
        for p in stamp {
            simd.store(simd.mul(simd.max(simd.load(p), zero), scale), p);
        }
    } else {
        stamp.fill(Octet::default());
    }
}

/// Pixel-integrated Gauss-Hermite profiles of all orders, `[degree + 1, 2 half + 1]`, by recurrence instead of erf.
#[inline(always)]
fn profile<S: Simd, const D: usize>(
    simd: S,
    offset: &[f64; LANES],
    sigma: &Octet,
    half: usize,
    degree: usize,
    out: &mut [Octet],
) {
    let n = 2 * half + 1;
    // Equal intervals of at most one sigma, `steps` a pixel.
    let steps = sigma.0.iter().fold(1.0f64, |s, sigma| s.max((1.0 / sigma).ceil())) as usize;
    let start = Start::new(simd, offset, sigma, steps);
    for (direction, pixels) in [(1.0, half..n), (-1.0, 0..half)] {
        let mut edge = Edge::at(simd, &start, direction);
        let mut before = edge.derivatives::<D>(simd);
        for k in 0..pixels.len() {
            let pixel = if direction > 0.0 { pixels.start + k } else { pixels.end - 1 - k };
            let first = before;
            let mut integral = simd.splat(0.0);
            for _ in 0..steps {
                edge.step(simd);
                let after = edge.derivatives::<D>(simd);
                let (left, right) = if direction > 0.0 { (&before, &after) } else { (&after, &before) };
                integral = simd.add(integral, quadrature(simd, edge.width, left, right));
                before = after;
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

/// Integral of phi between two edges `width` sigmas apart.
#[inline(always)]
fn quadrature<S: Simd, const D: usize>(
    simd: S,
    width: S::Lanes,
    left: &[S::Lanes; D],
    right: &[S::Lanes; D],
) -> S::Lanes {
    let mut sum = simd.splat(0.0);
    for k in (0..ORDER).rev() {
        // phi^(k) = (-1)^k He_k phi enters with (-1)^k at the right end.
        let sign = simd.splat(if k % 2 == 0 { 1.0 } else { -1.0 });
        let both = simd.mul_add(sign, left[k], right[k]);
        sum = simd.mul(simd.mul_add(simd.splat(WEIGHTS[k]), both, sum), width);
    }
    sum
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
    fn new<S: Simd>(simd: S, offset: &[f64; LANES], sigma: &Octet, steps: usize) -> Self {
        let width = Octet(sigma.0.map(|sigma| 1.0 / (sigma * steps as f64)));
        let edge = Octet(std::array::from_fn(|l| (-0.5 - offset[l]) / sigma.0[l]));
        // |offset| <= 0.5 keeps the edge within 1/sigma, and intervals are at most a sigma.
        let narrowest = sigma.0.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = (0.5 / (narrowest * narrowest)).max(1.0 / narrowest + 0.5);
        let squarings = (2.0 * largest).log2().ceil().max(0.0) as u32;
        let (w, e) = (simd.load(&width), simd.load(&edge));
        let half = simd.splat(-0.5);
        let (square, we) = (simd.mul(w, w), simd.mul(w, e));
        let phi = exp(simd, simd.mul(half, simd.mul(e, e)), squarings);
        let up = exp(simd, simd.neg_mul_add(simd.splat(1.0), we, simd.mul(half, square)), squarings);
        let down = exp(simd, simd.mul_add(simd.splat(1.0), we, simd.mul(half, square)), squarings);
        let decay = exp(simd, simd.mul(simd.splat(-1.0), square), squarings);
        Self {
            phi: octet(simd, simd.mul(phi, simd.splat(1.0 / (2.0 * PI).sqrt()))),
            ratio: [octet(simd, up), octet(simd, down)],
            decay: octet(simd, decay),
            edge,
            width,
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
    width: S::Lanes,
    /// `width` with the sign of the direction.
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
            width,
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
