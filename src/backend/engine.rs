//! The backend of a run: a device, the stages that the CPU runs in its stead, and their times.

use super::error::Result;
use super::streak::Streak;
use super::{EngineError, Stage};
use crate::base::cancel::CancelToken;
use crate::base::trace::Trace;
use crate::gpu::fault_injection::Faults;
use crate::gpu::spot_kinds::bytes_served;
use crate::gpu::{Device, DeviceChoice, Gpu, OpenOptions, Precision};
use crate::psf::Psf;
use crate::stages::spots::SpotModel;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A device that runs the stages, with the CPU beside it.
#[derive(Debug, Default)]
pub struct Engine {
    /// Replaced if the device is lost and reopened.
    gpu: Mutex<Option<Gpu>>,
    /// Whether the device was chosen automatically.
    auto: bool,
    pub(super) streak: Streak,
    /// Stages that the CPU runs although there is a GPU, as requested.
    asked_on_cpu: BTreeSet<Stage>,
    /// These, and those that a fallback moved to the CPU.
    on_cpu: Mutex<BTreeSet<Stage>>,
    pub(super) times: Arc<Mutex<BTreeMap<Stage, Duration>>>,
    pub(super) exact_times: bool,
    most_patches: Option<usize>,
    cancel: CancelToken,
    pub(super) trace: Option<Arc<Trace>>,
    /// Fault injection of the first GPU.
    faults: Faults,
}

impl Engine {
    /// Returns the CPU: f64, all threads of the current rayon pool.
    pub fn cpu() -> Self {
        Self::default()
    }

    /// Opens a device. The stages in `on_cpu` run on the CPU in f64 even if it is a GPU: one switch per stage finds the
    /// wrong kernel.
    ///
    /// # Errors
    /// [`crate::gpu::GpuError::NoSuchDevice`] if there is none, [`crate::gpu::GpuError::Refused`] if it fails the self-test.
    pub fn open(choice: &DeviceChoice, options: &OpenOptions, on_cpu: &[Stage]) -> Result<Self> {
        Ok(match Device::open(choice, options)? {
            Device::Cpu => Self::cpu(),
            Device::Gpu(gpu) if *choice == DeviceChoice::Auto => Self::on_gpu(gpu, on_cpu).unasked(),
            Device::Gpu(gpu) => Self::on_gpu(gpu, on_cpu),
        })
    }

    /// Wraps an open GPU; the stages in `on_cpu` run on the CPU.
    pub fn on_gpu(gpu: Gpu, on_cpu: &[Stage]) -> Self {
        let asked_on_cpu: BTreeSet<Stage> = on_cpu.iter().copied().collect();
        let faults = gpu.options().faults.clone();
        Self {
            gpu: Mutex::new(Some(gpu)),
            on_cpu: Mutex::new(asked_on_cpu.clone()),
            asked_on_cpu,
            faults,
            ..Self::default()
        }
    }

    /// Marks the device as chosen automatically: if its memory limit is too small, the CPU serves.
    pub fn unasked(self) -> Self {
        Self { auto: true, ..self }
    }

    /// Limits batches to `patches` patches, or bundles in bands on a GPU. Results do not depend on it; memory and speed do.
    pub fn with_batches_of(self, patches: usize) -> Self {
        Self { most_patches: Some(patches.max(1)), ..self }
    }

    /// Makes [`Engine::take_times`] report the device time of each stage: by timestamps, or by waiting after every stage on a
    /// device without them. Otherwise a stage's time on a GPU is that of its submission.
    pub fn with_exact_times(self) -> Self {
        if let Some(gpu) = self.gpu() {
            gpu.time_stages();
        }
        Self { exact_times: true, ..self }
    }

    /// Makes stages end with [`EngineError::Cancelled`] once `cancel` is set.
    pub fn with_cancel(self, cancel: CancelToken) -> Self {
        Self { cancel, ..self }
    }

    /// Fails once cancellation was requested.
    ///
    /// # Errors
    /// [`EngineError::Cancelled`].
    pub fn check_cancel(&self) -> Result<()> {
        if self.cancel.is_cancelled() { Err(EngineError::Cancelled) } else { Ok(()) }
    }

    /// Records in `trace` which stage runs when and on which thread, and on a GPU with timestamps its device time.
    pub fn with_trace(self, trace: Arc<Trace>) -> Self {
        let traced = Self { trace: Some(trace), ..self };
        // Waiting for every stage would change the picture.
        if traced.gpu().as_ref().is_some_and(Gpu::has_timestamps) { traced.with_exact_times() } else { traced }
    }

