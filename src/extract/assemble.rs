//! Assembly: bundles' spectra in electron per bin into those of a frame, with units, masks and the rule for bins without
//! information.

use super::{CutRows, Dark};
use crate::base::median::median;
use crate::base::option_name::OptionName;
use crate::base::recycled;
use crate::frame::{Spectra, SpectraParts, specmask};
use crate::geometry::gradient;
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

/// Largest pull of a prior toward flux 0 that is no warning, sigma.
const LEAST_PULL: f64 = 0.1;

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
    /// Median of the fibres' median chi2pix; None without information.
    pub chi2pix: Option<f64>,
}

/// Sets masks and units: electron/Angstrom on the bins of the job's grid. Fibres with defects in the PSF have no result.
pub(super) fn assemble(mut raw: BundleSpectra, job: &Job) -> Assembled {
    let (grid, specmin, edge) = (&job.grid, job.options.specmin, job.psf.half_y);
    let [nspec, nwave, ndiag] = raw.shape();
    let n = nwave.max(1);
    let bad: Vec<bool> = (specmin..specmin + nspec).map(|fibre| job.psf.defects().has(fibre)).collect();
    let judged = Judged::of(&raw, &bad);
    let BadFit { bins: bad_fit, median: chi2pix } = bad_fit(&raw.chi2pix, nwave, &judged.none);
    let mut mask = vec![0; nspec * nwave];
    mask.par_chunks_mut(n).enumerate().for_each(|(spec, mask)| set_bits(&raw, &judged, spec, bad[spec], mask));
    bad_fit.into_iter().for_each(|at| mask[at] |= specmask::BAD2DFIT);
    let dark = dark(&raw, &judged.covered);
    let alpha = job.options.regularize;
    let pull = if alpha > 0.0 { prior_pull(&raw, &judged.none, alpha) } else { 0.0 };
    if pull > LEAST_PULL {
        tracing::warn!(
            "{} {alpha} is a prior, flux 0 +- {:.1e} electron per bin: it pulls bright bins toward 0 by more than {LEAST_PULL} sigma, \
             and R does not show that",
            OptionName::Regularize,
            1.0 / alpha
        );
    }
    // `[nwave]`, or `[nspec, nwave]` of a table.
    let of_fibre = |fibre: usize| gradient(&job.psf.wavelengths(fibre..fibre + 1, grid.wave()), grid.step());
    let width = match job.psf.waves {
        None => grid.widths(),
        Some(_) => (specmin..specmin + nspec).flat_map(of_fibre).collect(),
    };
    let fibres = raw.flux.par_chunks_mut(n).zip(raw.ivar.par_chunks_mut(n)).zip(raw.chi2pix.par_chunks_mut(n));
    fibres.zip(judged.none.par_chunks(n)).enumerate().for_each(|(spec, (((flux, ivar), chi2pix), none))| {
        let stretch = if job.psf.waves.is_some() { 1.0 } else { job.psf.stretch(specmin + spec) };
        let width = &width[spec * n % width.len()..][..n];
        let bins = flux.iter_mut().zip(ivar).zip(chi2pix).zip(none).zip(width);
        for ((((flux, ivar), chi2pix), none), width) in bins {
            let width = width * stretch;
            (*flux, *ivar) = if *none { (0.0, 0.0) } else { (*flux / width, *ivar * (width * width)) };
            if *none && (bad[spec] || !chi2pix.is_finite()) {
                *chi2pix = 0.0;
            }
        }
    });
    let empty = (0..nspec * nwave).filter(|&at| judged.none[at]);
    empty.for_each(|at| clear_row(&mut raw.resolution, [nwave, ndiag], at));
    let inside = edge..nwave.saturating_sub(edge);
    let counts = |at: usize| inside.contains(&(at % nwave)) && !judged.none[at] && raw.pixmask_fraction[at] < MASKED;
    let cut_rows = cut_rows(&raw.resolution, [nspec, nwave, ndiag], specmin, counts);
    if grid.log_step().is_some() || job.psf.waves.is_some() {
        to_density(&mut raw.resolution, &width, [nwave, ndiag]);
    }
    let BundleSpectra { x, flux, ivar, resolution, pixmask_fraction, off_ccd, .. } = raw;
    [x, off_ccd].into_iter().for_each(recycled::give);
    let chi2pix_of_bins = raw.chi2pix;
    let parts =
        SpectraParts { nspec, nwave, ndiag, flux, ivar, resolution, chi2pix: chi2pix_of_bins, pixmask_fraction, mask };
    let spectra = Spectra::new(parts).expect("all arrays have the shape of the bundles");
    let [no_information, no_result] = judged.counts();
    if no_result > 0 {
        tracing::warn!(
            "{no_result} bins with good pixels have no result: their patch has no solution, or their numbers are beyond \
             what a file holds or f64 resolves; they have ivar 0 and mask bit BAD2DFIT"
        );
    }
    Assembled { spectra, no_information, no_result, cut_rows, dark, chi2pix }
}

