//! A device whose kernels do nothing, for benchmarks of the host.
//!
//! Buffers, copies and submissions are those of any other device, but results are zeros. No text of a
//! [`DeviceChoice`](super::DeviceChoice) selects it, and no list of devices has it.

use super::driver::Driver;
use super::limits::{default_memory, default_operations_per_dispatch};
use super::{DeviceKind, Gpu, GpuError, OpenOptions};

/// Bytes of the largest buffer.
const LARGEST: u64 = 4 << 30;

impl Gpu {
    /// Opens a device whose kernels do nothing, with the limits and the batches of a discrete GPU.
    ///
    /// # Errors
    /// [`GpuError::Refused`] if it cannot be opened.
    pub fn without_kernels(options: &OpenOptions) -> Result<Self, GpuError> {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        descriptor.backends = wgpu::Backends::NOOP;
        descriptor.flags = wgpu::InstanceFlags::empty();
        descriptor.backend_options.noop = wgpu::NoopBackendOptions {
            enable: true,
            limits: Some(wgpu::Limits {
                max_buffer_size: LARGEST,
                max_storage_buffer_binding_size: LARGEST,
                ..wgpu::Limits::defaults()
            }),
            features: Some(wgpu::Features::SHADER_F64),
            ..Default::default()
        };
        let adapters = pollster::block_on(wgpu::Instance::new(descriptor).enumerate_adapters(wgpu::Backends::NOOP));
        let refused =
            || GpuError::Refused { device: "none".to_string(), reason: "wgpu shows no such device".to_string() };
        // wgpu calls it a CPU, whose dispatches are short.
        let operations =
            options.operations_per_dispatch.or(Some(default_operations_per_dispatch(DeviceKind::Discrete)));
        let memory = options.memory.or(Some(default_memory(DeviceKind::Discrete)));
        let options = &OpenOptions { operations_per_dispatch: operations, memory, ..options.clone() };
        let gpu = Self::new(Driver::open(adapters.first().ok_or_else(refused)?, options)?);
        // A self-test needs kernels.
        let _ = gpu.f64_tested().set(Ok(()));
        Ok(gpu)
    }
}
