//! Columns of wide bands, some rows at a time: sums of all rows would not stay in registers.

use super::column::Column;
use crate::stages::simd::{Octet, Simd};
use std::cmp::Ordering;

/// Rows whose sums stay in registers where loops stay loops.
pub(super) const ROWS: usize = 8;

/// Subtracts from rows `first ..` of column j of the matrix what the columns before it leave there, newest last.
/// `scaled[k - 1]` is `d_{j-k} L_{j, j-k}`.
#[inline(always)]
pub(super) fn subtract_from_rows<S: Simd, const B: usize>(
    simd: S,
    first: usize,
    past: &[Column<B>; B],
    scaled: &[Octet; B],
    column: &mut Column<B>,
) {
    let mut sums = [simd.splat(0.0); ROWS];
    for r in 0..ROWS {
        sums[r] = simd.load(&column.lower[first + r]);
    }
    for k in (1..B - first).rev() {
        let (other, factor) = (&past[B - k].lower, simd.load(&scaled[k - 1]));
        if first + k + ROWS <= B {
            for r in 0..ROWS {
                sums[r] = simd.neg_mul_add(simd.load(&other[first + k + r]), factor, sums[r]);
            }
        } else {
            for r in 0..ROWS {
                if first + k + r < B {
                    sums[r] = simd.neg_mul_add(simd.load(&other[first + k + r]), factor, sums[r]);
                }
            }
        }
    }
    for r in 0..ROWS {
        simd.store(sums[r], &mut column.lower[first + r]);
    }
}

/// Rows `first ..` of column j of the inverse from the columns right of it, nearest last.
#[inline(always)]
pub(super) fn rows_of_inverse<S: Simd, const B: usize>(
    simd: S,
    first: usize,
    lower: &[Octet; B],
    future: &[Column<B>; B],
    out: &mut [Octet],
) {
    let mut sums = [simd.splat(0.0); ROWS];
    for k in (0..B).rev() {
        let factor = simd.load(&lower[k]);
        if k >= first + ROWS {
            for r in 0..ROWS {
                sums[r] = simd.neg_mul_add(simd.load(&future[first + r].lower[k - first - r - 1]), factor, sums[r]);
            }
        } else if k < first {
            let other = &future[k].lower[first - k - 1..];
            let other: &[Octet; ROWS] = other.first_chunk().expect("as many rows");
            for r in 0..ROWS {
                sums[r] = simd.neg_mul_add(simd.load(&other[r]), factor, sums[r]);
            }
        } else {
            for r in 0..ROWS {
                let element = match (first + r).cmp(&k) {
                    Ordering::Less => &future[first + r].lower[k - first - r - 1],
                    Ordering::Equal => &future[k].diagonal,
                    Ordering::Greater => &future[k].lower[first + r - k - 1],
                };
                sums[r] = simd.neg_mul_add(simd.load(element), factor, sums[r]);
            }
        }
    }
    for r in 0..ROWS {
        simd.store(sums[r], &mut out[r]);
    }
}
