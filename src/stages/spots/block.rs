//! Eight spots at once, one per lane: consecutive bins of one fibre. Their profiles are evaluated spot by lane, then turned so that
//! lanes are the columns of one spot.

use super::profile::{MAX_DEGREE, ORDER, profile, serves};
use super::spot::{add_tails, spot};
use crate::geometry::{SpotShape, param};
use crate::stages::simd::{Arithmetic, Kernel, Octet, Simd, dispatch};

/// Spots evaluated at once.
pub(crate) const LANES: usize = 8;

/// Spots whose sums are this far from 1 are normalised at once: squares of their pixels might be no numbers.
const FAR_FROM_1: f64 = 1e30;

/// A part of an octet in its register.
type Lanes<S> = <<S as Simd>::Part as Arithmetic>::Lanes;

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
        let size = block.size();
        for (lane, (stamp, scale)) in out.chunks_exact_mut(size).zip(scale).enumerate() {
            // Tails may make a pixel positive: none is clipped before.
            let least = if block.shape.tails { f64::NEG_INFINITY } else { 0.0 };
            let mut sums = Octet::default();
            for k in 0..S::PARTS {
                let part = simd.part(k);
                let of_part = block.sum_over_x::<S>(part, k, lane, least, stamp);
                part.store(of_part, &mut sums);
            }
            let mut sum = simd.load(&sums);
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
        for k in 0..S::PARTS {
            let part = simd.part(k);
            profile::<_, D>(part, &offset[0], &params[param::SIGMA_X], shape.half_x, shape.degree_x, along_x);
            profile::<_, D>(part, &offset[1], &params[param::SIGMA_Y], shape.half_y, shape.degree_y, along_y);
        }
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

    /// Writes part `k` of the octets of one spot, clipped at `least`, and returns its sum. Lanes are columns.
    #[inline(always)]
    fn sum_over_x<S: Simd>(&self, part: S::Part, k: usize, lane: usize, least: f64, stamp: &mut [Octet]) -> Lanes<S> {
        // Octets whose part k has columns of the spot; in the others it is 0.
        let (shift, at) = (self.shift[lane], k * S::PART_LANES);
        let first = (shift + 8 - S::PART_LANES - at) / 8;
        let end = (shift + self.shape.nx() + 7 - at) / 8;
        for (octet, column) in stamp.chunks_exact_mut(self.shape.ny()).enumerate() {
            if !(first..end).contains(&octet) {
                for pixels in column {
                    part.store(part.splat(0.0), pixels);
                }
            }
        }
        let least = part.splat(least);
        // The order of the sum is that of the shape, not of the part: the same bits whatever the parts.
        if self.shape.octets() > 3 {
            let mut sum = part.splat(0.0);
            for octet in first..end {
                sum = part.add(sum, self.sum_octets::<S, 1>(part, lane, octet, least, stamp));
            }
            return sum;
        }
        match end - first {
            0 => part.splat(0.0),
            1 => self.sum_octets::<S, 1>(part, lane, first, least, stamp),
            2 => self.sum_octets::<S, 2>(part, lane, first, least, stamp),
            _ => self.sum_octets::<S, 3>(part, lane, first, least, stamp),
        }
    }

    /// Does the same for `O` octets from `octet` on.
    #[inline(always)]
    fn sum_octets<S: Simd, const O: usize>(
        &self,
        part: S::Part,
        lane: usize,
        octet: usize,
        least: Lanes<S>,
        stamp: &mut [Octet],
    ) -> Lanes<S> {
        let (ny, orders, octets) = (self.shape.ny(), self.shape.degree_x + 1, self.shape.octets());
        let along_x = &self.along_x[lane * orders * octets..][..orders * octets];
        let mut total = part.splat(0.0);
        in_rows!(S, ny, first, R => {
            let mut sums = [[part.splat(0.0); O]; R];
            for (weights, profile) in self.weights.chunks_exact(ny).zip(along_x.chunks_exact(octets)) {
                let (weights, profile) = (&weights[first..][..R], &profile[octet..][..O]);
                for r in 0..R {
                    let weight = part.splat(weights[r].0[lane]);
                    for o in 0..O {
                        sums[r][o] = part.mul_add(weight, part.load(&profile[o]), sums[r][o]);
                    }
                }
            }
            for o in 0..O {
                let column = &mut stamp[(octet + o) * ny + first..][..R];
                for r in 0..R {
                    let pixels = part.max(sums[r][o], least);
                    total = part.add(total, pixels);
                    part.store(pixels, &mut column[r]);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::simd::{assert_same_bits, on_each};

    /// Spots of all widths at all columns of an octet, on stamps that hold others' numbers.
    #[derive(Clone)]
    struct Spots(SpotShape);

    impl Kernel for Spots {
        type Output = (Vec<Octet>, Vec<f64>);

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Self::Output {
            let mut block = Block::new(&self.0);
            block.shift = std::array::from_fn(|lane| (3 * lane) % 8);
            for (k, series) in block.series.iter_mut().enumerate() {
                for (lane, value) in series.0.iter_mut().enumerate() {
                    let wave = (1.3 * (k + 1) as f64 * (lane + 1) as f64).sin();
                    *value = match k {
                        0 | 1 => 0.5 * wave,
                        _ if k - 2 == param::SIGMA_X || k - 2 == param::SIGMA_Y => 1.2 + 0.5 * wave,
                        _ if k - 2 == param::GH => 1.0,
                        _ => 0.02 * wave,
                    };
                }
            }
            let (mut stamps, mut scale) = (vec![Octet([9.0; 8]); LANES * block.size()], vec![0.0; LANES]);
            match self.0.degree_x {
                0..=ORDER => Evaluate::<ORDER>(&mut block, &mut stamps, &mut scale).run(simd),
                _ => Evaluate::<MAX_DEGREE>(&mut block, &mut stamps, &mut scale).run(simd),
            }
            (stamps, scale)
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_spots() {
        let with_tails =
            |(half_x, half_y, degree, tails)| SpotShape { half_x, half_y, degree_x: degree, degree_y: degree, tails };
        let shapes = [
            (8, 5, 6, false),
            (2, 3, 2, false),
            (0, 0, 1, false),
            (12, 4, 3, false),
            (20, 6, 9, false),
            (8, 5, 6, true),
        ];
        for shape in shapes.map(with_tails) {
            let found = on_each(&Spots(shape));
            assert_same_bits(&found);
            let (plain, scale) = &found[0];
            for (lane, (stamp, scale)) in plain.chunks_exact(plain.len() / LANES).zip(scale).enumerate() {
                let sum: f64 = stamp.iter().flat_map(|octet| octet.0).sum();
                assert!((scale * sum - 1.0).abs() < 1e-13 && sum > 0.02, "lane {lane}: {sum}");
                // Columns beside the spot are 0.
                for (octet, column) in stamp.chunks_exact(shape.ny()).enumerate() {
                    for x in (0..8).filter(|x| !(3 * lane % 8..3 * lane % 8 + shape.nx()).contains(&(8 * octet + x))) {
                        assert!(
                            column.iter().all(|pixels| pixels.0[x] == 0.0),
                            "lane {lane}, column {x} of octet {octet}"
                        );
                    }
                }
            }
            for (stamps, scale) in &found[1..] {
                let close = |a: f64, b: f64| (a - b).abs() < 1e-13;
                assert!(scale.iter().zip(&found[0].1).all(|(a, b)| close(*a, *b)));
                let pixels = stamps.iter().zip(plain).flat_map(|(a, b)| a.0.into_iter().zip(b.0));
                assert!({ pixels }.all(|(a, b)| close(a, b)));
            }
        }
    }
}
