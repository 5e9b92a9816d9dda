//! Eight f64 in lockstep on the widest instruction set the machine has, chosen at run time.
//!
//! A [`Kernel`] is written once, generic over [`Simd`], and [`dispatch`] compiles it for each instruction set.
//! Eight lanes whatever the registers' width: AVX2 and AVX-512 then do the same operations in the same order and
//! give the same bits. Without fused multiply-add (plain x86-64) the last bits differ, on one machine they never do.

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)] // the instructions have no other form
pub(crate) mod x86;

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
    /// Transposes eight vectors: lane k of vector i becomes lane i of vector k.
    fn transpose(self, rows: &[Octet; 8]) -> [Self::Lanes; 8];
    /// Stores lanes at any f64.
    fn store_anywhere(self, lanes: Self::Lanes, to: &mut [f64; 8]);

    /// One register: a part of an octet. Kernels that hold a dozen of them take an octet part by part.
    type Part: Copy;
    /// Parts of an octet.
    const PARTS: usize;
    fn splat_part(self, value: f64) -> Self::Part;
    /// Loads part k of an octet.
    fn load_part(self, from: &Octet, k: usize) -> Self::Part;
    fn store_part(self, part: Self::Part, to: &mut Octet, k: usize);
    fn add_parts(self, a: Self::Part, b: Self::Part) -> Self::Part;
    fn mul_parts(self, a: Self::Part, b: Self::Part) -> Self::Part;
    /// `a * b + c`, fused where the machine can.
    fn mul_add_parts(self, a: Self::Part, b: Self::Part, c: Self::Part) -> Self::Part;
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
    #[inline(always)]
    fn transpose(self, rows: &[Octet; 8]) -> [[f64; 8]; 8] {
        std::array::from_fn(|k| std::array::from_fn(|i| rows[i].0[k]))
    }
    #[inline(always)]
    fn store_anywhere(self, lanes: [f64; 8], to: &mut [f64; 8]) {
        *to = lanes;
    }

    type Part = [f64; 8];
    const PARTS: usize = 1;

    #[inline(always)]
    fn splat_part(self, value: f64) -> [f64; 8] {
        self.splat(value)
    }
    #[inline(always)]
    fn load_part(self, from: &Octet, _: usize) -> [f64; 8] {
        self.load(from)
    }
    #[inline(always)]
    fn store_part(self, part: [f64; 8], to: &mut Octet, _: usize) {
        self.store(part, to);
    }
    #[inline(always)]
    fn add_parts(self, a: [f64; 8], b: [f64; 8]) -> [f64; 8] {
        self.add(a, b)
    }
    #[inline(always)]
    fn mul_parts(self, a: [f64; 8], b: [f64; 8]) -> [f64; 8] {
        self.mul(a, b)
    }
    #[inline(always)]
    fn mul_add_parts(self, a: [f64; 8], b: [f64; 8], c: [f64; 8]) -> [f64; 8] {
        self.mul_add(a, b, c)
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
    struct Transpose([Octet; 8]);

    impl Kernel for Transpose {
        type Output = [f64; 65];

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Self::Output {
            let columns = simd.transpose(&self.0);
            let mut out = [0.0; 65];
            for k in 0..8 {
                // Not aligned.
                let to = out[1 + 8 * k..].first_chunk_mut().expect("eight numbers");
                simd.store_anywhere(columns[k], to);
            }
            out
        }
    }

    #[test]
    fn transposed_octets_have_lanes_and_vectors_exchanged() {
        let vectors = std::array::from_fn(|k| Octet(std::array::from_fn(|lane| (10 * k + lane) as f64)));
        for out in on_each(&Transpose(vectors)) {
            for (at, value) in out[1..].iter().enumerate() {
                assert_eq!(*value, (10 * (at % 8) + at / 8) as f64);
            }
        }
    }

    /// `a * b + c` of octets, in lanes and part by part; then `(a + b) * a`.
    #[derive(Clone)]
    struct Parts([Octet; 3]);

    impl Kernel for Parts {
        type Output = [Octet; 3];

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Self::Output {
            let [a, b, c] = &self.0;
            let mut out = [Octet::default(); 3];
            simd.store(simd.mul_add(simd.load(a), simd.load(b), simd.load(c)), &mut out[0]);
            for k in 0..S::PARTS {
                let (a, b, c) = (simd.load_part(a, k), simd.load_part(b, k), simd.load_part(c, k));
                simd.store_part(simd.mul_add_parts(a, b, c), &mut out[1], k);
                simd.store_part(simd.mul_parts(simd.add_parts(a, b), a), &mut out[2], k);
            }
            out
        }
    }

    #[test]
    fn parts_of_octets_have_the_bits_of_their_lanes() {
        let vectors = std::array::from_fn(|k| Octet(std::array::from_fn(|lane| ((8 * k + lane) as f64).sin())));
        for [lanes, parts, products] in on_each(&Parts(vectors)) {
            assert_eq!(lanes, parts);
            for lane in 0..8 {
                let [a, b] = [vectors[0].0[lane], vectors[1].0[lane]];
                assert_eq!(products.0[lane], (a + b) * a);
            }
        }
    }

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
