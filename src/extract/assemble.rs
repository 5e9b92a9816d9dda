//! Assembly: bundles' spectra in electron per bin into those of a frame, with units, masks and the rule for bins without
//! information.

use super::fibre::{BAD_FIT, FibreBins, Noted, Treatment};
use super::{CutRows, Dark};
use crate::base::median::median;
use crate::base::option_name::OptionName;
use crate::base::real_array::RealSliceMut;
use crate::base::recycled;
use crate::frame::{Spectra, SpectraParts, specmask};
use crate::geometry::gradient;
use crate::solver::{BundleSpectra, Job};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Fewest fibres at a wavelength for a median of chi2pix; with fewer, 1 serves, the value of a good fit.
const MIN_FIBRES: usize = 5;

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
    let (grid, specmin, psf) = (&job.grid, job.options.specmin, job.psf);
    let [nspec, nwave, ndiag] = raw.shape();
    let first = raw.bundles().first().map_or(0, |bundle| bundle.selected.start);
    let n = nwave.max(1);
    // `[nwave]`, or `[nspec, nwave]` of a table.
    let of_fibre = |fibre: usize| gradient(&psf.wavelengths(fibre..fibre + 1, grid.wave()), grid.step());
    let width = match psf.waves {
        None => grid.widths(),
        Some(_) => (specmin..specmin + nspec).flat_map(of_fibre).collect(),
    };
    let treatment = |spec: usize| Treatment {
        is_bad: psf.defects().has(specmin + spec),
        stretch: if psf.waves.is_some() { 1.0 } else { psf.stretch(specmin + spec) },
        is_uneven: grid.log_step().is_some() || psf.waves.is_some(),
        edge: psf.half_y,
        regularize: job.options.regularize,
    };
    let mut resolution = raw.take_resolution();
    let BundleSpectra { x, mut flux, mut ivar, mut chi2pix, pixmask_fraction, off_ccd, lost, has_column, .. } = raw;
    // Written whole.
    let (mut mask, mut none) = (recycled::any(nspec * nwave), recycled::any(nspec * nwave));
    let planes = flux.par_chunks_mut(n).zip(ivar.par_chunks_mut(n)).zip(chi2pix.par_chunks_mut(n));
    let states = mask.par_chunks_mut(n).zip(none.par_chunks_mut(n)).zip(x.par_chunks(n)).zip(lost.par_chunks(n));
    let fractions = pixmask_fraction.par_chunks(n).zip(off_ccd.par_chunks(n));
    let fibres = planes.zip(states).zip(fractions).zip(resolution.all_mut().parts((ndiag * nwave).max(1))).enumerate();
    let of_fibre = |(spec, (((planes, states), fractions), resolution)): (usize, (((_, _), _), RealSliceMut))| {
        let (((flux, ivar), chi2pix), (((mask, none), x), lost)) = (planes, states);
        let (pixmask_fraction, off_ccd): (&[f64], &[f64]) = fractions;
        let width = &width[spec * n % width.len()..][..n];
        let bins = FibreBins { flux, ivar, chi2pix, resolution, mask, none, x, pixmask_fraction, off_ccd, lost, width };
        bins.finish(treatment(spec))
    };
    let noted: Vec<Noted> = fibres.map(of_fibre).collect();
    let BadFit { bins: bad_fit, median } = bad_fit(&chi2pix, nwave, &none, &noted);
    bad_fit.into_iter().for_each(|at| mask[at] |= specmask::BAD2DFIT);
    [x, off_ccd].into_iter().for_each(recycled::give);
    [lost, none, has_column].into_iter().for_each(recycled::give);
    let parts = SpectraParts { nspec, nwave, ndiag, flux, ivar, resolution, chi2pix, pixmask_fraction, mask };
    let spectra = Spectra::new(parts).expect("all arrays have the shape of the bundles");
    let of_fibres = || noted.iter().enumerate();
    let dark =
        |is_off: bool| of_fibres().filter(|(_, of)| of.dark == Some(is_off)).map(|(spec, _)| first + spec).collect();
    let cut_rows = of_fibres().filter_map(|(spec, of)| {
        let (rows, least) = of.cut_rows?;
        Some(CutRows { fibre: specmin + spec, rows, least })
    });
    let assembled = Assembled {
        spectra,
        no_information: noted.iter().map(|of| of.no_information).sum(),
        no_result: noted.iter().map(|of| of.no_result).sum(),
        cut_rows: cut_rows.collect(),
        dark: Dark { masked: dark(false), off_ccd: dark(true) },
        chi2pix: median,
    };
    warn(&assembled, job.options.regularize, noted.iter().map(|of| of.pull).fold(0.0, f64::max));
    assembled
}

