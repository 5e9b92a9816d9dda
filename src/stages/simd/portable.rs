//! Octets without instructions of any machine.

use super::lanes::{Arithmetic, Octet, Simd};

/// Plain arrays, vectorised by the compiler: SSE2 on x86-64, NEON on aarch64.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

/// `a * b + c`: fused only where that is an instruction of the baseline, since a software fma is 50 times slower.
#[inline(always)]
fn mul_add(a: f64, b: f64, c: f64) -> f64 {
    if cfg!(target_arch = "aarch64") { a.mul_add(b, c) } else { a * b + c }
}

/// [`Portable`] that takes octets by halves, as AVX2 does: code by halves is tested on every machine.
#[cfg(test)]
#[derive(Clone, Copy)]
pub(crate) struct PortableHalves;

/// Arithmetic on four numbers of an octet, from the given one on.
#[cfg(test)]
#[derive(Clone, Copy)]
pub(crate) struct Quad(usize);

/// Arithmetic on `$n` numbers: of eight in memory those from `$from` on.
macro_rules! arithmetic {
    ($n:literal, $self:ident => $from:expr) => {
        type Lanes = [f64; $n];

        #[inline(always)]
        fn splat(self, value: f64) -> [f64; $n] {
            [value; $n]
        }
        #[inline(always)]
        fn load($self, from: &Octet) -> [f64; $n] {
            std::array::from_fn(|i| from.0[$from + i])
        }
        #[inline(always)]
        fn store($self, lanes: [f64; $n], to: &mut Octet) {
            to.0[$from..$from + $n].copy_from_slice(&lanes);
        }
        #[inline(always)]
        fn add(self, a: [f64; $n], b: [f64; $n]) -> [f64; $n] {
            std::array::from_fn(|i| a[i] + b[i])
        }
        #[inline(always)]
        fn mul(self, a: [f64; $n], b: [f64; $n]) -> [f64; $n] {
            std::array::from_fn(|i| a[i] * b[i])
        }
        #[inline(always)]
        fn div(self, a: [f64; $n], b: [f64; $n]) -> [f64; $n] {
            std::array::from_fn(|i| a[i] / b[i])
        }
        #[inline(always)]
        fn mul_add(self, a: [f64; $n], b: [f64; $n], c: [f64; $n]) -> [f64; $n] {
            std::array::from_fn(|i| mul_add(a[i], b[i], c[i]))
        }
        #[inline(always)]
        fn neg_mul_add(self, a: [f64; $n], b: [f64; $n], c: [f64; $n]) -> [f64; $n] {
            std::array::from_fn(|i| mul_add(-a[i], b[i], c[i]))
        }
        #[inline(always)]
        fn max(self, a: [f64; $n], b: [f64; $n]) -> [f64; $n] {
            std::array::from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] })
        }
        #[inline(always)]
        fn widen($self, from: &[f32; 8]) -> [f64; $n] {
            std::array::from_fn(|i| f64::from(from[$from + i]))
        }
        #[inline(always)]
        fn where_positive(self, a: [f64; $n], then: [f64; $n]) -> [f64; $n] {
            std::array::from_fn(|i| if a[i] > 0.0 { then[i] } else { 0.0 })
        }
    };
}

/// Arithmetic on eight numbers, taken by parts `$part`.
macro_rules! simd {
    ($of:ty, $parts:literal, $part:ty, $k:ident => $new:expr) => {
        impl Arithmetic for $of {
            arithmetic!(8, self => 0);
        }

        impl Simd for $of {
            const TILE_COLUMNS: usize = 4;
            const VECTORS: bool = false;

            #[inline(always)]
            fn sum(self, v: [f64; 8]) -> f64 {
                let q: [f64; 4] = std::array::from_fn(|i| v[i] + v[i + 4]);
                (q[0] + q[2]) + (q[1] + q[3])
            }
            #[inline(always)]
            fn sums(self, vectors: &[Octet; 8], to: &mut Octet) {
                to.0 = std::array::from_fn(|k| self.sum(vectors[k].0));
            }
            #[inline(always)]
            fn transpose(self, rows: &[Octet; 8]) -> [[f64; 8]; 8] {
                std::array::from_fn(|k| std::array::from_fn(|i| rows[i].0[k]))
            }
            #[inline(always)]
            fn load_anywhere(self, from: &[f64; 8]) -> [f64; 8] {
                *from
            }
            #[inline(always)]
            fn store_anywhere(self, lanes: [f64; 8], to: &mut [f64; 8]) {
                *to = lanes;
            }
            type Part = $part;
            const PARTS: usize = $parts;

            #[inline(always)]
            fn part(self, $k: usize) -> $part {
                $new
            }
        }
    };
}

simd!(Portable, 1, Self, _k => Self);

#[cfg(test)]
simd!(PortableHalves, 2, Quad, k => Quad(4 * k));

#[cfg(test)]
impl Arithmetic for Quad {
    arithmetic!(4, self => self.0);
}
