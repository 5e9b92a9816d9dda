//! Spots with their derivatives by position, widths and Hermite terms, in closed form.
//!
//! With G_k the pixel-integrated profile of order k, `dG_k/dx = G_{k+1} / sigma` and
//! `dG_k/dsigma = (G_{k+2} + k G_k) / sigma`. One table of profiles, two orders higher than the spot's, gives all.

use super::simd::{Kernel, Octet, Simd, dispatch};
use super::spots::profiles_of_axes;
use crate::geometry::{SpotShape, param};
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Columns of a spot's derivatives.
pub(crate) mod column {
    /// The spot itself, which is the derivative by its flux.
    pub const VALUE: usize = 0;
    /// By x.
    pub const X: usize = 1;
    /// By y.
    pub const Y: usize = 2;
    /// By sigma x; sigma y follows, then the Hermite terms but GH-0-0, in the order of their coefficients.
    pub const SHAPE: usize = 3;
}

/// An evaluator of spots that are clipped at 0 but not normalised, with the tables it reuses. Derivatives are 0 where a
/// spot is clipped.
#[derive(Clone, Debug)]
pub(crate) struct SpotDerivatives {
    shape: SpotShape,
    clip: bool,
    /// Profiles along x and y, `[n, degree + 3]`.
    profiles: [Vec<f64>; 2],
    /// Sums over y's orders of a row by order of x: of the spot, its derivative by y, and by sigma y.
    sums: [Vec<f64>; 3],
    /// Profiles of both axes side by side.
    axes: Vec<Octet>,
    /// Profiles along x and y by orders, eight pixels side by side.
    sides: [Side; 2],
    /// The sums by order of x, eight rows side by side: `[3, order of x, octets of ny]`.
    rows: Vec<Octet>,
}

/// Profiles along an axis, eight pixels side by side.
#[derive(Clone, Debug, Default)]
struct Side {
    /// Octets of its pixels.
    octets: usize,
    /// `[order, octets]`.
    plain: Vec<Octet>,
    /// `G_{k+2} + k G_k`, likewise.
    wider: Vec<Octet>,
}

impl Side {
    /// Lays out profiles `[n, orders]`.
    fn lay_out(&mut self, profiles: &[f64], orders: usize) {
        self.octets = (profiles.len() / orders).div_ceil(8);
        let zeros = |to: &mut Vec<Octet>, orders: usize| {
            to.clear();
            to.resize(orders * self.octets, Octet::default());
        };
        zeros(&mut self.plain, orders);
        zeros(&mut self.wider, orders - 2);
        for (p, g) in profiles.chunks_exact(orders).enumerate() {
            (0..orders).for_each(|i| self.plain[i * self.octets + p / 8].0[p % 8] = g[i]);
            (0..orders - 2).for_each(|i| self.wider[i * self.octets + p / 8].0[p % 8] = g[i + 2] + i as f64 * g[i]);
        }
    }
}

impl SpotDerivatives {
    /// Prepares the evaluation of spots of one shape; without `clip` negative pixels stay.
    pub fn new(shape: &SpotShape, clip: bool) -> Self {
        let profiles = [vec![0.0; shape.nx() * (shape.degree_x + 3)], vec![0.0; shape.ny() * (shape.degree_y + 3)]];
        let sums = [0; 3].map(|_| vec![0.0; shape.degree_x + 1]);
        Self { shape: *shape, clip, profiles, sums, axes: Vec::new(), sides: Default::default(), rows: Vec::new() }
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        column::SHAPE + 1 + (self.shape.degree_x + 1) * (self.shape.degree_y + 1)
    }

    /// Octets of a pixel's columns.
    pub fn octets(&self) -> usize {
        self.columns().div_ceil(8)
    }

    /// Returns the shape of its spots.
    pub fn shape(&self) -> &SpotShape {
        &self.shape
    }

    /// Returns the profiles along x and y of the spot last evaluated, of orders 0 to the degree, `[n, degree + 1]`.
    pub fn orders(&self) -> [Vec<f64>; 2] {
        let degrees = [self.shape.degree_x, self.shape.degree_y];
        std::array::from_fn(|axis| {
            let pixels = self.profiles[axis].chunks_exact(degrees[axis] + 3);
            pixels.flat_map(|orders| &orders[..=degrees[axis]]).copied().collect()
        })
    }

