//! Many frames in one run: distribution over groups of ranks, overlapped reading, computing and writing, failures
//! confined to their frame.
//!
//! | file | content |
//! |---|---|
//! | `manifest`, `tree` | the frames of a run: a CSV table, or the folders of a DESI reduction |
//! | `schedule`, `queue` | the order of frames; the work queue |
//! | `pipeline` | one group: a reading, a computing and a writing thread |
//! | `extractor` | the computation of one frame |
//! | `run` | a run in one process |
//! | `mpi` | a run, or the fit of a PSF, over the ranks of an MPI job |
//! | `resume` | which outputs are up to date |
//! | `run_log`, `report` | the record of a run; the record as a table, JSON, CSV and a trace |
//! | `in_flight` | the frames that a panic names |

mod extractor;
mod in_flight;
mod manifest;
#[cfg(feature = "mpi")]
pub mod mpi;
mod pipeline;
mod queue;
mod report;
mod resume;
mod run;
mod run_log;
mod schedule;
mod tree;

pub use manifest::{Manifest, ManifestError, Row, manifest_of};
pub use pipeline::Settings;
pub use resume::{reason_to_extract, sweep};
pub use run::{check, check_alone, launched, name_frames_in_panics, run};
pub use run_log::{Event, Figures, GroupRank, Outcome, Phase, RankFacts, RunLog, Status};
pub use tree::{CameraFrame, Tree, TreeError};
