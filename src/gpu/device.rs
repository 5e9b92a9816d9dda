//! An open GPU: granted limits, error capture, and the cache of its kernels.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use super::adapter::{DeviceKind, describe, devices_with_f64};
use super::fault_injection::{Fault, Faults, Touch};
use super::in_flight::Ledger;
use super::kernel::Kernel;
use super::limits::{BatchBudget, GpuLimits};
use super::timestamps::Times;
use super::{GpuError, Precision, Variant, selftest};
use crate::base::catch_panic::catch_panic;

/// How to open a device.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Ask for WebGPU's default limits and no features, whatever the adapter has: what a test needs to see that
    /// the smallest conforming device would do.
    pub webgpu_defaults: bool,
    /// Bytes that batches may fill on the device; None for [`DEFAULT_MEMORY`](super::DEFAULT_MEMORY).
    pub memory: Option<u64>,
    /// Floating-point operations a dispatch may do; None for what suits the kind of device.
    pub operations_per_dispatch: Option<u64>,
    /// Bytes of a binding, where fewer than the adapter grants are to do.
    pub binding_bytes: Option<u64>,
    /// How long a submission may take before the device counts as hung; None for what suits the kind of device.
    pub patience: Option<Duration>,
    /// Failures that a test wants to see.
    pub faults: Faults,
    /// Refuse a device without f64; see [`Gpu::with_f64`].
    pub needs_f64: bool,
}

/// A handle to an open GPU that has passed the self-test. Clones share the device.
#[derive(Clone)]
pub struct Gpu(Arc<Inner>, Precision);

