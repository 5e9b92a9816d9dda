//! The plan of an extraction: bundles of fibres, patches of bundles, batches of patches.

mod batches;
mod patches;

pub use batches::{Batch, batches};
pub use patches::{Bundle, PatchOptions, PlanError, bundles, half_bandwidth, patches};