    fn tables(&mut self, offset: [f64; 2], params: &[f64]) {
        let SpotShape { half_x, half_y, degree_x, degree_y, .. } = self.shape;
        let (half, degree) = (half_x.max(half_y), degree_x.max(degree_y) + 2);
        let sigma = [params[param::SIGMA_X], params[param::SIGMA_Y]];
        if !profiles_of_axes(offset, sigma, half, degree, &mut self.axes) {
            profiles(offset[0], sigma[0], half_x, degree_x + 3, &mut self.profiles[0]);
            profiles(offset[1], sigma[1], half_y, degree_y + 3, &mut self.profiles[1]);
            return;
        }
        for (axis, (own, orders)) in [(half_x, degree_x + 3), (half_y, degree_y + 3)].into_iter().enumerate() {
            for (p, pixel) in self.profiles[axis].chunks_exact_mut(orders).enumerate() {
                let from = self.axes[half - own + p..].iter().step_by(2 * half + 1);
                pixel.iter_mut().zip(from).for_each(|(out, octet)| *out = octet.0[axis]);
            }
        }
    }

    /// Writes the spot, `[ny, nx]`. `offset` is that of the trace from its pixel, `params` are in the order of [`param`].
    pub fn value(&mut self, offset: [f64; 2], params: &[f64], out: &mut [f64]) {
        let spot = self.prepare(offset, params);
        dispatch(Values { spot, out });
    }

    /// Writes the first five [`column`]s of every pixel, `[ny, nx]`: the spot and its derivatives by position and widths.
    pub fn moves(&mut self, offset: [f64; 2], params: &[f64], out: &mut [[f64; 5]]) {
        let spot = self.prepare(offset, params);
        dispatch(Moves { spot, wide: 1.0 / params[param::SIGMA_X], high: 1.0 / params[param::SIGMA_Y], out });
    }

    /// Evaluates the profiles of a spot and lays them out.
    fn prepare<'a>(&'a mut self, offset: [f64; 2], params: &'a [f64]) -> Prepared<'a> {
        self.tables(offset, params);
        let [degree_x, degree_y] = [self.shape.degree_x, self.shape.degree_y];
        for (axis, degree) in [degree_x, degree_y].into_iter().enumerate() {
            self.sides[axis].lay_out(&self.profiles[axis], degree + 3);
        }
        self.rows.resize(3 * (degree_x + 1) * self.sides[1].octets, Octet::default());
        let [along_x, along_y] = &self.sides;
        let gh = &params[param::GH..][..(degree_x + 1) * (degree_y + 1)];
        let terms = [degree_x + 1, degree_y + 1];
        Prepared { along_x, along_y, gh, terms, nx: self.shape.nx(), clip: self.clip, rows: &mut self.rows }
    }

    /// Writes all [`column`]s of every pixel, `[ny, nx, octets]`.
    pub fn all(&mut self, offset: [f64; 2], params: &[f64], out: &mut [Octet]) {
        self.tables(offset, params);
        let ([ox, oy], octets) = ([self.shape.degree_x + 3, self.shape.degree_y + 3], self.octets());
        let terms = self.shape.degree_y + 1;
        let [wide, high] = [1.0 / params[param::SIGMA_X], 1.0 / params[param::SIGMA_Y]];
        let [along_x, along_y] = &self.profiles;
        let [sums, by_y, by_high] = &mut self.sums;
        for (row, y) in out.chunks_exact_mut(self.shape.nx() * octets).zip(along_y.chunks_exact(oy)) {
            for (i, gh) in params[param::GH..].chunks_exact(terms).take(sums.len()).enumerate() {
                (sums[i], by_y[i], by_high[i]) = along(gh, y, high);
            }
            for (pixel, x) in row.chunks_exact_mut(octets).zip(along_x.chunks_exact(ox)) {
                let pixel: &mut [f64] = bytemuck::cast_slice_mut(pixel);
                let values = across([sums, by_y, by_high], x, wide);
                if self.clip && values[0] <= 0.0 {
                    pixel.fill(0.0);
                    continue;
                }
                pixel[..column::SHAPE + 2].copy_from_slice(&values);
                // GH-0-0 belongs to the flux: its place is overwritten by the next term.
                let gh = &mut pixel[column::SHAPE + 1..];
                let sigma_y = gh[0];
                for (i, row) in gh[..sums.len() * terms].chunks_exact_mut(terms).enumerate() {
                    row.iter_mut().zip(y).for_each(|(out, y)| *out = x[i] * y);
                }
                gh[0] = sigma_y;
            }
        }
    }
}

/// Sums a row of Hermite terms over the profiles along y: the spot, its derivative by y, and by sigma y.
#[inline(always)]
fn along(gh: &[f64], y: &[f64], high: f64) -> (f64, f64, f64) {
    let (mut value, mut move_y, mut raise) = (0.0, 0.0, 0.0);
    for (j, c) in gh.iter().enumerate() {
        value += c * y[j];
        move_y += c * y[j + 1];
        raise += c * (y[j + 2] + j as f64 * y[j]);
    }
    (value, high * move_y, high * raise)
}

