//! Four columns of a wide band together, so that each element that they share is loaded once. Every sum has the terms and the
//! order that it has column by column: bits are the same.

use super::column::Column;
use crate::stages::simd::{Arithmetic, Octet, Simd};
use std::cmp::Ordering;

/// Columns that are taken together.
pub(super) const COLUMNS: usize = 4;

/// One number per column.
type Row = [Octet; COLUMNS];

/// Factors the first columns of `rest` when the B columns before them are done.
#[inline(always)]
pub(super) fn factor_columns<S: Simd, const B: usize>(simd: S, past: &[Column<B>; B], rest: &mut [Column<B>]) {
    const { assert!(B.is_multiple_of(4)) };
    let columns: &mut [Column<B>; COLUMNS] = rest.first_chunk_mut().expect("as many columns");
    let minus = simd.splat(-1.0);
    // -d_k L_jk of these columns j, for the column k before them; 0 beyond the band.
    let mut factors = [Row::default(); B];
    for k in 1..=B {
        let pivot = simd.load(&past[B - k].pivot);
        for c in 0..COLUMNS.min(B + 1 - k) {
            let product = simd.mul(simd.load(&past[B - k].lower[k + c - 1]), pivot);
            simd.store(simd.mul(product, minus), &mut factors[B - k][c]);
        }
    }
    // Factors among these columns, and 1/d of each.
    let (mut own, mut inverses) = ([Row::default(); COLUMNS], Row::default());
    let tile = Tile { past, factors: &factors };
    tile.rows_below(simd, 0, COLUMNS, None, columns);
    for c in 0..COLUMNS {
        let (done, rest) = columns.split_at_mut(c);
        let column = &mut rest[0];
        for row in c..COLUMNS {
            let element = if row == c { &mut column.diagonal } else { &mut column.lower[row - c - 1] };
            let mut sum = simd.load(element);
            for k in 0..c {
                sum = simd.mul_add(simd.load(&done[k].lower[row - k - 1]), simd.load(&own[c][k]), sum);
            }
            simd.store(sum, element);
        }
        let pivot = simd.load(&column.diagonal);
        let inverse = simd.div(simd.splat(1.0), pivot);
        simd.store(pivot, &mut column.pivot);
        simd.store(inverse, &mut column.diagonal);
        simd.store(inverse, &mut inverses[c]);
        for row in c + 1..COLUMNS {
            let value = simd.mul(simd.load(&column.lower[row - c - 1]), inverse);
            simd.store(value, &mut column.lower[row - c - 1]);
            simd.store(simd.mul(simd.mul(value, pivot), minus), &mut own[row][c]);
        }
    }
    tile.rows_below(simd, COLUMNS, COLUMNS + B, Some((&own, &inverses)), columns);
}

/// The columns before a tile, and the factors of each.
struct Tile<'a, const B: usize> {
    past: &'a [Column<B>; B],
    factors: &'a [Row; B],
}

impl<const B: usize> Tile<'_, B> {
    /// Subtracts what the columns before leave in some rows, counted from the first of these columns. Subtracts, too, what
    /// these columns themselves leave, if given. Sums of all rows would not stay in registers.
    #[inline(always)]
    fn rows_below<S: Simd>(
        &self,
        simd: S,
        first: usize,
        end: usize,
        own: Option<(&[Row; COLUMNS], &Row)>,
        columns: &mut [Column<B>; COLUMNS],
    ) {
        for k in 0..S::PARTS {
            if S::PARTS == 1 {
                for first in (first..end).step_by(4) {
                    self.rows::<_, 4>(simd.part(k), first, own, columns);
                }
            } else {
                for first in (first..end).step_by(2) {
                    self.rows::<_, 2>(simd.part(k), first, own, columns);
                }
            }
        }
    }

    /// Subtracts from R rows what is left there, terms of the newest columns last.
    #[inline(always)]
    fn rows<P: Arithmetic, const R: usize>(
        &self,
        part: P,
        first: usize,
        own: Option<(&[Row; COLUMNS], &Row)>,
        columns: &mut [Column<B>; COLUMNS],
    ) {
        let mut sums = [[part.splat(0.0); COLUMNS]; R];
        for r in 0..R {
            for c in 0..COLUMNS {
                if let Some(element) = element(&columns[c], (first + r).wrapping_sub(c)) {
                    sums[r][c] = part.load(element);
                }
            }
        }
        // Columns before the first of these reach no row.
        for from in first..B {
            let (lower, factors) = (&self.past[from].lower[B - 1 - from + first..], &self.factors[from]);
            let mut factor = [part.splat(0.0); COLUMNS];
            for c in 0..COLUMNS {
                factor[c] = part.load(&factors[c]);
            }
            if let Some(lower) = lower.first_chunk::<R>() {
                for r in 0..R {
                    let value = part.load(&lower[r]);
                    for c in 0..COLUMNS {
                        sums[r][c] = part.mul_add(value, factor[c], sums[r][c]);
                    }
                }
            } else {
                for r in 0..R {
                    if r < lower.len() {
                        let value = part.load(&lower[r]);
                        for c in 0..COLUMNS {
                            sums[r][c] = part.mul_add(value, factor[c], sums[r][c]);
                        }
                    }
                }
            }
        }
        if let Some((own, inverses)) = own {
            for r in 0..R {
                for c in 0..COLUMNS {
                    for k in 0..c {
                        sums[r][c] = part.mul_add(sums[r][k], part.load(&own[c][k]), sums[r][c]);
                    }
                    sums[r][c] = part.mul(sums[r][c], part.load(&inverses[c]));
                }
            }
        }
        for r in 0..R {
            for c in 0..COLUMNS {
                if let Some(element) = element_mut(&mut columns[c], (first + r).wrapping_sub(c)) {
                    part.store(sums[r][c], element);
                }
            }
        }
    }
}