    /// Records in `trace` what runs when on which thread of the host alone, which costs a device nothing.
    pub fn with_host_trace(self, trace: Arc<Trace>) -> Self {
        Self { trace: Some(trace), ..self }
    }

    /// Runs `work` as a region of the trace, if there is one.
    pub fn region<T>(&self, name: impl FnOnce() -> String, work: impl FnOnce() -> T) -> T {
        match &self.trace {
            Some(trace) => trace.region(name(), work),
            None => work(),
        }
    }

    /// Whether a GPU runs any stage.
    pub fn is_gpu(&self) -> bool {
        Stage::ALL.into_iter().any(|stage| self.on(stage).is_some())
    }

    /// Whether a GPU makes the spots of a PSF itself; true where none is to.
    pub fn serves_spots(&self, psf: &Psf, with_tails: bool) -> bool {
        let model = || SpotModel::new(psf, with_tails);
        self.on(Stage::Spots).is_none_or(|gpu| bytes_served(&gpu, &model()).is_some())
    }

    /// Describes the device, for headers and logs.
    pub fn device(&self) -> String {
        match self.gpu() {
            Some(gpu) if self.is_gpu() => gpu.description().to_string(),
            _ => format!("CPU f64, {}", crate::gpu::instruction_set()),
        }
    }

    /// The precision of its stages.
    pub fn precision(&self) -> Precision {
        self.gpu().filter(|_| self.is_gpu()).map_or(Precision::F64, |gpu| gpu.precision())
    }

    /// Whether stages compute in f32 on a device that has f64.
    pub fn has_finer(&self) -> bool {
        self.precision() == Precision::F32 && self.gpu().is_some_and(|gpu| gpu.has_f64())
    }

    /// Returns the same device in f64; its times are counted with this engine's.
    ///
    /// # Errors
    /// [`crate::gpu::GpuError::NoF64`] if the device has none, [`crate::gpu::GpuError::Refused`] if it fails the self-test in f64.
    pub fn in_f64(&self) -> Result<Self> {
        let fine = self.gpu().filter(|_| self.is_gpu()).map(|gpu| gpu.with_f64()).transpose()?;
        Ok(Self {
            gpu: Mutex::new(fine),
            auto: self.auto,
            streak: Streak::default(),
            asked_on_cpu: self.asked_on_cpu.clone(),
            on_cpu: Mutex::new(self.asked_on_cpu.clone()),
            times: self.times.clone(),
            exact_times: self.exact_times,
            most_patches: self.most_patches,
            cancel: self.cancel.clone(),
            trace: self.trace.clone(),
            faults: self.faults.clone(),
        })
    }

    /// Returns the CPU with this engine's trace, times and cancellation.
    pub fn cpu_instead(&self) -> Self {
        Self {
            times: self.times.clone(),
            cancel: self.cancel.clone(),
            trace: self.trace.clone(),
            faults: self.faults.clone(),
            ..Self::cpu()
        }
    }

    /// Identifies the GPU of this machine by its PCI bus id or name; None for the CPU and for a software GPU.
    pub fn gpu_id(&self) -> Option<String> {
        self.gpu().filter(|_| self.is_gpu()).and_then(|gpu| gpu.id().map(Into::into))
    }

    /// Returns the name of the reason for which fault injection lets every bundle fail.
    pub(crate) fn injected_reason(&self) -> Option<String> {
        self.faults.unserved()
    }

    /// Lets the CPU run `stages` besides those requested.
    pub(crate) fn set_fallback_stages(&self, stages: &BTreeSet<Stage>) {
        *lock(&self.on_cpu) = self.asked_on_cpu.union(stages).copied().collect();
    }

    pub(super) fn most_patches(&self) -> usize {
        self.most_patches.unwrap_or(usize::MAX)
    }

    pub(super) fn is_auto(&self) -> bool {
        self.auto
    }

    pub(super) fn is_all_on_gpu(&self) -> bool {
        lock(&self.on_cpu).is_empty()
    }

    /// The GPU, if there is one.
    pub(super) fn gpu(&self) -> Option<Gpu> {
        lock(&self.gpu).clone()
    }

    /// The GPU, whichever stages it runs, for measurements of the device itself.
    pub(crate) fn bare_gpu(&self) -> Option<Gpu> {
        self.gpu()
    }

    pub(super) fn replace_gpu(&self, gpu: Option<Gpu>) {
        *lock(&self.gpu) = gpu;
    }

    /// The GPU, if it runs this stage.
    pub(super) fn on(&self, stage: Stage) -> Option<Gpu> {
        self.gpu().filter(|_| !lock(&self.on_cpu).contains(&stage))
    }
}

/// Locks a mutex; a panic elsewhere leaves nothing half-written in what these guard.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
