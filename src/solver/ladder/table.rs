//! The table of fallbacks: for each reason the steps in their order.

use crate::solver::Reason;
use serde::{Deserialize, Serialize};

/// Steps of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The longer refinement of x, on a GPU.
    LongRefinement,
    /// The next wider bands.
    WiderBands,
    /// Its GPU in f64.
    F64,
    /// The CPU, for this bundle or patch.
    Cpu,
    /// Patches in place of bands, on the device that the frame began with.
    Patches,
    /// One stage of the patches on the CPU.
    StageOnCpu,
    /// The result as it is, with a warning.
    Accept,
    /// No result: ivar 0.
    NoResult,
    /// Smaller batches on the device.
    SmallerBatches,
    /// A reopened device, with shorter dispatches.
    Reopen,
    /// The CPU, for all bundles: they are of one precision.
    CpuForAll,
    /// An error.
    Fail,
}

/// The devices of the ladder, from the first rung down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The device that the frame begins with.
    First,
    /// Its GPU in f64, if it began in f32.
    F64,
    /// The CPU beside it.
    Cpu,
}

/// How a bundle is solved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Whole, in bands.
    Banded,
    /// In patches.
    Patches,
}

/// One rung: how a bundle is solved, and on which device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Attempt {
    /// How.
    pub method: Method,
    /// On which device.
    pub level: Level,
}

/// For each reason the steps in the order in which they are tried: the first that is possible is taken.
pub const LADDER: [(Reason, &[Step]); 16] = [
    (Reason::Tolerance, &[Step::F64, Step::Cpu]),
    (Reason::Coupling, &[Step::Cpu, Step::Patches, Step::Fail]),
    (Reason::Limit, &[Step::F64, Step::Cpu]),
    (Reason::StageLimit, &[Step::StageOnCpu]),
    (Reason::LittleMemory, &[Step::F64, Step::Cpu]),
    (Reason::NoBands, &[Step::Patches]),
    (Reason::NotDefinite, &[Step::WiderBands, Step::F64, Step::Cpu, Step::Patches]),
    (Reason::IllConditioned, &[Step::WiderBands, Step::F64, Step::Cpu]),
    (Reason::NotConverged, &[Step::LongRefinement, Step::WiderBands, Step::F64, Step::Cpu]),
    (Reason::Inaccurate, &[Step::WiderBands, Step::F64, Step::Cpu, Step::Patches, Step::Accept]),
    (Reason::Patch, &[Step::F64, Step::Cpu, Step::NoResult]),
    (Reason::OutOfMemory, &[Step::SmallerBatches, Step::CpuForAll, Step::Fail]),
    (Reason::Lost, &[Step::Reopen, Step::CpuForAll, Step::Fail]),
    (Reason::NoMemory, &[Step::CpuForAll, Step::Fail]),
    (Reason::Device, &[Step::CpuForAll, Step::Fail]),
    (Reason::Final, &[Step::Fail]),
];

/// Returns the steps for a reason.
pub(super) fn steps(reason: Reason) -> &'static [Step] {
    LADDER.iter().find(|(known, _)| *known == reason).map_or(&[Step::Fail], |(_, steps)| steps)
}

/// Reasons before any work in bands.
pub(super) const OF_PLANS: &[Reason] = &[Reason::Tolerance, Reason::Coupling, Reason::Limit];

/// Reasons after work in bands.
pub(super) const OF_BANDS: &[Reason] = &[
    Reason::LittleMemory,
    Reason::NoBands,
    Reason::NotDefinite,
    Reason::IllConditioned,
    Reason::NotConverged,
    Reason::Inaccurate,
];

/// Reasons that end all work on a device.
pub(super) const OF_DEVICES: &[Reason] =
    &[Reason::OutOfMemory, Reason::Lost, Reason::NoMemory, Reason::Device, Reason::Final];

/// Whether only a GPU gives a reason: there is a CPU below it.
pub(super) fn is_of_gpu(reason: Reason) -> bool {
    !matches!(
        reason,
        Reason::Coupling | Reason::NoBands | Reason::NotDefinite | Reason::Inaccurate | Reason::Patch | Reason::Final
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_one_row_that_ends_in_a_step_that_is_always_possible() {
        for (k, (reason, steps)) in LADDER.iter().enumerate() {
            assert!(LADDER[..k].iter().all(|(known, _)| known != reason), "{reason:?}");
            let last = steps[steps.len() - 1];
            let always = matches!(last, Step::Fail | Step::Accept | Step::NoResult | Step::Patches);
            assert!(always || is_of_gpu(*reason) && matches!(last, Step::Cpu | Step::StageOnCpu), "{reason:?}");
        }
    }
}