/// Returns the element so many rows below a column's diagonal; None outside the band.
#[inline(always)]
fn element<const B: usize>(column: &Column<B>, below: usize) -> Option<&Octet> {
    match below {
        0 => Some(&column.diagonal),
        _ => column.lower.get(below.wrapping_sub(1)),
    }
}

/// Returns that element, to be changed.
#[inline(always)]
fn element_mut<const B: usize>(column: &mut Column<B>, below: usize) -> Option<&mut Octet> {
    match below {
        0 => Some(&mut column.diagonal),
        _ => column.lower.get_mut(below.wrapping_sub(1)),
    }
}

/// Replaces the first columns of `rest`, of the factor, by those of the inverse when the B columns after them are done.
#[inline(always)]
pub(super) fn invert_columns<S: Simd, const B: usize>(simd: S, rest: &mut [Column<B>]) {
    let (columns, future) = rest.split_first_chunk_mut::<COLUMNS>().expect("as many columns");
    let future: &[Column<B>; B] = future.first_chunk().expect("zeros follow the last column");
    let minus = simd.splat(-1.0);
    // -L_kj of these columns j, for rows k beyond them; 0 beyond the band. Then for rows k among them.
    let (mut factors, mut own) = ([Row::default(); B], [Row::default(); COLUMNS]);
    for c in 0..COLUMNS {
        for q in 0..B - (COLUMNS - 1 - c) {
            simd.store(simd.mul(simd.load(&columns[c].lower[COLUMNS + q - c - 1]), minus), &mut factors[q][c]);
        }
        for k in c + 1..COLUMNS {
            simd.store(simd.mul(simd.load(&columns[c].lower[k - c - 1]), minus), &mut own[k][c]);
        }
    }
    for k in 0..S::PARTS {
        if S::PARTS == 1 {
            for first in (0..B).step_by(4) {
                rows_of_inverse::<_, B, 4>(simd.part(k), first, &factors, &own, future, columns);
            }
        } else {
            for first in (0..B).step_by(2) {
                rows_of_inverse::<_, B, 2>(simd.part(k), first, &factors, &own, future, columns);
            }
        }
    }
    for c in (0..COLUMNS).rev() {
        let (head, known) = columns.split_at_mut(c + 1);
        let column = &mut head[c];
        for row in c + 1..COLUMNS {
            // Rows of a column are known down to the band's end; farther down factors are 0.
            let mut sum = simd.splat(0.0);
            for q in (0..B - (COLUMNS - 1 - c)).rev() {
                let value = simd.load(&known[row - c - 1].lower[COLUMNS + q - row - 1]);
                sum = simd.mul_add(value, simd.load(&factors[q][c]), sum);
            }
            for k in (c + 1..COLUMNS).rev() {
                let (high, low) = (row.max(k), row.min(k));
                let value = element(&known[low - c - 1], high - low).expect("within the band");
                sum = simd.mul_add(simd.load(value), simd.load(&own[k][c]), sum);
            }
            simd.store(sum, &mut column.lower[row - c - 1]);
        }
        let (mut even, mut odd) = (simd.load(&column.diagonal), simd.splat(0.0));
        for below in 0..B {
            let factor =
                if c + 1 + below < COLUMNS { &own[c + 1 + below][c] } else { &factors[c + 1 + below - COLUMNS][c] };
            let sum = if below % 2 == 0 { &mut even } else { &mut odd };
            *sum = simd.mul_add(simd.load(&column.lower[below]), simd.load(factor), *sum);
        }
        simd.store(simd.add(even, odd), &mut column.diagonal);
    }
}

/// Computes rows of the inverse from `first` on, counted from the first row beyond these columns; terms of the farthest columns
/// first.
#[inline(always)]
fn rows_of_inverse<P: Arithmetic, const B: usize, const R: usize>(
    part: P,
    first: usize,
    factors: &[Row; B],
    own: &[Row; COLUMNS],
    future: &[Column<B>; B],
    columns: &mut [Column<B>; COLUMNS],
) {
    let mut sums = [[part.splat(0.0); COLUMNS]; R];
    for q in (0..B).rev() {
        let mut values = [part.splat(0.0); R];
        if q >= first + R {
            for r in 0..R {
                values[r] = part.load(&future[first + r].lower[q - first - r - 1]);
            }
        } else if q < first {
            let other: &[Octet; R] = future[q].lower[first - q - 1..].first_chunk().expect("as many rows");
            for r in 0..R {
                values[r] = part.load(&other[r]);
            }
        } else {
            for r in 0..R {
                let element = match (first + r).cmp(&q) {
                    Ordering::Less => &future[first + r].lower[q - first - r - 1],
                    Ordering::Equal => &future[q].diagonal,
                    Ordering::Greater => &future[q].lower[first + r - q - 1],
                };
                values[r] = part.load(element);
            }
        }
        for c in 0..COLUMNS {
            let factor = part.load(&factors[q][c]);
            for r in 0..R {
                sums[r][c] = part.mul_add(values[r], factor, sums[r][c]);
            }
        }
    }
    for r in 0..R {
        let row = COLUMNS + first + r;
        for c in (0..COLUMNS).rev() {
            for k in (c + 1..COLUMNS).rev() {
                sums[r][c] = part.mul_add(sums[r][k], part.load(&own[k][c]), sums[r][c]);
            }
            if row - c <= B {
                part.store(sums[r][c], &mut columns[c].lower[row - c - 1]);
            }
        }
    }
}
