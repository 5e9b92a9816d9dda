//! An opened adapter: the driver's handles, the limits it granted, and the errors it reports outside of calls.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::GpuError;
use super::adapter::{DeviceKind, describe};
use super::fault_injection::Faults;
use super::limits::GpuLimits;
use super::touch::{Fault, Touch};
use super::traffic::Counters;
use crate::base::catch_panic::catch_panic;
use crate::base::error_chain::one_line;

/// How to open a device.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Request WebGPU's default limits and no features, so that tests see the smallest conforming device.
    pub webgpu_defaults: bool,
    /// Bytes that batches may fill on the device; None for [`DEFAULT_MEMORY`](super::DEFAULT_MEMORY).
    pub memory: Option<u64>,
    /// Floating-point operations per dispatch; None for a default by the kind of device.
    pub operations_per_dispatch: Option<u64>,
    /// Bytes per binding, if fewer than the adapter grants.
    pub binding_bytes: Option<u64>,
    /// Time that a submission may take before the device counts as hung; None for a default by the kind of device.
    pub patience: Option<Duration>,
    /// Fault injection; inert without the feature `fault-injection`.
    pub faults: Faults,
    /// Refuse a device without f64; see [`super::Gpu::with_f64`].
    pub needs_f64: bool,
}

pub(super) struct Driver {
    /// Present until dropped.
    handles: Option<(wgpu::Device, wgpu::Queue)>,
    adapter: wgpu::Adapter,
    options: OpenOptions,
    name: String,
    description: String,
    id: String,
    kind: DeviceKind,
    limits: GpuLimits,
    patience: Duration,
    traffic: Counters,
    failure: Arc<Mutex<Option<GpuError>>>,
}

