//! Eight f64 in lockstep on the widest instruction set the machine has, chosen at run time.
//!
//! A [`Kernel`] is written once, generic over [`Simd`], and [`dispatch`] compiles it for each instruction set.
//! Eight lanes whatever the registers' width: AVX2 and AVX-512 then do the same operations in the same order and
//! give the same bits. Without fused multiply-add (plain x86-64) the last bits differ, on one machine they never do.

/// Eight f64, aligned so that no load crosses a cache line.
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Octet(pub [f64; 8]);

impl Octet {
    /// Adds lane by lane.
    pub(crate) fn add(&mut self, more: &Self) {
        self.0.iter_mut().zip(more.0).for_each(|(own, more)| *own += more);
    }
}

/// Arithmetic on eight lanes. A value of an implementing type is the proof that the machine has the instructions.
pub(crate) trait Simd: Copy {
    /// Eight lanes in registers.
    type Lanes: Copy;
    /// Columns of an 8-row tile whose accumulators fit the registers: 8 with 32 of 512 bits, else 4.
    const TILE_COLUMNS: usize;
    /// Whether lanes are vector registers: code unrolled over lanes of plain arrays takes minutes to compile.
    const VECTORS: bool;
    fn splat(self, value: f64) -> Self::Lanes;
    fn load(self, from: &Octet) -> Self::Lanes;
    fn store(self, lanes: Self::Lanes, to: &mut Octet);
    fn add(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    fn mul(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    fn div(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    /// `a * b + c`, fused where the machine can.
    fn mul_add(self, a: Self::Lanes, b: Self::Lanes, c: Self::Lanes) -> Self::Lanes;
    /// `c - a * b`, fused where the machine can.
    fn neg_mul_add(self, a: Self::Lanes, b: Self::Lanes, c: Self::Lanes) -> Self::Lanes;
    /// The larger of each pair of lanes; b where a is NaN.
    fn max(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    /// Sum of the lanes, in halves: lanes i and i + 4, then i and i + 2, then the last two.
    fn sum(self, lanes: Self::Lanes) -> f64;
    /// The sums of eight vectors, each as [`Simd::sum`].
    fn sums(self, vectors: &[Octet; 8], to: &mut Octet);
}

/// Work to be compiled for every instruction set. `run` and all it calls with `simd` must be `#[inline(always)]`,
/// or they are compiled without the instructions. Closures that are passed on, as to `for_each` and `fold`, are not: loops are.
pub(crate) trait Kernel {
    type Output;
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// Runs a kernel on the widest instruction set present.
pub(crate) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(simd) = x86::Avx512::detect() {
            return simd.dispatch(kernel);
        }
        if let Some(simd) = x86::Avx2::detect() {
            return simd.dispatch(kernel);
        }
    }
    kernel.run(Portable)
}

/// Plain arrays, vectorised by the compiler: SSE2 on x86-64, NEON on aarch64.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

/// `a * b + c`: fused only where that is an instruction of the baseline, since a software fma is 50 times slower.
#[inline(always)]
fn mul_add(a: f64, b: f64, c: f64) -> f64 {
    if cfg!(target_arch = "aarch64") { a.mul_add(b, c) } else { a * b + c }
}

impl Simd for Portable {
    type Lanes = [f64; 8];
    const TILE_COLUMNS: usize = 4;
    const VECTORS: bool = false;

    #[inline(always)]
    fn splat(self, value: f64) -> [f64; 8] {
        [value; 8]
    }
    #[inline(always)]
    fn load(self, from: &Octet) -> [f64; 8] {
        from.0
    }
    #[inline(always)]
    fn store(self, lanes: [f64; 8], to: &mut Octet) {
        to.0 = lanes;
    }
    #[inline(always)]
    fn add(self, a: [f64; 8], b: [f64; 8]) -> [f64; 8] {
        std::array::from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    fn mul(self, a: [f64; 8], b: [f64; 8]) -> [f64; 8] {
        std::array::from_fn(|i| a[i] * b[i])
    }
    #[inline(always)]
    fn div(self, a: [f64; 8], b: [f64; 8]) -> [f64; 8] {
        std::array::from_fn(|i| a[i] / b[i])
    }
    #[inline(always)]
    fn mul_add(self, a: [f64; 8], b: [f64; 8], c: [f64; 8]) -> [f64; 8] {
        std::array::from_fn(|i| mul_add(a[i], b[i], c[i]))
    }
    #[inline(always)]
    fn neg_mul_add(self, a: [f64; 8], b: [f64; 8], c: [f64; 8]) -> [f64; 8] {
        std::array::from_fn(|i| mul_add(-a[i], b[i], c[i]))
    }
    #[inline(always)]
    fn max(self, a: [f64; 8], b: [f64; 8]) -> [f64; 8] {
        std::array::from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    fn sum(self, v: [f64; 8]) -> f64 {
        let q: [f64; 4] = std::array::from_fn(|i| v[i] + v[i + 4]);
        (q[0] + q[2]) + (q[1] + q[3])
    }
    #[inline(always)]
    fn sums(self, vectors: &[Octet; 8], to: &mut Octet) {
        to.0 = std::array::from_fn(|k| self.sum(vectors[k].0));
    }
}

/// The two x86-64 levels. Every `unsafe` here calls instructions whose presence the private field of the token
/// proves: tokens are made by `detect` alone. Loads and stores go through references to aligned [`Octet`]s.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)] // the instructions have no other form
pub(crate) mod x86 {
    use super::{Kernel, Octet, Simd};
    use std::arch::x86_64::*;

    #[derive(Clone, Copy)]
    pub(crate) struct Avx2(());

    #[derive(Clone, Copy)]
    pub(crate) struct Avx512(());

    impl Avx2 {
        pub(crate) fn detect() -> Option<Self> {
            (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
        }

        pub(crate) fn dispatch<K: Kernel>(self, kernel: K) -> K::Output {
            #[target_feature(enable = "avx2,fma")]
            fn inner<K: Kernel>(simd: Avx2, kernel: K) -> K::Output {
                kernel.run(simd)
            }
            // SAFETY: the token proves the instructions.
            unsafe { inner(self, kernel) }
        }
    }

    impl Avx2 {
        /// Lanes i and i + 4 added.
        #[inline(always)]
        fn halves(self, vector: &Octet) -> __m256d {
            let [low, high] = self.load(vector);
            // SAFETY: the token proves the instructions.
            unsafe { _mm256_add_pd(low, high) }
        }
    }

    impl Avx512 {
        pub(crate) fn detect() -> Option<Self> {
            (is_x86_feature_detected!("avx512f") && Avx2::detect().is_some()).then_some(Self(()))
        }

        pub(crate) fn dispatch<K: Kernel>(self, kernel: K) -> K::Output {
            #[target_feature(enable = "avx2,fma,avx512f")]
            fn inner<K: Kernel>(simd: Avx512, kernel: K) -> K::Output {
                kernel.run(simd)
            }
            // SAFETY: the token proves the instructions.
            unsafe { inner(self, kernel) }
        }
    }

    /// `(q0 + q2) + (q1 + q3)`, the last two steps of a sum of eight.
    #[inline(always)]
    fn sum_of_four(quad: __m256d) -> f64 {
        // SAFETY: vectors are made by a token alone, which proves the instructions.
        unsafe {
            let pair = _mm_add_pd(_mm256_castpd256_pd128(quad), _mm256_extractf128_pd::<1>(quad));
            _mm_cvtsd_f64(_mm_add_sd(pair, _mm_unpackhi_pd(pair, pair)))
        }
    }

    /// [`sum_of_four`] of each of four vectors.
    #[inline(always)]
    fn sums_of_four(q: [__m256d; 4]) -> __m256d {
        // SAFETY: vectors are made by a token alone, which proves the instructions.
        unsafe {
            // Lanes i and i + 2 of two vectors a, b: a0 + a2, a1 + a3, b0 + b2, b1 + b3.
            let [a, b, c, d] = q;
            let low = _mm256_add_pd(_mm256_permute2f128_pd::<0x20>(a, b), _mm256_permute2f128_pd::<0x31>(a, b));
            let high = _mm256_add_pd(_mm256_permute2f128_pd::<0x20>(c, d), _mm256_permute2f128_pd::<0x31>(c, d));
            let halves = _mm256_hadd_pd(low, high);
            _mm256_permute4x64_pd::<0b11_01_10_00>(halves)
        }
    }

    impl Simd for Avx2 {
        type Lanes = [__m256d; 2];
        const TILE_COLUMNS: usize = 4;
        const VECTORS: bool = true;

        #[inline(always)]
        fn splat(self, value: f64) -> Self::Lanes {
            // SAFETY: the token proves the instructions.
            unsafe { [_mm256_set1_pd(value); 2] }
        }
        #[inline(always)]
        fn load(self, from: &Octet) -> Self::Lanes {
            let p = from.0.as_ptr();
            // SAFETY: an octet is eight aligned numbers; the token proves the instructions.
            unsafe { [_mm256_load_pd(p), _mm256_load_pd(p.add(4))] }
        }
        #[inline(always)]
        fn store(self, lanes: Self::Lanes, to: &mut Octet) {
            let p = to.0.as_mut_ptr();
            // SAFETY: an octet is eight aligned numbers; the token proves the instructions.
            unsafe {
                _mm256_store_pd(p, lanes[0]);
                _mm256_store_pd(p.add(4), lanes[1]);
            }
        }
        #[inline(always)]
        fn add(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
            // SAFETY: the token proves the instructions.
            unsafe { [_mm256_add_pd(a[0], b[0]), _mm256_add_pd(a[1], b[1])] }
        }
        #[inline(always)]
        fn mul(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
            // SAFETY: the token proves the instructions.
            unsafe { [_mm256_mul_pd(a[0], b[0]), _mm256_mul_pd(a[1], b[1])] }
        }
        #[inline(always)]
        fn div(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
            // SAFETY: the token proves the instructions.
            unsafe { [_mm256_div_pd(a[0], b[0]), _mm256_div_pd(a[1], b[1])] }
        }
        #[inline(always)]
        fn mul_add(self, a: Self::Lanes, b: Self::Lanes, c: Self::Lanes) -> Self::Lanes {
            // SAFETY: the token proves the instructions.
            unsafe { [_mm256_fmadd_pd(a[0], b[0], c[0]), _mm256_fmadd_pd(a[1], b[1], c[1])] }
        }
        #[inline(always)]
        fn neg_mul_add(self, a: Self::Lanes, b: Self::Lanes, c: Self::Lanes) -> Self::Lanes {
            // SAFETY: the token proves the instructions.
            unsafe { [_mm256_fnmadd_pd(a[0], b[0], c[0]), _mm256_fnmadd_pd(a[1], b[1], c[1])] }
        }
        #[inline(always)]
        fn max(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
            // SAFETY: the token proves the instructions.
            unsafe { [_mm256_max_pd(a[0], b[0]), _mm256_max_pd(a[1], b[1])] }
        }
        #[inline(always)]
        fn sum(self, lanes: Self::Lanes) -> f64 {
            // SAFETY: the token proves the instructions.
            sum_of_four(unsafe { _mm256_add_pd(lanes[0], lanes[1]) })
        }
        #[inline(always)]
        fn sums(self, vectors: &[Octet; 8], to: &mut Octet) {
            // Closures would keep the instructions from being inlined.
            let [a, b, c, d, e, f, g, h] = vectors;
            let low = sums_of_four([self.halves(a), self.halves(b), self.halves(c), self.halves(d)]);
            let high = sums_of_four([self.halves(e), self.halves(f), self.halves(g), self.halves(h)]);
            self.store([low, high], to);
        }
    }

    impl Simd for Avx512 {
        type Lanes = __m512d;
        const TILE_COLUMNS: usize = 8;
        const VECTORS: bool = true;

        #[inline(always)]
        fn splat(self, value: f64) -> Self::Lanes {
            // SAFETY: the token proves the instructions.
            unsafe { _mm512_set1_pd(value) }
        }
        #[inline(always)]
        fn load(self, from: &Octet) -> Self::Lanes {
            // SAFETY: an octet is eight aligned numbers; the token proves the instructions.
            unsafe { _mm512_load_pd(from.0.as_ptr()) }
        }
        #[inline(always)]
        fn store(self, lanes: Self::Lanes, to: &mut Octet) {
            // SAFETY: an octet is eight aligned numbers; the token proves the instructions.
            unsafe { _mm512_store_pd(to.0.as_mut_ptr(), lanes) }
        }
        #[inline(always)]
        fn add(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
            // SAFETY: the token proves the instructions.
            unsafe { _mm512_add_pd(a, b) }
        }
        #[inline(always)]
        fn mul(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
            // SAFETY: the token proves the instructions.
            unsafe { _mm512_mul_pd(a, b) }
        }
        #[inline(always)]
        fn div(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
            // SAFETY: the token proves the instructions.
            unsafe { _mm512_div_pd(a, b) }
        }
        #[inline(always)]
        fn mul_add(self, a: Self::Lanes, b: Self::Lanes, c: Self::Lanes) -> Self::Lanes {
            // SAFETY: the token proves the instructions.
            unsafe { _mm512_fmadd_pd(a, b, c) }
        }
        #[inline(always)]
        fn neg_mul_add(self, a: Self::Lanes, b: Self::Lanes, c: Self::Lanes) -> Self::Lanes {
            // SAFETY: the token proves the instructions.
            unsafe { _mm512_fnmadd_pd(a, b, c) }
        }
        #[inline(always)]
        fn max(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
            // SAFETY: the token proves the instructions.
            unsafe { _mm512_max_pd(a, b) }
        }
        #[inline(always)]
        fn sums(self, vectors: &[Octet; 8], to: &mut Octet) {
            Avx2(()).sums(vectors, to);
        }
        #[inline(always)]
        fn sum(self, lanes: Self::Lanes) -> f64 {
            // SAFETY: the token proves the instructions.
            unsafe {
                let high = _mm512_extractf64x4_pd::<1>(lanes);
                sum_of_four(_mm256_add_pd(_mm512_castpd512_pd256(lanes), high))
            }
        }
    }
}

/// Every instruction set of this machine, the portable one first: kernels are tested on each.
#[cfg(test)]
pub(crate) fn on_each<K: Kernel + Clone>(kernel: &K) -> Vec<K::Output> {
    let mut outputs = vec![kernel.clone().run(Portable)];
    #[cfg(target_arch = "x86_64")]
    {
        outputs.extend(x86::Avx2::detect().map(|simd| simd.dispatch(kernel.clone())));
        outputs.extend(x86::Avx512::detect().map(|simd| simd.dispatch(kernel.clone())));
    }
    outputs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone)]
    struct Sums([Octet; 8]);

    impl Kernel for Sums {
        type Output = (Octet, [f64; 8], [f64; 8]);

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Self::Output {
            let mut together = Octet::default();
            simd.sums(&self.0, &mut together);
            let mut largest = Octet::default();
            simd.store(simd.max(simd.load(&self.0[0]), simd.load(&self.0[1])), &mut largest);
            (together, std::array::from_fn(|k| simd.sum(simd.load(&self.0[k]))), largest.0)
        }
    }

    #[test]
    fn sums_and_larger_lanes_are_the_same_bits_on_every_instruction_set() {
        let value = |k: usize, lane: usize| ((8 * k + lane) as f64 * 0.7).sin() * 10f64.powi(k as i32 - lane as i32);
        let vectors = std::array::from_fn(|k| Octet(std::array::from_fn(|lane| value(k, lane))));
        for (together, alone, largest) in on_each(&Sums(vectors)) {
            assert_eq!(together.0, alone);
            for (k, sum) in alone.iter().enumerate() {
                let plain: f64 = vectors[k].0.iter().sum();
                assert!((sum - plain).abs() < 1e-13 * vectors[k].0.iter().map(|v| v.abs()).sum::<f64>());
            }
            assert_eq!(largest, std::array::from_fn(|lane| vectors[0].0[lane].max(vectors[1].0[lane])));
        }
        let mut vectors = vectors;
        vectors[0].0[3] = f64::NAN;
        assert!(on_each(&Sums(vectors)).iter().all(|(_, _, largest)| largest[3] == vectors[1].0[3]));
    }
}
