//! Spots of images on a grid, of one fibre, summed straight onto octets.

use super::sampled::{Placement, cell, positions_around};
use crate::geometry::SpotShape;
use crate::psf::{SpotImages, SpotNorm};
use crate::stages::simd::{Kernel, Octet, Simd, dispatch};

/// Images that make up one of a fibre: of two slit positions, at two wavelengths each.
const AROUND: usize = 4;

/// Images of a fibre that make up a spot: of two wavelengths, at two displacements along either axis.
const TERMS: usize = 8;

/// Spots whose sums are this far from 1 are normalised at once: squares of their pixels might be no numbers.
const FAR_FROM_1: f64 = 1e30;

/// The images of one fibre, which lies between two slit positions, on octets: each is made when a spot first needs it. Spots of one
/// fibre share most of them, as their displacement along x changes slowly.
pub(super) struct FibreImages<'a> {
    images: &'a SpotImages,
    /// Rows and columns of an image.
    size: [usize; 2],
    position: f64,
    /// Column of the first octet on which the images begin.
    column: usize,
    ends: [(usize, f64); 2],
    /// Wavelengths of images of either end: between two of them every image is a line.
    waves: Vec<f64>,
    /// Number of each image among those made, from 1, `[wave, phase y, phase x]`; 0 where it is not.
    numbers: Vec<u32>,
    /// `[made, octets, rows]`, and room for more.
    made: &'a mut Vec<Octet>,
    /// Octets of the images made.
    used: usize,
    /// Rows of an image between octets of zeros.
    lines: Vec<Octet>,
}

impl<'a> FibreImages<'a> {
    /// Prepares the images of a slit position; `made` is room for them.
    pub fn new(images: &'a SpotImages, position: f64, made: &'a mut Vec<Octet>) -> Self {
        let size = images.size();
        let (ends, waves, numbers) = ([(0, 0.0); 2], vec![], vec![]);
        let lines = vec![Octet::default(); size[0] * (2 + size[1].div_ceil(8))];
        let mut new = Self { images, size, position, column: 0, ends, waves, numbers, made, used: 0, lines };
        new.begin(position, 0);
        new
    }

    /// Forgets all images and turns to a slit position and a column.
    fn begin(&mut self, position: f64, column: usize) {
        let parts = self.images.parts();
        (self.position, self.column) = (position, column);
        self.ends = positions_around(self.images, position);
        let [first, last] = self.ends.map(|(at, _)| &parts.waves[at]);
        self.waves.clone_from(first);
        if last != first {
            self.waves.extend_from_slice(last);
            self.waves.sort_by(f64::total_cmp);
            self.waves.dedup();
        }
        self.numbers.clear();
        self.numbers.resize(self.waves.len() * (parts.oversampling + 1).pow(2), 0);
        self.used = 0;
    }

    /// Octets that an image meets.
    fn octets(&self) -> usize {
        (self.column + self.size[1]).div_ceil(8)
    }

    /// Returns where the image of the fibre at one of its wavelengths begins, made unless it is there.
    fn image(&mut self, wave: usize, phase: [usize; 2]) -> usize {
        let (parts, octets) = (self.images.parts(), self.octets() * self.size[0]);
        let at = (wave * (parts.oversampling + 1) + phase[0]) * (parts.oversampling + 1) + phase[1];
        if self.numbers[at] > 0 {
            return (self.numbers[at] as usize - 1) * octets;
        }
        let from = self.used;
        self.numbers[at] = (from / octets + 1) as u32;
        let mut images: [(f64, &[f64]); AROUND] = [(0.0, self.images.phase_and_beyond(0, phase)); AROUND];
        let mut count = 0;
        for (position, of_position) in self.ends.into_iter().filter(|(_, weight)| *weight != 0.0) {
            let around = cell(&parts.waves[position], self.waves[wave]);
            for (at, of_wave) in around.into_iter().filter(|(_, weight)| *weight != 0.0) {
                let image = self.images.phase_and_beyond(self.images.first()[position] + at, phase);
                images[count] = (of_position * of_wave, image);
                count += 1;
            }
        }
        self.used += octets;
        if self.made.len() < self.used {
            self.made.resize(self.used, Octet::default());
        }
        let (out, lines) = (&mut self.made[from..self.used], &mut self.lines);
        dispatch(Make { images, size: self.size, column: self.column, lines, out });
        from
    }

