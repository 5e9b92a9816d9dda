//! The loop over devices: repeat on the device in smaller parts, or on the CPU.

use super::climb::Climb;
use super::table::steps;
use super::{Fallback, Record, Step};
use crate::backend::{Engine, Stage};
use crate::gpu::MemoryUse;
use crate::plan::Bundle;
use crate::solver::{BundleSpectra, Job, Reason, Unserved};
use std::time::Duration;

/// Attempts on a device that ran out of memory, and on one that was lost or hung.
const AFTER_MEMORY: usize = 2;
const AFTER_LOSS: usize = 1;

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

/// Solves consecutive bundles of a job on an engine.
///
/// # Errors
/// [`Unserved`] if the options allow no further step: for [`Reason::Coupling`] with [`Solver::Banded`], for failures of the
/// device with [`LastRung::Caller`], for cancellation.
///
/// # Panics
/// If there is no bundle.
pub fn solve(
    job: &Job,
    bundles: &[Bundle],
    engine: &Engine,
    last: LastRung,
    progress: Progress,
) -> Result<Solved, Unserved> {
    let (mut memory, mut loss, mut first_reason) = (0, 0, None);
    let mut climb = Climb::new(job, bundles, progress);
    loop {
        let why = match climb.run(engine) {
            Ok(()) => {
                engine.note_success(first_reason.is_none());
                return Ok(climb.finish(first_reason.or_else(|| engine.abandoned())));
            }
            Err(why) => why,
        };
        let reason = why.reason();
        let (message, from) = (why.to_string(), climb.at());
        let take = |step: &&Step| match step {
            Step::SmallerBatches => memory < AFTER_MEMORY && engine.shrink_batches(),
            Step::Reopen => loss < AFTER_LOSS && engine.reopen(),
            Step::CpuForAll => last == LastRung::Cpu,
            _ => true,
        };
        let step = *steps(reason).iter().find(take).expect("the last step is always possible");
        match step {
            Step::SmallerBatches | Step::Reopen => {
                memory += usize::from(step == Step::SmallerBatches);
                loss += usize::from(step == Step::Reopen);
                tracing::warn!("{message}; it is tried again in smaller parts");
                climb.note(Fallback { fibres: None, from, reason: message.clone(), step });
                first_reason.get_or_insert(message);
            }
            Step::CpuForAll => {
                if reason != Reason::NoMemory {
                    engine.note_failure(&message);
                }
                tracing::warn!("{message}; the CPU does it");
                let cpu = engine.cpu_instead();
                climb = Climb::new(job, bundles, progress);
                climb.note(Fallback { fibres: None, from, reason: message.clone(), step });
                climb.run(&cpu)?;
                return Ok(climb.finish(Some(message)));
            }
            _ => {
                if matches!(reason, Reason::OutOfMemory | Reason::Lost | Reason::Device) {
                    engine.note_failure(&message);
                }
                return Err(why);
            }
        }
    }
}