/// Returns how far the prior `alpha` of a flux 0 +- 1/alpha moves a flux at least, sigma. The whole is
/// `alpha^2 (K + alpha^2)^(-1/2) x`; a bin's own element is `alpha^2 |flux| / sqrt(ivar)`, where the prior is weak.
fn prior_pull(raw: &BundleSpectra, none: &[bool], alpha: f64) -> f64 {
    let bins = raw.flux.iter().zip(&raw.ivar).zip(none).filter(|(_, none)| !**none);
    alpha * alpha * bins.map(|((flux, ivar), _)| flux.abs() / ivar.sqrt()).fold(0.0, f64::max)
}

/// State of every bin, `[nspec, nwave]`.
struct Judged {
    /// Whether any of the bin's PSF is usable.
    covered: Vec<bool>,
    /// Whether the bin has a result.
    solved: Vec<bool>,
    /// Whether the bin has no information, or its fibre has defects in the PSF.
    none: Vec<bool>,
}

impl Judged {
    fn of(raw: &BundleSpectra, bad: &[bool]) -> Self {
        let [nspec, nwave, _] = raw.shape();
        let [mut covered, mut solved, mut none] = std::array::from_fn(|_| vec![false; nspec * nwave]);
        let n = nwave.max(1);
        let fibres = covered.par_chunks_mut(n).zip(solved.par_chunks_mut(n)).zip(none.par_chunks_mut(n));
        fibres.enumerate().for_each(|(spec, ((covered, solved), none))| {
            raw.judge(spec, covered, solved);
            for (none, (covered, solved)) in none.iter_mut().zip(covered.iter().zip(solved)) {
                *none = !(*covered & *solved) | bad[spec];
            }
        });
        Self { covered, solved, none }
    }

    /// Returns the bins without information, and those that have good pixels and no result.
    fn counts(&self) -> [usize; 2] {
        let no_result = self.covered.iter().zip(&self.solved).filter(|(covered, solved)| **covered & !**solved).count();
        [self.none.iter().filter(|none| **none).count(), no_result]
    }
}

/// Returns the fibres without any good pixel.
fn dark(raw: &BundleSpectra, covered: &[bool]) -> Dark {
    let [nspec, nwave, _] = raw.shape();
    let first = raw.bundles().first().map_or(0, |bundle| bundle.selected.start);
    let mut dark = Dark::default();
    for spec in (0..nspec).filter(|spec| !covered[spec * nwave..(spec + 1) * nwave].contains(&true)) {
        let is_off = (spec * nwave..(spec + 1) * nwave).all(|at| raw.off_ccd[at] > 1.0 - ROUNDING);
        if is_off { &mut dark.off_ccd } else { &mut dark.masked }.push(first + spec);
    }
    dark
}

