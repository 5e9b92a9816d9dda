//! The loop over devices: repeat on the device in smaller parts, or on the CPU.

use super::climb::Climb;
use super::table::steps;
use super::{Fallback, LastRung, Progress, Record, Solved, Step};
use crate::backend::Engine;
use crate::plan::Bundle;
use crate::solver::{Job, Reason, Unserved};
use std::cell::RefCell;
use std::fmt::Display;

/// Attempts on a device that ran out of memory, and on one that was lost or hung.
const AFTER_MEMORY: usize = 2;
const AFTER_LOSS: usize = 1;

/// Solves consecutive bundles of a job, with retries and fallbacks.
///
/// # Errors
/// [`Unserved`] if the options allow no further step: for [`Reason::Coupling`] with [`crate::solver::Solver::Banded`], for
/// failures of the device with [`LastRung::Caller`], for cancellation.
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
    let given_up = RefCell::new(Vec::new());
    let on = |engine: &Engine| solve_on(job, bundles, engine, progress, &given_up);
    if last == LastRung::Caller {
        return on(engine);
    }
    let (mut solved, moved) = or_cpu_for_all(engine, on, |why| Some(why.reason()))?;
    let mut fallbacks = given_up.into_inner();
    fallbacks.append(&mut solved.record.fallbacks);
    let retried = moved.or(solved.record.retried);
    Ok(Solved { record: Record { fallbacks, retried, ..solved.record }, ..solved })
}

/// Runs `work` on a device, and all of it again on the CPU if the device fails for good: the result is of one precision.
/// Returns the reason of the fallback along with the result.
///
/// # Errors
/// The error of `work`, unless `reason` names a failure that the CPU can mend.
pub fn or_cpu_for_all<T, E: Display>(
    engine: &Engine,
    work: impl Fn(&Engine) -> Result<T, E>,
    reason: impl Fn(&E) -> Option<Reason>,
) -> Result<(T, Option<String>), E> {
    match work(engine) {
        Err(error) if reason(&error).is_some_and(|reason| steps(reason).contains(&Step::CpuForAll)) => {
            tracing::warn!("{error}; the CPU does it");
            Ok((work(&engine.cpu_instead())?, Some(error.to_string())))
        }
        result => result.map(|done| (done, None)),
    }
}

/// Solves bundles on one device. Retries in smaller parts, or after reopening the device, if it fails. If it fails for good,
/// leaves its fallbacks and the last one in `given_up`.
fn solve_on(
    job: &Job,
    bundles: &[Bundle],
    engine: &Engine,
    progress: Progress,
    given_up: &RefCell<Vec<Fallback>>,
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
        let possible = |step: &&Step| match step {
            Step::SmallerBatches => memory < AFTER_MEMORY && engine.shrink_batches(),
            Step::Reopen => loss < AFTER_LOSS && engine.reopen(),
            // The caller's step.
            Step::CpuForAll => false,
            _ => true,
        };
        let step = *steps(why.reason()).iter().find(possible).unwrap_or(&Step::Fail);
        match step {
            Step::SmallerBatches => memory += 1,
            Step::Reopen => loss += 1,
            _ => {
                if matches!(why.reason(), Reason::OutOfMemory | Reason::Lost | Reason::Device) {
                    engine.note_failure(&why.to_string());
                }
                climb.note(Fallback::of_all(climb.at(), &why, Step::CpuForAll));
                given_up.borrow_mut().append(&mut climb.into_fallbacks());
                return Err(why);
            }
        }
        tracing::warn!("{why}; it is tried again in smaller parts");
        climb.note(Fallback::of_all(climb.at(), &why, step));
        first_reason.get_or_insert(why.to_string());
    }
}