    /// Writes a spot, clipped at 0, onto octets `[octets, ny]` of which the first begins `shift` columns before its window.
    /// Returns the factor that makes its sum 1; 0 where it covers nothing. `params` are slit position and wavelength.
    pub fn spot(
        &mut self,
        shape: &SpotShape,
        shift: usize,
        offset: (f64, f64),
        params: [f64; 2],
        stamp: &mut [Octet],
    ) -> f64 {
        let finite = params.iter().all(|p| p.is_finite());
        let Some(placement) = Placement::of(shape, self.images, offset).filter(|_| finite) else {
            stamp.fill(Octet::default());
            return 0.0;
        };
        let [first_row, column] = placement.corner;
        let (empty, column) = ((shift + column) / 8, (shift + column) % 8);
        if params[0] != self.position || column != self.column {
            self.begin(params[0], column);
        }
        let mut terms = [(0.0, 0); TERMS];
        let mut count = 0;
        for (wave, of_wave) in cell(&self.waves, params[1]).into_iter().filter(|(_, weight)| *weight != 0.0) {
            for (phase, weight) in placement.terms() {
                terms[count] = (of_wave * weight, self.image(wave, phase));
                count += 1;
            }
        }
        let (octets, rows) = (empty..empty + self.octets(), first_row..first_row + self.size[0]);
        let sum =
            dispatch(OntoOctets { terms: &terms, made: self.made, octets, rows, ny: shape.ny(), stamp: &mut *stamp });
        // Written so that a NaN fails.
        if !(sum > 0.0 && sum.is_finite() && (1.0 / sum).is_finite()) {
            stamp.fill(Octet::default());
            return 0.0;
        }
        match self.images.parts().norm {
            SpotNorm::Total => 1.0,
            SpotNorm::Window if (FAR_FROM_1.recip()..FAR_FROM_1).contains(&sum) => 1.0 / sum,
            SpotNorm::Window => {
                bytemuck::cast_slice_mut(stamp).iter_mut().for_each(|pixel: &mut f64| *pixel /= sum);
                1.0
            }
        }
    }
}

/// Adds up weighted images and puts the sum onto octets.
struct Make<'a, 'b> {
    /// Their rows follow each other, and at least seven numbers the last of them.
    images: [(f64, &'a [f64]); AROUND],
    /// Rows and columns of an image.
    size: [usize; 2],
    /// Column of the first octet on which the image begins.
    column: usize,
    /// Its rows between octets of zeros.
    lines: &'b mut [Octet],
    /// `[octets, rows]`.
    out: &'b mut [Octet],
}

impl Kernel for Make<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { images, size: [rows, columns], column, lines, out } = self;
        let stride = lines.len() / rows;
        let last = stride - 2;
        let rest = columns - 8 * (last - 1);
        // Loads at the end of a row reach into the next.
        let ends = Octet(std::array::from_fn(|lane| f64::from(u8::from(lane < rest))));
        let mut weights = [simd.splat(0.0); AROUND];
        for term in 0..AROUND {
            weights[term] = simd.splat(images[term].0);
        }
        for (y, line) in lines.chunks_exact_mut(stride).enumerate() {
            for k in 1..=last {
                let mut sum = simd.splat(0.0);
                for term in 0..AROUND {
                    let from = &images[term].1[y * columns + 8 * (k - 1)..];
                    let lanes = from.first_chunk().expect("rows or what follows them");
                    sum = simd.mul_add(weights[term], simd.load_anywhere(lanes), sum);
                }
                simd.store(if k == last { simd.mul(sum, simd.load(&ends)) } else { sum }, &mut line[k]);
            }
        }
        let lines: &[f64] = bytemuck::cast_slice(lines);
        for (octet, out) in out.chunks_exact_mut(rows).enumerate() {
            let mut at = 8 * (octet + 1) - column;
            for out in out {
                let lanes = lines[at..].first_chunk().expect("a row and zeros beside it");
                simd.store(simd.load_anywhere(lanes), out);
                at += 8 * stride;
            }
        }
    }
}

/// Adds up weighted images, clips the sum at 0, and puts it at `octets` and `rows` of a spot. Returns the sum of its pixels.
struct OntoOctets<'a> {
    /// Weights, and where the images begin.
    terms: &'a [(f64, usize); TERMS],
    made: &'a [Octet],
    octets: std::ops::Range<usize>,
    rows: std::ops::Range<usize>,
    ny: usize,
    stamp: &'a mut [Octet],
}