struct Inner {
    /// There until dropped.
    driver: Option<(wgpu::Device, wgpu::Queue)>,
    adapter: wgpu::Adapter,
    options: OpenOptions,
    ledger: Arc<Ledger>,
    name: String,
    description: String,
    id: String,
    kind: DeviceKind,
    limits: GpuLimits,
    parts: BatchBudget,
    patience: Duration,
    failure: Arc<Mutex<Option<GpuError>>>,
    kernels: Mutex<HashMap<(Variant, &'static str), Arc<Kernel>>>,
    /// What the self-test said of f64.
    f64_tested: OnceLock<Result<(), GpuError>>,
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
        let mut limits = if options.webgpu_defaults { wgpu::Limits::defaults() } else { adapter.limits() };
        let binding = &mut limits.max_storage_buffer_binding_size;
        *binding = options.binding_bytes.map_or(*binding, |bytes| bytes.min(*binding));
        let wanted = match options {
            OpenOptions { webgpu_defaults: false, .. } => wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::SHADER_F64,
            OpenOptions { needs_f64: true, .. } => wgpu::Features::SHADER_F64,
            _ => wgpu::Features::empty(),
        };
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("spextral"),
            required_features: wanted & adapter.features(),
            required_limits: limits.clone(),
            // Small blocks: few buffers are made, and the largest have blocks of their own.
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..Default::default()
        };
        if let Some(fault) = options.faults.touch(Touch::Open, &info.name) {
            return Err(refused(format!("it cannot be opened: {fault:?}, as told")));
        }
        let (device, queue) =
            pollster::block_on(adapter.request_device(&descriptor)).map_err(|error| refused(error.to_string()))?;
        let failure = Arc::new(Mutex::new(None));
        capture_errors(&device, &info.name, &failure);
        let kind = DeviceKind::of(&info);
        let inner = Inner {
            driver: Some((device, queue)),
            adapter: adapter.clone(),
            options: options.clone(),
            ledger: Arc::default(),
            kind,
            name: info.name.clone(),
            description: describe(&info),
            id: if info.device_pci_bus_id.is_empty() { info.name.clone() } else { info.device_pci_bus_id.clone() },
            limits: GpuLimits::of(&limits),
            parts: BatchBudget::default(),
            patience: options.patience.unwrap_or_else(|| default_patience(kind)),
            failure,
            kernels: Mutex::default(),
            f64_tested: OnceLock::new(),
            timed: Mutex::default(),
        };
        let gpu = Self(Arc::new(inner), Precision::F32);
        gpu.restore_limits();
        selftest::run(&gpu).map_err(|error| match error {
            GpuError::Refused { .. } => error,
            other => refused(other.to_string()),
        })?;
        if options.needs_f64 {
            gpu.with_f64()?;
        }
        Ok(gpu)
    }

    /// How it computes.
    pub fn precision(&self) -> Precision {
        self.1
    }

    /// Whether it was opened with f64.
    pub fn has_f64(&self) -> bool {
        self.device().features().contains(wgpu::Features::SHADER_F64)
    }

    /// A handle to the same device that computes in f64, put through the self-test in f64 once.
    ///
    /// # Errors
    /// [`GpuError::NoF64`] where it has none, [`GpuError::Refused`] where it does not pass.
    pub fn with_f64(&self) -> Result<Self, GpuError> {
        if !self.has_f64() {
            return Err(GpuError::NoF64 { device: self.name().to_string(), others: devices_with_f64() });
        }
        let fine = Self(self.0.clone(), Precision::F64);
        self.0.f64_tested.get_or_init(|| selftest::run(&fine)).clone()?;
        Ok(fine)
    }

    /// The adapter's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The adapter's name, its interface, its driver and that one's version, for headers and logs.
    pub fn description(&self) -> &str {
        &self.0.description
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

    pub(super) fn options(&self) -> &OpenOptions {
        &self.0.options
    }

    pub(super) fn parts(&self) -> &BatchBudget {
        &self.0.parts
    }

    fn driver(&self) -> &(wgpu::Device, wgpu::Queue) {
        self.0.driver.as_ref().expect("it is there until dropped")
    }

    pub(super) fn device(&self) -> &wgpu::Device {
        &self.driver().0
    }

    pub(super) fn timed(&self) -> MutexGuard<'_, Option<Times>> {
        self.0.timed.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(super) fn queue(&self) -> &wgpu::Queue {
        &self.driver().1
    }

    pub(super) fn ledger(&self) -> &Arc<Ledger> {
        &self.0.ledger
    }

    pub(super) fn patience(&self) -> Duration {
        self.0.patience
    }

    /// The same adapter opened anew, with the limits it has now.
    ///
    /// # Errors
    /// [`GpuError::Refused`] where it is gone or does not pass the self-test.
    pub(crate) fn open_again(&self) -> Result<Self, GpuError> {
        let again = Self(Self::from_adapter(&self.0.adapter, &self.0.options)?.0, self.1);
        again.set_memory(self.memory());
        again.set_operations_per_dispatch(self.operations_per_dispatch());
        if self.timed().is_some() {
            again.time_stages();
        }
        Ok(again)
    }

    /// Where a test may want a failure: it comes about as a driver's would. Returns one that the caller has to act.
    pub(super) fn touch(&self, touch: Touch, what: &str) -> Option<Fault> {
        let fault = self.0.options.faults.touch(touch, what)?;
        match fault {
            Fault::Lost => self.device().destroy(),
            Fault::OutOfMemory => {
                self.fails(GpuError::OutOfMemory { device: self.0.name.clone(), what: String::new() });
            }
            Fault::Driver => drop(self.reports("an error, as told".to_string())),
            Fault::Hang | Fault::Panic | Fault::Wrong => {}
        }
        Some(fault)
    }

    /// Keeps a failure for [`Gpu::check`]: the first one, but a device that is gone stays so.
    fn fails(&self, error: GpuError) {
        keep(&self.0.failure, error);
    }

    /// An error in the driver's words.
    pub(super) fn reports(&self, message: String) -> GpuError {
        let error = GpuError::Driver { device: self.0.name.clone(), message };
        self.fails(error.clone());
        error
    }

    /// The error that the device does not answer, now and from now on.
    pub(super) fn hangs(&self) -> GpuError {
        let error = GpuError::Hung { device: self.0.name.clone(), seconds: self.patience().as_secs_f64() };
        self.fails(error.clone());
        error
    }

    /// The error that the device is lost, now and from now on; the driver's words where it has said any.
    pub(super) fn is_lost(&self, reason: String) -> GpuError {
        self.fails(GpuError::Lost { device: self.0.name.clone(), reason });
        lock(&self.0.failure).clone().expect("kept above")
    }

    /// Forgets errors of work that was given up; false where the device is gone.
    pub(crate) fn recovers(&self) -> bool {
        if let Some(times) = self.timed().as_mut() {
            *times = Times::default();
        }
        // What was handed over ends, and frees its memory.
        if self.wait().is_err_and(|error| error.is_for_good()) {
            return false;
        }
        let mut failure = lock(&self.0.failure);
        let here = !failure.as_ref().is_some_and(GpuError::is_for_good);
        if here {
            *failure = None;
        }
        here
    }

    /// Fails if the driver has reported an error since the last check, or has lost the device at any time.
    pub(super) fn check(&self, what: &str) -> Result<(), GpuError> {
        let Some(failure) = self.failure() else { return Ok(()) };
        // An error may be but a consequence of the loss, which is told once nothing is under way.
        if !failure.is_for_good() {
            let all = wgpu::PollType::Wait { submission_index: None, timeout: Some(self.patience()) };
            self.poll(all, None)?;
        }
        let mut failure = lock(&self.0.failure);
        if failure.as_ref().is_some_and(GpuError::is_for_good) {
            return Err(failure.clone().expect("it is some"));
        }
        match failure.take() {
            None => Ok(()),
            Some(GpuError::OutOfMemory { device, .. }) => Err(GpuError::OutOfMemory { device, what: what.to_string() }),
            Some(other) => Err(other),
        }
    }

    fn failure(&self) -> Option<GpuError> {
        lock(&self.0.failure).clone()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let driver = self.driver.take();
        // wgpu waits for all work before it lets go of a queue: forever where the device hangs.
        if matches!(*lock(&self.failure), Some(GpuError::Hung { .. })) {
            std::mem::forget(driver);
        } else if let Err(panic) = catch_panic(move || drop(driver)) {
            // wgpu 30 panics where a device is lost in some ways.
            tracing::debug!("{}: {panic}", self.name);
        }
    }
}

/// How long to wait for a submission, which is meant to take a few seconds at most; in software, on a machine that does other
/// things besides, minutes.
fn default_patience(kind: DeviceKind) -> Duration {
    Duration::from_secs(if kind == DeviceKind::Software { 600 } else { 60 })
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
        keep(&kept, typed);
    }));
    let (device_name, kept) = (name.to_string(), failure.clone());
    device.set_device_lost_callback(move |_, message| {
        // Where it is destroyed because its last handle is dropped there is nobody to ask.
        let reason = if message.is_empty() { "its driver was reset".to_string() } else { message };
        keep(&kept, GpuError::Lost { device: device_name.clone(), reason });
    });
}

/// Keeps the first failure, but one for good goes before others.
fn keep(failure: &Mutex<Option<GpuError>>, error: GpuError) {
    let mut kept = lock(failure);
    if kept.as_ref().is_none_or(|known| error.is_for_good() && !known.is_for_good()) {
        *kept = Some(error);
    }
}

fn lock(failure: &Mutex<Option<GpuError>>) -> MutexGuard<'_, Option<GpuError>> {
    failure.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
