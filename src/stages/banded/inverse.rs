//! Eight banded matrices in lockstep, one per lane: L D L^T column by column, solves, and the band of the inverse.
//!
//! The loops over a column's band are unrolled at compile time, so that partial sums stay in registers. Half
//! bandwidths are therefore a few fixed numbers (`with_half_bandwidth!`); a narrower band is filled up with zeros.

use super::column::{Column, subtract_column, subtract_inverse};
use super::tile::{self, factor_columns, invert_columns};
use crate::stages::simd::{Arithmetic, Kernel, Octet, Simd, dispatch};

/// Above this the loops stay loops, over some rows at a time: unrolled code would take minutes to compile.
const UNROLLED: usize = 16;

/// The columns of a matrix between B columns of zeros at each end, which save every kernel its special cases.
pub(crate) struct Columns<const B: usize> {
    columns: Vec<Column<B>>,
}

/// Does a step for k = B .. 1: the newest column, which the step before has just finished, comes last. Unrolled, k is
/// a constant and partial sums stay in registers.
macro_rules! descending {
    ($k:ident => $step:expr) => {
        if S::VECTORS && B <= UNROLLED {
            descending!($k => $step, 24 23 22 21 20 19 18 17 16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1);
        } else {
            // A closure would keep the step's instructions from being inlined.
            let mut $k = B;
            while $k >= 1 {
                $step;
                $k -= 1;
            }
        }
    };
    ($k:ident => $step:expr, $($value:literal)*) => {
        $(if $value <= B { let $k: usize = $value; $step; })*
    };
}

impl<const B: usize> Columns<B> {
    /// Room for `n` columns.
    pub(crate) fn new(n: usize) -> Self {
        Self { columns: vec![Column::ZERO; n + 2 * B] }
    }

    /// Column j.
    #[inline(always)]
    pub(crate) fn column(&self, j: usize) -> &Column<B> {
        &self.columns[j + B]
    }

    /// Column j, to be filled.
    #[inline(always)]
    pub(crate) fn column_mut(&mut self, j: usize) -> &mut Column<B> {
        &mut self.columns[j + B]
    }

    /// Makes `n` the number of columns: those beyond become zeros.
    pub(crate) fn truncate(&mut self, n: usize) {
        self.columns[n + B..n + 2 * B].fill(Column::ZERO);
    }

    /// Column j of the matrix to be factored: A_jj and A_{j+1+i, j}, zeros below the last row.
    #[inline(always)]
    pub(crate) fn set<S: Simd>(&mut self, simd: S, j: usize, diagonal: S::Lanes, below: impl Fn(usize) -> S::Lanes) {
        let column = &mut self.columns[j + B];
        simd.store(diagonal, &mut column.diagonal);
        for i in 0..B {
            simd.store(below(i), &mut column.lower[i]);
        }
    }

    /// A = L D L^T of the first `n` columns.
    pub(crate) fn factor(&mut self, n: usize) {
        dispatch(Factor { columns: self, n });
    }

    /// Replaces the factor of the first `n` columns by the band of the inverse.
    pub(crate) fn invert(&mut self, n: usize) {
        dispatch(Invert { columns: self, n });
    }

    /// v := (L D L^T)^-1 v for v between B zeros at each end.
    #[inline(always)]
    pub(crate) fn solve<S: Simd>(&self, simd: S, side: &mut [Octet]) {
        self.solve_together::<S, 1>(simd, bytemuck::cast_slice_mut(side));
    }

