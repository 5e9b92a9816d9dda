//! Who computes a frame, and what happens when a GPU fails.

use crate::engine::{Engine, EngineError};
use crate::extract::{Extraction, FileError, Inputs, Request};
use crate::gpu::GpuError;
use crate::stop::Stop;
use std::sync::{Arc, Mutex, PoisonError};

/// Why a frame was not computed.
#[derive(Debug, thiserror::Error)]
pub enum TeamError {
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

impl From<FileError> for TeamError {
    fn from(error: FileError) -> Self {
        match error.engine() {
            Some(EngineError::Stopped) => Self::Stopped,
            _ => Self::File(error),
        }
    }
}

impl TeamError {
    /// Whether a device failed: then the CPU may serve.
    pub fn is_of_device(&self) -> bool {
        match self {
            Self::File(error) => error.engine().is_some_and(is_of_device),
            #[cfg(feature = "mpi")]
            Self::Member { device, .. } => *device,
            Self::Stopped => false,
        }
    }
}

/// Whether the device failed, in place of what it was given.
pub fn is_of_device(error: &EngineError) -> bool {
    use GpuError::{Driver, Lost, OutOfMemory};
    matches!(error, EngineError::Gpu(Lost { .. } | OutOfMemory { .. } | Driver { .. }))
}

/// A frame computed.
#[derive(Debug)]
pub struct Computed {
    /// The spectra.
    pub extraction: Extraction,
    /// The device in words.
    pub device: String,
    /// Why it was done again on the CPU, if it was.
    pub retried: Option<String>,
}

/// Those who compute a frame together.
pub trait Team: Sync {
    /// Extracts a frame, on the CPU where the device fails.
    ///
    /// # Errors
    /// [`TeamError`].
    fn extract(&self, request: &Request, inputs: &Inputs) -> Result<Computed, TeamError>;
}

/// Computes once more where the first attempt failed for its device; why it failed.
pub fn on_device_or_cpu<T>(
    first: impl FnOnce() -> Result<T, TeamError>,
    on_cpu: impl FnOnce() -> Result<T, TeamError>,
) -> Result<(T, Option<String>), TeamError> {
    match first() {
        Err(error) if error.is_of_device() => on_cpu().map(|done| (done, Some(error.to_string()))),
        result => result.map(|done| (done, None)),
    }
}

/// One process's engine, which is opened again when its device was lost.
pub struct Device<'a> {
    engine: Mutex<Arc<Engine>>,
    open: &'a (dyn Fn() -> Result<Engine, EngineError> + Sync),
    stop: Stop,
}

impl<'a> Device<'a> {
    /// Opens it.
    ///
    /// # Errors
    /// What `open` reports.
    pub fn open(open: &'a (dyn Fn() -> Result<Engine, EngineError> + Sync), stop: Stop) -> Result<Self, EngineError> {
        Ok(Self { engine: Mutex::new(Arc::new(open()?.with_stop(stop.clone()))), open, stop })
    }

    /// The engine, for one frame.
    pub fn engine(&self, on_cpu: bool) -> Arc<Engine> {
        match on_cpu {
            true => Arc::new(Engine::cpu().with_stop(self.stop.clone())),
            false => self.engine.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Computes a frame by `work`, which is told whether it is to be on the CPU: on the device, and on the CPU where that
    /// fails.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn extract(
        &self,
        work: impl Fn(&Engine, bool) -> Result<Extraction, TeamError>,
    ) -> Result<Computed, TeamError> {
        let attempt = |on_cpu: bool| {
            let engine = self.engine(on_cpu);
            let result = work(&engine, on_cpu).map(|extraction| (extraction, engine.device()));
            if let Err(TeamError::File(error)) = &result
                && error.engine().is_some_and(is_of_device)
            {
                self.renew();
            }
            result
        };
        let ((extraction, device), retried) = on_device_or_cpu(|| attempt(false), || attempt(true))?;
        Ok(Computed { extraction, device, retried })
    }

    /// Opens the device again after it failed; where that fails too, the CPU takes its place.
    pub fn renew(&self) {
        let engine = (self.open)().unwrap_or_else(|error| {
            tracing::warn!("{error}; the CPU extracts all further frames");
            Engine::cpu()
        });
        *self.engine.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(engine.with_stop(self.stop.clone()));
    }
}

/// A process that computes frames by itself.
pub struct Alone<'a>(Device<'a>);

impl<'a> Alone<'a> {
    /// Opens the device.
    ///
    /// # Errors
    /// What `open` reports.
    pub fn new(open: &'a (dyn Fn() -> Result<Engine, EngineError> + Sync), stop: Stop) -> Result<Self, EngineError> {
        Device::open(open, stop).map(Self)
    }

    /// The device.
    pub fn device(&self) -> Arc<Engine> {
        self.0.engine(false)
    }
}

impl Team for Alone<'_> {
    fn extract(&self, request: &Request, inputs: &Inputs) -> Result<Computed, TeamError> {
        self.0.extract(|engine, _| Ok(inputs.extract(request, engine, &|_, _| {})?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::ExtractError;

    fn failed(error: GpuError) -> TeamError {
        let source = ExtractError::Engine(error.into());
        FileError::Extract { input: "a.fits".into(), psf: "p.fits".into(), source }.into()
    }

    fn lost() -> TeamError {
        failed(GpuError::Lost { device: "a GPU".into(), reason: "fell off the bus".into() })
    }

    #[test]
    fn the_cpu_takes_over_once_when_a_device_is_lost() {
        let (done, why) = on_device_or_cpu(|| Err(lost()), || Ok(1)).unwrap();
        assert!(done == 1 && why.is_some_and(|why| why.contains("fell off the bus")));
        let again = on_device_or_cpu(|| Err(lost()), || -> Result<i32, _> { Err(lost()) });
        assert!(again.is_err(), "it is tried once");
    }

    #[test]
    fn what_is_no_fault_of_the_device_is_not_tried_again() {
        let limit = || failed(GpuError::Limit { what: "bins".into(), value: 2, limit: 1 });
        for first in [limit, || TeamError::Stopped] {
            let result = on_device_or_cpu(|| Err(first()), || -> Result<(), _> { panic!("not again") });
            assert!(result.is_err());
        }
        assert_eq!(on_device_or_cpu(|| Ok(2), || panic!("not again")).unwrap(), (2, None));
    }
}
