//! Finish: spectra as files want them, on the grid without its padding, R by columns in place of rows.

use std::ops::Range;

/// Larger deconvolved flux is no result: files hold f4, and a factor of ten is left for the units.
pub const LARGEST: f64 = 3e37;

/// ivar of a bin without result, beyond the range of a file.
pub const NO_RESULT: f64 = 3e38;

/// Spectra and goodness of a fibre, before the diagonals of R; see [`FinishShape::finished_len`].
pub const PLANES: usize = 6;

/// Sizes of a group of fibres.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinishShape {
    /// Fibres.
    pub nfibre: usize,
    /// Fibres of a bundle.
    pub bundle: usize,
    /// Bins of the padded grid.
    pub nbin: usize,
    /// Bins before those of the grid.
    pub core_first: usize,
    /// Bins of the grid.
    pub ncore: usize,
    /// Diagonals of R to each side.
    pub half: usize,
    /// Whether x is wanted.
    pub with_x: bool,
}

impl FinishShape {
    /// Returns the values per fibre: flux, ivar, truncation error, chi2pix, pixmask_fraction, fraction off the pixels, stored
    /// diagonals of R, x where wanted, each `[ncore]`.
    pub fn finished_len(&self) -> usize {
        (PLANES + 2 * self.half + 1 + usize::from(self.with_x)) * self.ncore
    }
}

/// Writes some bins, counted from the grid's first, of all fibres. `spectra` has flux, ivar and truncation error, each
/// `[fibre, nbin]`, then R's rows `[fibre, nbin, 2 half + 1]`. x is `[bundle, nbin, fibre of the bundle]`. `goodness` is
/// `[fibre, goodness bins, 3]`, from its bin `goodness_first` on. A bin whose x no file can hold gets the ivar [`NO_RESULT`].
pub fn finish(
    shape: &FinishShape,
    bins: Range<usize>,
    spectra: &[f64],
    x: &[f64],
    (goodness, goodness_bins, goodness_first): (&[f64], usize, usize),
    finished: &mut [f64],
) {
    let FinishShape { nfibre, bundle, nbin, core_first, ncore, half, with_x } = *shape;
    let (all, width) = (nfibre * nbin, 2 * half + 1);
    for (f, to) in finished.chunks_exact_mut(shape.finished_len().max(1)).enumerate() {
        for (k, at) in bins.clone().enumerate() {
            let bin = core_first + at;
            let x = x[((f / bundle) * nbin + bin) * bundle + f % bundle];
            let plane = |which: usize| spectra[which * all + f * nbin + bin];
            let has_result = x.abs() < LARGEST;
            to[at] = plane(0);
            to[ncore + at] = if has_result { plane(1) } else { NO_RESULT };
            to[2 * ncore + at] = plane(2);
            for which in 0..3 {
                to[(3 + which) * ncore + at] = goodness[3 * (f * goodness_bins + goodness_first + k) + which];
            }
            for d in 0..width {
                let row = (bin + d).checked_sub(half).filter(|&row| row < nbin);
                let element = |row: usize| spectra[3 * all + (f * nbin + row) * width + width - 1 - d];
                to[(PLANES + d) * ncore + at] = row.map_or(0.0, element);
            }
            if with_x {
                to[(PLANES + width) * ncore + at] = x;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_r_have_the_elements_of_its_rows_and_bins_without_number_no_result() {
        let shape = FinishShape { nfibre: 2, bundle: 1, nbin: 7, core_first: 1, ncore: 5, half: 1, with_x: true };
        // R[row, column] of a fibre is 100 fibre + 10 row + column.
        let element = |f: usize, row: usize, column: usize| (100 * f + 10 * row) as f64 + column as f64;
        let mut spectra: Vec<f64> = (0..3 * 14).map(f64::from).collect();
        for (f, row) in (0..2).flat_map(|f| (0..7).map(move |row| (f, row))) {
            spectra.extend((0..3).map(|k| element(f, row, (row + k).max(1) - 1)));
        }
        let mut x: Vec<f64> = (0..14).map(|at| 0.5 * f64::from(at)).collect();
        x[7 + 3] = f64::NAN;
        let goodness: Vec<f64> = (0..2 * 4 * 3).map(|at| 1000.0 + f64::from(at)).collect();
        let mut finished = vec![-1.0; 2 * shape.finished_len()];
        finish(&shape, 1..5, &spectra, &x, (&goodness, 4, 0), &mut finished);
        let value = |f: usize, plane: usize, bin: usize| finished[f * shape.finished_len() + plane * 5 + bin];
        assert_eq!((value(0, 0, 0), value(1, 0, 4), value(1, 1, 1)), (-1.0, 12.0, 14.0 + 7.0 + 2.0));
        assert_eq!([value(0, 1, 2), value(1, 1, 2)], [14.0 + 3.0, NO_RESULT]);
        assert_eq!((value(1, 3, 1), value(1, 5, 4)), (1012.0, 1012.0 + 9.0 + 2.0));
        for (d, column) in (0..3).flat_map(|d| (2..6).map(move |column| (d, column))) {
            assert_eq!(value(1, 6 + d, column - 1), element(1, column + d - 1, column), "{d} {column}");
        }
        assert_eq!(value(0, 9, 3), 2.0);
    }
}
