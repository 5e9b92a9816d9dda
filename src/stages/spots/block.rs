//! Eight spots at once, one per lane: consecutive bins of one fibre. Their profiles are evaluated spot by lane, then turned so that
//! lanes are the columns of one spot.

use super::profile::{MAX_DEGREE, ORDER, profile, serves};
use super::spot::{add_tails, spot};
use crate::geometry::{SpotShape, param};
use crate::stages::simd::{Kernel, Octet, Simd, dispatch};

/// Spots evaluated at once.
pub(crate) const LANES: usize = 8;

/// Spots whose sums are this far from 1 are normalised at once: squares of their pixels might be no numbers.
const FAR_FROM_1: f64 = 1e30;

/// Runs code for rows `$first..$first + $R` of `$ny`: with vector registers four at a time, to use a profile more than once, then
/// the rest.
macro_rules! in_rows {
    ($S:ident, $ny:expr, $first:ident, $R:ident => $body:block) => {
        let mut $first = 0;
        while $first < $ny {
            match if $S::VECTORS { $ny - $first } else { 1 } {
                1 => {
                    const $R: usize = 1;
                    $body
                    $first += $R;
                }
                2 => {
                    const $R: usize = 2;
                    $body
                    $first += $R;
                }
                3 => {
                    const $R: usize = 3;
                    $body
                    $first += $R;
                }
                _ => {
                    const $R: usize = 4;
                    $body
                    $first += $R;
                }
            }
        }
    };
}

/// Eight spots of one fibre: their parameters, and room to evaluate them.
pub(crate) struct Block {
    pub shape: SpotShape,
    /// Offsets of the traces from their pixels, x and y, then parameters, `[2 + nparam]`.
    pub series: Vec<Octet>,
    /// Column of each spot's first pixel within its first octet.
    pub shift: [usize; LANES],
    /// Profiles along x and y, `[degree + 1, n]`.
    profiles: [Vec<Octet>; 2],
    /// Hermite terms summed over y's orders, `[degree_x + 1, ny]`.
    weights: Vec<Octet>,
    /// Profiles along x of every spot on its octets, `[lanes, degree_x + 1, octets]`.
    along_x: Vec<Octet>,
}

impl Block {
    pub fn new(shape: &SpotShape) -> Self {
        let zeros = |n: usize| vec![Octet::default(); n];
        Self {
            shape: *shape,
            series: zeros(2 + shape.nparam()),
            shift: [0; LANES],
            profiles: [zeros((shape.degree_x + 1) * shape.nx()), zeros((shape.degree_y + 1) * shape.ny())],
            weights: zeros(shape.ny() * (shape.degree_x + 1)),
            along_x: zeros(LANES * (shape.degree_x + 1) * shape.octets()),
        }
    }

    /// Octets of one spot.
    pub fn size(&self) -> usize {
        self.shape.octets() * self.shape.ny()
    }

    /// Writes the spots of the first lanes, clipped at 0, `[lanes, octets, ny]`, and the factors that make their sums 1. A spot
    /// without a finite positive sum covers nothing: it and its factor are 0.
    pub fn evaluate(&mut self, out: &mut [Octet], scale: &mut [f64]) {
        let widths = [param::SIGMA_X, param::SIGMA_Y].map(|k| self.series[2 + k].0);
        let degree = self.shape.degree_x.max(self.shape.degree_y);
        if serves(widths.into_iter().flatten(), degree) {
            match degree {
                0..=ORDER => dispatch(Evaluate::<ORDER>(self, out, scale)),
                _ => dispatch(Evaluate::<MAX_DEGREE>(self, out, scale)),
            }
        } else {
            self.one_by_one(out, scale);
        }
    }

    fn lane(&self, lane: usize) -> ((f64, f64), Vec<f64>) {
        ((self.series[0].0[lane], self.series[1].0[lane]), self.series[2..].iter().map(|p| p.0[lane]).collect())
    }

