//! Products of the spots of one fibre with its own and with those of fibres below: rows of K and y.
//!
//! An octet of columns of a weighted spot stays in registers, one per row of the CCD, while it meets all its partners. A partner
//! lies some rows higher or lower: every distance has its own code, in which rows are registers and offsets are constants. Some
//! bins are taken octet by octet, so that their partners' octets stay in the nearest cache.

use super::window::{Pixels, Window};
use crate::stages::aligned::AlignedSpots;
use crate::stages::simd::{Kernel, Octet, Simd};
use std::ops::Range;

/// Bins that are taken octet by octet.
const TILE: usize = 8;

/// Sums of a spot with pixels, before those with spots: with W p, W and W > 0.
const WITH_PIXELS: usize = 3;

/// Output rows of one fibre in a block.
pub(super) struct Rows<'a> {
    pub diagonal: &'a mut [f64],
    /// With the fibres below, the nearest first.
    pub pairs: Vec<&'a mut [f64]>,
    pub rhs: &'a mut [f64],
    pub flux_weight: Vec<f64>,
    /// The part of every spot on good pixels.
    pub coverage: &'a mut [f64],
}

/// Fills the rows of one fibre.
pub(super) struct Products<'a, 'b> {
    pub own: &'a AlignedSpots,
    /// Of the fibres below, the nearest first.
    pub below: &'a [AlignedSpots],
    pub window: &'a Window,
    pub pixels: &'a Pixels,
    pub half: usize,
    /// Spots before the first of the block.
    pub skip: usize,
    pub out: &'a mut Rows<'b>,
}

impl Kernel for Products<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        // Most spots' rows; there are registers for no more.
        match self.own.ny {
            7 if S::VECTORS => self.fill::<S, Registers<S, 7>>(simd),
            9 if S::VECTORS => self.fill::<S, Registers<S, 9>>(simd),
            11 if S::VECTORS => self.fill::<S, Registers<S, 11>>(simd),
            13 if S::VECTORS => self.fill::<S, Registers<S, 13>>(simd),
            _ => self.fill::<S, Stored>(simd),
        }
    }
}

impl Products<'_, '_> {
    #[inline(always)]
    fn fill<S: Simd, C: Column<S>>(self, simd: S) {
        let Self { own, below, window, pixels, half, skip, out } = self;
        let (width, count, pairs) = (2 * half + 1, out.rhs.len(), out.pairs.len());
        // Of a bin: with pixels, with its own fibre, with those below; lanes are summed eight at a time.
        let slots = (WITH_PIXELS + half + 1 + pairs * width).next_multiple_of(8);
        // An odd number of octets from a bin to the next, so that bins do not share sets of the cache.
        let mut products = vec![Octet::default(); TILE * (slots + 1)];
        let mut sums = vec![Octet::default(); slots / 8];
        let mut column = C::new(simd, own.ny);
        for first in (0..count).step_by(TILE) {
            let tile = first..(first + TILE).min(count);
            products.fill(Octet::default());
            for octet in 0..own.octets {
                for (k, products) in tile.clone().zip(products.chunks_exact_mut(slots + 1)) {
                    let i = skip + k;
                    // A spot off the CCD has no pixel.
                    let Some(at) = window.at(own.y[i], own.x[i], own.ny, own.octets) else { continue };
                    let at = at + octet * window.ny()..at + octet * window.ny() + own.ny;
                    let (with_pixels, products) = products.split_at_mut(WITH_PIXELS);
                    let (with_own, products) = products.split_at_mut(half + 1);
                    for part in 0..S::PARTS {
                        let spot = &own.stamp(i)[octet * own.ny..][..own.ny];
                        column.weigh(simd, part, spot, pixels, at.clone(), with_pixels);
                        let place = Place { part, y: own.y[i], octet: own.x[i] + octet as i64 };
                        meet(simd, &column, place, own, i..(i + half + 1).min(own.y.len()), with_own);
                        for (below, products) in below[..pairs].iter().zip(products.chunks_exact_mut(width)) {
                            let (first, beyond) = (i.saturating_sub(half), half.saturating_sub(i));
                            let partners = first..(i + half + 1).min(below.y.len());
                            meet(simd, &column, place, below, partners, &mut products[beyond..]);
                        }
                    }
                }
            }
            for (k, products) in tile.zip(products.chunks_exact(slots + 1)) {
                for (sum, products) in sums.iter_mut().zip(products.as_chunks().0) {
                    simd.sums(products, sum);
                }
                store(bytemuck::cast_slice(&sums), (own, skip + k), below, half, k, out);
            }
        }
    }
}