impl Driver {
    pub fn open(adapter: &wgpu::Adapter, options: &OpenOptions) -> Result<Self, GpuError> {
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
            return Err(refused(format!("it cannot be opened: {fault:?}, injected")));
        }
        let handles = pollster::block_on(adapter.request_device(&descriptor))
            .map_err(|error| refused(one_line(&error.to_string())))?;
        let failure = Arc::new(Mutex::new(None));
        capture_errors(&handles.0, &info.name, &failure);
        let kind = DeviceKind::of(&info);
        Ok(Self {
            handles: Some(handles),
            adapter: adapter.clone(),
            options: options.clone(),
            kind,
            description: describe(&info),
            id: if info.device_pci_bus_id.is_empty() { info.name.clone() } else { info.device_pci_bus_id },
            name: info.name,
            limits: GpuLimits::of(&limits),
            patience: options.patience.unwrap_or_else(|| default_patience(kind)),
            traffic: Counters::default(),
            failure,
        })
    }

    fn handles(&self) -> &(wgpu::Device, wgpu::Queue) {
        self.handles.as_ref().expect("present until dropped")
    }

    pub fn device(&self) -> &wgpu::Device {
        &self.handles().0
    }

    pub fn queue(&self) -> &wgpu::Queue {
        &self.handles().1
    }

    pub fn adapter(&self) -> &wgpu::Adapter {
        &self.adapter
    }

    pub fn options(&self) -> &OpenOptions {
        &self.options
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn description(&self) -> &str {
        &self.description
    }

    /// Returns the PCI bus id, or the name where the driver reports none.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn kind(&self) -> DeviceKind {
        self.kind
    }

    pub fn limits(&self) -> &GpuLimits {
        &self.limits
    }

    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// The counters of what goes through the device.
    pub fn traffic(&self) -> &Counters {
        &self.traffic
    }

    pub fn has(&self, feature: wgpu::Features) -> bool {
        self.device().features().contains(feature)
    }

    /// Injects a fault if one is planned here, with the effect that the driver's own would have. Returns a fault whose effect
    /// is left to the caller.
    #[inline]
    pub fn touch(&self, touch: Touch, what: &str) -> Option<Fault> {
        let fault = self.options.faults.touch(touch, what)?;
        match fault {
            Fault::Lost => self.device().destroy(),
            Fault::OutOfMemory => self.keep(GpuError::OutOfMemory { device: self.name.clone(), what: String::new() }),
            Fault::Driver => drop(self.report("an injected error".to_string())),
            Fault::Hang | Fault::Panic | Fault::Wrong => {}
        }
        Some(fault)
    }

    fn keep(&self, error: GpuError) {
        keep(&self.failure, error);
    }

    /// Records and returns an error with the driver's message.
    pub fn report(&self, message: String) -> GpuError {
        let error = GpuError::Driver { device: self.name.clone(), message };
        self.keep(error.clone());
        error
    }

    /// Declares the device hung, for good.
    pub fn declare_hung(&self) -> GpuError {
        let error = GpuError::Hung { device: self.name.clone(), seconds: self.patience.as_secs_f64() };
        self.keep(error.clone());
        error
    }

    /// Declares the device lost, for good. Returns the driver's own message if it gave one.
    fn declare_lost(&self, reason: String) -> GpuError {
        self.keep(GpuError::Lost { device: self.name.clone(), reason });
        lock(&self.failure).clone().expect("kept above")
    }

    /// Forgets errors of abandoned work; false if the device is gone.
    pub fn forget_errors(&self) -> bool {
        let mut failure = lock(&self.failure);
        let is_here = !failure.as_ref().is_some_and(GpuError::is_for_good);
        if is_here {
            *failure = None;
        }
        is_here
    }

    /// Fails if the driver reported an error since the last check, or lost the device at any time.
    pub fn check(&self, what: &str) -> Result<(), GpuError> {
        let Some(failure) = lock(&self.failure).clone() else { return Ok(()) };
        // An error may be a consequence of a loss, which the driver reports once nothing is in flight.
        if !failure.is_for_good() {
            let all = wgpu::PollType::Wait { submission_index: None, timeout: Some(self.patience) };
            self.poll(all, None)?;
        }
        let mut failure = lock(&self.failure);
        if failure.as_ref().is_some_and(GpuError::is_for_good) {
            return Err(failure.clone().expect("it is some"));
        }
        match failure.take() {
            None => Ok(()),
            Some(GpuError::OutOfMemory { device, .. }) => Err(GpuError::OutOfMemory { device, what: what.to_string() }),
            Some(other) => Err(other),
        }
    }

    /// Polls the device, or fails by `fault`. wgpu 30 panics if the device is lost during a poll.
    pub fn poll(&self, how: wgpu::PollType, fault: Option<Fault>) -> Result<(), GpuError> {
        let polled = catch_panic(|| match fault {
            Some(Fault::Panic) => panic!("the device is lost, injected"),
            Some(Fault::Hang) => Err(wgpu::PollError::Timeout),
            _ => self.device().poll(how),
        });
        match polled {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(wgpu::PollError::Timeout)) => Err(self.declare_hung()),
            // The submission was refused. The reason is recorded already, or this is a consequence of a loss.
            Ok(Err(error)) => {
                drop(self.report(one_line(&error.to_string())));
                self.check("submitting")
            }
            Err(panic) => Err(self.declare_lost(panic)),
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let handles = self.handles.take();
        // wgpu waits for all work before it drops a queue: forever if the device hangs.
        if matches!(*lock(&self.failure), Some(GpuError::Hung { .. })) {
            std::mem::forget(handles);
        } else if let Err(panic) = catch_panic(move || drop(handles)) {
            // wgpu 30 panics after some losses.
            tracing::debug!("{}: {panic}", self.name);
        }
    }
}

/// Returns the time to wait for a submission, which should take a few seconds at most. Software on a busy machine may take
/// minutes.
fn default_patience(kind: DeviceKind) -> Duration {
    Duration::from_secs(if kind == DeviceKind::Software { 600 } else { 60 })
}

/// Records the driver's errors outside of calls for [`Driver::check`]; without this wgpu would panic.
fn capture_errors(device: &wgpu::Device, name: &str, failure: &Arc<Mutex<Option<GpuError>>>) {
    let (device_name, kept) = (name.to_string(), failure.clone());
    device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
        let device = device_name.clone();
        let typed = match error {
            wgpu::Error::OutOfMemory { .. } => GpuError::OutOfMemory { device, what: String::new() },
            other => GpuError::Driver { device, message: one_line(&other.to_string()) },
        };
        keep(&kept, typed);
    }));
    let (device_name, kept) = (name.to_string(), failure.clone());
    device.set_device_lost_callback(move |_, message| {
        let reason = if message.is_empty() { "its driver was reset".to_string() } else { one_line(&message) };
        keep(&kept, GpuError::Lost { device: device_name.clone(), reason });
    });
}

/// Keeps the first failure, except that a permanent one replaces a passing one.
fn keep(failure: &Mutex<Option<GpuError>>, error: GpuError) {
    let mut kept = lock(failure);
    if kept.as_ref().is_none_or(|known| error.is_for_good() && !known.is_for_good()) {
        *kept = Some(error);
    }
}

fn lock(failure: &Mutex<Option<GpuError>>) -> MutexGuard<'_, Option<GpuError>> {
    failure.lock().unwrap_or_else(PoisonError::into_inner)
}
