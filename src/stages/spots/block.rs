//! Eight spots at once, one a lane: consecutive bins of one fibre.
//!
//! What [`super::spot`] evaluates edge by edge comes here from recurrences. With h the pixel in units of sigma, phi goes from
//! edge to edge by factors that themselves fall by exp(-h^2), outwards from the centre, so that rounding grows with the
//! square of at most half the spot's width. Order 0 between two edges is a two-point Hermite quadrature of phi,
//! whose derivatives (-1)^k He_k phi the recurrence of the higher orders gives: no erf.

use super::super::simd::{Kernel, Octet, Simd, dispatch};
use super::{SpotShape, Traces, add_tails, param, spot};
use std::f64::consts::PI;

/// Spots evaluated at once.
pub(super) const LANES: usize = 8;

/// Derivatives of phi used at either end of a quadrature interval.
const ORDER: usize = 8;

/// Weights of the quadrature of 2 x 8 derivatives: `C(8, k+1) / C(16, k+1) / (k+1)!`. On an interval of one sigma
/// it is exact to 5e-14.
const WEIGHTS: [f64; ORDER] =
    [0.5, 7.0 / 60.0, 1.0 / 60.0, 1.0 / 624.0, 1.0 / 9360.0, 1.0 / 205_920.0, 1.0 / 7_207_200.0, 1.0 / 518_918_400.0];

/// Narrower than 1/8 pixel the intervals get too many, and so do the digits lost: such spots are evaluated one by one.
const MAX_STEPS: f64 = 8.0;

/// Eight spots of one fibre.
pub(super) struct Block {
    shape: SpotShape,
    /// Lanes that are wanted; the others repeat the last of them.
    used: usize,
    offset: [[f64; LANES]; 2],
    /// Parameters, `[nparam]`.
    params: Vec<Octet>,
    /// Profiles along x and y, `[degree + 1, n]`.
    profiles: [Vec<Octet>; 2],
    /// Hermite terms summed over y's orders for one row, `[degree_x + 1]`.
    row: Vec<Octet>,
    /// The spots, `[ny, nx]`.
    pixels: Vec<Octet>,
}

impl Block {
    pub fn new(shape: &SpotShape) -> Self {
        let profile = |degree: usize, n: usize| vec![Octet::default(); (degree + 1) * n];
        Self {
            shape: *shape,
            used: 0,
            offset: [[0.0; LANES]; 2],
            params: vec![Octet::default(); shape.nparam()],
            profiles: [profile(shape.degree_x, shape.nx()), profile(shape.degree_y, shape.ny())],
            row: vec![Octet::default(); shape.degree_x + 1],
            pixels: vec![Octet::default(); shape.size()],
        }
    }

    /// Takes `used` spots from index `first` of the traces on.
    pub fn load(&mut self, traces: &Traces, first: usize, used: usize) {
        let count = traces.nfibre * traces.nbin;
        self.used = used;
        for lane in 0..LANES {
            let at = first + lane.min(used - 1);
            self.offset[0][lane] = traces.offset_x[at];
            self.offset[1][lane] = traces.offset_y[at];
            for (k, param) in self.params.iter_mut().enumerate() {
                param.0[lane] = traces.shape[k * count + at];
            }
        }
    }

    /// Writes the spots, `[used, ny, nx]`.
    pub fn evaluate(&mut self, out: &mut [f64]) {
        let widths = [param::SIGMA_X, param::SIGMA_Y].map(|k| self.params[k].0);
        let degree = self.shape.degree_x.max(self.shape.degree_y);
        // NaN compares false and goes the careful way, too.
        if degree < MAX_DEGREE && widths.iter().flatten().all(|sigma| *sigma >= 1.0 / MAX_STEPS) {
            dispatch(Evaluate(self));
            self.store(out);
        } else {
            self.one_by_one(out);
        }
    }

    fn one_by_one(&self, out: &mut [f64]) {
        for (lane, out) in out.chunks_exact_mut(self.shape.size()).enumerate() {
            let params: Vec<f64> = self.params.iter().map(|p| p.0[lane]).collect();
            spot(&self.shape, (self.offset[0][lane], self.offset[1][lane]), &params, out);
        }
    }

    fn store(&mut self, out: &mut [f64]) {
        for (lane, out) in out.chunks_exact_mut(self.shape.size()).enumerate() {
            out.iter_mut().zip(&self.pixels).for_each(|(o, p)| *o = p.0[lane]);
            if self.shape.tails {
                // Tails are added before the spot is clipped and normalised.
                let params: Vec<f64> = self.params.iter().map(|p| p.0[lane]).collect();
                let tails = &params[self.shape.nparam() - param::TAILS..];
                add_tails(&self.shape, (self.offset[0][lane], self.offset[1][lane]), tails, out);
            }
            super::normalise(out);
        }
    }
}

