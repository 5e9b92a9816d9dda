//! Assembly: bundles' spectra in electron per bin into those of a frame, with units, masks and the rule for bins without
//! information.

use super::{CutRows, Dark};
use crate::base::median::median;
use crate::base::recycled;
use crate::frame::{Spectra, SpectraParts, specmask};
use crate::solver::{BundleSpectra, Job};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// pixmask_fraction reaches 1 only to rounding.
const ROUNDING: f64 = 1e-6;

/// Fewest fibres at a wavelength for a median of chi2pix; with fewer, 1 serves, the value of a good fit.
const MIN_FIBRES: usize = 5;

/// A bin's fit is bad if chi2pix is this many times the medians of its fibre and of its wavelength.
const BAD_FIT: f64 = 5.0;

/// A row of R with a smaller sum is cut off by the stored diagonals.
const LEAST_SUM: f64 = 0.99;

/// Rows of bins with a larger pixmask_fraction do not count: beside dead pixels R is as wide as the gap.
const MASKED: f64 = 0.5;

/// Spectra of a frame, and how many of their bins are empty.
pub(super) struct Assembled {
    pub spectra: Spectra,
    /// Bins without information.
    pub no_information: usize,
    /// Those among them with good pixels.
    pub no_result: usize,
    /// Fibres with rows of R that are cut off.
    pub cut_rows: Vec<CutRows>,
    /// Fibres without any good pixel.
    pub dark: Dark,
}

/// Sets masks and units: electron/Angstrom on the bins of the job's grid. Fibres with defects in the PSF have no result.
pub(super) fn assemble(mut raw: BundleSpectra, job: &Job) -> Assembled {
    let (grid, specmin, edge) = (&job.grid, job.options.specmin, job.psf.half_y);
    let is_bad = |fibre: usize| job.psf.defects().has(fibre);
    let [nspec, nwave, ndiag] = raw.shape();
    let bins = nspec * nwave;
    let bad: Vec<bool> = (specmin..specmin + nspec).map(is_bad).collect();
    let none: Vec<bool> = (0..bins).into_par_iter().map(|at| raw.without_information(at) || bad[at / nwave]).collect();
    let no_result = (0..bins).into_par_iter().filter(|&at| raw.is_covered(at) && raw.without_result(at)).count();
    let bad_fit = bad_fit(&raw.chi2pix, nwave, &none);
    let bits = |at: usize| mask_of(&raw, at, bad_fit[at] || bad[at / nwave]);
    let mask = (0..bins).into_par_iter().map(bits).collect();
    let dark = dark(&raw);
    let width = grid.widths();
    let stretch: Vec<f64> = (specmin..specmin + nspec).map(|fibre| job.psf.stretch(fibre)).collect();
    let of_bins = raw.flux.par_iter_mut().zip(&mut raw.ivar).zip(&mut raw.chi2pix).enumerate();
    of_bins.for_each(|(at, ((flux, ivar), chi2pix))| {
        let width = width[at % nwave] * stretch[at / nwave];
        (*flux, *ivar) = if none[at] { (0.0, 0.0) } else { (*flux / width, *ivar * (width * width)) };
        if none[at] && (bad[at / nwave] || !chi2pix.is_finite()) {
            *chi2pix = 0.0;
        }
    });
    (0..bins).filter(|&at| none[at]).for_each(|at| clear_row(&mut raw.resolution, [nwave, ndiag], at));
    let inside = edge..nwave.saturating_sub(edge);
    let counts = |at: usize| inside.contains(&(at % nwave)) && !none[at] && raw.pixmask_fraction[at] < MASKED;
    let cut_rows = cut_rows(&raw.resolution, [nspec, nwave, ndiag], specmin, counts);
    if grid.log_step().is_some() {
        to_density(&mut raw.resolution, &width, ndiag);
    }
    let BundleSpectra { x, flux, ivar, resolution, chi2pix, pixmask_fraction, off_ccd, .. } = raw;
    [x, off_ccd].into_iter().for_each(recycled::give);
    let parts = SpectraParts { nspec, nwave, ndiag, flux, ivar, resolution, chi2pix, pixmask_fraction, mask };
    let spectra = Spectra::new(parts).expect("all arrays have the shape of the bundles");
    if no_result > 0 {
        tracing::warn!(
            "{no_result} bins with good pixels have no result: their patch has no solution, or their numbers are beyond \
             what a file holds or f64 resolves; they have ivar 0 and mask bit BAD2DFIT"
        );
    }
    Assembled { spectra, no_information: none.iter().filter(|&&n| n).count(), no_result, cut_rows, dark }
}

