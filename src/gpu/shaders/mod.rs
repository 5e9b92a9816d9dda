//! Shaders: the registry of their files, and variants with values for their template parameters.

mod registry;
mod variant;

pub use registry::{SHADERS, Shader};
pub use variant::Variant;

pub(super) use registry::{COUPLING_STEP, PROGRESS_WORDS, SIDES, STRIP_ROWS, registry};
