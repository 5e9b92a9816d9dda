//! The plan of a device's memory: parts so small that all their buffers fit together.

use super::{Gpu, GpuError};

/// Batches that fill less than this are as small as they get, bytes.
const SMALLEST: u64 = 4096;

/// Arguments of dispatches under way, and other small buffers, bytes.
pub(crate) const SLACK: u64 = 256 << 10;

/// A device's memory in one piece of work, bytes of all buffers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MemoryUse {
    /// The most that the plan takes at a time.
    pub planned: u64,
    /// The most there was.
    pub peak: u64,
}

impl Gpu {
    /// Begins a piece of work of which no more than `limit` bytes are to be alive at a time.
    pub(crate) fn begin(&self, limit: Option<u64>) {
        self.set_memory(self.memory());
        self.ledger().begin(limit.unwrap_or(u64::MAX));
    }

    /// What was planned and used since the present frame began.
    pub fn memory_use(&self) -> MemoryUse {
        self.ledger().used()
    }

    /// Cuts work into parts that fit, and plans for them: `cut` makes them by [`Gpu::batch`] and tells how many bytes are alive at
    /// a time at most; where that is too much batches fill less.
    ///
    /// # Errors
    /// [`GpuError::LittleMemory`] where not even the smallest parts fit.
    pub(crate) fn fit<T>(&self, cut: impl Fn() -> (u64, T)) -> Result<T, GpuError> {
        let limit = self.ledger().limit();
        self.fill(self.memory());
        loop {
            let (bytes, parts) = cut();
            if bytes <= limit {
                self.ledger().plan(bytes);
                return Ok(parts);
            }
            if self.filled() <= SMALLEST {
                let device = self.name().to_string();
                return Err(GpuError::LittleMemory { device, limit, least: bytes.div_ceil(1024), optional: false });
            }
            self.fill(self.filled() / 2);
        }
    }
}
