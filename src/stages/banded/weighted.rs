//! One part of an octet of columns of a weighted spot, and its products with the same columns of other spots.
//!
//! It stays in registers, one per row of the CCD, while it meets all its partners. A partner lies some rows higher or lower: every
//! distance has its own code, in which rows are registers and offsets are constants.

use super::window::Pixels;
use crate::stages::simd::{Arithmetic, Octet};
use std::ops::Range;

/// Sums of a spot with pixels: with W p, W and W > 0.
pub(super) const WITH_PIXELS: usize = 3;

/// Sums of a spot with W p, W and W > 0.
struct Sums<P: Arithmetic>([P::Lanes; WITH_PIXELS]);

impl<P: Arithmetic> Sums<P> {
    #[inline(always)]
    fn new(part: P) -> Self {
        Self([part.splat(0.0); WITH_PIXELS])
    }

    /// Adds a row of a spot on pixels of some ivar and image; returns the row times W. Pixels that are not used count 0.
    #[inline(always)]
    fn weigh(&mut self, part: P, spot: P::Lanes, ivar: P::Lanes, image: P::Lanes) -> P::Lanes {
        let w = part.where_positive(ivar, ivar);
        let wp = part.where_positive(w, part.mul(w, image));
        let used = part.where_positive(w, part.splat(1.0));
        let product = part.mul(spot, w);
        let [value, weight, coverage] = &mut self.0;
        *value = part.mul_add(spot, wp, *value);
        *weight = part.add(product, *weight);
        *coverage = part.mul_add(spot, used, *coverage);
        product
    }

    #[inline(always)]
    fn add_to(self, part: P, to: &mut [Octet]) {
        for k in 0..WITH_PIXELS {
            part.add_to(self.0[k], &mut to[k]);
        }
    }
}

/// One part of an octet of columns of a weighted spot.
pub(super) trait WeightedColumn<P: Arithmetic> {
    /// A column of `ny` rows.
    fn new(part: P, ny: usize) -> Self;
    /// Fills it with a spot times W, and adds the spot times W p, W and W > 0 to `sums`. Its pixels are those at `at`.
    fn weigh(&mut self, part: P, spot: &[Octet], pixels: &Pixels, at: Range<usize>, sums: &mut [Octet]);
    /// Its product with the column at the beginning of `other`, which lies `down` rows higher.
    fn times(&self, part: P, down: i32, other: &[Octet]) -> P::Lanes;
}

/// `N` rows, a register each.
pub(super) struct Registers<P: Arithmetic, const N: usize>([P::Lanes; N]);

impl<P: Arithmetic, const N: usize> Registers<P, N> {
    /// Rows from `FIRST` on with the first ones of a column that lies `FIRST` rows higher.
    #[inline(always)]
    fn from<const FIRST: usize>(&self, part: P, other: &[Octet; N]) -> P::Lanes {
        let mut sums = [part.splat(0.0); 2];
        for row in 0..N.saturating_sub(FIRST) {
            sums[row % 2] = part.mul_add(self.0[FIRST + row], part.load(&other[row]), sums[row % 2]);
        }
        part.add(sums[0], sums[1])
    }

    /// The first rows with those from `FIRST` on of a column that lies `FIRST` rows lower.
    #[inline(always)]
    fn onto<const FIRST: usize>(&self, part: P, other: &[Octet; N]) -> P::Lanes {
        let mut sums = [part.splat(0.0); 2];
        for row in 0..N.saturating_sub(FIRST) {
            sums[row % 2] = part.mul_add(self.0[row], part.load(&other[FIRST + row]), sums[row % 2]);
        }
        part.add(sums[0], sums[1])
    }
}

impl<P: Arithmetic, const N: usize> WeightedColumn<P> for Registers<P, N> {
    #[inline(always)]
    fn new(part: P, _: usize) -> Self {
        Self([part.splat(0.0); N])
    }

    #[inline(always)]
    fn weigh(&mut self, part: P, spot: &[Octet], pixels: &Pixels, at: Range<usize>, sums: &mut [Octet]) {
        let spot: &[Octet; N] = spot.first_chunk().expect("as many rows");
        let w: &[[f32; 8]; N] = pixels.ivar[at.clone()].first_chunk().expect("as many rows");
        let p: &[[f32; 8]; N] = pixels.image[at].first_chunk().expect("as many rows");
        let mut of_pixels = Sums::new(part);
        for row in 0..N {
            let (w, p) = (part.widen(&w[row]), part.widen(&p[row]));
            self.0[row] = of_pixels.weigh(part, part.load(&spot[row]), w, p);
        }
        of_pixels.add_to(part, sums);
    }

    #[inline(always)]
    fn times(&self, part: P, down: i32, other: &[Octet]) -> P::Lanes {
        let other: &[Octet; N] = other.first_chunk().expect("as many rows");
        macro_rules! by_distance {
            ($($rows:literal)*) => {
                match down {
                    0 => self.from::<0>(part, other),
                    $($rows if $rows < N => self.from::<$rows>(part, other),)*
                    down => match -down {
                        $($rows if $rows < N => self.onto::<$rows>(part, other),)*
                        _ => part.splat(0.0),
                    },
                }
            };
        }
        by_distance!(1 2 3 4 5 6 7 8 9 10 11 12)
    }
}

