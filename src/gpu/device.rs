//! An open GPU: granted limits, error capture, and the cache of its kernels.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use super::choice::DeviceKind;
use super::kernel::Kernel;
use super::times::Times;
use super::{GpuError, Precision, Variant, selftest};

/// How to open a device.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Ask for WebGPU's default limits and no features, whatever the adapter has: what a test needs to see that
    /// the smallest conforming device would do.
    pub webgpu_defaults: bool,
    /// Bytes that batches may fill on the device; None for [`DEFAULT_MEMORY`].
    pub memory: Option<u64>,
    /// Floating-point operations a dispatch may do; None for what suits the kind of device.
    pub operations_per_dispatch: Option<u64>,
}

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

/// A handle to an open GPU that has passed the self-test. Clones share the device.
#[derive(Clone)]
pub struct Gpu(Arc<Inner>, Precision);

struct Inner {
    device: wgpu::Device,
    queue: wgpu::Queue,
    name: String,
    description: String,
    id: String,
    kind: DeviceKind,
    limits: GpuLimits,
    memory: u64,
    operations_per_dispatch: u64,
    failure: Arc<Mutex<Option<GpuError>>>,
    kernels: Mutex<HashMap<(Variant, &'static str), Arc<Kernel>>>,
    /// Times of stages not yet asked for; None where none are taken.
    timed: Mutex<Option<Times>>,
}

impl fmt::Debug for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gpu").field(&self.0.name).finish()
    }
}

