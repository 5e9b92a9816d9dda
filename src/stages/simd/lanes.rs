//! Octets, arithmetic on them, and what is compiled for every instruction set.

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

/// Arithmetic on an octet or on a part of one. A value of an implementing type is the proof that the machine has the instructions.
pub(crate) trait Arithmetic: Copy {
    /// Lanes in registers.
    type Lanes: Copy;
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
    /// Loads f32.
    fn widen(self, from: &[f32; 8]) -> Self::Lanes;
    /// `then` in lanes where a > 0, else 0.
    fn where_positive(self, a: Self::Lanes, then: Self::Lanes) -> Self::Lanes;
    /// Adds lanes to those in memory.
    #[inline(always)]
    fn add_to(self, lanes: Self::Lanes, to: &mut Octet) {
        self.store(self.add(self.load(to), lanes), to);
    }
}

/// Arithmetic on all eight lanes, and what mixes them.
pub(crate) trait Simd: Arithmetic {
    /// Columns of an 8-row tile whose accumulators fit the registers: 8 with 32 of 512 bits, else 4.
    const TILE_COLUMNS: usize;
    /// Whether lanes are vector registers: code unrolled over lanes of plain arrays takes minutes to compile.
    const VECTORS: bool;
    /// Sum of the lanes, in halves: lanes i and i + 4, then i and i + 2, then the last two.
    fn sum(self, lanes: Self::Lanes) -> f64;
    /// The sums of eight vectors, each as [`Simd::sum`].
    fn sums(self, vectors: &[Octet; 8], to: &mut Octet);
    /// Transposes eight vectors: lane k of vector i becomes lane i of vector k.
    fn transpose(self, rows: &[Octet; 8]) -> [Self::Lanes; 8];
    /// Loads lanes from any f64.
    fn load_anywhere(self, from: &[f64; 8]) -> Self::Lanes;
    /// Stores lanes at any f64.
    fn store_anywhere(self, lanes: Self::Lanes, to: &mut [f64; 8]);

    /// Arithmetic on a part of an octet that fills one register. Kernels that hold a dozen numbers per lane take an octet part by part.
    type Part: Arithmetic;
    /// Parts of an octet.
    const PARTS: usize;
    /// Lanes of a part.
    const PART_LANES: usize = 8 / Self::PARTS;
    /// Arithmetic on part k.
    fn part(self, k: usize) -> Self::Part;
}

/// Work to be compiled for every instruction set. `run` and all it calls with `simd` must be `#[inline(always)]`,
/// or they are compiled without the instructions. Closures that are passed on, as to `for_each` and `fold`, are not: loops are.
pub(crate) trait Kernel {
    type Output;
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}