/// Fills profiles and pixels of a block.
struct Evaluate<'a>(&'a mut Block);

impl Kernel for Evaluate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Block { shape, offset, params, profiles, row, pixels, .. } = self.0;
        let (nx, ny, gh) = (shape.nx(), shape.ny(), shape.degree_y + 1);
        profile(simd, &offset[0], &params[param::SIGMA_X], shape.half_x, shape.degree_x, &mut profiles[0]);
        profile(simd, &offset[1], &params[param::SIGMA_Y], shape.half_y, shape.degree_y, &mut profiles[1]);
        let [along_x, along_y] = &*profiles;
        for y in 0..ny {
            for (i, weight) in row.iter_mut().enumerate() {
                let coefficients = &params[param::GH + i * gh..][..gh];
                let mut sum = simd.splat(0.0);
                for (j, c) in coefficients.iter().enumerate() {
                    sum = simd.mul_add(simd.load(c), simd.load(&along_y[j * ny + y]), sum);
                }
                simd.store(sum, weight);
            }
            for x in 0..nx {
                let mut sum = simd.splat(0.0);
                for (i, weight) in row.iter().enumerate() {
                    sum = simd.mul_add(simd.load(weight), simd.load(&along_x[i * nx + x]), sum);
                }
                simd.store(sum, &mut pixels[y * nx + x]);
            }
        }
    }
}

/// Pixel-integrated Gauss-Hermite profiles of all orders, `[degree + 1, 2 half + 1]`, as [`super::profiles`].
#[inline(always)]
fn profile<S: Simd>(simd: S, offset: &[f64; LANES], sigma: &Octet, half: usize, degree: usize, out: &mut [Octet]) {
    let n = 2 * half + 1;
    // Equal intervals of at most one sigma, `steps` a pixel.
    let steps = sigma.0.iter().fold(1.0f64, |s, sigma| s.max((1.0 / sigma).ceil())) as usize;
    let start = Start::new(offset, sigma, steps);
    for (direction, pixels) in [(1.0, half..n), (-1.0, 0..half)] {
        let mut edge = Edge::at(simd, &start, direction);
        let mut before = edge.derivatives(simd, degree);
        for k in 0..pixels.len() {
            let pixel = if direction > 0.0 { pixels.start + k } else { pixels.end - 1 - k };
            let first = before;
            let mut integral = simd.splat(0.0);
            for _ in 0..steps {
                edge.step(simd);
                let after = edge.derivatives(simd, degree);
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

/// He_k phi at one edge, k = 0.. up to what quadrature and orders need.
type Derivatives<S> = [<S as Simd>::Lanes; MAX_DEGREE];

/// Most Hermite orders of the fast path.
pub(super) const MAX_DEGREE: usize = 16;

/// Integral of phi between two edges `width` sigmas apart.
#[inline(always)]
fn quadrature<S: Simd>(simd: S, width: S::Lanes, left: &Derivatives<S>, right: &Derivatives<S>) -> S::Lanes {
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
    fn new(offset: &[f64; LANES], sigma: &Octet, steps: usize) -> Self {
        let lanes = |f: &dyn Fn(usize) -> f64| Octet(std::array::from_fn(f));
        let width = lanes(&|l| 1.0 / (sigma.0[l] * steps as f64));
        let edge = lanes(&|l| (-0.5 - offset[l]) / sigma.0[l]);
        let ratio = |sign: f64| lanes(&|l| (-sign * width.0[l] * edge.0[l] - 0.5 * width.0[l] * width.0[l]).exp());
        Self {
            phi: lanes(&|l| (-0.5 * edge.0[l] * edge.0[l]).exp() / (2.0 * PI).sqrt()),
            ratio: [ratio(1.0), ratio(-1.0)],
            decay: lanes(&|l| (-width.0[l] * width.0[l]).exp()),
            edge,
            width,
        }
    }
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

    /// `He_{k+1} = e He_k - k He_{k-1}`, times phi.
    #[inline(always)]
    fn derivatives(&self, simd: S, degree: usize) -> Derivatives<S> {
        let mut out = [simd.splat(0.0); MAX_DEGREE];
        out[0] = self.phi;
        out[1] = simd.mul(self.at, self.phi);
        for k in 1..degree.max(ORDER) - 1 {
            out[k + 1] = simd.neg_mul_add(simd.splat(k as f64), out[k - 1], simd.mul(self.at, out[k]));
        }
        out
    }
}
