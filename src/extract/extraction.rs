//! An extraction: a job on an engine, and what was done.

use super::ExtractError;
use super::share::{extract_share, join};
use crate::backend::{Engine, Stage};
use crate::frame::Spectra;
use crate::gpu::MemoryUse;
use crate::solver::ladder::Progress;
use crate::solver::{Job, LastRung, Record};
use serde::{Deserialize, Serialize};
use std::ops::Deref;
use std::time::Duration;

/// Result of an extraction.
#[derive(Clone, Debug)]
pub struct Extraction {
    /// The spectra on the requested grid.
    pub spectra: Spectra,
    /// The model image in electron, `[ny, nx]`, if requested.
    pub model: Option<Vec<f32>>,
    /// What was done.
    pub summary: Summary,
}

/// Summary of an extraction: the ladder's record, the device, the empty bins, the times.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The device that computed it.
    pub device: String,
    /// Memory planned and used on a GPU.
    pub device_memory: Option<MemoryUse>,
    /// What became of all bundles.
    pub record: Record,
    /// Bins without information.
    pub no_information: usize,
    /// Those among them with good pixels: not solved, or with numbers beyond what a file holds or f64 resolves.
    pub no_result: usize,
    /// Time spent in each stage; on a GPU see [`Engine::with_exact_times`].
    pub stage_time: Vec<(Stage, Duration)>,
}

impl Deref for Summary {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.record
    }
}

impl Summary {
    /// Whether any bundle or patch has a solution.
    pub fn has_results(&self) -> bool {
        self.banded > 0 || self.failed < self.patches
    }

    /// The precision of the results: the value of the card SPXPREC.
    pub fn precision(&self) -> &'static str {
        match (self.in_f32, self.banded + self.patches) {
            (0, _) => "f64",
            (some, all) if some < all => "f32, some bundles or patches in f64",
            _ => "f32",
        }
    }

    /// The solver that served: the value of the card SPXSOLV.
    pub fn solver(&self) -> &'static str {
        match (self.banded, self.patches) {
            (_, 0) => "banded",
            (0, _) => "patches",
            _ => "banded, some bundles in patches",
        }
    }
}

/// Extracts the selected fibres of a job, on the CPU if the device fails and smaller parts do not help.
///
/// # Errors
/// [`ExtractError::Job`] if the selection reaches beyond the PSF, [`ExtractError::Coupling`] if the banded solver is requested
/// and cannot serve, [`ExtractError::Engine`] for cancellation.
pub fn extract(job: &Job, engine: &Engine, progress: Progress) -> Result<Extraction, ExtractError> {
    let bundles = job.bundles()?;
    let whole = extract_share(job, &bundles, engine, LastRung::Cpu, progress)?;
    Ok(join(vec![whole], job))
}
