//! Granted limits of a device, and the batch budget: how large batches and dispatches may be, which shrinks after failures.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use super::GpuError;
use super::adapter::DeviceKind;

/// Bytes that the buffers of one batch may fill together, unless set. No graphics interface reports free memory; 1 GiB
/// fits any GPU of the last ten years.
pub const DEFAULT_MEMORY: u64 = 1 << 30;

/// Such bytes of a discrete GPU: a frame of 500 fibres in one batch. One with less memory gets smaller batches once it is full.
const DEFAULT_MEMORY_DISCRETE: u64 = 4 << 30;

/// The largest binding, bytes: drivers index with signed 32-bit bytes.
const MAX_BINDING: u64 = (1 << 31) - 4;

/// The limits from which batches and workgroup shapes are planned.
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

/// The present size of batches and dispatches.
#[derive(Debug, Default)]
pub(super) struct BatchBudget {
    memory: AtomicU64,
    /// The part of `memory` for the work at hand.
    filled: AtomicU64,
    operations: AtomicU64,
}

impl BatchBudget {
    /// Bytes that batches may fill.
    pub fn memory(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }

    pub fn set_memory(&self, bytes: u64) {
        self.memory.store(bytes, Ordering::Relaxed);
        self.fill(bytes);
    }

    /// Bytes that batches may fill for the work at hand.
    pub fn filled(&self) -> u64 {
        self.filled.load(Ordering::Relaxed)
    }

    pub fn fill(&self, bytes: u64) {
        self.filled.store(bytes, Ordering::Relaxed);
    }

    /// Floating-point operations per dispatch.
    pub fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }

    pub fn set_operations(&self, operations: u64) {
        self.operations.store(operations, Ordering::Relaxed);
    }

    /// Returns how many items of `item_bytes[k]` bytes in the k-th buffer fit: every buffer within `binding` bytes, all
    /// together within the batch budget.
    pub fn batch(&self, binding: u64, what: &str, item_bytes: &[u64]) -> Result<usize, GpuError> {
        let largest = item_bytes.iter().copied().max().unwrap_or(0).max(1);
        let together = item_bytes.iter().sum::<u64>().max(1);
        let fits = (binding / largest).min(self.filled() / together);
        if fits == 0 {
            let (bytes, limit) = if largest > binding { (largest, binding) } else { (together, self.filled()) };
            return Err(GpuError::TooLarge { what: what.to_string(), bytes, limit });
        }
        Ok(usize::try_from(fits).unwrap_or(usize::MAX))
    }

    /// Cuts `count` items of `operations` floating-point operations each into ranges, one per dispatch.
    pub fn dispatches(&self, count: usize, operations: u64) -> impl Iterator<Item = Range<usize>> + use<> {
        let step = usize::try_from(self.operations() / operations.max(1)).unwrap_or(usize::MAX).max(1);
        (0..count).step_by(step).map(move |first| first..count.min(first.saturating_add(step)))
    }
}

/// Returns the bytes that batches fill on a device of a kind, unless set.
pub(super) fn default_memory(kind: DeviceKind) -> u64 {
    if kind == DeviceKind::Discrete { DEFAULT_MEMORY_DISCRETE } else { DEFAULT_MEMORY }
}

/// Returns the floating-point operations that a slow device of a kind does in some 0.2 s. Lavapipe was measured at 0.35 G/s
/// per core. The weakest integrated GPUs do ten times that, the weakest discrete ones a hundred times, at a tenth of peak.
pub(super) fn default_operations_per_dispatch(kind: DeviceKind) -> u64 {
    match kind {
        DeviceKind::Discrete => 10_000_000_000,
        DeviceKind::Integrated | DeviceKind::Virtual | DeviceKind::Unknown => 1_000_000_000,
        DeviceKind::Software | DeviceKind::Cpu => 100_000_000,
    }
}