/// Returns the fibres without any good pixel.
fn dark(raw: &BundleSpectra) -> Dark {
    let [nspec, nwave, _] = raw.shape();
    let first = raw.bundles().first().map_or(0, |bundle| bundle.selected.start);
    let mut dark = Dark::default();
    for spec in (0..nspec).filter(|spec| !(spec * nwave..(spec + 1) * nwave).any(|at| raw.is_covered(at))) {
        let is_off = (spec * nwave..(spec + 1) * nwave).all(|at| raw.off_ccd[at] > 1.0 - ROUNDING);
        if is_off { &mut dark.off_ccd } else { &mut dark.masked }.push(first + spec);
    }
    dark
}

fn mask_of(raw: &BundleSpectra, at: usize, bad_fit: bool) -> u32 {
    let masked = raw.pixmask_fraction[at];
    let bits = [
        (masked > 0.5, specmask::SOMEBADPIX),
        (masked > 1.0 - ROUNDING || !raw.is_covered(at), specmask::ALLBADPIX),
        (bad_fit || raw.without_result(at), specmask::BAD2DFIT),
        (raw.off_ccd[at] > 1.0 - ROUNDING, specmask::NODATA),
    ];
    bits.into_iter().filter(|(set, _)| *set).map(|(_, bit)| bit).sum()
}

/// Makes R, which is of electron per bin, that of electron/Angstrom, on bins of different widths.
fn to_density(resolution: &mut [f64], width: &[f64], ndiag: usize) {
    let nwave = width.len();
    resolution.par_chunks_mut(nwave).enumerate().for_each(|(line, elements)| {
        let d = line % ndiag;
        for (column, element) in elements.iter_mut().enumerate() {
            if let Some(row) = (column + d).checked_sub(ndiag / 2).filter(|&row| row < nwave) {
                *element *= width[column] / width[row];
            }
        }
    });
}

/// Empties the row of R of one bin: element d of column j is in row j - ndiag/2 + d.
fn clear_row(resolution: &mut [f64], [nwave, ndiag]: [usize; 2], at: usize) {
    let (spec, row) = (at / nwave, at % nwave);
    for d in 0..ndiag {
        if let Some(column) = (row + ndiag / 2).checked_sub(d).filter(|&c| c < nwave) {
            resolution[(spec * ndiag + d) * nwave + column] = 0.0;
        }
    }
}

/// Returns the fibres with rows of R that sum to less than [`LEAST_SUM`]; bins that `counts` leaves out do not count.
fn cut_rows(
    resolution: &[f64],
    [nspec, nwave, ndiag]: [usize; 3],
    specmin: usize,
    counts: impl Fn(usize) -> bool + Sync,
) -> Vec<CutRows> {
    let half = ndiag / 2;
    let of_fibre = |spec: usize| {
        let mut sums = vec![0.0; nwave];
        for d in 0..ndiag {
            let diagonal = &resolution[(spec * ndiag + d) * nwave..(spec * ndiag + d + 1) * nwave];
            // Column j is in row j + d - half.
            let (rows, columns) = (d.saturating_sub(half).min(nwave), half.saturating_sub(d).min(nwave));
            sums[rows..].iter_mut().zip(&diagonal[columns..]).for_each(|(sum, element): (&mut f64, _)| *sum += element);
        }
        let low = (0..nwave).filter(|row| sums[*row] < LEAST_SUM && counts(spec * nwave + row));
        let low: Vec<f64> = low.map(|row| sums[row]).collect();
        let least = low.iter().copied().reduce(f64::min)?;
        Some(CutRows { fibre: specmin + spec, rows: low.len(), least })
    };
    (0..nspec).into_par_iter().filter_map(of_fibre).collect()
}