    fn one_by_one(&self, out: &mut [Octet], scale: &mut [f64]) {
        let mut pixels = vec![0.0; self.shape.size()];
        out.fill(Octet::default());
        for (lane, (stamp, scale)) in out.chunks_exact_mut(self.size()).zip(scale).enumerate() {
            let (offset, params) = self.lane(lane);
            spot(&self.shape, offset, &params, &mut pixels);
            self.add(lane, &pixels, stamp);
            // It has been normalised.
            *scale = if pixels.iter().any(|p| *p > 0.0) { 1.0 } else { 0.0 };
        }
    }

    /// Adds the pixels of one lane, `[ny, nx]`, to its stamp.
    fn add(&self, lane: usize, pixels: &[f64], stamp: &mut [Octet]) {
        let (nx, ny) = (self.shape.nx(), self.shape.ny());
        for (k, pixel) in pixels.iter().enumerate() {
            let column = self.shift[lane] + k % nx;
            stamp[column / 8 * ny + k / nx].0[column % 8] += pixel;
        }
    }

    /// Adds the tails of one lane, which come before a spot is clipped.
    fn add_tails(&self, lane: usize, stamp: &mut [Octet]) {
        let (offset, params) = self.lane(lane);
        let mut tails = vec![0.0; self.shape.size()];
        add_tails(&self.shape, offset, &params[self.shape.nparam() - param::TAILS..], &mut tails);
        self.add(lane, &tails, stamp);
    }
}

/// Evaluates a block; `D` derivatives of phi are at least those of the orders and of the quadrature.
struct Evaluate<'a, 'b, const D: usize>(&'a mut Block, &'b mut [Octet], &'b mut [f64]);

impl<const D: usize> Kernel for Evaluate<'_, '_, D> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self(block, out, scale) = self;
        block.profiles::<S, D>(simd);
        block.sum_over_y(simd);
        block.place(simd);
        let (octets, size) = (block.shape.octets(), block.size());
        for (lane, (stamp, scale)) in out.chunks_exact_mut(size).zip(scale).enumerate() {
            // Tails may make a pixel positive: none is clipped before.
            let least = simd.splat(if block.shape.tails { f64::NEG_INFINITY } else { 0.0 });
            let mut sum = match octets {
                1 => block.sum_over_x::<S, 1>(simd, lane, 0, least, stamp),
                2 => block.sum_over_x::<S, 2>(simd, lane, 0, least, stamp),
                3 => block.sum_over_x::<S, 3>(simd, lane, 0, least, stamp),
                _ => {
                    let mut sum = simd.splat(0.0);
                    for octet in 0..octets {
                        sum = simd.add(sum, block.sum_over_x::<S, 1>(simd, lane, octet, least, stamp));
                    }
                    sum
                }
            };
            if block.shape.tails {
                block.add_tails(lane, stamp);
                sum = clip(simd, stamp);
            }
            let sum = simd.sum(sum);
            *scale = 1.0 / sum;
            if !(FAR_FROM_1.recip()..FAR_FROM_1).contains(&sum) {
                *scale = normalised(simd, sum, stamp);
            }
        }
    }
}

impl Block {
    #[inline(always)]
    fn profiles<S: Simd, const D: usize>(&mut self, simd: S) {
        let Self { shape, series, profiles: [along_x, along_y], .. } = self;
        let (offset, params) = series.split_at(2);
        profile::<S, D>(simd, &offset[0], &params[param::SIGMA_X], shape.half_x, shape.degree_x, along_x);
        profile::<S, D>(simd, &offset[1], &params[param::SIGMA_Y], shape.half_y, shape.degree_y, along_y);
    }

    /// Sums the Hermite terms of every order along x and row, lanes still being spots.
    #[inline(always)]
    fn sum_over_y<S: Simd>(&mut self, simd: S) {
        let (ny, terms) = (self.shape.ny(), self.shape.degree_y + 1);
        let Self { series, weights, profiles: [_, along_y], .. } = self;
        for (i, weights) in weights.chunks_exact_mut(ny).enumerate() {
            let coefficients = &series[2 + param::GH + i * terms..][..terms];
            in_rows!(S, ny, first, R => {
                let mut sums = [simd.splat(0.0); R];
                for (c, profile) in coefficients.iter().zip(along_y.chunks_exact(ny)) {
                    let (c, profile) = (simd.load(c), &profile[first..][..R]);
                    for r in 0..R {
                        sums[r] = simd.mul_add(c, simd.load(&profile[r]), sums[r]);
                    }
                }
                for r in 0..R {
                    simd.store(sums[r], &mut weights[first + r]);
                }
            });
        }
    }

