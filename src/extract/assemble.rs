//! Assembly: patches' results into spectra, with units, masks and the rule for bins without information.

mod resolution;

use super::model_image::ModelImage;
use super::patches::model_flux;
use super::share::columns;
use super::{Extraction, ModelFlux, Options, Summary};
use crate::backend::{BundleSpots, BundleTraces, DecorrelatedField, EngineError, Field, Stage};
use crate::base::median::median;
use crate::frame::{Spectra, SpectraParts, specmask};
use crate::geometry::{Ccd, Rectangle};
use crate::geometry::{Patch, WaveGrid};
use crate::plan::{Batch, Bundle};
use crate::psf::Psf;
use crate::stages::banded::BandedRoot;
use crate::stages::goodness::Goodness;
use crate::stages::model::add_model;
use crate::stages::patch::PatchSpots;
use rayon::prelude::*;
use std::ops::Range;
use std::time::Duration;

/// Where less than this fraction of a bin's PSF is usable the bin has no information. Judged by
/// coverage, not by flux weight: a very bright star has little weight.
const MIN_COVERAGE: f64 = 1e-4;

/// pixmask_fraction reaches 1 only to rounding.
const ROUNDING: f64 = 1e-6;

/// Files hold f4: larger flux or ivar, NaN and infinity are no result. A factor of ten is left for the units.
const LARGEST: f64 = 3e37;

/// With fewer fibres at a wavelength their median says nothing: a good fit's chi2pix, 1, stands in for it.
const MIN_FIBRES: usize = 5;

/// A bin's fit is bad where chi2pix is this many times the medians of its fibre and of its wavelength.
const BAD_FIT: f64 = 5.0;

/// Results of one patch's core fibres, per bin of the patch.
#[derive(Clone, Debug)]
pub struct PatchSpectra {
    /// Bins of the patch.
    nbin: usize,
    /// Deconvolved flux, electron a bin, `[core fibre, nbin]`.
    x: Vec<f64>,
    /// Decorrelated flux, electron a bin, `[core fibre, nbin]`.
    flux: Vec<f64>,
    /// Its inverse variance, `[core fibre, nbin]`.
    ivar: Vec<f64>,
    /// R's rows, `[core fibre, nbin, ndiag]`.
    resolution: Vec<f64>,
    /// Goodness, `[core fibre, core bin]`.
    goodness: Vec<Goodness>,
    /// Whether the patch could not be solved.
    lost: bool,
}

impl PatchSpectra {
    /// Cuts a batch's results into patches.
    ///
    /// # Errors
    /// What the device reports.
    pub fn split(
        batch: &Batch,
        x: &Field,
        decorrelated: &DecorrelatedField,
        goodness: Vec<Vec<Goodness>>,
    ) -> Result<Vec<Self>, EngineError> {
        let (nbin, ncore, ndiag) = (batch.nbin, batch.core.len(), 2 * decorrelated.half + 1);
        let part = |field: &[f64], k: usize, len: usize| field[k * len..(k + 1) * len].to_vec();
        let (x, resolution) = (x.host()?, decorrelated.resolution.host()?);
        let (flux, ivar) = (decorrelated.flux.host()?, decorrelated.ivar.host()?);
        let of_patch = |(k, goodness): (usize, Vec<Goodness>)| {
            let all = &x[k * batch.n()..(k + 1) * batch.n()];
            let of_fibre = |f: usize| (0..nbin).map(move |b| all[b * batch.nspec + f]);
            Self {
                nbin,
                x: batch.core.clone().flat_map(of_fibre).collect(),
                flux: part(flux, k, ncore * nbin),
                ivar: part(ivar, k, ncore * nbin),
                resolution: part(resolution, k, ncore * nbin * ndiag),
                goodness,
                lost: false,
            }
        };
        Ok(goodness.into_iter().enumerate().map(of_patch).collect())
    }

