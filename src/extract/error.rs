//! Why a frame cannot be extracted.

use crate::backend::EngineError;
use crate::gpu::GpuError;
use crate::solver::{JobError, Unserved};
use crate::stages::banded::CouplingError;

/// Why a frame cannot be extracted.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// PSF, CCD, grid and options do not fit together.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The device failed, or cancellation was requested.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The banded solver cannot serve this PSF on this grid.
    #[error("{0}: give a larger --tolerance, or --solver patches")]
    Coupling(#[from] CouplingError),
    /// No step of the ladder serves.
    #[error(transparent)]
    Unserved(Unserved),
}

impl From<Unserved> for ExtractError {
    fn from(why: Unserved) -> Self {
        match why {
            Unserved::Coupling(error) => Self::Coupling(error),
            Unserved::Engine(error) => Self::Engine(error),
            other => Self::Unserved(other),
        }
    }
}

impl ExtractError {
    /// The GPU's failure, if the device itself failed.
    pub fn device_failure(&self) -> Option<&GpuError> {
        match self {
            Self::Engine(error) => error.device_failure(),
            _ => None,
        }
    }
}
