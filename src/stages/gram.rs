//! The weighted Gram matrix of two tables with one row per pixel.

use super::simd::{Kernel, Octet, Simd, dispatch};

/// Adds nothing and replaces all: `out[a][b] = sum_p left[p][a] right[p][b]`, tables `[pixel, octets[0]]` and
/// `[pixel, octets[1]]`, `out` `[8 octets[0], octets[1]]`. Weights are in `left` already.
pub(crate) fn gram(octets: [usize; 2], left: &[Octet], right: &[Octet], out: &mut [Octet]) {
    dispatch(Gram { octets, left, right, out });
}

/// Adds `factor` times a table to another.
pub(crate) fn add_scaled(factor: f64, from: &[Octet], to: &mut [Octet]) {
    dispatch(AddScaled { factor, from, to });
}

struct Gram<'a> {
    octets: [usize; 2],
    left: &'a [Octet],
    right: &'a [Octet],
    out: &'a mut [Octet],
}

impl Kernel for Gram<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let mut octet = 0;
        while octet < self.octets[1] {
            let step = match (S::TILE_COLUMNS == 8, self.octets[1] - octet) {
                (true, 4..) => 4,
                (true, 3) => 3,
                (_, 2..) => 2,
                _ => 1,
            };
            match step {
                4 => self.columns::<S, 4>(simd, octet),
                3 => self.columns::<S, 3>(simd, octet),
                2 => self.columns::<S, 2>(simd, octet),
                _ => self.columns::<S, 1>(simd, octet),
            }
            octet += step;
        }
    }
}

impl Gram<'_> {
    /// Octets `octet..octet + O` of all rows of the result, four rows at a time in registers.
    #[inline(always)]
    fn columns<S: Simd, const O: usize>(&mut self, simd: S, octet: usize) {
        let [rows, width] = self.octets;
        for row in (0..8 * rows).step_by(4) {
            let mut sums = [[simd.splat(0.0); O]; 4];
            let pixels = self.left.chunks_exact(rows).zip(self.right.chunks_exact(width));
            for (left, right) in pixels {
                let quad = &left[row / 8].0[row % 8..row % 8 + 4];
                for o in 0..O {
                    let right = simd.load(&right[octet + o]);
                    for r in 0..4 {
                        sums[r][o] = simd.mul_add(simd.splat(quad[r]), right, sums[r][o]);
                    }
                }
            }
            for r in 0..4 {
                for o in 0..O {
                    simd.store(sums[r][o], &mut self.out[(row + r) * width + octet + o]);
                }
            }
        }
    }
}

struct AddScaled<'a> {
    factor: f64,
    from: &'a [Octet],
    to: &'a mut [Octet],
}

impl Kernel for AddScaled<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let factor = simd.splat(self.factor);
        for (to, from) in self.to.iter_mut().zip(self.from) {
            let sum = simd.mul_add(factor, simd.load(from), simd.load(to));
            simd.store(sum, to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_the_sum_over_the_pixels() {
        for octets in [[1, 1], [2, 3], [3, 1], [5, 5], [1, 7], [7, 4]] {
            let table = |s: f64, octets: usize| -> Vec<Octet> {
                let value = |k: usize| (s * k as f64).sin();
                (0..23 * octets).map(|k| Octet(std::array::from_fn(|l| value(8 * k + l)))).collect()
            };
            let (left, right) = (table(0.7, octets[0]), table(1.3, octets[1]));
            let mut out = vec![Octet::default(); 8 * octets[0] * octets[1]];
            gram(octets, &left, &right, &mut out);
            let [a, b, c]: [&[f64]; 3] = [&left, &right, &out].map(|t| bytemuck::cast_slice(t));
            let [n, m] = octets.map(|o| 8 * o);
            for i in 0..n {
                for j in 0..m {
                    let sum: f64 = (0..23).map(|p| a[p * n + i] * b[p * m + j]).sum();
                    assert!((c[i * m + j] - sum).abs() < 1e-12, "{octets:?} octets, {i}, {j}");
                }
            }
            let mut twice = out.clone();
            add_scaled(-3.0, &out, &mut twice);
            let twice: &[f64] = bytemuck::cast_slice(&twice);
            assert!(twice.iter().zip(c).all(|(t, c)| (t + 2.0 * c).abs() < 1e-14 * c.abs()));
        }
    }
}
