//! A run in one process.

use super::in_flight;
use super::pipeline::{Pipeline, Settings};
use super::queue::LocalQueue;
use super::run_log::{GroupRank, RankFacts, RunLog};
use crate::WriteError;
use crate::backend::{Engine, EngineError};
use crate::base::catch_panic::is_catching;
use crate::base::output_path::check_apart;
use crate::base::process::now;
use crate::extract::{Progress, Request};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Refuses frames of which one would write what another reads or writes. `records` are written besides the frames,
/// `manifest` is read.
///
/// # Errors
/// [`WriteError::OutputIsInput`], [`WriteError::SameOutputs`].
pub fn check(requests: &[Request], records: &[PathBuf], manifest: Option<&Path>) -> Result<(), WriteError> {
    let outputs = requests.iter().flat_map(Request::outputs).chain(records.iter().map(PathBuf::as_path));
    let inputs = requests.iter().flat_map(Request::inputs).chain(manifest);
    check_apart(&inputs.collect::<Vec<_>>(), &outputs.collect::<Vec<_>>())
}

/// Returns how many processes a launcher (mpirun, srun) started for this run; None without a launcher.
pub fn launched() -> Option<usize> {
    let names = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_SIZE", "MV2_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS"];
    names.into_iter().find_map(|name| std::env::var(name).ok()?.trim().parse().ok())
}

/// Refuses a launcher's processes where each would do all the `work`: the program is built without MPI.
///
/// # Errors
/// A sentence with the number of processes.
pub fn check_alone(work: &str) -> Result<(), String> {
    match launched().filter(|&ranks| ranks > 1 && !cfg!(feature = "mpi")) {
        Some(ranks) => Err(format!(
            "{ranks} processes were launched, and all would {work}: build with --features mpi, or launch one"
        )),
        None => Ok(()),
    }
}

/// Installs a panic hook that also names the frames in flight.
pub fn name_frames_in_panics() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if is_catching() {
            return;
        }
        hook(panic);
        // Where the standard error cannot be written nothing can be said.
        let _ = writeln!(io::stderr(), "error: a panic while {}", in_flight::describe());
    }));
}

/// Extracts all frames on the device that `open` returns. The log records frames that fail; the others go on.
///
/// # Errors
/// [`EngineError`] if the device cannot be opened.
pub fn run(
    requests: &[Request],
    settings: &Settings,
    open: impl FnOnce() -> Result<Engine, EngineError>,
    progress: Progress,
) -> Result<RunLog, EngineError> {
    let begin = now();
    let engine = open()?.with_cancel(settings.cancel.clone());
    let queue = LocalQueue::new(requests, 1, &settings.cancel, progress);
    Pipeline::new(&queue, &engine, settings, GroupRank::default()).run();
    let facts = RankFacts::of_this_process(0, &engine);
    Ok(RunLog::new(requests, queue.outcomes(), vec![facts], 1, begin))
}