    /// v := (L D L^T)^-1 v for several v, element by element, between B zeros at each end.
    #[inline(always)]
    pub(crate) fn solve_together<S: Simd, const N: usize>(&self, simd: S, sides: &mut [[Octet; N]]) {
        let n = sides.len() - 2 * B;
        for j in 0..n {
            let past: &[Column<B>; B] = self.columns[j..].first_chunk().expect("zeros precede the first column");
            let before: &[[Octet; N]; B] = sides[j..].first_chunk().expect("B elements before");
            let mut sums = [[simd.splat(0.0); N]; 2];
            for v in 0..N {
                sums[0][v] = simd.load(&sides[j + B][v]);
            }
            for k in (0..B).step_by(2) {
                for odd in 0..2 {
                    let factor = simd.load(&past[k + odd].lower[B - 1 - k - odd]);
                    for v in 0..N {
                        sums[odd][v] = simd.neg_mul_add(factor, simd.load(&before[k + odd][v]), sums[odd][v]);
                    }
                }
            }
            for v in 0..N {
                simd.store(simd.add(sums[0][v], sums[1][v]), &mut sides[j + B][v]);
            }
        }
        for j in (0..n).rev() {
            let column = &self.columns[j + B];
            let after: &[[Octet; N]; B] = sides[j + B + 1..].first_chunk().expect("B elements after");
            let mut sums = [[simd.splat(0.0); N]; 2];
            for v in 0..N {
                sums[0][v] = simd.mul(simd.load(&sides[j + B][v]), simd.load(&column.diagonal));
            }
            for k in (0..B).step_by(2).rev() {
                for odd in 0..2 {
                    let factor = simd.load(&column.lower[k + odd]);
                    for v in 0..N {
                        sums[odd][v] = simd.neg_mul_add(factor, simd.load(&after[k + odd][v]), sums[odd][v]);
                    }
                }
            }
            for v in 0..N {
                simd.store(simd.add(sums[0][v], sums[1][v]), &mut sides[j + B][v]);
            }
        }
    }

    #[inline(always)]
    fn factor_column<S: Simd>(&mut self, simd: S, j: usize) {
        let (past, rest) = self.columns.split_at_mut(j + B);
        let (past, column) = (past.last_chunk().expect("zeros precede the first column"), &mut rest[0]);
        for k in 0..S::PARTS {
            let part = simd.part(k);
            let mut pivot = part.load(&column.diagonal);
            let mut sums = [pivot; B];
            for i in 0..B {
                sums[i] = part.load(&column.lower[i]);
            }
            descending!(k => subtract_column(part, k, past, &mut pivot, &mut sums));
            let inverse = part.div(part.splat(1.0), pivot);
            part.store(pivot, &mut column.pivot);
            part.store(inverse, &mut column.diagonal);
            for i in 0..B {
                part.store(part.mul(sums[i], inverse), &mut column.lower[i]);
            }
        }
    }

    /// The first column with a pivot that is not a positive number, and its lane.
    pub(crate) fn bad_pivot(&self, n: usize) -> Option<(usize, usize)> {
        let bad = |lanes: &Octet| lanes.0.iter().position(|p| !(*p > 0.0 && p.is_finite()));
        self.columns[B..B + n].iter().enumerate().find_map(|(j, c)| bad(&c.pivot).map(|lane| (j, lane)))
    }

    /// For which lanes all pivots are positive.
    pub(crate) fn positive(&self, n: usize) -> [bool; 8] {
        std::array::from_fn(|lane| self.columns[B..B + n].iter().all(|c| c.pivot.0[lane] > 0.0))
    }

    /// Solves `L y = o` for rows j .. j + R of four vectors: `sums` is o, in halves. The B rows before come first in `y`, zero down to
    /// `first`; the new ones follow. Every sum has its even and its odd terms apart, in the order of the columns.
    #[inline(always)]
    pub(crate) fn forward_together<P: Arithmetic, const R: usize>(
        &self,
        part: P,
        j: usize,
        first: usize,
        y: &mut [[Octet; 4]],
        sums: &mut [[[P::Lanes; 4]; 2]; R],
    ) {
        const { assert!(B.is_multiple_of(2)) };
        let past: &[Column<B>; B] = self.columns[j..].first_chunk().expect("zeros precede the first column");
        for even in (first / 2 * 2..B).step_by(2) {
            for odd in 0..2 {
                let m = even + odd;
                let mut before = [part.splat(0.0); 4];
                for c in 0..4 {
                    before[c] = part.load(&y[m][c]);
                }
                for q in 0..R {
                    if m >= q {
                        let factor = part.load(&past[m].lower[B - 1 - m + q]);
                        let sum = &mut sums[q][(odd + q) % 2];
                        for c in 0..4 {
                            sum[c] = part.neg_mul_add(factor, before[c], sum[c]);
                        }
                    }
                }
            }
        }
        for q in 0..R {
            let column = &self.columns[j + B + q];
            for c in 0..4 {
                let value = part.add(sums[q][0][c], sums[q][1][c]);
                part.store(value, &mut y[B + q][c]);
                for below in q + 1..R {
                    let sum = &mut sums[below][(q + below) % 2][c];
                    *sum = part.neg_mul_add(part.load(&column.lower[below - q - 1]), value, *sum);
                }
            }
        }
    }

