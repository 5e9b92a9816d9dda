//! The weighted Gram matrix of two tables with one row per pixel.

use super::simd::{Kernel, Octet, Simd, dispatch};

/// Adds nothing and replaces all: `out[a][b] = sum_p left[p][a] right[p][b]`, tables `[pixel, octets]`, `out`
/// `[8 octets, octets]`. Weights are in `left` already.
pub(crate) fn gram(octets: usize, left: &[Octet], right: &[Octet], out: &mut [Octet]) {
    dispatch(Gram { octets, left, right, out });
}

struct Gram<'a> {
    octets: usize,
    left: &'a [Octet],
    right: &'a [Octet],
    out: &'a mut [Octet],
}

impl Kernel for Gram<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let mut octet = 0;
        while octet < self.octets {
            let step = match (S::TILE_COLUMNS == 8, self.octets - octet) {
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
        for row in (0..8 * self.octets).step_by(4) {
            let mut sums = [[simd.splat(0.0); O]; 4];
            let pixels = self.left.chunks_exact(self.octets).zip(self.right.chunks_exact(self.octets));
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
                    simd.store(sums[r][o], &mut self.out[(row + r) * self.octets + octet + o]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_the_sum_over_the_pixels() {
        for octets in [1, 2, 3, 5, 7] {
            let table = |s: f64| -> Vec<Octet> {
                let value = |k: usize| (s * k as f64).sin();
                (0..23 * octets).map(|k| Octet(std::array::from_fn(|l| value(8 * k + l)))).collect()
            };
            let (left, right, mut out) = (table(0.7), table(1.3), vec![Octet::default(); 8 * octets * octets]);
            gram(octets, &left, &right, &mut out);
            let [a, b, c]: [&[f64]; 3] = [&left, &right, &out].map(|t| bytemuck::cast_slice(t));
            let n = 8 * octets;
            for i in 0..n {
                for j in 0..n {
                    let sum: f64 = (0..23).map(|p| a[p * n + i] * b[p * n + j]).sum();
                    assert!((c[i * n + j] - sum).abs() < 1e-12, "{octets} octets, {i}, {j}");
                }
            }
        }
    }
}
