//! A column of a banded factor and of its inverse.

use crate::stages::simd::{Arithmetic, Octet};

/// Column j of the factor, later of the inverse.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Column<const B: usize> {
    /// d_j.
    pub(super) pivot: Octet,
    /// 1/d_j, then element (j, j) of the inverse.
    pub(crate) diagonal: Octet,
    /// L_{j+1+k, j}, then those elements of the inverse.
    pub(crate) lower: [Octet; B],
}

impl<const B: usize> Column<B> {
    pub(crate) const ZERO: Self =
        Self { pivot: Octet([0.0; 8]), diagonal: Octet([0.0; 8]), lower: [Octet([0.0; 8]); B] };
}

/// `sums[i] -= L_{j+1+i, j-k} d_{j-k} L_{j, j-k}` for the rows that column j - k reaches.
#[inline(always)]
pub(super) fn subtract_column<P: Arithmetic, const B: usize>(
    part: P,
    k: usize,
    past: &[Column<B>; B],
    first: &mut P::Lanes,
    sums: &mut [P::Lanes; B],
) {
    let column = &past[B - k];
    let own = part.load(&column.lower[k - 1]);
    let scaled = part.mul(own, part.load(&column.pivot));
    *first = part.neg_mul_add(own, scaled, *first);
    for i in k..B {
        sums[i - k] = part.neg_mul_add(part.load(&column.lower[i]), scaled, sums[i - k]);
    }
}

/// `sums[i] -= Z_{j+1+i, j+k} L_{j+k, j}`: the inverse's column from those right of it.
#[inline(always)]
pub(super) fn subtract_inverse<P: Arithmetic, const B: usize>(
    part: P,
    k: usize,
    lower: &[Octet; B],
    future: &[Column<B>; B],
    sums: &mut [P::Lanes; B],
) {
    let factor = part.load(&lower[k - 1]);
    for i in 1..k {
        sums[i - 1] = part.neg_mul_add(part.load(&future[i - 1].lower[k - i - 1]), factor, sums[i - 1]);
    }
    sums[k - 1] = part.neg_mul_add(part.load(&future[k - 1].diagonal), factor, sums[k - 1]);
    // Inclusive ranges are not unrolled, and sums would leave their registers.
    for i in k..B {
        sums[i] = part.neg_mul_add(part.load(&future[k - 1].lower[i - k]), factor, sums[i]);
    }
}
