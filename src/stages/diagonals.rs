//! The diagonals of R that files store: element j of diagonal d of `ndiag` is in column j and in row j + d - ndiag/2.

use std::ops::{AddAssign, Range};

/// Returns the rows and the columns, of `n`, that diagonal `d` of `ndiag` has elements in.
pub(crate) fn rows_and_columns(n: usize, ndiag: usize, d: usize) -> [Range<usize>; 2] {
    let (row, column) = (d.saturating_sub(ndiag / 2).min(n), (ndiag / 2).saturating_sub(d).min(n));
    let len = n - row.max(column);
    [row..row + len, column..column + len]
}

/// Adds the elements of diagonal `d` of `ndiag` to the sums of their rows, `[n]` both.
pub(crate) fn add_to_rows<T: Copy + AddAssign>(sums: &mut [T], diagonal: &[T], ndiag: usize, d: usize) {
    let [rows, columns] = rows_and_columns(sums.len(), ndiag, d);
    sums[rows].iter_mut().zip(&diagonal[columns]).for_each(|(sum, element)| *sum += *element);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_sum_to_what_their_elements_do_however_few_they_are() {
        for (n, ndiag) in [(7, 3), (7, 5), (3, 7), (1, 5), (0, 3)] {
            let element = |row: usize, column: usize| (1 + row * 10 + column) as f64;
            let mut sums = vec![0.0; n];
            for d in 0..ndiag {
                let row = |column: usize| (column + d).checked_sub(ndiag / 2).filter(|row| *row < n);
                // Elements beyond the matrix are never read.
                let of = |column: usize| row(column).map_or(f64::NAN, |row| element(row, column));
                add_to_rows(&mut sums, &(0..n).map(of).collect::<Vec<f64>>(), ndiag, d);
            }
            for (row, sum) in sums.into_iter().enumerate() {
                let columns = row.saturating_sub(ndiag / 2)..(row + ndiag / 2 + 1).min(n);
                assert_eq!(sum, columns.map(|column| element(row, column)).sum::<f64>(), "row {row} of {n}, {ndiag}");
            }
        }
    }
}
