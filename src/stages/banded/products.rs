//! Products of the spots of one fibre with its own and with those of fibres below: rows of K and y.
//!
//! An octet of columns of a spot meets the same columns of its partners, see [`super::weighted`]. Some bins are taken octet by octet,
//! so that their partners' octets stay in the nearest cache.

use super::weighted::{Registers, Stored, WITH_PIXELS, WeightedColumn};
use super::window::{Pixels, Window};
use crate::stages::aligned::AlignedSpots;
use crate::stages::simd::{Arithmetic, Kernel, Octet, Simd};

/// Bins that are taken octet by octet.
const TILE: usize = 8;

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
            7 if S::VECTORS => self.fill::<S, Registers<S::Part, 7>>(simd),
            9 if S::VECTORS => self.fill::<S, Registers<S::Part, 9>>(simd),
            11 if S::VECTORS => self.fill::<S, Registers<S::Part, 11>>(simd),
            13 if S::VECTORS => self.fill::<S, Registers<S::Part, 13>>(simd),
            _ => self.fill::<S, Stored>(simd),
        }
    }
}

impl Products<'_, '_> {
    #[inline(always)]
    fn fill<S: Simd, C: WeightedColumn<S::Part>>(self, simd: S) {
        let Self { own, below, window, pixels, half, skip, out } = self;
        let (width, count, ny) = (2 * half + 1, out.rhs.len(), own.ny);
        let below = &below[..out.pairs.len()];
        let of_own = Partner::all(own);
        let of_below: Vec<Vec<Partner>> = below.iter().map(Partner::all).collect();
        // Of a bin: with pixels, with its own fibre, with those below; lanes are summed eight at a time.
        let slots = (WITH_PIXELS + half + 1 + below.len() * width).next_multiple_of(8);
        // An odd number of octets from a bin to the next, so that bins do not share sets of the cache.
        let mut products = vec![Octet::default(); TILE * (slots + 1)];
        let mut sums = vec![Octet::default(); slots / 8];
        let mut column = C::new(simd.part(0), ny);
        for first in (0..count).step_by(TILE) {
            let tile = first..(first + TILE).min(count);
            products.fill(Octet::default());
            for octet in 0..own.octets {
                for (bin, products) in tile.clone().zip(products.chunks_exact_mut(slots + 1)) {
                    let i = skip + bin;
                    // A spot off the CCD has no pixel.
                    let Some(at) = window.at(own.y[i], own.octet[i], ny, own.octets) else { continue };
                    let at = at + octet * window.ny()..at + octet * window.ny() + ny;
                    let (with_pixels, products) = products.split_at_mut(WITH_PIXELS);
                    let (with_own, products) = products.split_at_mut(half + 1);
                    for k in 0..S::PARTS {
                        let (part, place) = (simd.part(k), Place::new::<S>(own, i, octet, k));
                        // A part beside the spot is zero.
                        if !place.meets(&of_own[i]) {
                            continue;
                        }
                        column.weigh(part, &own.stamp(i)[octet * ny..][..ny], pixels, at.clone(), with_pixels);
                        meet(part, &column, place, own, &of_own[i..(i + half + 1).min(of_own.len())], with_own);
                        let of_below = of_below.iter().zip(products.chunks_exact_mut(width));
                        for (below, (partners, products)) in below.iter().zip(of_below) {
                            let (first, beyond) = (i.saturating_sub(half), half.saturating_sub(i));
                            let partners = &partners[first..(i + half + 1).min(partners.len())];
                            meet(part, &column, place, below, partners, &mut products[beyond..]);
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

/// Where a spot lies that another meets.
#[derive(Clone, Copy)]
struct Partner {
    /// Index in its fibre's stamps at which the octet of CCD column 0 would begin.
    at: i64,
    /// First row.
    y: i32,
    /// First column.
    x: i32,
}

impl Partner {
    /// All spots of a fibre.
    fn all(spots: &AlignedSpots) -> Vec<Self> {
        // Spots this far away meet none on the CCD; differences do not overflow.
        let near = |position: i64| position.clamp(-(1 << 30), 1 << 30) as i32;
        let partner = |j: usize| Self {
            at: (j * spots.size()) as i64 - spots.octet[j] * spots.ny as i64,
            y: near(spots.y[j]),
            x: near(spots.column[j]),
        };
        (0..spots.y.len()).map(partner).collect()
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

/// Where the part of a spot's columns lies that meets others; the spot lies on the CCD.
#[derive(Clone, Copy)]
struct Place {
    /// Rows of all octets from CCD column 0 to that of these columns.
    from: i64,
    /// First row.
    y: i32,
    /// Last column.
    last: i32,
    /// Columns of a spot plus those of a part, less one.
    reach: u32,
}

impl Place {
    #[inline(always)]
    fn new<S: Simd>(spots: &AlignedSpots, i: usize, octet: usize, part: usize) -> Self {
        let octet = spots.octet[i] + octet as i64;
        Self {
            from: octet * spots.ny as i64,
            y: spots.y[i] as i32,
            last: 8 * octet as i32 + ((part + 1) * S::PART_LANES) as i32 - 1,
            reach: (spots.nx + S::PART_LANES - 1) as u32,
        }
    }

    /// Whether it has columns of a partner.
    #[inline(always)]
    fn meets(self, partner: &Partner) -> bool {
        // One comparison for both ends.
        ((self.last - partner.x) as u32) < self.reach
    }
}

/// Adds the products of a column with spots, `partners`, to `products`, one each.
#[inline(always)]
fn meet<P: Arithmetic, C: WeightedColumn<P>>(
    part: P,
    column: &C,
    place: Place,
    spots: &AlignedSpots,
    partners: &[Partner],
    products: &mut [Octet],
) {
    for (partner, product) in partners.iter().zip(products) {
        if place.meets(partner) {
            let other = &spots.stamps[(partner.at + place.from) as usize..];
            part.add_to(column.times(part, partner.y - place.y, other), product);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::simd::{assert_same_bits, on_each};

    const HALF: usize = 3;
    const BINS: usize = 13;
    /// Spots before the first of the block.
    const SKIP: usize = 2;
    /// Rows and octets of the window, which begins at row -4 and column 16.
    const WINDOW: [usize; 2] = [44, 9];

    /// Spots of three fibres, with any number in their pixels, beside each other at all columns of an octet.
    #[derive(Clone)]
    struct Scene {
        ny: usize,
        nx: usize,
    }

    /// Some numbers, half of them negative.
    fn noise(k: usize) -> f64 {
        (0.7 * k as f64 + (k as f64).sqrt()).sin()
    }

    impl Scene {
        fn fibre(&self, fibre: usize) -> AlignedSpots {
            let Self { ny, nx } = *self;
            let octets = (nx + 7).div_ceil(8);
            let mut spots = AlignedSpots { octets, ny, nx, ..AlignedSpots::default() };
            spots.stamps = vec![Octet::default(); BINS * octets * ny];
            for i in 0..BINS {
                let (row, column) = (2 * i as i64 - 4 + fibre as i64 % 2, 16 + 7 * fibre as i64 + i as i64);
                spots.y.push(row);
                spots.octet.push(column.div_euclid(8));
                spots.column.push(column);
                spots.scale.push(1.0 + 0.1 * i as f64);
                for (y, x) in (0..ny).flat_map(|y| (0..nx).map(move |x| (y, x))) {
                    let at = column.rem_euclid(8) as usize + x;
                    spots.stamps[(i * octets + at / 8) * ny + y].0[at % 8] =
                        noise(((fibre * BINS + i) * ny + y) * nx + x);
                }
            }
            // Some spots are far off the CCD.
            let off = [6, 4, BINS][fibre];
            if off < BINS {
                (spots.octet[off], spots.column[off]) = (-(1 << 40), -(8 << 40));
            }
            spots
        }

        /// The value of a spot at a pixel.
        fn value(spots: &AlignedSpots, i: usize, y: i64, x: i64) -> f64 {
            let (row, octet) = (y - spots.y[i], x.div_euclid(8) - spots.octet[i]);
            let inside = (0..spots.ny as i64).contains(&row) && (0..spots.octets as i64).contains(&octet);
            if inside {
                spots.stamp(i)[octet as usize * spots.ny + row as usize].0[x.rem_euclid(8) as usize]
            } else {
                0.0
            }
        }

        fn window(&self) -> (Window, Pixels) {
            let [rows, octets] = WINDOW;
            let plane = |s: usize| -> Vec<[f32; 8]> {
                (0..rows * octets).map(|k| std::array::from_fn(|lane| noise(s + 8 * k + lane) as f32)).collect()
            };
            let window = Window { rows: -4..rows as i64 - 4, octets: 2..2 + octets as i64 };
            (window, Pixels { image: plane(5), ivar: plane(9) })
        }
    }

    /// Row, column, W, W p, and whether W > 0.
    type Pixel = (i64, i64, f64, f64, f64);

    /// K_ff, K of fibres 1 and 2 with it, y, the weights and the coverage of fibre 0.
    type Sums = [Vec<f64>; 6];

    impl Kernel for Scene {
        type Output = Sums;

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Sums {
            let width = 2 * HALF + 1;
            let mut sums = [HALF + 1, width, width, 1, 1, 1].map(|each| vec![0.0; (BINS - SKIP) * each]);
            let [diagonal, near, far, rhs, weights, coverage] = &mut sums;
            let mut rows = Rows { diagonal, pairs: vec![near, far], rhs, flux_weight: weights.clone(), coverage };
            let (window, pixels) = self.window();
            let (own, below) = (self.fibre(0), [self.fibre(1), self.fibre(2)]);
            let (window, pixels, out) = (&window, &pixels, &mut rows);
            Products { own: &own, below: &below, window, pixels, half: HALF, skip: SKIP, out }.run(simd);
            let flux_weight = rows.flux_weight;
            sums[4] = flux_weight;
            sums
        }
    }

    #[test]
    fn every_instruction_set_gives_the_sums_over_pixels() {
        for (ny, nx) in [(11, 17), (7, 5), (6, 27), (9, 8), (13, 1), (1, 1)] {
            let scene = Scene { ny, nx };
            let [own, near, far] = [0, 1, 2].map(|fibre| scene.fibre(fibre));
            let (window, pixels) = scene.window();
            let [rows, octets] = WINDOW;
            let places = (0..rows * 8 * octets).map(|k| (k % rows, k / rows));
            let all: Vec<Pixel> = places
                .map(|(row, column)| {
                    let at = column / 8 * rows + row;
                    let [w, p] = [&pixels.ivar, &pixels.image].map(|plane| f64::from(plane[at][column % 8]));
                    let (y, x) = (window.rows.start + row as i64, 8 * window.octets.start + column as i64);
                    if w > 0.0 { (y, x, w, w * p, 1.0) } else { (y, x, 0.0, 0.0, 0.0) }
                })
                .collect();
            let found = on_each(&scene);
            assert_same_bits(&found);
            for [diagonal, with_near, with_far, rhs, weights, coverage] in found {
                let mut largest = 0.0f64;
                for (at, i) in (SKIP..BINS).enumerate() {
                    let mut check = |found: f64, partner: &dyn Fn(&Pixel) -> f64, scale: f64| {
                        let of_pixel = |pixel: &Pixel| {
                            scale * own.scale[i] * Scene::value(&own, i, pixel.0, pixel.1) * partner(pixel)
                        };
                        let sum: f64 = all.iter().map(of_pixel).sum();
                        assert!((found - sum).abs() < 1e-12, "{ny} x {nx}, bin {i}: {found} {sum}");
                        largest = largest.max(found.abs());
                    };
                    check(rhs[at], &|p| p.3, 1.0);
                    check(weights[at], &|p| p.2, 1.0);
                    check(coverage[at], &|p| p.4, 1.0);
                    for d in 0..(HALF + 1).min(BINS - i) {
                        let partner = |p: &Pixel| p.2 * Scene::value(&own, i + d, p.0, p.1);
                        check(diagonal[at * (HALF + 1) + d], &partner, own.scale[i + d]);
                    }
                    for (other, found) in [(&near, &with_near), (&far, &with_far)] {
                        for k in 0..=2 * HALF {
                            let Some(j) = (i + k).checked_sub(HALF).filter(|j| *j < BINS) else { continue };
                            let partner = |p: &Pixel| p.2 * Scene::value(other, j, p.0, p.1);
                            check(found[at * (2 * HALF + 1) + k], &partner, other.scale[j]);
                        }
                    }
                }
                assert!(largest > 0.3);
            }
        }
    }
}
