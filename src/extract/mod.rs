//! One frame: files to files, options recorded, bundles through the solvers, assembly into spectra.

mod assemble;
mod error;
mod extraction;
mod file;
mod option_record;
mod option_values;
mod record;
mod share;

pub use crate::solver::ladder::Progress;
pub use crate::solver::{Job, JobError, LastRung, ModelFlux, Options, Solver, precision_of};
pub use error::ExtractError;
pub use extraction::{Extraction, Summary, extract};
pub use file::{DEFAULT_STEP, Done, FileError, Inputs, Product, Request, extract_file, note_run};
pub use option_record::{OptionError, OptionKind, option_kind, option_names};
pub use option_values::{MaskBits, WaveRange};
pub use record::{Digests, Record, RecordError, differing_data};
pub use share::{Share, ShareHead, extract_share, join, part};