/// Sets the mask of one fibre, but for bins that fit badly.
fn set_bits(raw: &BundleSpectra, judged: &Judged, spec: usize, is_bad: bool, mask: &mut [u32]) {
    let bins = spec * mask.len()..(spec + 1) * mask.len();
    let [masked, off] = [&raw.pixmask_fraction, &raw.off_ccd].map(|of| &of[bins.clone()]);
    let states = judged.covered[bins.clone()].iter().zip(&judged.solved[bins]);
    for (mask, ((masked, off), (covered, solved))) in mask.iter_mut().zip(masked.iter().zip(off).zip(states)) {
        let bits = [
            (*masked > 0.5, specmask::SOMEBADPIX),
            ((*masked > 1.0 - ROUNDING) | !covered, specmask::ALLBADPIX),
            (is_bad | !solved, specmask::BAD2DFIT),
            (*off > 1.0 - ROUNDING, specmask::NODATA),
        ];
        *mask = bits.into_iter().map(|(set, bit)| u32::from(set) * bit).sum();
    }
}

/// Makes R, which is of electron per bin, that of electron/Angstrom, on bins of different widths.
fn to_density(resolution: &mut [f64], width: &[f64], [nwave, ndiag]: [usize; 2]) {
    let rows = width.len() / nwave;
    resolution.par_chunks_mut(nwave).enumerate().for_each(|(line, elements)| {
        let (d, width) = (line % ndiag, &width[line / ndiag % rows * nwave..][..nwave]);
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

/// Bins that fit badly, and the median of the fibres' median chi2pix; None without information.
struct BadFit {
    bins: Vec<usize>,
    median: Option<f64>,
}

/// Finds the bins whose chi2pix exceeds [`BAD_FIT`] times both medians: over fibres at that wavelength, and over wavelengths of
/// that fibre (desispec's rule). Bins in `none` do not count. No other result of a fibre depends on the selection of fibres.
fn bad_fit(chi2pix: &[f64], nwave: usize, none: &[bool]) -> BadFit {
    let n = nwave.max(1);
    let informed = |bins: &mut dyn Iterator<Item = usize>| -> Vec<f64> {
        bins.filter(|&at| !none[at]).map(|at| chi2pix[at]).collect()
    };
    let over_fibres = |w: usize| {
        let values = informed(&mut (w..chi2pix.len()).step_by(n));
        if values.len() < MIN_FIBRES { 1.0 } else { median(values) }
    };
    // Few bins are left, and so few wavelengths.
    let of_fibre = |(spec, (chi2pix, none)): (usize, (&[f64], &[bool]))| -> (f64, Vec<usize>) {
        let informed = |k: &usize| !none[*k];
        let middle = median((0..chi2pix.len()).filter(informed).map(|k| chi2pix[k]).collect());
        let stands_out = (0..chi2pix.len()).filter(informed).filter(|&k| chi2pix[k] > BAD_FIT * middle);
        (middle, stands_out.map(|k| spec * n + k).collect())
    };
    let fibres = chi2pix.par_chunks(n).zip(none.par_chunks(n)).enumerate();
    let (medians, candidates): (Vec<f64>, Vec<Vec<usize>>) = fibres.map(of_fibre).unzip();
    let medians: Vec<f64> = medians.into_iter().filter(|median| median.is_finite()).collect();
    let candidates = candidates.concat();
    let waves: BTreeSet<usize> = candidates.iter().map(|at| at % n).collect();
    let of_wave: BTreeMap<usize, f64> = waves.into_par_iter().map(|w| (w, over_fibres(w))).collect();
    let bins = candidates.into_iter().filter(|at| chi2pix[*at] > BAD_FIT * of_wave[&(at % n)]).collect();
    BadFit { bins, median: (!medians.is_empty()).then(|| median(medians)) }
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
        let found = bad_fit(&chi2pix, 9, &[false; 54]);
        assert_eq!((found.bins, found.median), (vec![9 + 7], Some(1.0)));
    }

    #[test]
    fn a_single_fibre_is_judged_against_a_good_fit() {
        let mut chi2pix = [1.0; 9];
        chi2pix[3] = 6.0;
        assert_eq!(bad_fit(&chi2pix, 9, &[false; 9]).bins, [3]);
        let mut none = [false; 9];
        none[3] = true;
        assert!(bad_fit(&chi2pix, 9, &none).bins.is_empty());
        assert_eq!(bad_fit(&chi2pix, 9, &[true; 9]).median, None);
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
