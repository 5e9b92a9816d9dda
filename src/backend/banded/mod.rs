//! The stages of the banded solver: whole bundles on the CPU, or groups of bundles on a GPU with any stage on the CPU.

mod estimates;
mod fields;
mod finish;
mod group;
mod host;
mod in_flight;
mod layout;
mod row;
mod stages;

pub use estimates::Estimates;
pub use fields::{BandedComplements, BandedNormals, BandedRoots, BandedSolution, BandedSpots};
pub use group::{BandedGroup, HostWindow};
pub use host::BandedFailure;
pub use in_flight::{BandedInFlight, BandedOutcome, Exactness};
pub use row::{FibreRow, RowPart};
pub use stages::BandedStages;