/// Returns bins whose chi2pix exceeds [`BAD_FIT`] times both medians: over fibres at that wavelength, and over wavelengths of
/// that fibre (desispec's rule). Bins in `none` do not count. No other result of a fibre depends on the selection of fibres.
fn bad_fit(chi2pix: &[f64], nwave: usize, none: &[bool]) -> Vec<bool> {
    let nspec = chi2pix.len() / nwave;
    let informed = |bins: &mut dyn Iterator<Item = usize>| -> Vec<f64> {
        bins.filter(|&at| !none[at]).map(|at| chi2pix[at]).collect()
    };
    let over_fibres = |w: usize| {
        let values = informed(&mut (0..nspec).map(|s| s * nwave + w));
        if values.len() < MIN_FIBRES { 1.0 } else { median(values) }
    };
    let over_waves = |s: usize| median(informed(&mut (s * nwave..(s + 1) * nwave)));
    let of_fibre: Vec<f64> = (0..nspec).into_par_iter().map(over_waves).collect();
    // Few bins are left, and so few wavelengths.
    let stands_out = |at: &usize| !none[*at] && chi2pix[*at] > BAD_FIT * of_fibre[at / nwave];
    let candidates: Vec<usize> = (0..nspec * nwave).into_par_iter().filter(stands_out).collect();
    let waves: BTreeSet<usize> = candidates.iter().map(|at| at % nwave).collect();
    let of_wave: BTreeMap<usize, f64> = waves.into_par_iter().map(|w| (w, over_fibres(w))).collect();
    let mut bad = vec![false; nspec * nwave];
    for at in candidates {
        bad[at] = chi2pix[at] > BAD_FIT * of_wave[&(at % nwave)];
    }
    bad
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fit_is_bad_where_chi2_stands_out_of_its_fibre_and_of_its_wavelength() {
        let mut chi2pix = [1.0; 54];
        // A bright line, bad in all fibres; a bad fibre; a cosmic.
        (0..6).for_each(|s| chi2pix[s * 9 + 2] = 50.0);
        (0..9).for_each(|w| chi2pix[4 * 9 + w] = 40.0);
        chi2pix[9 + 7] = 5.1;
        chi2pix[2 * 9 + 8] = 4.9;
        let bad = bad_fit(&chi2pix, 9, &[false; 54]);
        assert_eq!(bad.iter().enumerate().filter(|(_, b)| **b).map(|(k, _)| k).collect::<Vec<_>>(), vec![9 + 7]);
    }

    #[test]
    fn a_single_fibre_is_judged_against_a_good_fit() {
        let mut chi2pix = [1.0; 9];
        chi2pix[3] = 6.0;
        assert!(bad_fit(&chi2pix, 9, &[false; 9])[3]);
        let mut none = [false; 9];
        none[3] = true;
        assert!(bad_fit(&chi2pix, 9, &none).iter().all(|b| !b));
    }

    #[test]
    fn rows_of_r_that_are_cut_off_are_counted_by_fibre() {
        let [nspec, nwave, ndiag] = [2, 12, 3];
        let mut resolution = vec![0.0; nspec * ndiag * nwave];
        for (k, weight) in [0.2, 0.6, 0.2].into_iter().enumerate() {
            (0..nspec).for_each(|f| resolution[(f * ndiag + k) * nwave..(f * ndiag + k + 1) * nwave].fill(weight));
        }
        // Row 7 of the second fibre loses half of its main element.
        resolution[(ndiag + 1) * nwave + 7] = 0.3;
        let found = |edge: usize, masked: usize| {
            let counts = |at: usize| (edge..nwave - edge).contains(&(at % nwave)) && at != masked;
            cut_rows(&resolution, [nspec, nwave, ndiag], 30, counts)
        };
        let cut = found(1, usize::MAX);
        assert_eq!((cut.len(), cut[0].fibre, cut[0].rows), (1, 31, 1));
        assert!((cut[0].least - 0.7).abs() < 1e-12);
        assert!(found(1, nwave + 7).is_empty());
        assert_eq!(
            found(0, nwave + 7).iter().map(|cut| cut.rows).collect::<Vec<_>>(),
            [2, 2],
            "the first and the last row"
        );
    }
}