/// Any number of rows, in memory.
pub(super) struct Stored(Vec<Octet>);

impl<P: Arithmetic> WeightedColumn<P> for Stored {
    #[inline(always)]
    fn new(_: P, ny: usize) -> Self {
        Self(vec![Octet::default(); ny])
    }

    #[inline(always)]
    fn weigh(&mut self, part: P, spot: &[Octet], pixels: &Pixels, at: Range<usize>, sums: &mut [Octet]) {
        let mut of_pixels = Sums::new(part);
        let pixels = pixels.ivar[at.clone()].iter().zip(&pixels.image[at]);
        for ((row, spot), (w, p)) in self.0.iter_mut().zip(spot).zip(pixels) {
            let product = of_pixels.weigh(part, part.load(spot), part.widen(w), part.widen(p));
            part.store(product, row);
        }
        of_pixels.add_to(part, sums);
    }

    #[inline(always)]
    fn times(&self, part: P, down: i32, other: &[Octet]) -> P::Lanes {
        let ny = self.0.len();
        // Rows before the common ones, of either.
        let before = [down.max(0) as usize, down.min(0).unsigned_abs() as usize].map(|rows| rows.min(ny));
        let mut sums = [part.splat(0.0); 2];
        for (row, (own, other)) in self.0[before[0]..].iter().zip(&other[before[1]..ny]).enumerate() {
            let (own, other) = (part.load(own), part.load(other));
            sums[row % 2] = part.mul_add(own, other, sums[row % 2]);
        }
        part.add(sums[0], sums[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::simd::{Kernel, Simd, on_each};

    const ROWS: usize = 11;
    const FARTHEST: i32 = 13;

    /// A weighted spot meets a partner at all distances: from registers, then from memory.
    #[derive(Clone)]
    struct Both {
        spot: [Octet; ROWS],
        pixels: Pixels,
        partner: [Octet; ROWS],
    }

    impl Kernel for Both {
        type Output = [Vec<Octet>; 2];

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Self::Output {
            [self.all::<S, Registers<S::Part, ROWS>>(simd), self.all::<S, Stored>(simd)]
        }
    }

    impl Both {
        #[inline(always)]
        fn all<S: Simd, C: WeightedColumn<S::Part>>(&self, simd: S) -> Vec<Octet> {
            let mut column = C::new(simd.part(0), ROWS);
            let mut out = vec![Octet::default(); WITH_PIXELS + 2 * FARTHEST as usize + 1];
            for k in 0..S::PARTS {
                let part = simd.part(k);
                let (sums, products) = out.split_at_mut(WITH_PIXELS);
                column.weigh(part, &self.spot, &self.pixels, 0..ROWS, sums);
                for (down, product) in (-FARTHEST..=FARTHEST).zip(products) {
                    part.add_to(column.times(part, down, &self.partner), product);
                }
            }
            out
        }
    }

    #[test]
    fn registers_give_the_bits_of_memory_and_both_the_products_of_common_rows() {
        let octets = |phase: f64| -> [Octet; ROWS] {
            std::array::from_fn(|row| Octet(std::array::from_fn(|lane| (phase + (8 * row + lane) as f64).sin())))
        };
        // Pixels off the CCD and masked ones count nothing.
        let plane = |phase: f64| octets(phase).map(|octet| octet.0.map(|v| v as f32)).to_vec();
        let (mut image, ivar) = (plane(0.9), plane(0.3));
        image[0][3] = f32::NAN;
        let masked = |row: usize, lane: usize| ivar[row][lane] <= 0.0;
        assert!(masked(0, 3), "its value is not seen");
        let pixels = Pixels { image, ivar: ivar.clone() };
        let both = Both { spot: octets(0.0), pixels, partner: octets(2.5) };
        for [registers, memory] in on_each(&both) {
            assert_eq!(registers, memory);
            assert!(memory[..WITH_PIXELS].iter().all(|octet| octet.0.iter().all(|sum| sum.is_finite())));
            for (down, product) in (-FARTHEST..=FARTHEST).zip(&memory[WITH_PIXELS..]) {
                for lane in 0..8 {
                    let of_row = |row: i32| -> f64 {
                        let other = usize::try_from(row - down).ok().and_then(|other| both.partner.get(other));
                        let row = row as usize;
                        let weight = if masked(row, lane) { 0.0 } else { f64::from(ivar[row][lane]) };
                        other.map_or(0.0, |o| both.spot[row].0[lane] * weight * o.0[lane])
                    };
                    let plain: f64 = (0..ROWS as i32).map(of_row).sum();
                    assert!((product.0[lane] - plain).abs() < 1e-14, "{down} rows apart");
                }
            }
        }
    }
}