/// Stores the sums of one bin, spot i, scaled, as row `at`.
#[inline(always)]
fn store(
    sums: &[f64],
    (own, i): (&AlignedSpots, usize),
    below: &[AlignedSpots],
    half: usize,
    at: usize,
    out: &mut Rows,
) {
    let (width, scale) = (2 * half + 1, own.scale[i]);
    [out.rhs[at], out.flux_weight[at], out.coverage[at]] = [scale * sums[0], scale * sums[1], scale * sums[2]];
    let (with_own, with_below) = sums[WITH_PIXELS..].split_at(half + 1);
    let row = &mut out.diagonal[at * (half + 1)..][..half + 1];
    for ((value, sum), other) in row.iter_mut().zip(with_own).zip(&own.scale[i..]) {
        *value = scale * other * sum;
    }
    // The first partner and where it stands in the row.
    let (first, beyond) = (i.saturating_sub(half), half.saturating_sub(i));
    for ((pair, below), sums) in out.pairs.iter_mut().zip(below).zip(with_below.chunks_exact(width)) {
        let (row, sums) = (&mut pair[at * width + beyond..(at + 1) * width], &sums[beyond..]);
        for ((value, sum), other) in row.iter_mut().zip(sums).zip(&below.scale[first..]) {
            *value = scale * other * sum;
        }
    }
}

/// Where a part of a column lies: its first row, and its octet.
#[derive(Clone, Copy)]
struct Place {
    part: usize,
    y: i64,
    octet: i64,
}

/// Adds the products of a column with the spots `partners` to `products`, one each.
#[inline(always)]
fn meet<S: Simd, C: Column<S>>(
    simd: S,
    column: &C,
    place: Place,
    spots: &AlignedSpots,
    partners: Range<usize>,
    products: &mut [Octet],
) {
    let (y, x, size) = (&spots.y[partners.clone()], &spots.x[partners.clone()], spots.size());
    let stamps = spots.stamps[partners.start * size..partners.end * size].chunks_exact(size);
    for (((y, x), stamp), product) in y.iter().zip(x).zip(stamps).zip(products) {
        let other = (place.octet - x) as usize;
        if other < spots.octets {
            let sum = column.times(simd, place.part, y - place.y, &stamp[other * spots.ny..]);
            add(simd, place.part, sum, product);
        }
    }
}

/// Adds a part to an octet.
#[inline(always)]
fn add<S: Simd>(simd: S, part: usize, sum: S::Part, to: &mut Octet) {
    simd.store_part(simd.add_parts(simd.load_part(to, part), sum), to, part);
}

/// W, W p and 1 of pixels that are used, else 0, from ivar and image.
#[inline(always)]
fn weights<S: Simd>(simd: S, [w, p]: [S::Part; 2], one: S::Part) -> [S::Part; 3] {
    let w = simd.where_positive_part(w, w);
    [w, simd.where_positive_part(w, simd.mul_parts(w, p)), simd.where_positive_part(w, one)]
}

/// One part of an octet of columns of a weighted spot.
trait Column<S: Simd> {
    /// A column of `ny` rows.
    fn new(simd: S, ny: usize) -> Self;
    /// Fills it with a spot times W, and adds the spot times W p, W and W > 0 to `sums`. Its pixels are those at `at`.
    fn weigh(&mut self, simd: S, part: usize, spot: &[Octet], pixels: &Pixels, at: Range<usize>, sums: &mut [Octet]);
    /// Its product with the column at the beginning of `other`, which lies `down` rows higher.
    fn times(&self, simd: S, part: usize, down: i64, other: &[Octet]) -> S::Part;
}

/// `N` rows, a register each.
struct Registers<S: Simd, const N: usize>([S::Part; N]);

impl<S: Simd, const N: usize> Registers<S, N> {
    /// Rows from `FIRST` on with the first ones of a column that lies `FIRST` rows higher.
    #[inline(always)]
    fn from<const FIRST: usize>(&self, simd: S, part: usize, other: &[Octet; N]) -> S::Part {
        let mut sums = [simd.splat_part(0.0); 2];
        for row in 0..N.saturating_sub(FIRST) {
            sums[row % 2] = simd.mul_add_parts(self.0[FIRST + row], simd.load_part(&other[row], part), sums[row % 2]);
        }
        simd.add_parts(sums[0], sums[1])
    }

    /// The first rows with those from `FIRST` on of a column that lies `FIRST` rows lower.
    #[inline(always)]
    fn onto<const FIRST: usize>(&self, simd: S, part: usize, other: &[Octet; N]) -> S::Part {
        let mut sums = [simd.splat_part(0.0); 2];
        for row in 0..N.saturating_sub(FIRST) {
            sums[row % 2] = simd.mul_add_parts(self.0[row], simd.load_part(&other[FIRST + row], part), sums[row % 2]);
        }
        simd.add_parts(sums[0], sums[1])
    }
}

impl<S: Simd, const N: usize> Column<S> for Registers<S, N> {
    #[inline(always)]
    fn new(simd: S, _: usize) -> Self {
        Self([simd.splat_part(0.0); N])
    }

