//! The geometry that all stages share: wavelength grid, spot positions and shapes, patches, the CCD.

mod ccd;
mod grid;
mod patch;
mod pixels;
mod positions;
mod spot_shape;
mod wave_range;

pub use ccd::{Ccd, CcdError, PatchPixels, Rejected};
pub use grid::{GridError, WaveGrid, gradient};
pub use patch::{Patch, Rectangle};
pub use positions::Positions;
pub use spot_shape::{SpotShape, param};
pub use wave_range::{NoWaveRange, Step, WaveRange};
