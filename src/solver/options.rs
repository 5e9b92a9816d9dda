//! Options of an extraction; the defaults are the survey's.

use crate::backend::Decorrelate;
use crate::gpu::Precision;
use crate::plan::PatchOptions;
use serde::{Deserialize, Serialize};

/// How the problem is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Solver {
    /// Banded for the bundles whose PSF, grid and way of decorrelation it serves, else patches.
    #[default]
    Auto,
    /// The published divide and conquer: overlapping patches of a few fibres and bins.
    Patches,
    /// Whole bundles by banded linear algebra, exact to [`Options::tolerance`].
    Banded,
}

/// What the model image shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModelFlux {
    /// A x with the deconvolved flux: the image the fit believes in.
    #[default]
    Deconvolved,
    /// The decorrelated flux projected, as gpu_specter does.
    Decorrelated,
}

/// Options of an extraction; the defaults are the survey's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// First fibre, a row of the PSF.
    pub specmin: usize,
    /// Number of fibres; None for all from `specmin` on.
    pub nspec: Option<usize>,
    /// Regularisation of unknowns with information, 1/sqrt of a prior variance in electron a bin.
    pub regularize: f64,
    /// Fractional error of the PSF, for chi2pix; None for the PSF's PSFERR.
    pub psferr: Option<f64>,
    /// Whether spots have the PSF's power-law tails.
    pub psf_tails: bool,
    /// Which fibres are decorrelated together.
    pub decorrelate: Decorrelate,
    /// How the problem is cut.
    pub solver: Solver,
    /// Error of flux that the banded solver may make, sigma; None for 1e-5 in f64 and 1e-3 on a GPU in f32, which keeps to 3e-4
    /// at best.
    pub tolerance: Option<f64>,
    /// Precision of a GPU; None for f32 where it serves, else f64 where the device has it, else the CPU. The CPU has f64 only.
    pub precision: Option<Precision>,
    /// Bundles and patches.
    pub patches: PatchOptions,
    /// The model image wanted, if any.
    pub model: Option<ModelFlux>,
    /// Bytes that buffers on a GPU may take at a time; None for what suits most. Numbers do not depend on it.
    pub max_device_memory: Option<u64>,
    /// Factor f of the barycentric correction: extraction runs on w/f by dw/f.
    pub barycentric: Option<f64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            specmin: 0,
            nspec: None,
            regularize: 0.0,
            psferr: None,
            psf_tails: false,
            decorrelate: Decorrelate::default(),
            solver: Solver::default(),
            tolerance: None,
            precision: None,
            patches: PatchOptions::default(),
            model: None,
            max_device_memory: None,
            barycentric: None,
        }
    }
}
