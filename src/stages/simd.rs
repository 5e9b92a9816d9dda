//! Eight f64 in lockstep on the widest instruction set the machine has, chosen at run time.
//!
//! A [`Kernel`] is written once, generic over [`Simd`], and [`dispatch`] compiles it for each instruction set.
//! Eight lanes whatever the registers' width: AVX2 and AVX-512 then do the same operations in the same order, but for terms that
//! are 0, and of finite numbers give the same bits. Without fused multiply-add (plain x86-64) the last bits differ, on one machine they never do.

mod lanes;
mod portable;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)] // the instructions have no other form
pub(crate) mod x86;

pub(crate) use lanes::{Arithmetic, Kernel, Octet, Simd};
pub(crate) use portable::Portable;

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

/// Every instruction set of this machine, after plain arrays, whole and by halves: kernels are tested on each.
#[cfg(test)]
pub(crate) fn on_each<K: Kernel + Clone>(kernel: &K) -> Vec<K::Output> {
    let mut outputs = vec![kernel.clone().run(Portable), kernel.clone().run(portable::PortableHalves)];
    #[cfg(target_arch = "x86_64")]
    {
        outputs.extend(x86::Avx2::detect().map(|simd| simd.dispatch(kernel.clone())));
        outputs.extend(x86::Avx512::detect().map(|simd| simd.dispatch(kernel.clone())));
    }
    outputs
}

/// Asserts that all outputs of [`on_each`] are the same; vectors and plain arrays apart, which may lack fused multiply-add.
#[cfg(test)]
pub(crate) fn assert_same_bits<T: PartialEq>(outputs: &[T]) {
    let (plain, vectors) = outputs.split_at(2);
    assert!(plain[0] == plain[1], "plain arrays, whole and by halves");
    assert!(vectors.windows(2).all(|pair| pair[0] == pair[1]), "AVX2 and AVX-512");
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
                let lanes = simd.load_anywhere(to);
                simd.store_anywhere(lanes, to);
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
                let part = simd.part(k);
                let (a, b, c) = (part.load(a), part.load(b), part.load(c));
                part.store(part.mul_add(a, b, c), &mut out[1]);
                part.store(part.mul(part.add(a, b), a), &mut out[2]);
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
