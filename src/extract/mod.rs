//! One frame: files to files, options recorded, bundles through the solvers, assembly into spectra.

mod assemble;
mod decisions;
mod default_grid;
mod digests;
mod error;
mod extraction;
mod fibermap;
mod fibre;
mod file;
mod file_error;
mod option_record;
mod option_values;
mod own_grid;
mod psf_facts;
mod record;
mod request;
mod share;
mod traces;

pub use crate::geometry::WaveRange;
pub use crate::solver::ladder::Progress;
pub use crate::solver::{Job, JobError, LastRung, ModelFlux, Options, Solver, precision_of};
pub use decisions::warnings;
pub use default_grid::default_wavelength;
pub use digests::Digests;
pub use error::ExtractError;
pub use extraction::{CutRows, Dark, Extraction, Fit, Summary};
pub use fibermap::{FibermapRows, fibermap_of_numbers, fibermap_rows};
pub use file::{Done, Inputs, Product, extract_file, extract_model, note_run};
pub use file_error::FileError;
pub use option_record::{OptionError, OptionKind, option_kind, option_names};
pub use option_values::MaskBits;
pub use own_grid::own_grid;
pub use psf_facts::{PsfFacts, Spread, psf_facts};
pub use record::{Record, RecordError, differing_data};
pub use request::Request;
pub use share::{Share, ShareHead, extract, extract_share, join, part};
