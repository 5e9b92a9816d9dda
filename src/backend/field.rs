//! A field: numbers on the host, on the device, or on both, moved when a stage asks for them.

use super::EngineError;
use crate::geometry::Ccd;
use crate::gpu::patch::CcdBuffers;
use crate::gpu::{Gpu, Reals};
use std::sync::OnceLock;

/// Reals of one stage's output: f64 on the host, in the device's precision there. Written once, by the stage that makes it; read by any.
#[derive(Debug, Default)]
pub struct Field {
    host: OnceLock<Vec<f64>>,
    device: OnceLock<Reals>,
}

impl Field {
    /// A field whose values are on the host.
    pub fn on_host(values: Vec<f64>) -> Self {
        Self { host: OnceLock::from(values), ..Self::default() }
    }

    /// A field whose values are on a device.
    pub fn on_device(values: Reals) -> Self {
        Self { device: OnceLock::from(values), ..Self::default() }
    }

    /// Returns the values on the host, downloaded if only the device has them.
    ///
    /// # Errors
    /// [`EngineError::Gpu`] if the download fails.
    pub fn host(&self) -> Result<&[f64], EngineError> {
        if let (None, Some(device)) = (self.host.get(), self.device.get()) {
            let values = device.download()?;
            // A thread that was faster has put the same there.
            let _ = self.host.set(values);
        }
        Ok(self.host.get().expect("a field is written when it is made"))
    }

    /// Returns the values on a device, uploaded if only the host has them.
    ///
    /// # Errors
    /// [`EngineError::Gpu`] if the device has no memory for them.
    pub fn device(&self, gpu: &Gpu) -> Result<&Reals, EngineError> {
        if let (None, Some(host)) = (self.device.get(), self.host.get()) {
            let _ = self.device.set(gpu.upload_reals("field", host)?);
        }
        Ok(self.device.get().expect("a field is written when it is made"))
    }
}

/// One frame's CCD: on the host, and on the device from the first stage on that needs it there.
#[derive(Debug)]
pub struct CcdField<'a> {
    host: &'a Ccd<'a>,
    device: OnceLock<CcdBuffers>,
}

impl<'a> CcdField<'a> {
    pub(super) fn new(ccd: &'a Ccd<'a>) -> Self {
        Self { host: ccd, device: OnceLock::new() }
    }

    /// Returns the CCD on the host.
    pub fn host(&self) -> &'a Ccd<'a> {
        self.host
    }

    pub(super) fn device(&self, gpu: &Gpu) -> Result<&CcdBuffers, EngineError> {
        if self.device.get().is_none() {
            let _ = self.device.set(CcdBuffers::upload(gpu, self.host)?);
        }
        Ok(self.device.get().expect("set above"))
    }
}
