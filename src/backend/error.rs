//! Errors of stages.

use super::Stage;
use crate::gpu::GpuError;

/// Why a stage could not run. The failure of single patches is in [`super::PatchStatus`].
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The GPU failed, or was given what it cannot take.
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// The stage is beyond the limits of the GPU; the CPU can run it.
    #[error("{source}")]
    StageLimit {
        /// The stage.
        stage: Stage,
        /// The limit.
        source: GpuError,
    },
    /// Cancellation was requested: see [`super::Engine::with_cancel`].
    #[error("stopped")]
    Cancelled,
}

impl EngineError {
    /// The GPU's failure, if the device itself failed.
    pub fn device_failure(&self) -> Option<&GpuError> {
        match self {
            Self::Gpu(error) if error.is_of_device() => Some(error),
            _ => None,
        }
    }
}

pub(super) type Result<T> = std::result::Result<T, EngineError>;
