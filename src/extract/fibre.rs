//! One fibre of a frame: masks and units of its bins, and notes about it, in one pass while it is in the cache.

use crate::base::median::median_without;
use crate::base::real_array::RealSliceMut;
use crate::frame::specmask;
use crate::solver::judge;
use crate::stages::goodness::MASKED;
use std::ops::{AddAssign, Range};

/// pixmask_fraction reaches 1 only to rounding.
const ROUNDING: f64 = 1e-6;

/// A bin's fit is bad if chi2pix is this many times the medians of its fibre and of its wavelength.
pub(super) const BAD_FIT: f64 = 5.0;

/// A row of R with a smaller sum is cut off by the stored diagonals.
const LEAST_SUM: f64 = 0.99;

/// The bins of a fibre, each array `[nwave]`.
pub(super) struct FibreBins<'a> {
    /// Decorrelated flux in electron per bin; afterwards electron/Angstrom, 0 without information.
    pub flux: &'a mut [f64],
    /// Its inverse variance.
    pub ivar: &'a mut [f64],
    pub chi2pix: &'a mut [f64],
    /// Columns of R, `[ndiag, nwave]`; afterwards of electron/Angstrom.
    pub resolution: RealSliceMut<'a>,
    /// Bits of [`specmask`], to be set.
    pub mask: &'a mut [u32],
    /// Whether the bin has no information, to be set.
    pub none: &'a mut [bool],
    /// Deconvolved flux.
    pub x: &'a [f64],
    pub pixmask_fraction: &'a [f64],
    pub off_ccd: &'a [f64],
    /// Bins whose patch has no solution.
    pub lost: &'a [bool],
    /// Widths, Angstrom.
    pub width: &'a [f64],
}

/// Facts that the bins of a fibre are treated by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Treatment {
    /// Whether the fibre has defects in the PSF: it has no result.
    pub is_bad: bool,
    /// Factor of the bins' widths.
    pub stretch: f64,
    /// Whether bins are of different widths.
    pub is_uneven: bool,
    /// Bins at each end whose rows of R may be cut off.
    pub edge: usize,
    /// Strength of the prior of flux 0.
    pub regularize: f64,
}

/// Notes about a fibre.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Noted {
    /// Bins without information.
    pub no_information: usize,
    /// Bins with good pixels that have no result.
    pub no_result: usize,
    /// Whether a fibre without any good pixel is beside the CCD throughout; None if it has a good pixel.
    pub dark: Option<bool>,
    /// Median chi2pix of its bins; NaN without information.
    pub chi2pix: f64,
    /// Bins whose chi2pix stands out.
    pub stands_out: Vec<usize>,
    /// Rows of R that are cut off, and their least sum.
    pub cut_rows: Option<(usize, f64)>,
    /// How far the prior pulls at most, sigma.
    pub pull: f64,
}

