//! The banded solver's bundles on a GPU: all stages there, one after another, without a halt between them.

use super::{EngineCcd, EngineError};
use crate::gpu::Gpu;
use crate::gpu::banded::{Accuracy, Bundles, Pending, Request};

/// Bundles to be handed to a GPU one after another.
#[derive(Debug)]
pub struct BandedBundles<'a> {
    gpu: &'a Gpu,
    bundles: Bundles,
}

impl<'a> BandedBundles<'a> {
    pub(super) fn new(gpu: &'a Gpu, accuracy: Accuracy) -> Result<Self, EngineError> {
        Ok(Self { gpu, bundles: Bundles::new(gpu, accuracy)? })
    }

    /// Hands one over; returns at once.
    ///
    /// # Errors
    /// What the device reports.
    pub fn submit(&mut self, ccd: &EngineCcd, request: &Request) -> Result<Pending, EngineError> {
        Ok(self.bundles.submit(ccd.device(self.gpu)?, request)?)
    }
}
