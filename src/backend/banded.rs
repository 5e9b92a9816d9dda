//! The banded solver's bundles on a GPU: all stages there, one after another, without a halt between them.

use super::{CcdField, EngineError};
use crate::gpu::Gpu;
use crate::gpu::banded::{Accuracy, Bundles, Pending, Request};
use crate::gpu::memory::SLACK;

/// Bundles to be handed to a GPU one after another.
#[derive(Debug)]
pub struct BandedBundles {
    gpu: Gpu,
    bundles: Bundles,
    most: usize,
}

impl BandedBundles {
    pub(super) fn new(gpu: Gpu, accuracy: Accuracy, most: usize) -> Result<Self, EngineError> {
        Ok(Self { bundles: Bundles::new(&gpu, accuracy)?, gpu, most })
    }

    /// How many bundles like that of `request` to hand over at once.
    pub fn most(&self, request: &Request) -> usize {
        self.bundles.most(request).min(self.most)
    }

    /// Bytes alive at a time while bundles like those of `request` go over, on a CCD of `ny` rows of `nx` columns.
    pub fn bytes(&self, request: &Request, [ny, nx]: [usize; 2]) -> u64 {
        let plane = (size_of::<f32>() * ny * nx) as u64;
        // The CCD goes over first, one plane at a time.
        2 * plane + self.bundles.bytes(request).max(plane + SLACK)
    }

    /// Hands some over; returns at once.
    ///
    /// # Errors
    /// What the device reports.
    pub fn submit(&mut self, ccd: &CcdField, request: &Request) -> Result<Pending, EngineError> {
        Ok(self.bundles.submit(ccd.device(&self.gpu)?, request)?)
    }
}
