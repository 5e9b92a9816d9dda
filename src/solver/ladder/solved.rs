//! Parameters and result of the ladder: the last rung, progress, solved bundles.

use super::Record;
use crate::backend::Stage;
use crate::gpu::MemoryUse;
use crate::solver::BundleSpectra;
use std::time::Duration;

/// The rung below those of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastRung {
    /// The CPU does all bundles.
    Cpu,
    /// The caller decides: a device that fails for good is an error.
    Caller,
}

/// Receives progress: bundles done, of how many.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// Bundles solved, with their outcome.
#[derive(Debug)]
pub struct Solved {
    /// Spectra of all bundles, joined.
    pub spectra: BundleSpectra,
    /// Their outcome.
    pub record: Record,
    /// Description of the device that solved them.
    pub device: String,
    /// Memory planned and used on a GPU.
    pub device_memory: Option<MemoryUse>,
    /// Time spent in each stage.
    pub stage_time: Vec<(Stage, Duration)>,
}
