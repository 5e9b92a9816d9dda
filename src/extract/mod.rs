//! One frame: checked options, bundles through a solver, assembly into spectra.

mod assemble;
mod banded;
mod file;
mod model_image;
mod option_record;
mod options;
mod patches;
mod precision;
mod record;
mod share;

pub use file::{DEFAULT_STEP, Done, FileError, Inputs, Product, Request, extract_file, note_run};
pub use options::{ModelFlux, Options, Solver};
pub use record::{Digests, Record, RecordError, differing_data};
pub use share::{Share, ShareHead, assemble, columns, extract_share, part, plan};

use crate::backend::{Decorrelate, Engine, EngineError, Stage};
use crate::frame::Spectra;
use crate::geometry::Ccd;
use crate::geometry::WaveGrid;
use crate::gpu::{GpuError, MemoryUse};
use crate::plan::PlanError;
use crate::psf::Psf;
use crate::stages::banded::CouplingError;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Why a frame cannot be extracted.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// The options do not describe a division of this PSF.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The device failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The banded solver cannot serve this PSF on this grid.
    #[error("{0}: give a larger --tolerance, or --solver patches")]
    Coupling(#[from] CouplingError),
    /// The banded solver decorrelates one fibre at a time.
    #[error("the banded solver decorrelates one fibre at a time: give --decorrelate signal, or --solver patches")]
    Noise,
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

impl ExtractError {
    /// The GPU's failure, where it is one, in place of what the GPU was given.
    pub fn of_device(&self) -> Option<&GpuError> {
        match self {
            Self::Engine(error) => error.of_device(),
            _ => None,
        }
    }
}

/// How far a grid may reach beyond the PSF's range, as a fraction of its width: further out the polynomials turn
/// back, and fibres would seem to fall on the CCD where there is no light of theirs.
const MAX_EXTRAPOLATION: f64 = 0.05;

/// What an extraction gives.
#[derive(Clone, Debug)]
pub struct Extraction {
    /// The spectra on the grid asked for.
    pub spectra: Spectra,
    /// The model image in electron, `[ny, nx]`, where asked for.
    pub model: Option<Vec<f32>>,
    /// What was done.
    pub summary: Summary,
}

/// What was done in an extraction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The device that computed it, in words.
    pub device: String,
    /// What was planned and used of a GPU's memory.
    pub device_memory: Option<MemoryUse>,
    /// Why it was done again, in smaller parts or on the CPU, or why the CPU did it in its device's place: see
    /// [`Engine::persist_or_cpu`].
    pub retried: Option<String>,
    /// Bundles solved in bands.
    pub banded: usize,
    /// Patches solved.
    pub patches: usize,
    /// First fibre of each bundle solved in patches, a row of the PSF.
    pub in_patches: Vec<usize>,
    /// Bundles and patches whose results are in f32; the others' are in f64.
    pub in_f32: usize,
    /// Bundles and patches that the CPU did because the device's precision did not serve.
    pub redone: usize,
    /// Patches without a result: their bins have ivar 0.
    pub failed: usize,
    /// Bins without information.
    pub no_information: usize,
    /// Those among them with good pixels: not solved, or with numbers beyond what a file holds or f64 resolves.
    pub no_result: usize,
    /// Time spent in each stage; on a GPU see [`Engine::with_exact_times`].
    pub stage_time: Vec<(Stage, Duration)>,
}

impl Summary {
    /// Whether any bundle or patch has a solution.
    pub fn has_results(&self) -> bool {
        self.banded > 0 || self.failed < self.patches
    }

    /// The precision of the results: the words of the card SPXPREC.
    pub fn precision(&self) -> &'static str {
        match (self.in_f32, self.banded + self.patches) {
            (0, _) => "f64",
            (some, all) if some < all => "f32, some bundles or patches in f64",
            _ => "f32",
        }
    }

    /// Which solver served: the words of the card SPXSOLV.
    pub fn solver(&self) -> &'static str {
        match (self.banded, self.patches) {
            (_, 0) => "banded",
            (0, _) => "patches",
            _ => "banded, some bundles in patches",
        }
    }
}

/// Told about progress: bundles done of how many.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// Extracts fibres `specmin..specmin + nspec` of one frame on `grid`: on the CPU where the device fails, and smaller parts do not
/// help.
///
/// # Errors
/// Options that do not fit the PSF, a PSF of another CCD, a grid outside the PSF's range.
pub fn extract(
    psf: &Psf,
    ccd: &Ccd,
    grid: &WaveGrid,
    options: &Options,
    engine: &Engine,
    progress: Progress,
) -> Result<Extraction, ExtractError> {
    let bundles = plan(psf, ccd, grid, options)?;
    let work = |engine: &Engine| extract_share(psf, ccd, grid, options, engine, &bundles, progress);
    let (whole, again) = engine.persist_or_cpu(work, ExtractError::of_device)?;
    Ok(assemble(vec![whole.retried(again.map(|again| again.reason))], grid, options))
}

fn check(psf: &Psf, ccd: &Ccd, grid: &WaveGrid, options: &Options) -> Result<(), ExtractError> {
    options.patches.check()?;
    if (ccd.nx(), ccd.ny()) != (psf.npix_x, psf.npix_y) {
        return Err(ExtractError::CcdSize { nx: ccd.nx(), ny: ccd.ny(), psf_nx: psf.npix_x, psf_ny: psf.npix_y });
    }
    let (wmin, wmax) = (grid.wave()[0], grid.wave()[grid.nwave() - 1]);
    let beyond = MAX_EXTRAPOLATION * (psf.wave_max - psf.wave_min);
    if wmin < psf.wave_min - beyond || wmax > psf.wave_max + beyond {
        return Err(ExtractError::OutsidePsf { wmin, wmax, psf_min: psf.wave_min, psf_max: psf.wave_max });
    }
    if options.solver == Solver::Banded && options.decorrelate == Decorrelate::Noise {
        return Err(ExtractError::Noise);
    }
    if let Some(tolerance) = options.tolerance.filter(|t| !(1e-8..=0.01).contains(t)) {
        return Err(ExtractError::Tolerance(tolerance));
    }
    let numbers = [("regularize", Some(options.regularize)), ("psferr", options.psferr)];
    for (what, value) in numbers {
        if let Some(value) = value.filter(|v| !(v.is_finite() && *v >= 0.0)) {
            return Err(ExtractError::Negative { what, value });
        }
    }
    Ok(())
}
