//! The result of an extraction: spectra, model image and summary.

use crate::backend::Stage;
use crate::frame::Spectra;
use crate::gpu::MemoryUse;
use crate::plan::Groups;
use crate::solver::Record;
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
    /// Device, fallbacks and times.
    pub summary: Summary,
}

/// Summary of an extraction: the ladder's record, the device, the empty bins, the times.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The device that computed it.
    pub device: String,
    /// Memory planned and used on a GPU.
    pub device_memory: Option<MemoryUse>,
    /// Counts of bundles and patches, and the fallbacks.
    pub record: Record,
    /// Groups of fibres that are solved together, of all fibres of the PSF.
    pub groups: Groups,
    /// Largest relative overlap of spots of different groups.
    pub overlap: f64,
    /// The worst cut through overlapping fibres.
    pub forced_cut: Option<String>,
    /// Fibres with rows of R that are cut off, by the number of its diagonals or by the ends of the grid.
    pub cut_rows: Vec<CutRows>,
    /// Bins without information.
    pub no_information: usize,
    /// Those among them with good pixels: not solved, or with numbers beyond what a file holds or f64 resolves.
    pub no_result: usize,
    /// Time spent in each stage; on a GPU see [`crate::backend::Engine::with_exact_times`].
    pub stage_time: Vec<(Stage, Duration)>,
}

/// Rows of R of one fibre that sum to less than 0.99: they are wider than the stored diagonals, or reach beyond the grid.
/// Bins within HSIZEY of its ends do not count.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CutRows {
    /// The fibre, a row of the PSF.
    pub fibre: usize,
    /// Such rows.
    pub rows: usize,
    /// The smallest sum of a row.
    pub least: f64,
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