impl Kernel for OntoOctets<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f64 {
        let Self { terms, made, octets, rows, ny, stamp } = self;
        let zero = simd.splat(0.0);
        let (mut weights, mut total) = ([zero; TERMS], zero);
        for term in 0..TERMS {
            weights[term] = simd.splat(terms[term].0);
        }
        for (octet, column) in stamp.chunks_exact_mut(ny).enumerate() {
            if !octets.contains(&octet) {
                column.fill(Octet::default());
                continue;
            }
            column[..rows.start].fill(Octet::default());
            column[rows.end..].fill(Octet::default());
            let n = rows.len();
            // Slices of one length: their bounds are checked here alone.
            let from = n * (octet - octets.start);
            let image = |term: usize| &made[terms[term].1 + from..][..n];
            let (a, b, c, d) = (image(0), image(1), image(2), image(3));
            let (e, f, g, h) = (image(4), image(5), image(6), image(7));
            for (y, out) in column[rows.start..][..n].iter_mut().enumerate() {
                let mut even = simd.mul(weights[0], simd.load(&a[y]));
                let mut odd = simd.mul(weights[1], simd.load(&b[y]));
                even = simd.mul_add(weights[2], simd.load(&c[y]), even);
                odd = simd.mul_add(weights[3], simd.load(&d[y]), odd);
                even = simd.mul_add(weights[4], simd.load(&e[y]), even);
                odd = simd.mul_add(weights[5], simd.load(&f[y]), odd);
                even = simd.mul_add(weights[6], simd.load(&g[y]), even);
                odd = simd.mul_add(weights[7], simd.load(&h[y]), odd);
                let pixels = simd.max(simd.add(even, odd), zero);
                total = simd.add(total, pixels);
                simd.store(pixels, out);
            }
        }
        simd.sum(total)
    }
}

#[cfg(test)]
mod tests {
    use super::super::sampled::grid_spot;
    use super::*;
    use crate::psf::{Remainder, SpotImagesParts};

    /// Two slit positions with images of three and two wavelengths, `ny x nx` CCD pixels of 3 x 3 samples. Some samples are negative.
    fn images([ny, nx]: [usize; 2], norm: SpotNorm) -> SpotImages {
        let (oversampling, waves) = (3, vec![vec![4000.0, 4100.0, 4300.0], vec![4000.0, 4200.0]]);
        let [ny, nx] = [ny, nx].map(|n| n * oversampling);
        let sample = |k: usize| 1e-3 * (0.35 + (k as f64 * 0.77).sin());
        let parts = SpotImagesParts {
            positions: vec![1.0, 4.0],
            waves,
            breaks: vec![],
            ny,
            nx,
            centre: [ny, nx].map(|n| (n - 1) as f64 / 2.0),
            oversampling,
            norm,
            remainder: Remainder::Linear,
            samples: (0..5 * ny * nx).map(sample).collect(),
        };
        SpotImages::new(parts).unwrap()
    }

    #[test]
    fn spots_on_octets_are_those_evaluated_one_by_one() {
        for (size, norm) in [([3, 5], SpotNorm::Window), ([5, 7], SpotNorm::Total), ([5, 15], SpotNorm::Window)] {
            let images = images(size, norm);
            let [half_y, half_x] = images.half_size();
            let shape = SpotShape { half_x, half_y, degree_x: 0, degree_y: 0, tails: false };
            let (ny, nx, octets) = (shape.ny(), shape.nx(), shape.octets());
            let mut made = vec![];
            let mut of_fibre = FibreImages::new(&images, 2.2, &mut made);
            // Stamps and images are overwritten from spot to spot, so that both begin with others' numbers.
            let mut stamp = vec![Octet([9.0; 8]); octets * ny];
            for k in 0..40 {
                let offset = (0.5 * (1.3 * k as f64).sin(), 0.5 * (2.1 * k as f64).sin());
                // Beyond the wavelengths of the images, too; another fibre at the end.
                let params = [if k < 32 { 2.2 } else { 3.7 }, 3950.0 + 10.0 * k as f64];
                let (shift, mut alone) = (k / 2 % 8, vec![0.0; ny * nx]);
                let scale = of_fibre.spot(&shape, shift, offset, params, &mut stamp);
                grid_spot(&shape, &images, offset, &params, &mut alone);
                assert!(alone.iter().sum::<f64>() > 0.1, "spot {k}");
                for (octet, column) in stamp.chunks_exact(ny).enumerate() {
                    for (at, value) in
                        column.iter().enumerate().flat_map(|(y, o)| (0..8).map(move |x| ([y, x], o.0[x])))
                    {
                        let x = (8 * octet + at[1]).checked_sub(shift).filter(|x| *x < nx);
                        let expected = x.map_or(0.0, |x| alone[at[0] * nx + x]);
                        assert!((scale * value - expected).abs() < 1e-14, "{size:?}, spot {k}, octet {octet}, {at:?}");
                    }
                }
            }
            assert_eq!(of_fibre.spot(&shape, 0, (0.1, f64::NAN), [2.2, 4000.0], &mut stamp), 0.0);
            assert!(stamp.iter().all(|octet| octet.0 == [0.0; 8]));
        }
    }
}