    /// Replaces column j of the factor by column j of the inverse, if those after it are done (Takahashi's selected
    /// inversion). `Z_ij = [i = j]/d_j - sum_k Z_ik L_kj` over the rows k of the band; elements within the band are exact.
    #[inline(always)]
    fn invert_column<S: Simd>(&mut self, simd: S, j: usize) {
        let (column, future) = self.columns[j + B..].split_first_mut().expect("column j exists");
        let future: &[Column<B>; B] = future.first_chunk().expect("zeros follow the last column");
        for k in 0..S::PARTS {
            let part = simd.part(k);
            let mut sums = [part.splat(0.0); B];
            descending!(k => subtract_inverse(part, k, &column.lower, future, &mut sums));
            let (mut even, mut odd) = (part.load(&column.diagonal), part.splat(0.0));
            for k in 0..B / 2 {
                even = part.neg_mul_add(part.load(&column.lower[2 * k]), sums[2 * k], even);
                odd = part.neg_mul_add(part.load(&column.lower[2 * k + 1]), sums[2 * k + 1], odd);
            }
            part.store(part.add(even, odd), &mut column.diagonal);
            for i in 0..B {
                part.store(sums[i], &mut column.lower[i]);
            }
        }
    }
}

/// The first of n columns that are taken some together: those of wide bands.
fn together<S: Simd, const B: usize>(n: usize) -> usize {
    if S::VECTORS && B > UNROLLED { n / tile::COLUMNS * tile::COLUMNS } else { 0 }
}

struct Factor<'a, const B: usize> {
    columns: &'a mut Columns<B>,
    n: usize,
}

impl<const B: usize> Kernel for Factor<'_, B> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let together = together::<S, B>(self.n);
        for j in (0..together).step_by(tile::COLUMNS) {
            let (past, rest) = self.columns.columns.split_at_mut(j + B);
            factor_columns(simd, past.last_chunk().expect("zeros precede the first column"), rest);
        }
        for j in together..self.n {
            self.columns.factor_column(simd, j);
        }
    }
}

struct Invert<'a, const B: usize> {
    columns: &'a mut Columns<B>,
    n: usize,
}