    /// Results whose arrays are in order: x, flux and ivar `[core fibre, nbin]`, R's rows, goodness of the core bins.
    pub fn of_rows(
        nbin: usize,
        x: Vec<f64>,
        flux: Vec<f64>,
        ivar: Vec<f64>,
        resolution: Vec<f64>,
        goodness: Vec<Goodness>,
    ) -> Self {
        Self { nbin, x, flux, ivar, resolution, goodness, lost: false }
    }

    /// Marks the patch as not solved.
    pub fn lost(self) -> Self {
        Self { lost: true, ..self }
    }
}

/// A frame in the making.
#[derive(Debug)]
pub struct FrameBuilder {
    /// What was done so far.
    pub summary: Summary,
    pub(super) specmin: usize,
    pub(super) spectra: SpectraParts,
    /// Deconvolved flux, electron a bin, `[nspec, nwave]`.
    pub(super) x: Vec<f64>,
    /// Fraction of the PSF off the CCD, `[nspec, nwave]`.
    pub(super) off_ccd: Vec<f64>,
    /// Bins whose patch was lost, `[nspec, nwave]`.
    pub(super) lost: Vec<bool>,
    /// Bins whose column of R is that of their own patch, `[nspec, nwave]`.
    has_column: Vec<bool>,
    which_model: ModelFlux,
    pub(super) model: Option<ModelImage>,
    /// The columns that a bundle's light can reach, by its first fibre; for the model.
    columns: Vec<(usize, Range<usize>)>,
    ccd: Rectangle,
}

/// What a frame in the making is to hold: consecutive bundles.
pub struct SharePlan<'a> {
    pub psf: &'a Psf,
    pub grid: &'a WaveGrid,
    pub options: &'a Options,
    pub bundles: &'a [Bundle],
}

impl FrameBuilder {
    /// Without results.
    pub fn new(share: &SharePlan, ccd: &Ccd) -> Self {
        let SharePlan { psf, grid, options, bundles } = share;
        let first = bundles.first().map_or(0, |b| b.selected.start);
        let nspec = bundles.last().map_or(0, |b| b.selected.end) - first;
        let (nwave, ndiag) = (grid.nwave(), psf.ndiag());
        let bins = nspec * nwave;
        let zeros = || vec![0.0; bins];
        let spectra = SpectraParts {
            nspec,
            nwave,
            ndiag,
            flux: zeros(),
            ivar: zeros(),
            resolution: vec![0.0; bins * ndiag],
            chi2pix: zeros(),
            pixmask_fraction: zeros(),
            mask: vec![0; bins],
        };
        let model = options.model.map(|_| ModelImage::new(ccd.ny(), ccd.nx()));
        let columns_of = |b: &Bundle| (b.fibres.start, columns(psf, b.fibres.clone(), grid, options));
        Self {
            which_model: options.model.unwrap_or_default(),
            columns: if model.is_some() { bundles.iter().map(columns_of).collect() } else { Vec::new() },
            ccd: Rectangle { y0: 0, x0: 0, ny: ccd.ny(), nx: ccd.nx() },
            ..Self::of_parts(Summary::default(), first, spectra, zeros(), zeros(), vec![false; bins], model)
        }
    }

    /// One with all results, to be joined with others.
    pub fn of_parts(
        summary: Summary,
        specmin: usize,
        spectra: SpectraParts,
        x: Vec<f64>,
        off_ccd: Vec<f64>,
        lost: Vec<bool>,
        model: Option<ModelImage>,
    ) -> Self {
        let (which_model, columns, ccd) = (ModelFlux::default(), Vec::new(), Rectangle::default());
        let has_column = vec![false; x.len()];
        Self { summary, specmin, spectra, x, off_ccd, lost, has_column, which_model, model, columns, ccd }
    }