    #[inline(always)]
    fn weigh(&mut self, simd: S, part: usize, spot: &[Octet], pixels: &Pixels, at: Range<usize>, sums: &mut [Octet]) {
        let spot: &[Octet; N] = spot.first_chunk().expect("as many rows");
        let w: &[[f32; 8]; N] = pixels.ivar[at.clone()].first_chunk().expect("as many rows");
        let p: &[[f32; 8]; N] = pixels.image[at].first_chunk().expect("as many rows");
        let one = simd.splat_part(1.0);
        let [mut value, mut weight, mut coverage] = [simd.splat_part(0.0); 3];
        for row in 0..N {
            let spot = simd.load_part(&spot[row], part);
            let [w, wp, used] = weights(simd, [simd.widen_part(&w[row], part), simd.widen_part(&p[row], part)], one);
            self.0[row] = simd.mul_parts(spot, w);
            value = simd.mul_add_parts(spot, wp, value);
            weight = simd.add_parts(self.0[row], weight);
            coverage = simd.mul_add_parts(spot, used, coverage);
        }
        add(simd, part, value, &mut sums[0]);
        add(simd, part, weight, &mut sums[1]);
        add(simd, part, coverage, &mut sums[2]);
    }

    #[inline(always)]
    fn times(&self, simd: S, part: usize, down: i64, other: &[Octet]) -> S::Part {
        let other: &[Octet; N] = other.first_chunk().expect("as many rows");
        macro_rules! by_distance {
            ($($rows:literal)*) => {
                match down {
                    0 => self.from::<0>(simd, part, other),
                    $($rows if $rows < N => self.from::<$rows>(simd, part, other),)*
                    down => match -down {
                        $($rows if $rows < N => self.onto::<$rows>(simd, part, other),)*
                        _ => simd.splat_part(0.0),
                    },
                }
            };
        }
        by_distance!(1 2 3 4 5 6 7 8 9 10 11 12)
    }
}

/// Any number of rows, in memory.
struct Stored(Vec<Octet>);

impl<S: Simd> Column<S> for Stored {
    #[inline(always)]
    fn new(_: S, ny: usize) -> Self {
        Self(vec![Octet::default(); ny])
    }

    #[inline(always)]
    fn weigh(&mut self, simd: S, part: usize, spot: &[Octet], pixels: &Pixels, at: Range<usize>, sums: &mut [Octet]) {
        let [mut value, mut weight, mut coverage] = [simd.splat_part(0.0); 3];
        let one = simd.splat_part(1.0);
        let pixels = pixels.ivar[at.clone()].iter().zip(&pixels.image[at]);
        for ((row, spot), (w, p)) in self.0.iter_mut().zip(spot).zip(pixels) {
            let spot = simd.load_part(spot, part);
            let [w, wp, used] = weights(simd, [simd.widen_part(w, part), simd.widen_part(p, part)], one);
            let product = simd.mul_parts(spot, w);
            simd.store_part(product, row, part);
            value = simd.mul_add_parts(spot, wp, value);
            weight = simd.add_parts(product, weight);
            coverage = simd.mul_add_parts(spot, used, coverage);
        }
        add(simd, part, value, &mut sums[0]);
        add(simd, part, weight, &mut sums[1]);
        add(simd, part, coverage, &mut sums[2]);
    }

    #[inline(always)]
    fn times(&self, simd: S, part: usize, down: i64, other: &[Octet]) -> S::Part {
        let ny = self.0.len();
        // Rows before the common ones, of either.
        let before = [down.max(0) as usize, down.min(0).unsigned_abs() as usize].map(|rows| rows.min(ny));
        let mut sums = [simd.splat_part(0.0); 2];
        for (row, (own, other)) in self.0[before[0]..].iter().zip(&other[before[1]..ny]).enumerate() {
            let (own, other) = (simd.load_part(own, part), simd.load_part(other, part));
            sums[row % 2] = simd.mul_add_parts(own, other, sums[row % 2]);
        }
        simd.add_parts(sums[0], sums[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::simd::on_each;

    const ROWS: usize = 11;
    const FARTHEST: i64 = 13;

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
            [self.all::<S, Registers<S, ROWS>>(simd), self.all::<S, Stored>(simd)]
        }
    }

    impl Both {
        #[inline(always)]
        fn all<S: Simd, C: Column<S>>(&self, simd: S) -> Vec<Octet> {
            let mut column = C::new(simd, ROWS);
            let mut out = vec![Octet::default(); WITH_PIXELS + 2 * FARTHEST as usize + 1];
            for part in 0..S::PARTS {
                let (sums, products) = out.split_at_mut(WITH_PIXELS);
                column.weigh(simd, part, &self.spot, &self.pixels, 0..ROWS, sums);
                for (down, product) in (-FARTHEST..=FARTHEST).zip(products) {
                    add(simd, part, column.times(simd, part, down, &self.partner), product);
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
                    let of_row = |row: i64| -> f64 {
                        let other = usize::try_from(row - down).ok().and_then(|other| both.partner.get(other));
                        let row = row as usize;
                        let weight = if masked(row, lane) { 0.0 } else { f64::from(ivar[row][lane]) };
                        other.map_or(0.0, |o| both.spot[row].0[lane] * weight * o.0[lane])
                    };
                    let plain: f64 = (0..ROWS as i64).map(of_row).sum();
                    assert!((product.0[lane] - plain).abs() < 1e-14, "{down} rows apart");
                }
            }
        }
    }
}
