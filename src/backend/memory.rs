//! How much of a GPU's memory work takes, and parts of it that fit.

use super::error::Result;
use super::{BundleTraces, CcdField, Decorrelate, Engine, EngineError, gpu};
use crate::gpu::{Gpu, GpuError, MemoryUse, Traffic, traces};
use crate::plan::Batch;
use crate::psf::Psf;
use std::collections::BTreeSet;
use std::ops::Range;

/// Bytes of a bundle's traces on a GPU: of what they are, and of what it takes to make them.
pub type TraceBytes = [u64; 2];

impl Engine {
    /// Begins a piece of work that keeps within `limit` bytes of a GPU's memory.
    pub(crate) fn begin(&self, limit: Option<u64>) {
        self.set_fallback_stages(&BTreeSet::new());
        if let Some(gpu) = self.gpu() {
            gpu.begin(limit);
        }
    }

    /// Returns how much of a GPU's memory was planned and used since the frame began.
    pub fn memory_use(&self) -> Option<MemoryUse> {
        self.gpu().filter(|_| self.is_gpu()).as_ref().map(Gpu::memory_use)
    }

    /// Returns what has gone through a GPU since the frame began.
    pub fn traffic(&self) -> Option<Traffic> {
        self.gpu().filter(|_| self.is_gpu()).as_ref().map(Gpu::traffic)
    }

    /// Cuts work into parts that fit the GPU's memory. `cut` makes them for the current batch budget, and returns the bytes that
    /// are alive at a time.
    ///
    /// # Errors
    /// [`GpuError::LittleMemory`] if not even the smallest parts fit.
    pub fn fit<T>(&self, cut: impl Fn() -> (u64, T)) -> Result<T> {
        let Some(gpu) = self.gpu() else { return Ok(cut().1) };
        gpu.fit(cut).map_err(|error| match error {
            GpuError::LittleMemory { device, limit, least, .. } => {
                EngineError::Gpu(GpuError::LittleMemory { device, limit, least, optional: self.is_auto() })
            }
            other => other.into(),
        })
    }

    /// Bytes of the traces of `fibres` at `wave` (Angstrom) on the GPU.
    pub fn trace_bytes(&self, psf: &Psf, fibres: Range<usize>, wave: &[f64], with_tails: bool) -> TraceBytes {
        self.gpu().map_or([0; 2], |gpu| traces::bytes(&gpu, psf, fibres, wave, with_tails))
    }

    /// Returns the bytes alive at a time on the GPU while a bundle's patches go through the stages; 0 without a GPU. `windows`
    /// are numbers of bins with their batches; `how` is the decorrelation, and the diagonals of R to each side.
    pub fn patch_bytes(
        &self,
        ccd: &CcdField,
        traces: &BundleTraces,
        bytes: TraceBytes,
        windows: &[(usize, &[Batch])],
        how: (Decorrelate, usize),
    ) -> u64 {
        let all = self.gpu().map_or(0, |gpu| gpu::bytes(&gpu, ccd, traces, bytes, windows, how));
        // What a stage on the CPU makes goes over, from memory that the device sees.
        if self.is_all_on_gpu() { all } else { 2 * all }
    }
}
