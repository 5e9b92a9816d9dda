//! Eliminating a fibre: the factor of its block, and products through it as Gram matrices.

use super::front::{Band, Term};
use super::inverse::Columns;
use crate::stages::simd::{Kernel, Octet, Simd};

/// D - A, to be factored.
pub(super) struct Difference<'a, const B: usize> {
    pub(super) diagonal: &'a [Band<B>],
    pub(super) term: Option<&'a [Band<B>]>,
}

impl<const B: usize> Kernel for Difference<'_, B> {
    type Output = Columns<B>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Columns<B> {
        let mut columns = Columns::<B>::new(self.diagonal.len());
        let minus = |d: &Octet, a: &Octet| simd.neg_mul_add(simd.splat(1.0), simd.load(a), simd.load(d));
        for (j, d) in self.diagonal.iter().enumerate() {
            let a = self.term.map_or(&Band::ZERO, |term| &term[j]);
            columns.set(simd, j, minus(&d.diagonal, &a.diagonal), |i| minus(&d.lower[i], &a.lower[i]));
        }
        columns
    }
}

/// v := (D - A)^-1 v.
pub(super) struct Solve<'a, const B: usize> {
    pub(super) columns: &'a Columns<B>,
    pub(super) v: &'a mut [Octet],
}

impl<const B: usize> Kernel for Solve<'_, B> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.columns.solve(simd, [self.v]);
    }
}

/// Adds `O_a M^-1 O_b^T` to A_ab and `O_a M^-1 y` to the part of y, for M = L D L^T.
pub(super) struct Gram<'a, const B: usize> {
    pub(super) factor: &'a Columns<B>,
    /// O_a, `[row, 2 fill + 1]`.
    pub(super) couplings: &'a [Vec<Octet>],
    /// M^-1 y.
    pub(super) solved: &'a [Octet],
    pub(super) fill: usize,
    pub(super) kept: usize,
    pub(super) tail: usize,
    pub(super) own: &'a mut [Term<B>],
    /// A_ab for a > b, in the order of a front.
    pub(super) cross: &'a mut [Vec<Octet>],
}

/// The newest columns of D^-1 Y, in a ring.
struct Past {
    columns: Vec<Octet>,
    /// Rows of a column: those of Y, and zeros as far as a product with a later column reaches.
    stride: usize,
    kept: usize,
}

impl Past {
    fn new(kept: usize, length: usize) -> Self {
        let stride = length + kept;
        Self { columns: vec![Octet::default(); (kept + 1) * stride], stride, kept }
    }

    #[inline(always)]
    fn column(&self, j: usize) -> &[Octet] {
        &self.columns[j % (self.kept + 1) * self.stride..][..self.stride]
    }

    #[inline(always)]
    fn column_mut(&mut self, j: usize) -> &mut [Octet] {
        &mut self.columns[j % (self.kept + 1) * self.stride..][..self.stride]
    }

    /// `(D^-1 Y_{j-d})^T y` for four d from `first` on, where y is column j of a Y.
    #[inline(always)]
    fn products<S: Simd>(&self, simd: S, j: usize, first: usize, y: &[Octet]) -> [S::Lanes; 4] {
        let mut sums = [simd.splat(0.0); 4];
        if first + 3 <= self.kept.min(j) {
            let past: [&[Octet]; 4] = std::array::from_fn(|k| &self.column(j - first - k)[first + k..][..y.len()]);
            for r in 0..y.len() {
                let value = simd.load(&y[r]);
                for k in 0..4 {
                    sums[k] = simd.mul_add(value, simd.load(&past[k][r]), sums[k]);
                }
            }
            return sums;
        }
        for d in first..=self.kept.min(j) {
            let past = &self.column(j - d)[d..][..y.len()];
            let mut parts = [simd.splat(0.0); 4];
            for r in 0..y.len() {
                parts[r % 4] = simd.mul_add(simd.load(&y[r]), simd.load(&past[r]), parts[r % 4]);
            }
            sums[d - first] = simd.add(simd.add(parts[0], parts[1]), simd.add(parts[2], parts[3]));
        }
        sums
    }
}

impl<const B: usize> Kernel for Gram<'_, B> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { factor, couplings, solved, fill, kept, tail, own, cross } = self;
        let (n, width) = (solved.len(), 2 * fill + 1);
        let length = width + tail;
        let mut y = vec![vec![Octet::default(); B + length]; couplings.len()];
        let mut past: Vec<Past> = couplings.iter().map(|_| Past::new(kept, length)).collect();
        for j in 0..n {
            for ((coupling, y), past) in couplings.iter().zip(&mut y).zip(&mut past) {
                column_of_y(simd, factor, (j, n, fill), &coupling[j * width..][..width], y, past.column_mut(j));
            }
            for (a, own) in own.iter_mut().enumerate() {
                for first in (0..=kept.min(j)).step_by(4) {
                    let products = past[a].products(simd, j, first, &y[a][B..]);
                    for (d, product) in (first..=kept.min(j)).zip(products) {
                        let band = &mut own.band[j - d];
                        let to = if d == 0 { &mut band.diagonal } else { &mut band.lower[d - 1] };
                        simd.store(simd.add(simd.load(to), product), to);
                    }
                }
                let coupling = &couplings[a][j * width..][..width];
                let mut sum = simd.load(&own.reduced[j]);
                for i in j.saturating_sub(fill)..=(j + fill).min(n - 1) {
                    sum = simd.mul_add(simd.load(&coupling[i + fill - j]), simd.load(&solved[i]), sum);
                }
                simd.store(sum, &mut own.reduced[j]);
                for b in 0..a {
                    let cross = &mut cross[a * (a - 1) / 2 + b];
                    for first in (0..=fill.min(j)).step_by(4) {
                        // Rows j of A_ab left of its diagonal, and columns j above it.
                        let left = past[b].products(simd, j, first, &y[a][B..]);
                        let above = past[a].products(simd, j, first, &y[b][B..]);
                        for (k, d) in (first..=fill.min(j)).enumerate().take(4) {
                            let to = &mut cross[j * width + fill - d];
                            simd.store(simd.add(simd.load(to), left[k]), to);
                            if d > 0 {
                                let to = &mut cross[(j - d) * width + fill + d];
                                simd.store(simd.add(simd.load(to), above[k]), to);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Column j of `Y = L^-1 O^T` from row j of O, and that of D^-1 Y; both begin at row j - fill.
#[inline(always)]
fn column_of_y<S: Simd, const B: usize>(
    simd: S,
    factor: &Columns<B>,
    (j, n, fill): (usize, usize, usize),
    coupling: &[Octet],
    y: &mut [Octet],
    scaled: &mut [Octet],
) {
    for r in 0..y.len() - B {
        let Some(row) = (j + r).checked_sub(fill).filter(|&row| row < n) else {
            (y[B + r], scaled[r]) = (Octet::default(), Octet::default());
            continue;
        };
        let value = if r < coupling.len() { simd.load(&coupling[r]) } else { simd.splat(0.0) };
        let value = factor.forward(simd, row, value, &y[r..]);
        simd.store(value, &mut y[B + r]);
        simd.store(simd.mul(value, simd.load(&factor.column(row).diagonal)), &mut scaled[r]);
    }
}
