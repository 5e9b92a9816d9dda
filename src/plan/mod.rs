//! What is computed where: the wavelength grid, bundles of fibres, patches of bundles, batches of patches.

mod batches;
mod grid;
mod patches;

pub use batches::{Batch, batches};
pub use grid::{GridError, WaveGrid};
pub use patches::{Bundle, Patch, PatchOptions, PlanError, Positions, bundles, half_bandwidth, patches};
