//! The job: PSF, CCD, grid and options of an extraction, checked once.

use super::grouping::Grouping;
use super::kept::Facts;
use super::{Options, Solver};
use crate::backend::Decorrelate;
use crate::base::option_name::{OptionName, Remedy};
use crate::geometry::{Ccd, WaveGrid};
use crate::plan::{Bundle, PatchOptions, PlanError, bundles};
use crate::psf::{Dispersion, Psf, Tails};
use crate::stages::normal_equations::Prior;
use crate::stages::traces::{legendre, unit};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// Columns beside those of the traces: a device may round a position to the next pixel.
const MARGIN: i64 = 2;

const NOISE: &[Remedy] = &[Remedy::Set(OptionName::Decorrelate, "signal"), Remedy::Set(OptionName::Solver, "patches")];

/// Inputs that do not fit together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// The options do not describe a division of this PSF.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The banded solver decorrelates one fibre at a time.
    #[error("the banded solver decorrelates one fibre at a time: {}", Remedy::any_of(NOISE))]
    Noise,
    /// The PSF lacks the tails requested.
    #[error(
        "the PSF has no power-law tails (rows {}): leave out {}, or give a PSF with them",
        Tails::NAMES.join(", "),
        OptionName::PsfTails
    )]
    NoTails,
    /// A tolerance that f64 cannot keep, or none.
    #[error("tolerance is {0:e} sigma: give a number from 1e-8 to 0.01")]
    Tolerance(f64),
    /// The PSF belongs to another CCD.
    #[error(
        "the image is {nx} x {ny} pixels, the PSF is for a CCD of {psf_nx} x {psf_ny} (NPIX_X x NPIX_Y): give the PSF of this camera"
    )]
    CcdSize {
        /// Columns of the image.
        nx: usize,
        /// Rows of the image.
        ny: usize,
        /// Columns of the PSF's CCD.
        psf_nx: usize,
        /// Rows of the PSF's CCD.
        psf_ny: usize,
    },
    /// Wavelengths of fibres with a range each do not follow from one factor.
    #[error(
        "fibres have a range of wavelengths each: leave out {}, and correct WAVELENGTH afterwards",
        OptionName::BarycentricCorrection
    )]
    BarycentricRanges,
    /// The CCD and the PSF are turned differently.
    #[error(
        "the PSF has dispersion along {}, the CCD was {}turned: turn it (Ccd::turned) where the PSF has dispersion along x, and there only",
        psf.letter(), if *psf == Dispersion::AlongX { "not " } else { "" }
    )]
    Dispersion {
        /// The axis of the PSF's file.
        psf: Dispersion,
    },
    /// The grid reaches further beyond the PSF's range than its series can be extrapolated.
    #[error(
        "wavelength range {wmin:.2} to {wmax:.2} Angstrom reaches outside the PSF's {psf_min:.2} to {psf_max:.2}: give a range within the PSF's"
    )]
    OutsidePsf {
        /// First wavelength of the grid.
        wmin: f64,
        /// Last wavelength of the grid.
        wmax: f64,
        /// The PSF's WAVEMIN.
        psf_min: f64,
        /// The PSF's WAVEMAX.
        psf_max: f64,
    },
    /// An option outside its range.
    #[error("{what} is {value}: give a finite number of at least 0")]
    Negative {
        /// The option's name.
        what: &'static str,
        /// Its value.
        value: f64,
    },
}

impl JobError {
    /// Returns what to do with which option, where that may help; its message ends in it.
    pub fn remedies(&self) -> Vec<Remedy> {
        match self {
            Self::Noise => NOISE.into(),
            _ => Vec::new(),
        }
    }
}

/// Overlap of neighbouring fibres from which on patches hold whole groups: at 0.1, 3 sigma apart, sub-bundles bias flux by some
/// hundredths of sigma, at 0.24 by 0.09 in the mean.
const CROWDED: f64 = 0.1;

/// Most unknowns of such a patch: 25 fibres with the default padding have 1850.
const MOST_UNKNOWNS: usize = 4000;

/// Everything that decides the spectra of a frame; immutable.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// The PSF.
    pub psf: &'a Psf,
    /// The CCD.
    pub ccd: &'a Ccd<'a>,
    /// The grid of the spectra as the CCD sees it: the barycentric factor is taken out.
    pub grid: WaveGrid,
    /// The options.
    pub options: &'a Options,
    facts: Arc<Facts>,
    largest_weights: Cow<'a, [f64]>,
}

