//! A matrix as columns of eight-row octets, and its pivoted Cholesky factor, whose columns the rotations start from.

use super::super::simd::{Kernel, Octet, Simd};

/// n columns of `height` octets each, an even number, rows beyond n zero.
#[derive(Clone)]
pub(super) struct Columns {
    pub(super) n: usize,
    height: usize,
    octets: Vec<Octet>,
}

impl Columns {
    pub(super) fn new(n: usize) -> Self {
        let height = n.div_ceil(16) * 2;
        Self { n, height, octets: vec![Octet::default(); n * height] }
    }

    #[inline(always)]
    pub(super) fn column(&self, k: usize) -> &[Octet] {
        &self.octets[k * self.height..][..self.height]
    }

    #[inline(always)]
    pub(super) fn at_mut(&mut self, row: usize, column: usize) -> &mut f64 {
        &mut self.octets[column * self.height + row / 8].0[row % 8]
    }

    /// Columns p < q.
    #[inline(always)]
    pub(super) fn pair(&mut self, p: usize, q: usize) -> (&mut [Octet], &mut [Octet]) {
        let (before, from_q) = self.octets.split_at_mut(q * self.height);
        (&mut before[p * self.height..][..self.height], &mut from_q[..self.height])
    }
}

/// A = sum_k l_k l_k^T, each step taking the largest diagonal element left as its pivot. Rows stay in A's order.
/// False if A is not positive definite to working precision.
pub(super) struct PivotedCholesky<'a> {
    pub(super) matrix: &'a Columns,
    pub(super) factor: &'a mut Columns,
}

impl Kernel for PivotedCholesky<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> bool {
        let Columns { n, height, .. } = *self.matrix;
        let original: Vec<f64> = (0..n).map(|i| self.matrix.column(i)[i / 8].0[i % 8]).collect();
        let mut left = original.clone();
        let mut used = vec![false; n];
        for k in 0..n {
            let mut pivot = None;
            for i in 0..n {
                if !used[i] && pivot.is_none_or(|p: usize| left[i] > left[p]) {
                    pivot = Some(i);
                }
            }
            let p = pivot.expect("k of n rows are used");
            // Below this, what is left of the pivot is rounding error.
            if left[p] <= n as f64 * f64::EPSILON * original[p] {
                return false;
            }
            let root = left[p].sqrt();
            let inverse = simd.splat(1.0 / root);
            let (done, rest) = self.factor.octets.split_at_mut(k * height);
            for (o, target) in rest[..height].iter_mut().enumerate() {
                let mut sum = simd.load(&self.matrix.column(p)[o]);
                for column in done.chunks_exact(height) {
                    sum = simd.neg_mul_add(simd.load(&column[o]), simd.splat(column[p / 8].0[p % 8]), sum);
                }
                simd.store(simd.mul(sum, inverse), target);
            }
            used[p] = true;
            let column = &mut rest[..height];
            for i in 0..n {
                let element = &mut column[i / 8].0[i % 8];
                if i == p {
                    *element = root;
                } else if used[i] {
                    *element = 0.0;
                } else {
                    left[i] -= *element * *element;
                }
            }
        }
        true
    }
}