    /// Takes the bundles that come next.
    pub fn join(&mut self, more: Self) {
        let (a, b) = (&mut self.spectra, more.spectra);
        a.nspec += b.nspec;
        a.flux.extend(b.flux);
        a.ivar.extend(b.ivar);
        a.resolution.extend(b.resolution);
        a.chi2pix.extend(b.chi2pix);
        a.pixmask_fraction.extend(b.pixmask_fraction);
        a.mask.extend(b.mask);
        self.x.extend(more.x);
        self.off_ccd.extend(more.off_ccd);
        self.lost.extend(more.lost);
        if !self.summary.device.contains(&more.summary.device) {
            self.summary.device = format!("{}; {}", self.summary.device, more.summary.device);
        }
        self.summary.retried = match (self.summary.retried.take(), more.summary.retried) {
            (Some(why), Some(more)) => Some(format!("{why}; {more}")),
            (why, more) => why.or(more),
        };
        self.summary.banded += more.summary.banded;
        self.summary.patches += more.summary.patches;
        self.summary.in_patches.extend(more.summary.in_patches);
        self.summary.in_f32 += more.summary.in_f32;
        self.summary.redone += more.summary.redone;
        self.summary.failed += more.summary.failed;
        if let (Some(model), Some(more)) = (&mut self.model, more.model) {
            model.join(more);
        }
    }

    /// Takes the core fibres and bins of one patch, those that are selected.
    pub fn add_patch(&mut self, bundle: &Bundle, patch: &Patch, padding: usize, result: &PatchSpectra) {
        self.summary.patches += 1;
        if self.summary.in_patches.last() != Some(&bundle.fibres.start) {
            self.summary.in_patches.push(bundle.fibres.start);
        }
        self.add_rows(bundle, patch, padding, result);
    }

    /// The same of a bundle that was solved as one patch: it does not count as a patch.
    pub fn add_rows(&mut self, bundle: &Bundle, patch: &Patch, padding: usize, result: &PatchSpectra) {
        let nwave = self.spectra.nwave;
        for core in 0..patch.core.len() {
            let fibre = bundle.fibres.start + patch.fibres.start + patch.core.start + core;
            if !bundle.selected.contains(&fibre) {
                continue;
            }
            for (k, bin) in patch.core_bins.clone().enumerate() {
                let at = (fibre - self.specmin) * nwave + patch.bin0 + bin - padding;
                let from = core * result.nbin + bin;
                let goodness = result.goodness[core * patch.core_bins.len() + k];
                self.x[at] = result.x[from];
                self.spectra.flux[at] = result.flux[from];
                self.spectra.ivar[at] = result.ivar[from];
                self.spectra.chi2pix[at] = goodness.chi2pix;
                self.spectra.pixmask_fraction[at] = goodness.pixmask_fraction;
                self.off_ccd[at] = goodness.off_ccd;
                self.lost[at] = result.lost;
                if !result.lost {
                    self.add_resolution(at, core * result.nbin, bin, result);
                }
            }
            if !result.lost {
                self.add_resolution_beyond((fibre - self.specmin) * nwave, patch, padding, core, result);
            }
        }
    }

    /// Takes the selected fibres of a whole bundle: x of all its fibres, Q of the selected ones, `padding` bins of which come
    /// before the frame's first, and the goodness of the frame's bins, `[selected, nwave]`.
    pub fn add_bundle(
        &mut self,
        bundle: &Bundle,
        padding: usize,
        x: &[Vec<f64>],
        roots: &[(BandedRoot, f64)],
        goodness: &[Goodness],
    ) {
        self.summary.banded += 1;
        let nwave = self.spectra.nwave;
        for (k, (fibre, (root, _))) in bundle.selected.clone().zip(roots).enumerate() {
            let bins = (fibre - self.specmin) * nwave..(fibre - self.specmin + 1) * nwave;
            let core = padding..padding + nwave;
            self.x[bins.clone()].copy_from_slice(&x[fibre - bundle.fibres.start][core.clone()]);
            for (i, at) in core.zip(bins) {
                let goodness = goodness[k * nwave + i - padding];
                self.spectra.flux[at] = root.flux[i] / root.ones[i];
                self.spectra.ivar[at] = root.ones[i] * root.ones[i];
                self.spectra.chi2pix[at] = goodness.chi2pix;
                self.spectra.pixmask_fraction[at] = goodness.pixmask_fraction;
                self.off_ccd[at] = goodness.off_ccd;
            }
            self.add_root(fibre - self.specmin, padding, root);
        }
    }