impl FibreBins<'_> {
    /// Sets masks and units, and notes what is found.
    pub fn finish(mut self, by: Treatment) -> Noted {
        let n = self.flux.len();
        let (mut covered, mut solved) = (vec![false; n], vec![false; n]);
        judge([&*self.flux, &*self.ivar, self.x], self.pixmask_fraction, self.lost, [&mut covered, &mut solved]);
        for (none, (covered, solved)) in self.none.iter_mut().zip(covered.iter().zip(&solved)) {
            *none = !(*covered & *solved) | by.is_bad;
        }
        self.set_bits(by, &covered, &solved);
        let (chi2pix, stands_out) = standing_out(self.chi2pix, self.none);
        let pull = if by.regularize > 0.0 { self.prior_pull(by.regularize) } else { 0.0 };
        self.scale(by);
        let counts = |row: usize| {
            (by.edge..n.saturating_sub(by.edge)).contains(&row)
                && !self.none[row]
                // Beside dead pixels R is as wide as the gap.
                && self.pixmask_fraction[row] < MASKED
        };
        let empty = || (0..n).filter(|&bin| self.none[bin]);
        let cut_rows = match &mut self.resolution {
            RealSliceMut::F32(r) => finish_resolution(r, n, empty(), counts),
            RealSliceMut::F64(r) => finish_resolution(r, n, empty(), counts),
        };
        if by.is_uneven {
            match &mut self.resolution {
                RealSliceMut::F32(r) => resolution_of_density(r, |v| v as f32, self.width),
                RealSliceMut::F64(r) => resolution_of_density(r, |v| v, self.width),
            }
        }
        let is_off = || self.off_ccd.iter().all(|&off| off > 1.0 - ROUNDING);
        Noted {
            no_information: self.none.iter().filter(|none| **none).count(),
            no_result: covered.iter().zip(&solved).filter(|(covered, solved)| **covered & !**solved).count(),
            dark: (!covered.contains(&true)).then(is_off),
            chi2pix,
            stands_out,
            cut_rows,
            pull,
        }
    }

    /// Sets the mask, but for bins that fit badly.
    fn set_bits(&mut self, by: Treatment, covered: &[bool], solved: &[bool]) {
        let fractions = self.pixmask_fraction.iter().zip(self.off_ccd);
        let states = covered.iter().zip(solved);
        for (mask, ((masked, off), (covered, solved))) in self.mask.iter_mut().zip(fractions.zip(states)) {
            let bits = [
                (*masked > 0.5, specmask::SOMEBADPIX),
                ((*masked > 1.0 - ROUNDING) | !covered, specmask::ALLBADPIX),
                (by.is_bad | !solved, specmask::BAD2DFIT),
                (*off > 1.0 - ROUNDING, specmask::NODATA),
            ];
            *mask = bits.into_iter().map(|(set, bit)| u32::from(set) * bit).sum();
        }
    }

    /// Returns how far the prior `alpha` of a flux 0 +- 1/alpha moves a flux at least, sigma. The whole is
    /// `alpha^2 (K + alpha^2)^(-1/2) x`; a bin's own element is `alpha^2 |flux| / sqrt(ivar)`, where the prior is weak.
    fn prior_pull(&self, alpha: f64) -> f64 {
        let bins = self.flux.iter().zip(&*self.ivar).zip(&*self.none).filter(|(_, none)| !**none);
        alpha * alpha * bins.map(|((flux, ivar), _)| flux.abs() / ivar.sqrt()).fold(0.0, f64::max)
    }

    /// Makes flux and ivar those of electron/Angstrom.
    fn scale(&mut self, by: Treatment) {
        let bins = self.flux.iter_mut().zip(&mut *self.ivar).zip(&mut *self.chi2pix).zip(&*self.none).zip(self.width);
        for ((((flux, ivar), chi2pix), none), width) in bins {
            let width = width * by.stretch;
            (*flux, *ivar) = if *none { (0.0, 0.0) } else { (*flux / width, *ivar * (width * width)) };
            if *none && (by.is_bad || !chi2pix.is_finite()) {
                *chi2pix = 0.0;
            }
        }
    }
}

/// Returns the median chi2pix of a fibre, NaN without information, and the bins that exceed [`BAD_FIT`] times it. Bins in `none`
/// do not count.
pub(super) fn standing_out(chi2pix: &[f64], none: &[bool]) -> (f64, Vec<usize>) {
    let median = median_without(chi2pix, none);
    let bins = chi2pix.iter().zip(none).enumerate();
    (median, bins.filter(|(_, (chi2pix, none))| !**none & (**chi2pix > BAD_FIT * median)).map(|(bin, _)| bin).collect())
}

/// Returns the rows and the columns that diagonal `d` of `ndiag` has elements in: column j is in row j + d - ndiag/2.
fn ends(n: usize, ndiag: usize, d: usize) -> [Range<usize>; 2] {
    let (row, column) = (d.saturating_sub(ndiag / 2).min(n), (ndiag / 2).saturating_sub(d).min(n));
    let len = n - row.max(column);
    [row..row + len, column..column + len]
}

/// Clears the rows of empty bins, and returns the number of the rows that sum to less than [`LEAST_SUM`], with the least sum.
/// Rows that `counts` leaves out do not count. `resolution` is `[ndiag, n]`.
fn finish_resolution<T: Copy + Default + AddAssign + Into<f64>>(
    resolution: &mut [T],
    n: usize,
    empty: impl Iterator<Item = usize>,
    counts: impl Fn(usize) -> bool,
) -> Option<(usize, f64)> {
    let ndiag = resolution.len() / n.max(1);
    for row in empty {
        for d in 0..ndiag {
            if let Some(column) = (row + ndiag / 2).checked_sub(d).filter(|&column| column < n) {
                resolution[d * n + column] = T::default();
            }
        }
    }
    let mut sums = vec![T::default(); n];
    for (d, diagonal) in resolution.chunks_exact(n.max(1)).enumerate() {
        let [rows, columns] = ends(n, ndiag, d);
        sums[rows].iter_mut().zip(&diagonal[columns]).for_each(|(sum, element)| *sum += *element);
    }
    let sums = sums.into_iter().map(Into::into).enumerate();
    let low = sums.filter(|(row, sum): &(usize, f64)| *sum < LEAST_SUM && counts(*row));
    low.fold(None, |found, (_, sum)| {
        let (rows, least) = found.unwrap_or((0, sum));
        Some((rows + 1, least.min(sum)))
    })
}

