//! What a device takes at a time: the limits it was granted, and the size of batches and dispatches, which shrinks where it fails.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{DeviceKind, Gpu, GpuError, OpenOptions};

/// Bytes that the buffers of one batch may fill together, where nothing else is said. No graphics interface tells
/// how much memory is free; 1 GiB fits any GPU of the last ten years and keeps the largest ones busy.
pub const DEFAULT_MEMORY: u64 = 1 << 30;

/// No binding may pass 2 GiB: drivers index with signed 32-bit bytes.
const MAX_BINDING: u64 = (1 << 31) - 4;

/// The limits that batches and workgroup shapes are planned from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GpuLimits {
    /// Bytes of one storage binding, and so of one [`super::Buffer`].
    pub binding_bytes: u64,
    /// Bytes of workgroup memory.
    pub workgroup_bytes: u32,
    /// Invocations of a workgroup.
    pub invocations: u32,
    /// Workgroups of a dispatch in each dimension.
    pub workgroups: u32,
    /// Storage buffers of a kernel.
    pub storage_buffers: u32,
}

impl GpuLimits {
    pub(super) fn of(limits: &wgpu::Limits) -> Self {
        Self {
            binding_bytes: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size).min(MAX_BINDING),
            workgroup_bytes: limits.max_compute_workgroup_storage_size,
            invocations: limits.max_compute_invocations_per_workgroup.min(limits.max_compute_workgroup_size_x),
            workgroups: limits.max_compute_workgroups_per_dimension,
            storage_buffers: limits.max_storage_buffers_per_shader_stage,
        }
    }
}

/// What batches and dispatches may take at present.
#[derive(Debug, Default)]
pub(super) struct BatchBudget {
    /// Bytes that batches may fill, and that they do for the work at hand.
    memory: AtomicU64,
    filled: AtomicU64,
    /// Floating-point operations a dispatch may do.
    operations: AtomicU64,
}

impl Gpu {
    /// How many items fit in a batch, when each takes `item_bytes[k]` bytes of the k-th buffer: every buffer within
    /// the binding limit, all together within the memory to fill.
    ///
    /// # Errors
    /// [`GpuError::TooLarge`] where not even one item fits.
    pub fn batch(&self, what: &str, item_bytes: &[u64]) -> Result<usize, GpuError> {
        let largest = item_bytes.iter().copied().max().unwrap_or(0).max(1);
        let together = item_bytes.iter().sum::<u64>().max(1);
        let limits = self.limits();
        let fits = (limits.binding_bytes / largest).min(self.filled() / together);
        if fits == 0 {
            let (bytes, limit) = if largest > limits.binding_bytes {
                (largest, limits.binding_bytes)
            } else {
                (together, self.filled())
            };
            return Err(GpuError::TooLarge { what: what.to_string(), bytes, limit });
        }
        Ok(usize::try_from(fits).unwrap_or(usize::MAX))
    }

    /// Cuts `count` items of `operations` floating-point operations each into ranges, one a dispatch, so that no
    /// dispatch takes longer than a fraction of a second on a slow device of this kind: Windows resets a GPU after two.
    pub fn dispatches(&self, count: usize, operations: u64) -> impl Iterator<Item = Range<usize>> + use<> {
        let step = usize::try_from(self.operations_per_dispatch() / operations.max(1)).unwrap_or(usize::MAX).max(1);
        (0..count).step_by(step).map(move |first| first..count.min(first.saturating_add(step)))
    }

    /// Floating-point operations a dispatch should not pass; see [`Gpu::dispatches`].
    pub fn operations_per_dispatch(&self) -> u64 {
        self.parts().operations.load(Ordering::Relaxed)
    }

    /// Lets dispatches do no more than `operations` from now on.
    pub(crate) fn set_operations_per_dispatch(&self, operations: u64) {
        self.parts().operations.store(operations, Ordering::Relaxed);
    }

    /// Lets batches and dispatches be as large as when the device was first opened.
    pub(crate) fn restore_limits(&self) {
        let OpenOptions { memory, operations_per_dispatch: operations, .. } = self.options();
        self.set_memory(memory.unwrap_or(DEFAULT_MEMORY));
        self.set_operations_per_dispatch(operations.unwrap_or_else(|| default_operations_per_dispatch(self.kind())));
    }

    /// Bytes that batches may fill.
    pub fn memory(&self) -> u64 {
        self.parts().memory.load(Ordering::Relaxed)
    }

    /// Lets batches fill no more than `bytes` from now on.
    pub fn set_memory(&self, bytes: u64) {
        self.parts().memory.store(bytes, Ordering::Relaxed);
        self.fill(bytes);
    }

    pub(super) fn filled(&self) -> u64 {
        self.parts().filled.load(Ordering::Relaxed)
    }

    /// Lets batches fill no more than `bytes` for the work at hand.
    pub(super) fn fill(&self, bytes: u64) {
        self.parts().filled.store(bytes, Ordering::Relaxed);
    }
}

/// Floating-point operations that a slow device of a kind does in some 0.2 s: lavapipe was measured at 0.35 G/s a core,
/// the weakest integrated GPUs are ten times that, the weakest discrete ones a hundred times, at a tenth of their peak.
fn default_operations_per_dispatch(kind: DeviceKind) -> u64 {
    match kind {
        DeviceKind::Discrete => 10_000_000_000,
        DeviceKind::Integrated | DeviceKind::Virtual | DeviceKind::Unknown => 1_000_000_000,
        DeviceKind::Software | DeviceKind::Cpu => 100_000_000,
    }
}