    /// Adds the model of a bundle's selected fibres, if the frame has one: `project` is given their flux `[selected, nwave]`,
    /// 0 where there is no information, and the image `[ny, nx]` to add to.
    pub fn add_model(&mut self, bundle: &Bundle, project: impl FnOnce(&[f64], &mut [f64])) {
        let nwave = self.spectra.nwave;
        let bins = (bundle.selected.start - self.specmin) * nwave..(bundle.selected.end - self.specmin) * nwave;
        let flux_of = |at: usize| match self.without_information(at) {
            true => 0.0,
            false => model_flux(self.which_model, self.x[at], self.spectra.flux[at]),
        };
        let flux: Vec<f64> = bins.map(flux_of).collect();
        let columns = self.columns.iter().find(|(first, _)| *first == bundle.fibres.start).map(|(_, c)| c.clone());
        if let (Some(model), Some(columns)) = (&mut self.model, columns) {
            model.add(columns, |image| project(&flux, image));
        }
    }

    /// Projects the bins `waves` of the bundle's selected fibres onto the model image; `padding` bins of the bundle's
    /// grid come before the frame's first.
    pub fn add_patch_model(
        &mut self,
        bundle: &Bundle,
        traces: &BundleTraces,
        spots: &BundleSpots,
        padding: usize,
        waves: Range<usize>,
    ) -> Result<(), EngineError> {
        let (nwave, ccd, nfibre) = (self.spectra.nwave, self.ccd, bundle.selected.len());
        let view = PatchSpots {
            fibre0: bundle.selected.start - bundle.fibres.start,
            nspec: nfibre,
            bin0: padding + waves.start - spots.bins.start,
            nbin: waves.len(),
            ..spots.view(traces)?
        };
        self.add_model(bundle, |flux, model| {
            let bins = waves.flat_map(|w| (0..nfibre).map(move |f| flux[f * nwave + w]));
            add_model(&view, &ccd, &bins.collect::<Vec<f64>>(), model);
        });
        Ok(())
    }

    /// Whether a bin has no information: nothing of its PSF is usable, or there is no result for it.
    fn without_information(&self, at: usize) -> bool {
        !self.is_covered(at) || self.without_result(at)
    }

    /// Whether any of a bin's PSF is usable.
    fn is_covered(&self, at: usize) -> bool {
        1.0 - self.spectra.pixmask_fraction[at] >= MIN_COVERAGE
    }

    /// Whether a bin's patch was lost, or gave numbers that a file cannot hold: infinite where rounding left none.
    fn without_result(&self, at: usize) -> bool {
        let values = [self.spectra.flux[at], self.spectra.ivar[at], self.x[at]];
        self.lost[at] || !values.iter().all(|v| v.abs() < LARGEST)
    }

    /// Sets masks and units: electron/Angstrom on the bins of `grid`.
    pub fn finish(mut self, grid: &WaveGrid, stage_time: Vec<(Stage, Duration)>) -> Extraction {
        let nwave = self.spectra.nwave;
        let none: Vec<bool> = (0..self.x.len()).map(|at| self.without_information(at)).collect();
        let no_result = (0..self.x.len()).filter(|&at| self.is_covered(at) && self.without_result(at)).count();
        let bad_fit = bad_fit(&self.spectra, &none);
        let width = grid.widths();
        for at in 0..none.len() {
            self.spectra.mask[at] = self.mask_of(at, bad_fit[at]);
            if none[at] {
                self.clear(at);
            }
            let dw = width[at % nwave];
            self.spectra.flux[at] /= dw;
            self.spectra.ivar[at] *= dw * dw;
        }
        self.summary.no_information = none.iter().filter(|&&n| n).count();
        self.summary.no_result = no_result;
        if no_result > 0 {
            tracing::warn!(
                "{no_result} bins with good pixels have no result: their patch has no solution, or their numbers are beyond \
                 what a file holds or f64 resolves; they have ivar 0 and mask bit BAD2DFIT"
            );
        }
        self.summary.stage_time = stage_time;
        let model = self.model.map(ModelImage::sum);
        let spectra = Spectra::new(self.spectra).expect("the builder keeps the shapes");
        Extraction { spectra, model, summary: self.summary }
    }