impl<'a> Job<'a> {
    /// Checks that PSF, CCD, grid and options fit together.
    ///
    /// # Errors
    /// [`JobError`]: the PSF is for another CCD, the grid reaches beyond the PSF, or an option is out of range.
    pub fn new(psf: &'a Psf, ccd: &'a Ccd<'a>, grid: &WaveGrid, options: &'a Options) -> Result<Self, JobError> {
        check(psf, ccd, grid, options)?;
        let grid = options.barycentric.map_or_else(|| grid.clone(), |f| grid.divided_by(f));
        let facts = Facts::of(psf, &grid, options);
        let measured = || facts.spot_places().largest_weights(psf, ccd).into();
        let largest_weights = ccd.largest_weights().map_or_else(measured, Cow::Borrowed);
        let job = Self { psf, ccd, grid, options, facts, largest_weights };
        if options.solver == Solver::Patches || options.decorrelate == Decorrelate::Noise {
            let patches = job.patches();
            job.grouping().groups.ranges().try_for_each(|fibres| patches.check_patches(fibres.len()))?;
        }
        Ok(job)
    }

    /// Returns the bundles that hold the selected fibres.
    ///
    /// # Errors
    /// [`JobError::Plan`] if the selection is empty or reaches beyond the PSF.
    pub fn bundles(&self) -> Result<Vec<Bundle>, JobError> {
        let Options { specmin, nspec, .. } = self.options;
        let nspec = nspec.unwrap_or(self.psf.nfibre.saturating_sub(*specmin));
        Ok(bundles(&self.facts.grouping.groups, *specmin, nspec)?)
    }

    /// The groups of all fibres, selected or not.
    pub fn grouping(&self) -> &Grouping {
        &self.facts.grouping
    }

    /// How groups are cut into patches: as the options say, with padding as wide as R where its diagonals outnumber a spot's
    /// rows. Less padding would cut off rows of R, and bins of neighbouring patches.
    ///
    /// Where fibres share much light, patches hold whole groups unless sub-bundles are given: a patch has a single fibre of padding
    /// to each side, and what that lacks of its other neighbour biases the next one.
    pub fn patches(&self) -> PatchOptions {
        let given = self.options.patches;
        let unknowns =
            self.facts.grouping.groups.ranges().map(|group| group.len()).max().unwrap_or(0) * given.patch_bins();
        let is_crowded = self.facts.correlation.neighbours > CROWDED && unknowns <= MOST_UNKNOWNS;
        let given = match given.nsubbundles {
            None if is_crowded => PatchOptions { nsubbundles: Some(1), ..given },
            _ => given,
        };
        let wide = self.half_diagonals() > self.psf.half_y && self.half_diagonals() > given.padding();
        if wide { PatchOptions { wavepad: self.half_diagonals(), wavepad_frac: 0.0, ..given } } else { given }
    }

    /// Diagonals of R to each side of its main one.
    pub fn half_diagonals(&self) -> usize {
        self.facts.half_diagonals
    }

