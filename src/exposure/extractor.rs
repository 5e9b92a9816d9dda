//! Who computes a frame.

use crate::backend::{Engine, EngineError};
use crate::base::cancel::CancelToken;
use crate::extract::{Extraction, FileError, Inputs, Request};

/// Why a frame was not computed.
#[derive(Debug, thiserror::Error)]
pub enum ExtractorError {
    /// It cannot be.
    #[error(transparent)]
    File(FileError),
    /// Another rank of the group could not do its part.
    #[cfg(feature = "mpi")]
    #[error("rank {rank}: {message}")]
    Member {
        /// The rank.
        rank: usize,
        /// What it said.
        message: String,
        /// Whether its device failed.
        device: bool,
    },
    /// An end was asked for.
    #[error("stopped")]
    Stopped,
}

impl From<FileError> for ExtractorError {
    fn from(error: FileError) -> Self {
        match error.engine() {
            Some(EngineError::Cancelled) => Self::Stopped,
            _ => Self::File(error),
        }
    }
}

#[cfg(feature = "mpi")]
impl ExtractorError {
    /// Whether a device failed: then the CPU may serve.
    pub fn is_of_device(&self) -> bool {
        match self {
            Self::File(error) => error.engine().is_some_and(|error| error.device_failure().is_some()),
            Self::Member { device, .. } => *device,
            Self::Stopped => false,
        }
    }
}

/// Those who compute a frame together.
pub trait FrameExtractor: Sync {
    /// Extracts a frame, on the CPU where the device fails.
    ///
    /// # Errors
    /// [`ExtractorError`].
    fn extract(&self, request: &Request, inputs: &Inputs) -> Result<Extraction, ExtractorError>;
}

/// A process that computes frames by itself.
pub struct Alone(Engine);

impl Alone {
    /// With a device that is open.
    pub fn new(engine: Engine, stop: CancelToken) -> Self {
        Self(engine.with_cancel(stop))
    }

    /// The device.
    pub fn engine(&self) -> &Engine {
        &self.0
    }
}

impl FrameExtractor for Alone {
    fn extract(&self, request: &Request, inputs: &Inputs) -> Result<Extraction, ExtractorError> {
        Ok(inputs.extract(request, &self.0, &|_, _| {})?)
    }
}