    /// Puts the profiles along x onto the octets of their spots.
    #[inline(always)]
    fn place<S: Simd>(&mut self, simd: S) {
        let (nx, octets) = (self.shape.nx(), self.shape.octets());
        let Self { shift, profiles: [profiles, _], along_x, .. } = self;
        along_x.fill(Octet::default());
        let orders = self.shape.degree_x + 1;
        let lanes: &mut [f64] = bytemuck::cast_slice_mut(along_x);
        for (order, profile) in profiles.chunks_exact(nx).enumerate() {
            let (eights, rest) = profile.as_chunks::<8>();
            for (k, columns) in eights.iter().enumerate() {
                let spots = simd.transpose(columns);
                for lane in 0..LANES {
                    let at = 8 * (lane * orders + order) * octets + shift[lane] + 8 * k;
                    simd.store_anywhere(spots[lane], lanes[at..].first_chunk_mut().expect("within its octets"));
                }
            }
            for (k, column) in rest.iter().enumerate() {
                for lane in 0..LANES {
                    lanes[8 * (lane * orders + order) * octets + shift[lane] + 8 * eights.len() + k] = column.0[lane];
                }
            }
        }
    }

    /// Writes `O` octets of one spot, from `octet` on, clipped at `least`, and returns their sum. Lanes are columns.
    #[inline(always)]
    fn sum_over_x<S: Simd, const O: usize>(
        &self,
        simd: S,
        lane: usize,
        octet: usize,
        least: S::Lanes,
        stamp: &mut [Octet],
    ) -> S::Lanes {
        let (ny, orders, octets) = (self.shape.ny(), self.shape.degree_x + 1, self.shape.octets());
        let along_x = &self.along_x[lane * orders * octets..][..orders * octets];
        let mut total = simd.splat(0.0);
        in_rows!(S, ny, first, R => {
            let mut sums = [[simd.splat(0.0); O]; R];
            for (weights, profile) in self.weights.chunks_exact(ny).zip(along_x.chunks_exact(octets)) {
                let (weights, profile) = (&weights[first..][..R], &profile[octet..][..O]);
                for r in 0..R {
                    let weight = simd.splat(weights[r].0[lane]);
                    for o in 0..O {
                        sums[r][o] = simd.mul_add(weight, simd.load(&profile[o]), sums[r][o]);
                    }
                }
            }
            for o in 0..O {
                let column = &mut stamp[(octet + o) * ny + first..][..R];
                for r in 0..R {
                    let pixels = simd.max(sums[r][o], least);
                    total = simd.add(total, pixels);
                    simd.store(pixels, &mut column[r]);
                }
            }
        });
        total
    }
}

/// Multiplies a spot whose pixels add up to `sum` by its factor, and returns the factor that is left.
#[inline(always)]
fn normalised<S: Simd>(simd: S, sum: f64, stamp: &mut [Octet]) -> f64 {
    let scale = 1.0 / sum;
    // Written so that a NaN fails.
    if !(sum > 0.0 && sum.is_finite() && scale.is_finite()) {
        stamp.fill(Octet::default());
        return 0.0;
    }
    for p in stamp {
        simd.store(simd.mul(simd.load(p), simd.splat(scale)), p);
    }
    1.0
}

/// Clips a spot at 0 and returns the sum of its pixels.
#[inline(always)]
fn clip<S: Simd>(simd: S, stamp: &mut [Octet]) -> S::Lanes {
    let zero = simd.splat(0.0);
    let mut sum = zero;
    for p in stamp {
        let pixels = simd.max(simd.load(p), zero);
        sum = simd.add(sum, pixels);
        simd.store(pixels, p);
    }
    sum
}