/// Sums these over the profiles along x: the spot, its derivatives by x, y, sigma x and sigma y.
#[inline(always)]
fn across([sums, by_y, by_high]: [&[f64]; 3], x: &[f64], wide: f64) -> [f64; 5] {
    let (mut value, mut move_x, mut widen, mut move_y, mut raise) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for i in 0..sums.len() {
        value += sums[i] * x[i];
        move_x += sums[i] * x[i + 1];
        widen += sums[i] * (x[i + 2] + i as f64 * x[i]);
        move_y += by_y[i] * x[i];
        raise += by_high[i] * x[i];
    }
    [value, wide * move_x, move_y, wide * widen, raise]
}

/// A spot whose profiles are known.
struct Prepared<'a> {
    along_x: &'a Side,
    along_y: &'a Side,
    gh: &'a [f64],
    /// Hermite terms along x and y.
    terms: [usize; 2],
    nx: usize,
    clip: bool,
    rows: &'a mut [Octet],
}

impl Prepared<'_> {
    /// Sums Hermite terms over the profiles along y, [`along`] of eight rows at once.
    #[inline(always)]
    fn sum_rows<S: Simd>(&mut self, simd: S) {
        let ([terms_x, terms_y], octets) = (self.terms, self.along_y.octets);
        for i in 0..terms_x {
            for block in 0..octets {
                let mut sums = [simd.splat(0.0); 3];
                for j in 0..terms_y {
                    let c = simd.splat(self.gh[i * terms_y + j]);
                    sums[0] = simd.mul_add(c, simd.load(&self.along_y.plain[j * octets + block]), sums[0]);
                    sums[1] = simd.mul_add(c, simd.load(&self.along_y.plain[(j + 1) * octets + block]), sums[1]);
                    sums[2] = simd.mul_add(c, simd.load(&self.along_y.wider[j * octets + block]), sums[2]);
                }
                for k in 0..3 {
                    simd.store(sums[k], &mut self.rows[(k * terms_x + i) * octets + block]);
                }
            }
        }
    }

    /// One of the sums of a row by an order of x.
    #[inline(always)]
    fn sum(&self, k: usize, order: usize, row: usize) -> f64 {
        self.rows[(k * self.terms[0] + order) * self.along_y.octets + row / 8].0[row % 8]
    }
}

/// The first five columns of a spot, as [`across`] has them, eight pixels of a row side by side.
struct Moves<'a> {
    spot: Prepared<'a>,
    wide: f64,
    high: f64,
    out: &'a mut [[f64; 5]],
}

impl Kernel for Moves<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        self.spot.sum_rows(simd);
        let (spot, octets) = (&self.spot, self.spot.along_x.octets);
        let mut columns = [Octet::default(); 5];
        for (y, row) in self.out.chunks_exact_mut(spot.nx).enumerate() {
            for (block, out) in row.chunks_mut(8).enumerate() {
                let mut values = [simd.splat(0.0); 5];
                for i in 0..spot.terms[0] {
                    let [sum, by_y, by_high] = [0, 1, 2].map(|k| simd.splat(spot.sum(k, i, y)));
                    let plain = simd.load(&spot.along_x.plain[i * octets + block]);
                    let next = simd.load(&spot.along_x.plain[(i + 1) * octets + block]);
                    let wider = simd.load(&spot.along_x.wider[i * octets + block]);
                    values[0] = simd.mul_add(sum, plain, values[0]);
                    values[1] = simd.mul_add(sum, next, values[1]);
                    values[2] = simd.mul_add(by_y, plain, values[2]);
                    values[3] = simd.mul_add(sum, wider, values[3]);
                    values[4] = simd.mul_add(by_high, plain, values[4]);
                }
                let factors = [1.0, self.wide, self.high, self.wide, self.high];
                for k in 0..5 {
                    simd.store(simd.mul(simd.splat(factors[k]), values[k]), &mut columns[k]);
                }
                for (p, out) in out.iter_mut().enumerate() {
                    let lit = !(spot.clip && columns[0].0[p] <= 0.0);
                    for k in 0..5 {
                        out[k] = if lit { columns[k].0[p] } else { 0.0 };
                    }
                }
            }
        }
    }
}

/// The spot alone, eight pixels of a row side by side.
struct Values<'a> {
    spot: Prepared<'a>,
    out: &'a mut [f64],
}

impl Kernel for Values<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        self.spot.sum_rows(simd);
        let (spot, octets) = (&self.spot, self.spot.along_x.octets);
        let mut values = Octet::default();
        for (y, row) in self.out.chunks_exact_mut(spot.nx).enumerate() {
            for (block, out) in row.chunks_mut(8).enumerate() {
                let mut value = simd.splat(0.0);
                for i in 0..spot.terms[0] {
                    let plain = simd.load(&spot.along_x.plain[i * octets + block]);
                    value = simd.mul_add(simd.splat(spot.sum(0, i, y)), plain, value);
                }
                simd.store(value, &mut values);
                for (p, out) in out.iter_mut().enumerate() {
                    *out = if spot.clip && values.0[p] <= 0.0 { 0.0 } else { values.0[p] };
                }
            }
        }
    }
}

