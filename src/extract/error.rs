//! Why a frame cannot be extracted.

use crate::backend::EngineError;
use crate::base::option_name::{OptionName, Remedy};
use crate::gpu::GpuError;
use crate::solver::{JobError, Unserved};
use crate::stages::banded::CouplingError;

const COUPLED: &[Remedy] = &[Remedy::Raise(OptionName::Tolerance), Remedy::Set(OptionName::Solver, "patches")];

/// Why a frame cannot be extracted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractError {
    /// PSF, CCD, grid and options do not fit together.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The device failed, or cancellation was requested.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The banded solver cannot serve this PSF on this grid.
    #[error("{0}: {advice}", advice = Remedy::any_of(COUPLED))]
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
    /// Returns what to do with which option, where that may help; its message ends in it.
    pub fn remedies(&self) -> Vec<Remedy> {
        match self {
            Self::Job(error) => error.remedies(),
            Self::Engine(EngineError::Gpu(error)) => error.remedies(),
            Self::Coupling(_) => COUPLED.into(),
            _ => Vec::new(),
        }
    }

    /// The GPU's failure, if the device itself failed.
    pub fn device_failure(&self) -> Option<&GpuError> {
        match self {
            Self::Engine(error) => error.device_failure(),
            _ => None,
        }
    }
}
