//! Many frames in one go: who does what, reading, computing and writing overlapped, faults kept to their frame.
//!
//! | file | what it does |
//! |---|---|
//! | `manifest`, `tree` | which frames: a CSV table, or the folders of a DESI reduction |
//! | `schedule` | in which order: the longest first |
//! | `desk` | hands frames out to whichever group of ranks is free, and keeps the account |
//! | `pipeline` | one group's way: a thread reads, one computes, one writes |
//! | `team` | who computes a frame |
//! | `mpi` | the same over the ranks of an MPI job |
//! | `resume` | what need not be done again |
//! | `account`, `report`, `timeline` | what was done, in figures, a table, JSON, CSV, a picture |

mod extractor;
mod in_flight;
mod manifest;
#[cfg(feature = "mpi")]
pub mod mpi;
mod pipeline;
mod queue;
mod report;
mod resume;
mod run_log;
mod schedule;
mod timeline;
mod tree;

pub use manifest::{Manifest, ManifestError, Row};
pub use queue::Progress;
pub use resume::{reason_to_do, sweep};
pub use run_log::{Event, Figures, Outcome, Phase, RankFacts, RunLog, Status};
pub use timeline::{csv, svg};
pub use tree::{Frame, Tree, TreeError};

use crate::WriteError;
use crate::backend::{Engine, EngineError};
use crate::base::cancel::CancelToken;
use crate::base::catch_panic::is_catching;
use crate::base::output_path::check_apart;
use crate::base::process::now;
use crate::extract::Request;
use extractor::Alone;
use pipeline::Pipeline;
use queue::Table;
use std::path::{Path, PathBuf};

/// How frames are gone through.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Frames that are whole, of the same options and not older than their inputs, are left as they are.
    pub resume: bool,
    /// Whether reading and writing go on while another frame is computed.
    pub overlap: bool,
    /// An end that may be asked for: frames that are not yet being written are dropped then.
    pub stop: CancelToken,
}

impl Default for Settings {
    fn default() -> Self {
        Self { resume: false, overlap: true, stop: CancelToken::default() }
    }
}

/// Where a group of ranks is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupRank {
    /// Group, counted from 0.
    pub group: usize,
    /// Rank of the process that reads and writes for it.
    pub rank: usize,
}

/// Refuses frames of which one would write what another writes or reads; `accounts` are files that are written besides,
/// `manifest` one that is read.
///
/// # Errors
/// [`WriteError::OutputIsInput`], [`WriteError::SameOutputs`].
pub fn check(requests: &[Request], accounts: &[PathBuf], manifest: Option<&Path>) -> Result<(), WriteError> {
    let outputs = requests.iter().flat_map(Request::outputs).chain(accounts.iter().map(PathBuf::as_path));
    let inputs = requests.iter().flat_map(Request::inputs).chain(manifest);
    check_apart(&inputs.collect::<Vec<_>>(), &outputs.collect::<Vec<_>>())
}

/// How many processes a launcher (mpirun, srun) has started for this run; None where it was not one.
pub fn launched() -> Option<usize> {
    let names = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_SIZE", "MV2_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS"];
    names.into_iter().find_map(|name| std::env::var(name).ok()?.trim().parse().ok())
}

/// From now on a panic names the frames in hand, too.
pub fn name_frames_in_panics() {
    let known = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if is_catching() {
            return;
        }
        known(panic);
        eprintln!("error: a panic while {}", in_flight::words());
    }));
}

/// Does all frames in this process. Frames that fail are in the account; the others go on.
///
/// `open` opens the device.
///
/// # Errors
/// The device cannot be opened.
pub fn run(
    requests: &[Request],
    settings: &Settings,
    open: impl FnOnce() -> Result<Engine, EngineError>,
    progress: &(dyn Fn(&Progress) + Sync),
) -> Result<RunLog, EngineError> {
    let begin = now();
    let team = Alone::new(open()?, settings.stop.clone());
    let desk = Table::new(requests, 1, &settings.stop, progress);
    Pipeline::new(&desk, &team, settings, GroupRank::default()).run();
    let facts = RankFacts::of_this_process(0, team.engine());
    Ok(RunLog::new(requests, desk.outcomes(), vec![facts], 1, begin))
}
