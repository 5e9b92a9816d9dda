//! Options of an extraction; the defaults are the survey's.

use crate::backend::{Decorrelate, Stage};
use crate::base::word_enum::{UnknownWord, word_enum};
use crate::gpu::Precision;
use crate::plan::PatchOptions;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Default error of flux, sigma: in f64, and on a device in f32.
pub(super) const TOLERANCE: f64 = 1e-5;
pub(super) const TOLERANCE_F32: f64 = 1e-3;

/// How the problem is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Solver {
    /// Banded for the bundles whose PSF, grid and way of decorrelation it serves, else patches.
    #[default]
    Auto,
    /// The published divide and conquer: overlapping patches of a few fibres and bins.
    Patches,
    /// Whole bundles by banded linear algebra, exact to [`Options::tolerance`].
    Banded,
}

word_enum!(Solver, "solver", Auto = "auto", Patches = "patches", Banded = "banded");

/// Flux that the model image shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ModelFlux {
    /// A x with the deconvolved flux: the image of the fit.
    #[default]
    Deconvolved,
    /// The decorrelated flux projected, as gpu_specter does.
    Decorrelated,
}

word_enum!(ModelFlux, "model flux", Deconvolved = "deconvolved", Decorrelated = "decorrelated");
word_enum!(Decorrelate, "decorrelation", Signal = "signal", Noise = "noise");

impl FromStr for Stage {
    type Err = UnknownWord;

    fn from_str(name: &str) -> Result<Self, UnknownWord> {
        UnknownWord::find("stage", name, &Self::ALL, Self::name)
    }
}

/// The values of [`Options::precision`].
pub(crate) const PRECISIONS: [Option<Precision>; 3] = [None, Some(Precision::F32), Some(Precision::F64)];

/// Returns the word of a value of [`Options::precision`].
pub(crate) fn precision_word(precision: Option<Precision>) -> &'static str {
    match precision {
        None => "auto",
        Some(Precision::F32) => "f32",
        Some(Precision::F64) => "f64",
    }
}

/// Reads [`Options::precision`] from its word: `auto`, `f32` or `f64`.
///
/// # Errors
/// [`UnknownWord`] if it is none of them.
pub fn precision_of(word: &str) -> Result<Option<Precision>, UnknownWord> {
    UnknownWord::find("precision", word, &PRECISIONS, precision_word)
}

/// Options of an extraction; the defaults are the survey's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// First fibre, a row of the PSF.
    pub specmin: usize,
    /// Number of fibres; None for all from `specmin` on.
    pub nspec: Option<usize>,
    /// Regularisation of unknowns with information: 1/sqrt of the prior variance of a flux in electron per bin.
    pub regularize: f64,
    /// Fractional error of the PSF, for chi2pix; None for the PSF's PSFERR.
    pub psferr: Option<f64>,
    /// Whether spots have the PSF's power-law tails.
    pub psf_tails: bool,
    /// Which fibres are decorrelated together.
    pub decorrelate: Decorrelate,
    /// How the problem is cut.
    pub solver: Solver,
    /// Error of flux that the banded solver may make, sigma. None for 1e-5 in f64 and 1e-3 on a GPU in f32, which reaches
    /// 3e-4 at best.
    pub tolerance: Option<f64>,
    /// Precision of a GPU. None for f32 where it serves, else f64 where the device has it, else the CPU, which has f64 only.
    pub precision: Option<Precision>,
    /// Bundles and patches.
    pub patches: PatchOptions,
    /// The model image to make, if any.
    pub model: Option<ModelFlux>,
    /// Bytes that buffers on a GPU may take at a time; None for the default. Numbers do not depend on it.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serde_and_text_use_the_same_words() {
        for solver in Solver::ALL {
            assert_eq!(serde_json::to_string(solver).unwrap(), format!("\"{solver}\""));
        }
        for flux in ModelFlux::ALL {
            assert_eq!(serde_json::to_string(flux).unwrap(), format!("\"{flux}\""));
        }
    }
}
