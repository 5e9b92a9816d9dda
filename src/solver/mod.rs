//! The solvers: bundles to spectra, whole in bands or in patches, with a ladder of fallbacks.
//!
//! A solver does not know its device: `banded` and `patches` call the stages of [`crate::backend`] and return spectra or
//! [`Unserved`]. What to try next is the table of [`ladder`], and only there.

mod accuracy;
mod banded;
mod bundle_places;
mod bundle_spectra;
mod crowding;
mod errors;
mod extent;
mod finer;
mod grouping;
mod job;
mod kept;
pub mod ladder;
mod options;
mod padding;
mod patches;
mod planned;
mod precision;
mod projection;
mod sampling;
mod stripe;
mod unserved;

pub use bundle_spectra::BundleSpectra;
pub(crate) use bundle_spectra::judge;
pub use finer::FineGrid;
pub(crate) use grouping::grouping;
pub use grouping::{ForcedCut, Grouping};
pub use job::{Job, JobError};
pub use ladder::{Attempt, Excess, Fallback, LADDER, LastRung, Level, Method, Record, Step};
pub use options::{ModelFlux, Options, Solver, precision_of};
pub(crate) use options::{PRECISIONS, precision_word};
pub use sampling::{Sampling, default_step};
pub use stripe::Stripe;
pub use unserved::{Reason, Unserved};
