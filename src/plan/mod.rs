//! The plan of an extraction: groups of fibres, patches of groups, batches of patches.

mod batches;
mod groups;
mod patches;

pub use batches::{Batch, batches};
pub use groups::{Bundle, Groups, bundles};
pub use patches::{PatchOptions, PlanError, WeightScale, half_bandwidth, patches};
