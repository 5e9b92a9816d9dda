//! The computation of one frame, by one process or by a group of ranks.

use crate::backend::{Engine, EngineError};
use crate::extract::{Extraction, FileError, Inputs, Request};

/// A frame that was not computed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractorError {
    /// The extraction failed.
    #[error(transparent)]
    File(Box<FileError>),
    /// Another rank of the group failed.
    #[cfg(feature = "mpi")]
    #[error("rank {rank}: {message}")]
    Member {
        /// Rank.
        rank: usize,
        /// Its error chain.
        message: String,
        /// Whether its device failed.
        device: bool,
    },
    /// The run was cancelled.
    #[error("stopped")]
    Stopped,
}

impl From<FileError> for ExtractorError {
    fn from(error: FileError) -> Self {
        match error.engine() {
            Some(EngineError::Cancelled) => Self::Stopped,
            _ => Self::File(Box::new(error)),
        }
    }
}

#[cfg(feature = "mpi")]
impl ExtractorError {
    /// Returns whether a device failed, so that the CPU may serve.
    pub fn is_of_device(&self) -> bool {
        match self {
            Self::File(error) => error.engine().is_some_and(|error| error.device_failure().is_some()),
            Self::Member { device, .. } => *device,
            Self::Stopped => false,
        }
    }
}

/// Whoever computes a frame.
pub trait FrameExtractor: Sync {
    /// Extracts a frame, with fallback to the CPU.
    fn extract(&self, request: &Request, inputs: &Inputs) -> Result<Extraction, ExtractorError>;
}

/// One process by itself.
impl FrameExtractor for Engine {
    fn extract(&self, request: &Request, inputs: &Inputs) -> Result<Extraction, ExtractorError> {
        Ok(inputs.extract(request, self, &|_, _| {})?)
    }
}
