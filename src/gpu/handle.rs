//! The handle of an open GPU: its memory, the cache of its kernels, and the times of its stages.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::account::MemoryUse;
use super::adapter::DeviceKind;
use super::driver::Driver;
use super::kernel::Kernel;
use super::limits::GpuLimits;
use super::memory::Memory;
use super::queue::Queue;
use super::scalar::Precision;
use super::shaders::Variant;
use super::times::Times;
use super::timestamps::Pass;
use super::traffic::Traffic;
use super::{GpuError, OpenOptions};

/// A handle to an open GPU that has passed the self-test, in one precision. Clones share the device.
#[derive(Clone)]
pub struct Gpu(Arc<Shared>, Precision);

struct Shared {
    memory: Memory,
    kernels: Mutex<HashMap<(Variant, &'static str), Arc<Kernel>>>,
    /// Result of the self-test in f64.
    f64_tested: OnceLock<Result<(), GpuError>>,
}

impl fmt::Debug for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gpu").field(&self.name()).finish()
    }
}

impl Gpu {
    pub(super) fn new(driver: Driver) -> Self {
        let shared =
            Shared { memory: Memory::new(Queue::new(driver)), kernels: Mutex::default(), f64_tested: OnceLock::new() };
        Self(Arc::new(shared), Precision::F32)
    }

    /// Returns a handle to the same device in another precision.
    pub(super) fn in_precision(&self, precision: Precision) -> Self {
        Self(self.0.clone(), precision)
    }

    pub(super) fn f64_tested(&self) -> &OnceLock<Result<(), GpuError>> {
        &self.0.f64_tested
    }

    pub(super) fn device_memory(&self) -> &Memory {
        &self.0.memory
    }

    pub(super) fn queue(&self) -> &Queue {
        self.0.memory.queue()
    }

    pub(super) fn driver(&self) -> &Driver {
        self.0.memory.driver()
    }

    pub(crate) fn options(&self) -> &OpenOptions {
        self.driver().options()
    }