    fn mask_of(&self, at: usize, bad_fit: bool) -> u32 {
        let masked = self.spectra.pixmask_fraction[at];
        let bits = [
            (masked > 0.5, specmask::SOMEBADPIX),
            (masked > 1.0 - ROUNDING || 1.0 - masked < MIN_COVERAGE, specmask::ALLBADPIX),
            (bad_fit || self.without_result(at), specmask::BAD2DFIT),
            (self.off_ccd[at] > 1.0 - ROUNDING, specmask::NODATA),
        ];
        bits.into_iter().filter(|(set, _)| *set).map(|(_, bit)| bit).sum()
    }

    /// Empties a bin without information: flux, ivar and its row of R.
    fn clear(&mut self, at: usize) {
        self.spectra.flux[at] = 0.0;
        self.spectra.ivar[at] = 0.0;
        if !self.spectra.chi2pix[at].is_finite() {
            self.spectra.chi2pix[at] = 0.0;
        }
        self.clear_row(at);
    }
}

/// Bins whose chi2pix is more than [`BAD_FIT`] times the median over fibres at that wavelength and more than
/// that times the median over wavelengths of that fibre (desispec's rule); bins in `none` do not count. The one number
/// of a fibre that depends on which others are extracted with it.
fn bad_fit(spectra: &SpectraParts, none: &[bool]) -> Vec<bool> {
    let (nspec, nwave) = (spectra.nspec, spectra.nwave);
    let informed = |bins: &mut dyn Iterator<Item = usize>| -> Vec<f64> {
        bins.filter(|&at| !none[at]).map(|at| spectra.chi2pix[at]).collect()
    };
    let over_fibres = |w: usize| {
        let values = informed(&mut (0..nspec).map(|s| s * nwave + w));
        if values.len() < MIN_FIBRES { 1.0 } else { median(values) }
    };
    let of_wave: Vec<f64> = (0..nwave).into_par_iter().map(over_fibres).collect();
    let over_waves = |s: usize| median(informed(&mut (s * nwave..(s + 1) * nwave)));
    let of_fibre: Vec<f64> = (0..nspec).into_par_iter().map(over_waves).collect();
    let bad = |at: usize| {
        let chi2 = spectra.chi2pix[at];
        !none[at] && chi2 > BAD_FIT * of_wave[at % nwave] && chi2 > BAD_FIT * of_fibre[at / nwave]
    };
    (0..nspec * nwave).map(bad).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spectra(nspec: usize, nwave: usize) -> SpectraParts {
        SpectraParts { nspec, nwave, chi2pix: vec![1.0; nspec * nwave], ..SpectraParts::default() }
    }

    #[test]
    fn a_fit_is_bad_where_chi2_stands_out_of_its_fibre_and_of_its_wavelength() {
        let mut frame = spectra(6, 9);
        // A bright line, bad in all fibres; a bad fibre; a cosmic.
        (0..6).for_each(|s| frame.chi2pix[s * 9 + 2] = 50.0);
        (0..9).for_each(|w| frame.chi2pix[4 * 9 + w] = 40.0);
        frame.chi2pix[9 + 7] = 5.1;
        frame.chi2pix[2 * 9 + 8] = 4.9;
        let bad = bad_fit(&frame, &[false; 54]);
        assert_eq!(bad.iter().enumerate().filter(|(_, b)| **b).map(|(k, _)| k).collect::<Vec<_>>(), vec![9 + 7]);
    }

    #[test]
    fn a_single_fibre_is_judged_against_a_good_fit() {
        let mut frame = spectra(1, 9);
        frame.chi2pix[3] = 6.0;
        assert!(bad_fit(&frame, &[false; 9])[3]);
        let mut none = [false; 9];
        none[3] = true;
        assert!(bad_fit(&frame, &none).iter().all(|b| !b));
    }
}