/// Writes pixel-integrated profiles of `orders` orders, `[2 half + 1, orders]`. Order 0 is the difference of
/// `erf(e / sqrt 2) / 2` of a pixel's edges. Order k > 0 is `He_{k-1}(e) phi(e)` at the left edge minus at the right.
fn profiles(offset: f64, sigma: f64, half: usize, orders: usize, out: &mut [f64]) {
    const MOST: usize = 72;
    let (mut left, mut right) = ([0.0; MOST], [0.0; MOST]);
    let at = |i: usize, order: &mut [f64; MOST]| {
        let e = (i as f64 - half as f64 - 0.5 - offset) / sigma;
        order[0] = -0.5 * libm::erf(e * FRAC_1_SQRT_2);
        let (mut before, mut current) = (0.0, (-0.5 * e * e).exp() / (2.0 * PI).sqrt());
        for k in 1..orders {
            order[k] = current;
            (before, current) = (current, e * current - (k - 1) as f64 * before);
        }
    };
    at(0, &mut left);
    for (i, pixel) in out.chunks_exact_mut(orders).enumerate() {
        at(i + 1, &mut right);
        pixel.iter_mut().zip(left.iter().zip(&right)).for_each(|(out, (left, right))| *out = left - right);
        std::mem::swap(&mut left, &mut right);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::spots::spot;

    const SHAPE: SpotShape = SpotShape { half_x: 6, half_y: 5, degree_x: 4, degree_y: 3, tails: false };

    fn params() -> Vec<f64> {
        let gh = (0..20).map(|k| if k == 0 { 1.0 } else { 0.02 * (1.7 * f64::from(k)).sin() });
        [1.1, 0.9].into_iter().chain(gh).collect()
    }

    #[test]
    fn derivatives_are_the_limits_of_differences() {
        let mut spots = SpotDerivatives::new(&SHAPE, false);
        let octets = spots.octets();
        let mut all = vec![Octet::default(); SHAPE.size() * octets];
        spots.all([0.3, -0.2], &params(), &mut all);
        let h = 1e-5;
        let at = |spots: &mut SpotDerivatives, k: usize, step: f64| {
            let (mut offset, mut params) = ([0.3, -0.2], params());
            match k {
                column::X | column::Y => offset[k - 1] += step,
                k => params[if k < 5 { k - column::SHAPE } else { k - 2 }] += step,
            }
            let mut out = vec![0.0; SHAPE.size()];
            spots.value(offset, &params, &mut out);
            out
        };
        let columns = spots.columns();
        for k in 1..columns {
            let (above, below) = (at(&mut spots, k, h), at(&mut spots, k, -h));
            let of = |p: usize| all[p * octets + k / 8].0[k % 8];
            let scale = (0..SHAPE.size()).map(|p| of(p).abs()).fold(0.0, f64::max);
            for p in 0..SHAPE.size() {
                let difference = (above[p] - below[p]) / (2.0 * h);
                assert!((difference - of(p)).abs() < 1e-6 * scale, "column {k}, pixel {p}: {difference} {}", of(p));
            }
        }
    }

    #[test]
    fn a_spot_is_that_of_the_extraction_but_for_its_sum() {
        let (mut spots, mut ours, mut theirs) =
            (SpotDerivatives::new(&SHAPE, true), vec![0.0; SHAPE.size()], vec![0.0; SHAPE.size()]);
        spots.value([-0.4, 0.1], &params(), &mut ours);
        spot(&SHAPE, (-0.4, 0.1), &params(), &mut theirs);
        let sum: f64 = ours.iter().sum();
        assert!(ours.contains(&0.0) && ours.iter().zip(&theirs).all(|(a, b)| (a / sum - b).abs() < 1e-14));
        let mut all = vec![Octet::default(); SHAPE.size() * spots.octets()];
        spots.all([-0.4, 0.1], &params(), &mut all);
        let values = all.iter().step_by(spots.octets()).map(|o| o.0[column::VALUE]);
        assert!(values.zip(&ours).all(|(a, b)| (a - b).abs() < 1e-15));
        let mut moves = vec![[0.0; 5]; SHAPE.size()];
        spots.moves([-0.4, 0.1], &params(), &mut moves);
        for (pixel, moves) in all.chunks_exact(spots.octets()).zip(&moves) {
            assert!(pixel[0].0[..5].iter().zip(moves).all(|(a, b)| (a - b).abs() < 1e-15), "{pixel:?} {moves:?}");
        }
    }
}