    /// Returns the CCD columns that the light of fibres can reach at the bins of the grid and those beyond its ends.
    pub fn columns(&self, fibres: Range<usize>) -> Range<usize> {
        let (psf, patches) = (self.psf, self.patches());
        let pad = patches.padding();
        let beyond = self.most_beyond_ends();
        let wave = self.grid.padded(beyond.max(pad), beyond.max(pad + patches.nwavestep));
        let series = &psf.trace_x;
        let of_fibre = |fibre: usize| wave.iter().map(move |&w| legendre(series.of(fibre), unit(series.domain, w)));
        let ends = fibres.flat_map(of_fibre).fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(x), high.max(x)));
        let reach = psf.half_x as i64 + MARGIN;
        // Beyond i64 `as` gives its ends, which the CCD's cut.
        let low = (ends.0.floor() as i64).saturating_sub(reach).clamp(0, psf.npix_x as i64) as usize;
        let high = (ends.1.ceil() as i64).saturating_add(reach + 1).clamp(0, psf.npix_x as i64) as usize;
        low..high.max(low)
    }

    /// The largest weight of a spot of each fibre, 1/electron^2, `[nfibre]`; see [`SpotPlaces::largest_weights`](crate::stages::spot_weight::SpotPlaces::largest_weights).
    pub fn largest_weights(&self) -> &[f64] {
        &self.largest_weights
    }

    /// Returns the largest weight of a spot of the group that holds a bundle, 1/electron^2.
    pub(super) fn largest_weight(&self, bundle: &Range<usize>) -> f64 {
        let group = self.facts.grouping.groups.ranges().find(|group| group.contains(&bundle.start));
        let fibres = group.unwrap_or_else(|| bundle.clone());
        self.largest_weights[fibres].iter().copied().fold(0.0, f64::max)
    }

    /// Returns the prior of a bundle's unknowns.
    pub(super) fn prior(&self, bundle: &Range<usize>) -> Prior {
        Prior::new(self.options.regularize, self.largest_weight(bundle))
    }

    /// Facts measured of PSF, grid and options.
    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Bins that the banded solver adds beyond each end of the grid.
    pub(super) fn beyond_ends(&self) -> usize {
        self.facts.correlation.beyond_ends
    }

    /// Correlation of a grid's ends with those of the padded one by the PSF alone, in units of a bin's own noise.
    pub(super) fn end_correlation(&self) -> f64 {
        self.facts.correlation.of_ends
    }

    /// The most bins that the banded solver adds beyond each end of the grid.
    pub(super) fn most_beyond_ends(&self) -> usize {
        self.facts.correlation.most_beyond_ends
    }

    /// Bins over which correlations fall to the tolerance, by the PSF alone.
    pub(super) fn correlated_bins(&self) -> usize {
        self.facts.correlation.bins
    }

    /// Returns the noise of a deconvolved bin over that of a bin alone, by the PSF on equal pixels without regularisation.
    /// It is infinite where f64 cannot separate bins, 0 where it is not measured.
    pub fn noise_gain(&self) -> f64 {
        self.facts.correlation.noise_gain
    }

    /// The grid with these bins, Angstrom.
    pub(super) fn padded(&self) -> Vec<f64> {
        self.grid.padded(self.beyond_ends(), self.beyond_ends())
    }

    /// Fractional error of the PSF.
    pub(crate) fn psferr(&self) -> f64 {
        self.options.psferr.unwrap_or(self.psf.psferr)
    }
}

fn check(psf: &Psf, ccd: &Ccd, grid: &WaveGrid, options: &Options) -> Result<(), JobError> {
    options.check()?;
    if ccd.dispersion() != psf.dispersion {
        return Err(JobError::Dispersion { psf: psf.dispersion });
    }
    if (ccd.nx(), ccd.ny()) != (psf.npix_x, psf.npix_y) {
        let [nx, ny] = psf.dispersion.in_file([ccd.nx(), ccd.ny()]);
        let [psf_nx, psf_ny] = psf.dispersion.in_file([psf.npix_x, psf.npix_y]);
        return Err(JobError::CcdSize { nx, ny, psf_nx, psf_ny });
    }
    let (wmin, wmax) = (grid.wave()[0], grid.wave()[grid.nwave() - 1]);
    if !(psf.reaches(wmin) && psf.reaches(wmax)) {
        return Err(JobError::OutsidePsf { wmin, wmax, psf_min: psf.wave_min, psf_max: psf.wave_max });
    }
    if options.barycentric.is_some() && psf.ranges.is_some() {
        return Err(JobError::BarycentricRanges);
    }
    if options.psf_tails && psf.tails.is_none() {
        return Err(JobError::NoTails);
    }
    Ok(())
}

impl Options {
    /// Checks what makes no sense whatever the files are.
    ///
    /// # Errors
    /// [`JobError::Plan`], [`JobError::Noise`], [`JobError::Tolerance`] or [`JobError::Negative`] of the first such option.
    pub fn check(&self) -> Result<(), JobError> {
        self.patches.check()?;
        if self.nspec == Some(0) {
            return Err(PlanError::Zero { what: "nspec" }.into());
        }
        if self.solver == Solver::Banded && self.decorrelate == Decorrelate::Noise {
            return Err(JobError::Noise);
        }
        if let Some(tolerance) = self.tolerance.filter(|t| !(1e-8..=0.01).contains(t)) {
            return Err(JobError::Tolerance(tolerance));
        }
        for (what, value) in [("regularize", Some(self.regularize)), ("psferr", self.psferr)] {
            if let Some(value) = value.filter(|v| !(v.is_finite() && *v >= 0.0)) {
                return Err(JobError::Negative { what, value });
            }
        }
        Ok(())
    }
}