    pub(super) fn times(&self) -> MutexGuard<'_, Option<Times>> {
        self.0.memory.times()
    }

    /// Returns the precision of this handle.
    pub fn precision(&self) -> Precision {
        self.1
    }

    /// Whether the device was opened with f64.
    pub fn has_f64(&self) -> bool {
        self.driver().has(wgpu::Features::SHADER_F64)
    }

    /// Returns the adapter's name.
    pub fn name(&self) -> &str {
        self.driver().name()
    }

    /// Returns the adapter's name, graphics interface, driver and driver version, for headers and logs.
    pub fn description(&self) -> &str {
        self.driver().description()
    }

    /// Returns the PCI bus id or else the name, which differs between GPUs of one machine; None for a software GPU.
    pub fn id(&self) -> Option<&str> {
        (self.kind() != DeviceKind::Software).then(|| self.driver().id())
    }

    /// Returns the kind of the device.
    pub fn kind(&self) -> DeviceKind {
        self.driver().kind()
    }

    /// Returns the limits it was opened with.
    pub fn limits(&self) -> &GpuLimits {
        self.driver().limits()
    }

    /// Returns the kernel at `entry` of a shader variant, compiled at its first use on this device.
    ///
    /// # Errors
    /// [`GpuError::Shader`] if it does not compile, [`GpuError::Limit`] if it needs more than the device grants.
    pub fn kernel(&self, variant: &Variant, entry: &'static str) -> Result<Arc<Kernel>, GpuError> {
        let variant = variant.clone().of_precision(self.precision());
        let key = (variant, entry);
        let mut kernels = self.0.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kernel) = kernels.get(&key) {
            return Ok(kernel.clone());
        }
        let kernel = Arc::new(Kernel::compile(self.queue(), &key.0, entry)?);
        kernels.insert(key, kernel.clone());
        Ok(kernel)
    }

    /// Returns the bytes of all buffers in use, including transfers and what unfinished submissions use.
    pub fn bytes_alive(&self) -> u64 {
        self.0.memory.account().alive()
    }

    /// Returns the memory planned and used since the present piece of work began.
    pub fn memory_use(&self) -> MemoryUse {
        self.0.memory.account().used()
    }

    /// Returns what has gone through the device since the present piece of work began.
    pub fn traffic(&self) -> Traffic {
        self.driver().traffic().read()
    }

    /// Starts a piece of work with at most `limit` bytes alive at a time.
    pub(crate) fn begin(&self, limit: Option<u64>) {
        self.0.memory.begin(limit);
    }

    /// Cuts work into parts that fit, and plans for them. `cut` makes parts by [`Gpu::batch`] and returns with them the bytes
    /// alive at a time. Fails by [`GpuError::LittleMemory`] if not even the smallest parts fit.
    pub(crate) fn fit<T>(&self, cut: impl Fn() -> (u64, T)) -> Result<T, GpuError> {
        self.0.memory.fit(cut)
    }

    /// Returns the bytes that batches may fill.
    pub fn memory(&self) -> u64 {
        self.0.memory.budget().memory()
    }

    /// Limits the bytes that batches may fill.
    pub fn set_memory(&self, bytes: u64) {
        self.0.memory.budget().set_memory(bytes);
    }

    /// Restores the sizes of batches and dispatches that the device was opened with.
    pub(crate) fn restore_limits(&self) {
        self.0.memory.restore_budget();
    }

    /// Returns how many items fit in a batch, if each takes `item_bytes[k]` bytes of the k-th buffer. Every buffer is within
    /// the binding limit, all together within the batch budget.
    ///
    /// # Errors
    /// [`GpuError::TooLarge`] if not even one item fits.
    pub fn batch(&self, what: &str, item_bytes: &[u64]) -> Result<usize, GpuError> {
        self.0.memory.budget().batch(self.limits().binding_bytes, what, item_bytes)
    }

    /// Cuts `count` items of `operations` floating-point operations each into ranges, one per dispatch. Each takes a fraction
    /// of a second on a slow device of this kind: Windows resets a GPU after two seconds.
    pub fn dispatches(&self, count: usize, operations: u64) -> impl Iterator<Item = Range<usize>> + use<> {
        self.0.memory.budget().dispatches(count, operations)
    }

    /// Returns the floating-point operations that a dispatch should not exceed; see [`Gpu::dispatches`].
    pub fn operations_per_dispatch(&self) -> u64 {
        self.0.memory.budget().operations()
    }

    /// Limits the floating-point operations of dispatches.
    pub(crate) fn set_operations_per_dispatch(&self, operations: u64) {
        self.0.memory.budget().set_operations(operations);
    }

    /// Waits for all that was submitted or written.
    pub(crate) fn wait(&self) -> Result<(), GpuError> {
        self.0.memory.wait()
    }

    /// Forgets errors and times of abandoned work; false if the device is gone.
    pub(crate) fn recovers(&self) -> bool {
        if let Some(times) = self.times().as_mut() {
            *times = Times::default();
        }
        // Submissions end and free their memory.
        !self.wait().is_err_and(|error| error.is_for_good()) && self.driver().forget_errors()
    }

    /// Times all later stages: by timestamps if the device has them, else by waiting after every stage.
    pub fn time_stages(&self) {
        self.times().get_or_insert_default();
    }

    /// Whether the device has timestamp queries.
    pub fn has_timestamps(&self) -> bool {
        self.driver().has(wgpu::Features::TIMESTAMP_QUERY)
    }

    /// Waits for the passes since the last call and returns their times; empty unless stages are timed.
    ///
    /// # Errors
    /// [`GpuError::Lost`], [`GpuError::Hung`] or [`GpuError::Driver`] if the device failed.
    pub fn take_times(&self) -> Result<Vec<Pass>, GpuError> {
        let times = self.times().as_mut().map(std::mem::take).unwrap_or_default();
        times.wait(&self.0.memory)
    }
}