impl Gpu {
    /// Opens an adapter and puts it through the self-test.
    pub(super) fn from_adapter(adapter: &wgpu::Adapter, options: &OpenOptions) -> Result<Self, GpuError> {
        let info = adapter.get_info();
        let refused = |reason: String| GpuError::Refused { device: info.name.clone(), reason };
        if !adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS) {
            return Err(refused("it has no compute shaders".to_string()));
        }
        let limits = if options.webgpu_defaults { wgpu::Limits::defaults() } else { adapter.limits() };
        let wanted = if options.webgpu_defaults { wgpu::Features::empty() } else { wgpu::Features::TIMESTAMP_QUERY };
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("spextral"),
            required_features: wanted & adapter.features(),
            required_limits: limits.clone(),
            ..Default::default()
        };
        let (device, queue) =
            pollster::block_on(adapter.request_device(&descriptor)).map_err(|error| refused(error.to_string()))?;
        let failure = Arc::new(Mutex::new(None));
        capture_errors(&device, &info.name, &failure);
        let gpu = Self(
            Arc::new(Inner {
                device,
                queue,
                kind: DeviceKind::of(&info),
                name: info.name.clone(),
                description: format!("{}, {} {} {}", info.name, info.backend, info.driver, info.driver_info),
                id: if info.device_pci_bus_id.is_empty() { info.name.clone() } else { info.device_pci_bus_id.clone() },
                limits: GpuLimits::of(&limits),
                memory: options.memory.unwrap_or(DEFAULT_MEMORY),
                operations_per_dispatch: (options.operations_per_dispatch)
                    .unwrap_or(default_operations_per_dispatch(DeviceKind::of(&info))),
                failure,
                kernels: Mutex::default(),
                timed: Mutex::default(),
            }),
            Precision::F32,
        );
        selftest::run(&gpu).map_err(|error| match error {
            GpuError::Refused { .. } => error,
            other => refused(other.to_string()),
        })?;
        Ok(gpu)
    }

    /// How it computes.
    pub fn precision(&self) -> Precision {
        self.1
    }

    /// The adapter's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The adapter's name, its interface, its driver and that one's version, for headers and logs.
    pub fn description(&self) -> &str {
        self.0.description.trim_end()
    }

    /// What tells it from others of this machine: its PCI bus id, or its name; None for a software GPU.
    pub fn id(&self) -> Option<&str> {
        (self.0.kind != DeviceKind::Software).then_some(self.0.id.as_str())
    }

    /// What kind of device it is.
    pub fn kind(&self) -> DeviceKind {
        self.0.kind
    }

    /// The limits it was opened with.
    pub fn limits(&self) -> &GpuLimits {
        &self.0.limits
    }

    /// How many items fit in a batch, when each takes `item_bytes[k]` bytes of the k-th buffer: every buffer within
    /// the binding limit, all together within the memory to fill.
    ///
    /// # Errors
    /// [`GpuError::TooLarge`] where not even one item fits.
    pub fn batch(&self, what: &str, item_bytes: &[u64]) -> Result<usize, GpuError> {
        let largest = item_bytes.iter().copied().max().unwrap_or(0).max(1);
        let together = item_bytes.iter().sum::<u64>().max(1);
        let limits = self.limits();
        let fits = (limits.binding_bytes / largest).min(self.0.memory / together);
        if fits == 0 {
            let (bytes, limit) = if largest > limits.binding_bytes {
                (largest, limits.binding_bytes)
            } else {
                (together, self.0.memory)
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
        self.0.operations_per_dispatch
    }

    /// The kernel at `entry` of a shader variant, compiled at its first use on this device.
    ///
    /// # Errors
    /// [`GpuError::Shader`] where it does not compile, [`GpuError::Limit`] where it needs more than the device grants.
    pub fn kernel(&self, variant: &Variant, entry: &'static str) -> Result<Arc<Kernel>, GpuError> {
        let variant = variant.clone().of_precision(self.precision());
        let key = (variant, entry);
        let mut kernels = self.0.kernels.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(kernel) = kernels.get(&key) {
            return Ok(kernel.clone());
        }
        let kernel = Arc::new(Kernel::compile(self, &key.0, entry)?);
        kernels.insert(key, kernel.clone());
        Ok(kernel)
    }

    pub(super) fn device(&self) -> &wgpu::Device {
        &self.0.device
    }

    pub(super) fn timed(&self) -> MutexGuard<'_, Option<Times>> {
        self.0.timed.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(super) fn queue(&self) -> &wgpu::Queue {
        &self.0.queue
    }

    /// Blocks until all that was submitted has run.
    pub(crate) fn wait(&self) -> Result<(), GpuError> {
        self.wait_for(None)
    }

    /// Blocks until a submission, or all, have run.
    pub(super) fn wait_for(&self, submission_index: Option<wgpu::SubmissionIndex>) -> Result<(), GpuError> {
        self.0
            .device
            .poll(wgpu::PollType::Wait { submission_index, timeout: None })
            .map_err(|error| GpuError::Driver { device: self.0.name.clone(), message: error.to_string() })?;
        self.check("waiting for the device")
    }

    /// Fails if the driver has reported an error since the last check, or has lost the device at any time.
    pub(super) fn check(&self, what: &str) -> Result<(), GpuError> {
        let mut failure = lock(&self.0.failure);
        match failure.as_ref() {
            None => Ok(()),
            Some(lost @ GpuError::Lost { .. }) => Err(lost.clone()),
            Some(_) => Err(match failure.take() {
                Some(GpuError::OutOfMemory { device, .. }) => GpuError::OutOfMemory { device, what: what.to_string() },
                Some(other) => other,
                None => unreachable!("matched as Some above"),
            }),
        }
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

/// Keeps what the driver reports outside of calls, so that [`Gpu::check`] can return it; wgpu would panic.
fn capture_errors(device: &wgpu::Device, name: &str, failure: &Arc<Mutex<Option<GpuError>>>) {
    let (device_name, kept) = (name.to_string(), failure.clone());
    device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
        let device = device_name.clone();
        let typed = match error {
            wgpu::Error::OutOfMemory { .. } => GpuError::OutOfMemory { device, what: String::new() },
            other => GpuError::Driver { device, message: other.to_string() },
        };
        lock(&kept).get_or_insert(typed);
    }));
    let (device_name, kept) = (name.to_string(), failure.clone());
    device.set_device_lost_callback(move |reason, message| {
        // Dropping the last handle destroys the device, which is no failure.
        if !matches!(reason, wgpu::DeviceLostReason::Destroyed) {
            *lock(&kept) = Some(GpuError::Lost { device: device_name.clone(), reason: message });
        }
    });
}

fn lock(failure: &Mutex<Option<GpuError>>) -> MutexGuard<'_, Option<GpuError>> {
    failure.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