impl<const B: usize> Kernel for Invert<'_, B> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let together = together::<S, B>(self.n);
        for j in (together..self.n).rev() {
            self.columns.invert_column(simd, j);
        }
        for j in (0..together).step_by(tile::COLUMNS).rev() {
            invert_columns(simd, &mut self.columns.columns[j + B..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::with_half_bandwidth;
    use super::*;
    use crate::stages::simd::{assert_same_bits, on_each};
    use nalgebra::DMatrix;
    use proptest::prelude::*;

    /// Eight random positive definite band matrices: diagonally dominant, then scaled over many decades.
    fn matrices(n: usize, half: usize, seed: &[f64]) -> Vec<DMatrix<f64>> {
        let random = |k: usize| seed[k % seed.len()] * (1.0 + 0.3 * ((k * 7919) as f64).sin());
        let matrix = |lane: usize| {
            let mut m = DMatrix::zeros(n, n);
            for i in 0..n {
                for j in i.saturating_sub(half)..i {
                    m[(i, j)] = random((lane * n + i) * half + j);
                    m[(j, i)] = m[(i, j)];
                }
            }
            for i in 0..n {
                m[(i, i)] = 0.1 + m.row(i).iter().map(|v: &f64| v.abs()).sum::<f64>();
            }
            let scale = DMatrix::from_diagonal(&nalgebra::DVector::from_fn(n, |i, _| 10f64.powi((i % 5) as i32 - 2)));
            &scale * m * &scale
        };
        (0..8).map(matrix).collect()
    }

    fn check<const B: usize>(matrices: &[DMatrix<f64>]) -> Result<(), TestCaseError> {
        struct Run<'a, const B: usize>(&'a [DMatrix<f64>], &'a mut Columns<B>, &'a mut [Octet]);
        impl<const B: usize> Kernel for Run<'_, B> {
            type Output = ();
            #[inline(always)]
            fn run<S: Simd>(self, simd: S) {
                let n = self.0[0].nrows();
                let lanes = |i: usize, j: usize| {
                    let value = |lane: usize| if i < n { self.0[lane][(i, j)] } else { 0.0 };
                    simd.load(&Octet(std::array::from_fn(value)))
                };
                (0..n).for_each(|j| self.1.set(simd, j, lanes(j, j), |i| lanes(j + 1 + i, j)));
                self.1.factor(n);
                self.1.solve(simd, self.2);
                self.1.invert(n);
            }
        }
        let n = matrices[0].nrows();
        let mut columns = Columns::<B>::new(n);
        let mut x = vec![Octet::default(); n + 2 * B];
        x[B..n + B].fill(Octet([1.0; 8]));
        dispatch(Run(matrices, &mut columns, &mut x));
        prop_assert_eq!(columns.bad_pivot(n), None);
        for (lane, matrix) in matrices.iter().enumerate() {
            let inverse = matrix.clone().try_inverse().expect("the matrix is positive definite");
            let solution = &inverse * nalgebra::DVector::from_element(n, 1.0);
            for j in 0..n {
                let scale = solution.iter().map(|v| v.abs()).fold(0.0, f64::max);
                prop_assert!((x[j + B].0[lane] - solution[j]).abs() < 1e-11 * scale);
                for i in j..(j + B + 1).min(n) {
                    let column = columns.column(j);
                    let ours = if i == j { &column.diagonal } else { &column.lower[i - j - 1] };
                    let scale = (inverse[(i, i)] * inverse[(j, j)]).sqrt();
                    prop_assert!((ours.0[lane] - inverse[(i, j)]).abs() < 1e-12 * scale, "{} {}", i, j);
                }
            }
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn solutions_and_bands_of_inverses_are_those_of_dense_algebra(
            n in 1usize..70, half in 0usize..60, seed in prop::collection::vec(-1.0f64..1.0, 40)
        ) {
            let matrices = matrices(n, half, &seed);
            with_half_bandwidth!(half, B => check::<B>(&matrices)?);
        }
    }

    /// Factors and inverts column by column, or some columns together.
    #[derive(Clone)]
    struct Bits<const B: usize> {
        n: usize,
        together: bool,
    }

    impl<const B: usize> Kernel for Bits<B> {
        type Output = Vec<Octet>;

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Self::Output {
            let Self { n, together } = self;
            let mut columns = Columns::<B>::new(n);
            for j in 0..n {
                let value = |i: usize| Octet(std::array::from_fn(|lane| ((7 * j + 3 * i + 5 * lane) as f64).sin()));
                let below = |i: usize| simd.load(&if j + 1 + i < n { value(i) } else { Octet::default() });
                columns.set(simd, j, simd.splat(40.0), below);
            }
            if together {
                Factor { columns: &mut columns, n }.run(simd);
                Invert { columns: &mut columns, n }.run(simd);
            } else {
                (0..n).for_each(|j| columns.factor_column(simd, j));
                (0..n).rev().for_each(|j| columns.invert_column(simd, j));
            }
            columns.columns.iter().flat_map(|column| [column.diagonal].into_iter().chain(column.lower)).collect()
        }
    }

    #[test]
    fn bits_depend_neither_on_columns_taken_together_nor_on_vector_registers() {
        for n in [5, 50, 75] {
            let [alone, together] = [false, true].map(|together| on_each(&Bits::<32> { n, together }));
            assert_eq!(alone, together);
            assert!(alone[0].iter().any(|column| column.0[0].abs() > 1e-4));
            assert_same_bits(&alone);
            assert_same_bits(&on_each(&Bits::<12> { n, together: false }));
        }
    }

    #[test]
    fn a_pivot_that_is_not_positive_is_found_in_its_lane() {
        struct Load<'a>(&'a mut Columns<8>);
        impl Kernel for Load<'_> {
            type Output = ();
            #[inline(always)]
            fn run<S: Simd>(self, simd: S) {
                for j in 0..5 {
                    let diagonal = Octet(std::array::from_fn(|lane| if (j, lane) == (3, 6) { -1.0 } else { 1.0 }));
                    self.0.set(simd, j, simd.load(&diagonal), |_| simd.splat(0.0));
                }
            }
        }
        let mut columns = Columns::new(5);
        dispatch(Load(&mut columns));
        columns.factor(5);
        assert_eq!(columns.bad_pivot(5), Some((3, 6)));
        assert_eq!(columns.positive(5), std::array::from_fn(|lane| lane != 6));
    }
}
