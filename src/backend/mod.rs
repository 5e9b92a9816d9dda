//! The stages on a device: one method per stage, on the CPU or on a GPU. A solver does not know which.

mod banded;
mod cpu;
mod engine;
mod error;
mod field;
mod fields;
mod gpu;
mod memory;
mod patches;
mod recovery;
mod run;
mod stage;
mod streak;

pub use banded::{
    BandedComplements, BandedFailure, BandedGroup, BandedInFlight, BandedNormals, BandedOutcome, BandedRoots,
    BandedSolution, BandedSpots, BandedStages, Estimates, Exactness, FibreRow, HostWindow, RowPart,
};
pub use engine::Engine;
pub use error::EngineError;
pub use field::{CcdField, Field};
pub use fields::{
    BundleSpots, BundleTraces, Decorrelate, DecorrelatedField, ModesField, NormalField, PatchFailure, PatchResults,
    PatchStatus,
};
pub use memory::TraceBytes;
pub use stage::Stage;
