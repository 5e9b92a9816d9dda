//! What the ladder takes and returns beside the job: the last rung, progress, solved bundles.

use super::Record;
use crate::backend::Stage;
use crate::gpu::MemoryUse;
use crate::solver::BundleSpectra;
use std::time::Duration;

/// What is below the device's own rungs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastRung {
    /// The CPU does all bundles.
    Cpu,
    /// The caller decides: a device that fails for good is an error.
    Caller,
}

/// Receives progress: bundles done, of how many.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// Bundles solved, with what became of them.
#[derive(Debug)]
pub struct Solved {
    /// Spectra of all bundles, joined.
    pub spectra: BundleSpectra,
    /// What became of them.
    pub record: Record,
    /// The engine that solved them describes its device.
    pub device: String,
    /// Memory planned and used on a GPU.
    pub device_memory: Option<MemoryUse>,
    /// Time spent in each stage.
    pub stage_time: Vec<(Stage, Duration)>,
}
