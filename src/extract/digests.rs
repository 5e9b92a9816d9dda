//! Digests of the inputs of an extraction.

use serde::{Deserialize, Serialize};

/// BLAKE3 of a request's inputs, 64 hexadecimal digits each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests {
    /// The preproc frame.
    pub input: String,
    /// The PSF.
    pub psf: String,
    /// The fibermap, where it is in a file of its own.
    pub fibermap: Option<String>,
    /// The table of wavelengths, where there is one.
    #[serde(default)]
    pub wavelength_table: Option<String>,
}
