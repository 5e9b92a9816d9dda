//! Errors of a measurement.

use crate::backend::EngineError;
use crate::extract::ExtractError;
use crate::simulate::SimulateError;
use crate::simulate::synthetic::SyntheticError;

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// The PSF cannot be made.
    #[error(transparent)]
    Psf(#[from] SyntheticError),
    /// The frame cannot be made.
    #[error(transparent)]
    Frame(#[from] SimulateError),
    /// The CPU or the host's part fails.
    #[error(transparent)]
    Extract(#[from] ExtractError),
    /// The device of the host's part cannot be opened.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The frame has too few fibres or bins.
    #[error("a frame of {fibres} fibres by {bins} bins cannot be measured: give 1 to 500 fibres and 32 to 2326 bins")]
    Size {
        /// Fibres.
        fibres: usize,
        /// Bins.
        bins: usize,
    },
}