/// Warns of a prior `alpha` that pulls, sigma, and of bins without result.
fn warn(assembled: &Assembled, alpha: f64, pull: f64) {
    if pull > LEAST_PULL {
        tracing::warn!(
            "{} {alpha} is a prior, flux 0 +- {:.1e} electron per bin: it pulls bright bins toward 0 by more than {LEAST_PULL} sigma, \
             and R does not show that",
            OptionName::Regularize,
            1.0 / alpha
        );
    }
    if assembled.no_result > 0 {
        tracing::warn!(
            "{} bins with good pixels have no result: their patch has no solution, or their numbers are beyond \
             what a file holds or f64 resolves; they have ivar 0 and mask bit BAD2DFIT",
            assembled.no_result
        );
    }
}

/// Bins that fit badly, and the median of the fibres' median chi2pix; None without information.
struct BadFit {
    bins: Vec<usize>,
    median: Option<f64>,
}

/// Finds the bins whose chi2pix exceeds [`BAD_FIT`] times both medians: over fibres at that wavelength, and over wavelengths of
/// that fibre (desispec's rule). Bins in `none` do not count. No other result of a fibre depends on the selection of fibres.
fn bad_fit(chi2pix: &[f64], nwave: usize, none: &[bool], noted: &[Noted]) -> BadFit {
    let n = nwave.max(1);
    let over_fibres = |w: usize| {
        let bins = (w..chi2pix.len()).step_by(n).filter(|&at| !none[at]);
        let values: Vec<f64> = bins.map(|at| chi2pix[at]).collect();
        if values.len() < MIN_FIBRES { 1.0 } else { median(values) }
    };
    // Few bins stand out of their fibre, and so few wavelengths.
    let of_fibre = |(spec, of): (usize, &Noted)| of.stands_out.iter().map(|k| spec * n + k).collect::<Vec<_>>();
    let candidates: Vec<usize> = noted.iter().enumerate().flat_map(of_fibre).collect();
    let waves: BTreeSet<usize> = candidates.iter().map(|at| at % n).collect();
    let of_wave: BTreeMap<usize, f64> = waves.into_par_iter().map(|w| (w, over_fibres(w))).collect();
    let bins = candidates.into_iter().filter(|at| chi2pix[*at] > BAD_FIT * of_wave[&(at % n)]).collect();
    let medians: Vec<f64> = noted.iter().map(|of| of.chi2pix).filter(|median| median.is_finite()).collect();
    BadFit { bins, median: (!medians.is_empty()).then(|| median(medians)) }
}

#[cfg(test)]
mod tests {
    use super::super::fibre::standing_out;
    use super::*;

    /// Judges fibres of nine bins.
    fn judged(chi2pix: &[f64], none: &[bool]) -> BadFit {
        let of_fibre = |(chi2pix, none): (&[f64], &[bool])| {
            let (chi2pix, stands_out) = standing_out(chi2pix, none);
            Noted { chi2pix, stands_out, ..Noted::default() }
        };
        let noted: Vec<Noted> = chi2pix.chunks(9).zip(none.chunks(9)).map(of_fibre).collect();
        bad_fit(chi2pix, 9, none, &noted)
    }

    #[test]
    fn a_fit_is_bad_where_chi2_stands_out_of_its_fibre_and_of_its_wavelength() {
        let mut chi2pix = [1.0; 54];
        // A bright line, bad in all fibres; a bad fibre; a cosmic.
        (0..6).for_each(|s| chi2pix[s * 9 + 2] = 50.0);
        (0..9).for_each(|w| chi2pix[4 * 9 + w] = 40.0);
        chi2pix[9 + 7] = 5.1;
        chi2pix[2 * 9 + 8] = 4.9;
        let found = judged(&chi2pix, &[false; 54]);
        assert_eq!((found.bins, found.median), (vec![9 + 7], Some(1.0)));
    }

    #[test]
    fn a_single_fibre_is_judged_against_a_good_fit() {
        let mut chi2pix = [1.0; 9];
        chi2pix[3] = 6.0;
        assert_eq!(judged(&chi2pix, &[false; 9]).bins, [3]);
        let mut none = [false; 9];
        none[3] = true;
        assert!(judged(&chi2pix, &none).bins.is_empty());
        assert_eq!(judged(&chi2pix, &[true; 9]).median, None);
    }
}