/// Makes R, which is of electron per bin, that of electron/Angstrom, on bins of different widths. `round` rounds to its precision.
fn resolution_of_density<T: Copy + Into<f64>>(resolution: &mut [T], round: impl Fn(f64) -> T, width: &[f64]) {
    let n = width.len();
    let ndiag = resolution.len() / n.max(1);
    for (d, diagonal) in resolution.chunks_exact_mut(n.max(1)).enumerate() {
        let [rows, columns] = ends(n, ndiag, d);
        let widths = width[columns.clone()].iter().zip(&width[rows]);
        for (element, (column, row)) in diagonal[columns].iter_mut().zip(widths) {
            *element = round((*element).into() * (column / row));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NDIAG: usize = 3;

    /// R with 0.2, 0.6, 0.2 in each row, `[NDIAG, 12]`.
    fn resolution() -> Vec<f32> {
        [0.2, 0.6, 0.2].map(|weight| vec![weight; 12]).concat()
    }

    #[test]
    fn rows_of_r_that_are_cut_off_are_counted() {
        let mut r = resolution();
        // Row 7 loses half of its main element.
        r[12 + 7] = 0.3;
        let mut found = |edge: usize, masked: usize| {
            let counts = |row: usize| (edge..12 - edge).contains(&row) && row != masked;
            finish_resolution(&mut r, 12, [].into_iter(), counts)
        };
        let (rows, least) = found(1, usize::MAX).unwrap();
        assert_eq!(rows, 1);
        assert!((least - 0.7).abs() < 1e-6);
        assert_eq!(found(1, 7), None);
        assert_eq!(found(0, 7).unwrap().0, 2, "the first and the last row");
    }

    #[test]
    fn an_empty_bin_has_an_empty_row_of_r() {
        let mut r: Vec<f64> = resolution().into_iter().map(f64::from).collect();
        let cut = finish_resolution(&mut r, 12, [0, 5].into_iter(), |row| (1..11).contains(&row) && row != 5);
        assert_eq!(cut, None);
        // Element d of column j is in row j - 1 + d.
        let element = |row: usize, d: usize| (row + 1).checked_sub(d).filter(|&c| c < 12).map(|c| r[d * 12 + c]);
        for row in 0..12 {
            let elements: Vec<f64> = (0..NDIAG).filter_map(|d| element(row, d)).collect();
            assert_eq!(elements.iter().all(|e| *e == 0.0), [0, 5].contains(&row), "row {row}");
        }
    }

    #[test]
    fn r_of_density_keeps_the_light_of_a_column_on_uneven_bins() {
        let width: Vec<f64> = (0..12).map(|k| 1.0 + 0.1 * f64::from(k)).collect();
        let mut r = resolution();
        resolution_of_density(&mut r, |v| v as f32, &width);
        // In electron per bin column 6 has the sum 1: R of density times the width of the row, over that of the column.
        let sum: f64 = (0..NDIAG).map(|d| f64::from(r[d * 12 + 6]) * width[6 + d - 1] / width[6]).sum();
        assert!((sum - 1.0).abs() < 1e-6, "{sum}");
        assert_eq!(r[0], 0.2, "beyond the grid");
    }

    #[test]
    fn bins_are_masked_by_what_is_left_of_them() {
        let (mut flux, mut ivar) = ([6.0; 5], [1.0, 1.0, 1.0, f64::INFINITY, 1.0]);
        let (mut chi2pix, mut mask, mut none) = ([1.0, 1.0, 1.0, f64::NAN, 9.0], [0; 5], [false; 5]);
        let mut r = [0.0, 1.0, 0.0].map(|weight| vec![weight; 5]).concat();
        let bins = FibreBins {
            flux: &mut flux,
            ivar: &mut ivar,
            chi2pix: &mut chi2pix,
            resolution: RealSliceMut::F64(&mut r),
            mask: &mut mask,
            none: &mut none,
            x: &[5.0; 5],
            pixmask_fraction: &[0.0, 0.6, 1.0, 0.0, 0.0],
            off_ccd: &[0.0, 0.0, 1.0, 0.0, 0.0],
            lost: &[false; 5],
            width: &[1.0; 5],
        };
        let by = Treatment { is_bad: false, stretch: 2.0, is_uneven: false, edge: 0, regularize: 0.0 };
        let noted = bins.finish(by);
        let bits = [
            0,
            specmask::SOMEBADPIX,
            specmask::SOMEBADPIX | specmask::ALLBADPIX | specmask::NODATA,
            specmask::BAD2DFIT,
            0,
        ];
        assert_eq!(mask, bits);
        assert_eq!((flux, ivar), ([3.0, 3.0, 0.0, 0.0, 3.0], [4.0, 4.0, 0.0, 0.0, 4.0]));
        assert_eq!((chi2pix, r[5 + 2]), ([1.0, 1.0, 1.0, 0.0, 9.0], 0.0));
        let expected = Noted {
            no_information: 2,
            no_result: 1,
            dark: None,
            chi2pix: 1.0,
            stands_out: vec![4],
            cut_rows: None,
            pull: 0.0,
        };
        assert_eq!(noted, expected);
    }
}
