//! The engine: one method a stage. A solver does not know whether it drives the CPU or a GPU.

mod banded;
mod cpu;
mod field;
mod fields;
mod gpu;
mod memory;
mod retry;
mod stage;

pub use banded::BandedBundles;
pub use field::{CcdField, Field};
pub use fields::{
    BundleSpots, BundleTraces, Decorrelate, DecorrelatedField, ModesField, NormalField, PatchFailure, PatchResults,
    PatchStatus,
};
pub use memory::TraceBytes;
pub use retry::Again;
pub use stage::Stage;

use crate::base::cancel::CancelToken;
use crate::base::trace::Trace;
use crate::geometry::Ccd;
use crate::gpu::banded::Accuracy;
use crate::gpu::{Device, DeviceChoice, Gpu, GpuError, OpenOptions, Precision};
use crate::plan::Batch;
use crate::psf::Psf;
use crate::stages::goodness::Goodness;
use crate::stages::normal_equations::Prior;
use retry::Streak;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Why a stage could not run. Single patches that fail do not come here: see [`PatchStatus`].
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The GPU.
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// An end was asked for: see [`Engine::with_stop`].
    #[error("stopped")]
    Stopped,
}

impl EngineError {
    /// The GPU's failure, where it is one, in place of what the GPU was given.
    pub fn of_device(&self) -> Option<&GpuError> {
        match self {
            Self::Gpu(error) if error.is_of_device() => Some(error),
            _ => None,
        }
    }
}

type Result<T> = std::result::Result<T, EngineError>;

/// A device that carries out the stages.
#[derive(Debug, Default)]
pub struct Engine {
    /// Another one where it was lost and opened again.
    gpu: Mutex<Option<Gpu>>,
    /// Whether nobody asked for this device by name.
    auto: bool,
    streak: Streak,
    /// Stages that the CPU shall do although there is a GPU.
    asked_on_cpu: BTreeSet<Stage>,
    /// These, and those beyond the GPU's limits in this piece of work.
    on_cpu: Mutex<BTreeSet<Stage>>,
    times: Arc<Mutex<BTreeMap<Stage, Duration>>>,
    exact_times: bool,
    most_patches: Option<usize>,
    stop: CancelToken,
    trace: Option<Arc<Trace>>,
}

/// Host memory a batch may take, bytes: some hundred patches, enough to keep all threads busy.
const HOST_BATCH_BYTES: usize = 256 << 20;

impl Engine {
    /// The CPU: f64, all threads of the current rayon pool.
    pub fn cpu() -> Self {
        Self::default()
    }

    /// Opens a device. The stages in `on_cpu` run on the CPU in f64 even where it is a GPU: one switch a stage finds
    /// the wrong kernel.
    ///
    /// # Errors
    /// There is no such device, or it is refused.
    pub fn open(choice: &DeviceChoice, options: &OpenOptions, on_cpu: &[Stage]) -> Result<Self> {
        Ok(match Device::open(choice, options)? {
            Device::Cpu => Self::cpu(),
            Device::Gpu(gpu) if *choice == DeviceChoice::Auto => Self::on_gpu(gpu, on_cpu).unasked(),
            Device::Gpu(gpu) => Self::on_gpu(gpu, on_cpu),
        })
    }

    /// A GPU that is open; the stages in `on_cpu` run on the CPU.
    pub fn on_gpu(gpu: Gpu, on_cpu: &[Stage]) -> Self {
        let asked_on_cpu: BTreeSet<Stage> = on_cpu.iter().copied().collect();
        Self { gpu: Mutex::new(Some(gpu)), on_cpu: Mutex::new(asked_on_cpu.clone()), asked_on_cpu, ..Self::default() }
    }

    /// The same, of a device that nobody asked for by name: where the memory it may give is too little, the CPU serves.
    pub fn unasked(self) -> Self {
        Self { auto: true, ..self }
    }

    /// The same with batches of at most `patches`, or bundles in bands on a GPU: results do not depend on it, memory and speed do.
    pub fn with_batches_of(self, patches: usize) -> Self {
        Self { most_patches: Some(patches.max(1)), ..self }
    }

    /// The same, so that [`Engine::take_times`] tells what each stage took on a GPU: by its timestamps, or, where it has
    /// none, by waiting for it after every stage. Else a stage's time there is that of handing it over, and the stage that
    /// fetches results waits for all before it.
    pub fn with_exact_times(self) -> Self {
        if let Some(gpu) = self.gpu() {
            gpu.time_stages();
        }
        Self { exact_times: true, ..self }
    }

    /// The same, ending with [`EngineError::Stopped`] at the first stage after `stop` has been asked for.
    pub fn with_stop(self, stop: CancelToken) -> Self {
        Self { stop, ..self }
    }

    /// Whether no end was asked for.
    ///
    /// # Errors
    /// [`EngineError::Stopped`].
    pub fn goes_on(&self) -> Result<()> {
        if self.stop.is_cancelled() { Err(EngineError::Stopped) } else { Ok(()) }
    }

    /// The same, noting in `trace` what it does when and on which thread, and on a GPU that tells the time.
    pub fn with_trace(self, trace: Arc<Trace>) -> Self {
        let traced = Self { trace: Some(trace), ..self };
        // Waiting for every stage would change what is to be seen.
        if traced.gpu().as_ref().is_some_and(Gpu::has_timestamps) { traced.with_exact_times() } else { traced }
    }

    /// Does `work` as a region of the trace, where there is one.
    pub fn region<T>(&self, name: impl FnOnce() -> String, work: impl FnOnce() -> T) -> T {
        match &self.trace {
            Some(trace) => trace.region(name(), work),
            None => work(),
        }
    }

    /// Whether a GPU carries out any stage.
    pub fn is_gpu(&self) -> bool {
        Stage::ALL.into_iter().any(|stage| self.on(stage).is_some())
    }

    /// The device in words, for headers and logs.
    pub fn device(&self) -> String {
        match self.gpu() {
            Some(gpu) if self.is_gpu() => gpu.description().to_string(),
            _ => format!("CPU f64, {}", crate::gpu::instruction_set()),
        }
    }

    /// What its stages compute in.
    pub fn precision(&self) -> Precision {
        self.gpu().filter(|_| self.is_gpu()).map_or(Precision::F64, |gpu| gpu.precision())
    }

    /// Whether [`Engine::in_f64`] would compute otherwise than this one, and the device has f64.
    pub fn has_finer(&self) -> bool {
        self.precision() == Precision::F32 && self.gpu().is_some_and(|gpu| gpu.has_f64())
    }

    /// The same device in f64; what it does counts as this one's time.
    ///
    /// # Errors
    /// It has none, or computes wrongly in it.
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
            stop: self.stop.clone(),
            trace: self.trace.clone(),
        })
    }

    /// Which GPU of this machine it is, by its PCI bus id or name; None for the CPU and for a GPU in software.
    pub fn gpu_id(&self) -> Option<String> {
        self.gpu().filter(|_| self.is_gpu()).and_then(|gpu| gpu.id().map(Into::into))
    }

    /// How many patches like those of `batch` to take at once. Where not even one fits, its stages will say so.
    pub fn batch_size(&self, batch: &Batch, how: Decorrelate) -> usize {
        let (matrices, n) = match how {
            Decorrelate::Signal => (batch.core.len(), batch.nbin),
            Decorrelate::Noise => (1, batch.n()),
        };
        let on_host = HOST_BATCH_BYTES / (8 * (batch.band_len() + 2 * matrices * n * n));
        let on_device = self.gpu().map_or(Ok(usize::MAX), |gpu| gpu::batch_size(&gpu, batch, how)).unwrap_or(1);
        on_host.min(on_device).clamp(1, self.most_patches.unwrap_or(usize::MAX))
    }

    /// How many bins of a bundle's spots may be asked for at once. Where not even one fits, [`Engine::spots`] will say so.
    pub fn most_spot_bins(&self, traces: &BundleTraces) -> usize {
        self.gpu().map_or(Ok(usize::MAX), |gpu| gpu::most_spot_bins(&gpu, traces)).unwrap_or(1)
    }

    /// Time spent in each stage since the last call.
    ///
    /// # Errors
    /// See [`Engine::traces`].
    pub fn take_times(&self) -> Result<Vec<(Stage, Duration)>> {
        let mut times = std::mem::take(&mut *lock(&self.times));
        let on_gpu = self.gpu().as_ref().map(Gpu::take_times).transpose()?.unwrap_or_default();
        for pass in &on_gpu {
            if let Some(stage) = Stage::ALL.into_iter().find(|stage| stage.name() == pass.stage) {
                *times.entry(stage).or_default() += pass.time;
            }
        }
        if let Some(trace) = &self.trace {
            let timed = on_gpu.iter().filter_map(|pass| Some((pass.stage, pass.start?, pass.time)));
            trace.add_device("GPU", Instant::now(), timed);
        }
        Ok(times.into_iter().collect())
    }

    /// Carries out `work` on the CPU and counts its time as `stage`.
    pub fn timed<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        self.took(stage, start, true);
        result
    }

    /// Counts the time since `start` as `stage`, and notes it in the trace.
    fn took(&self, stage: Stage, start: Instant, counts: bool) {
        let end = Instant::now();
        if counts {
            *lock(&self.times).entry(stage).or_default() += end - start;
        }
        if let Some(trace) = &self.trace {
            trace.add(stage.name(), start, end);
        }
    }

    fn is_all_on_gpu(&self) -> bool {
        lock(&self.on_cpu).is_empty()
    }

    /// The GPU, where there is one.
    fn gpu(&self) -> Option<Gpu> {
        lock(&self.gpu).clone()
    }

    /// The GPU, if it does this stage.
    fn on(&self, stage: Stage) -> Option<Gpu> {
        self.gpu().filter(|_| !lock(&self.on_cpu).contains(&stage))
    }

    /// The GPU for the banded solver's bundles; None where any of their stages is on the CPU.
    ///
    /// # Errors
    /// What the device reports.
    pub fn banded(&self, accuracy: Accuracy) -> Result<Option<BandedBundles>> {
        let most = self.most_patches.unwrap_or(usize::MAX);
        self.banded_gpu().map(|gpu| BandedBundles::new(gpu, accuracy, most)).transpose()
    }

    /// Whether a GPU carries out all of the banded solver's stages.
    pub fn is_banded_on_gpu(&self) -> bool {
        self.banded_gpu().is_some()
    }

    fn banded_gpu(&self) -> Option<Gpu> {
        let stages = [
            Stage::Traces,
            Stage::Spots,
            Stage::NormalEquations,
            Stage::Schur,
            Stage::Decorrelate,
            Stage::Model,
            Stage::Goodness,
        ];
        self.gpu().filter(|_| stages.into_iter().all(|stage| self.on(stage).is_some()))
    }

    /// Runs one stage where it belongs. What is beyond a GPU's limits, the CPU does until [`Engine::begin`].
    fn run<T>(
        &self,
        stage: Stage,
        on_gpu: impl FnOnce(&Gpu) -> Result<T>,
        on_cpu: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        self.goes_on()?;
        let start = Instant::now();
        let result = match self.on(stage).map(|gpu| on_gpu(&gpu)) {
            None => on_cpu(),
            Some(Err(EngineError::Gpu(limit @ (GpuError::Limit { .. } | GpuError::TooLarge { .. })))) => {
                tracing::warn!("the CPU does {}: {limit}", stage.name());
                lock(&self.on_cpu).insert(stage);
                on_cpu()
            }
            Some(result) => result,
        };
        // What a stage took on a GPU its timestamps tell later.
        self.took(stage, start, !(self.exact_times && self.on(stage).is_some()));
        result
    }

    /// A frame's CCD, for the stages to read.
    pub fn load<'a>(&self, ccd: &'a Ccd<'a>) -> CcdField<'a> {
        CcdField::new(ccd)
    }

    /// Traces and spot shapes of `fibres` at `wave` (Angstrom).
    ///
    /// # Errors
    /// As all stages: what the device reports.
    pub fn traces(&self, psf: &Psf, fibres: Range<usize>, wave: &[f64], with_tails: bool) -> Result<BundleTraces> {
        let on_gpu = |gpu: &Gpu| gpu::traces(gpu, psf, fibres.clone(), wave, with_tails);
        self.run(Stage::Traces, on_gpu, || Ok(cpu::traces(psf, fibres.clone(), wave, with_tails)))
    }

    /// Spots of the bins `bins`, `[nfibre, bins, ny, nx]`.
    ///
    /// # Errors
    /// See [`Engine::traces`].
    pub fn spots(&self, traces: &BundleTraces, bins: Range<usize>) -> Result<BundleSpots> {
        let on_gpu = |gpu: &Gpu| gpu::spots(gpu, traces, bins.clone());
        let spots = self.run(Stage::Spots, on_gpu, || cpu::spots(traces, bins.clone()))?;
        Ok(BundleSpots::new(traces, bins, spots))
    }

    /// K + prior and y of a batch.
    ///
    /// # Errors
    /// See [`Engine::traces`].
    pub fn normal_equations(
        &self,
        batch: &Batch,
        ccd: &CcdField,
        traces: &BundleTraces,
        spots: &BundleSpots,
        prior: Prior,
    ) -> Result<NormalField> {
        let on_gpu = |gpu: &Gpu| gpu::normal_equations(gpu, batch, ccd, traces, spots, prior);
        self.run(Stage::NormalEquations, on_gpu, || cpu::normal_equations(batch, ccd, traces, spots, prior))
    }

    /// Deconvolved flux x = K^-1 y, `[patch, n]`, electron a bin.
    ///
    /// # Errors
    /// See [`Engine::traces`].
    pub fn solve(&self, batch: &Batch, normal: &NormalField) -> Result<(Field, PatchStatus)> {
        self.run(Stage::Cholesky, |gpu| gpu::solve(gpu, batch, normal), || cpu::solve(batch, normal))
    }

    /// S_f of every core fibre, `[patch, core fibre, nbin, nbin]`.
    ///
    /// # Errors
    /// See [`Engine::traces`].
    pub fn schur(&self, batch: &Batch, normal: &NormalField) -> Result<(Field, PatchStatus)> {
        self.run(Stage::Schur, |gpu| gpu::schur(gpu, batch, normal), || cpu::schur(batch, normal))
    }

    /// K of every patch as full symmetric matrices, `[patch, n, n]`, for [`Decorrelate::Noise`]; where jacobi runs.
    ///
    /// # Errors
    /// See [`Engine::traces`].
    pub fn full_matrix(&self, batch: &Batch, normal: &NormalField) -> Result<Field> {
        let on_gpu = |gpu: &Gpu| gpu::full_matrix(gpu, batch, normal);
        self.run(Stage::Jacobi, on_gpu, || cpu::full_matrix(batch, normal))
    }

    /// Eigenmodes of symmetric matrices `[n, n]`, equally many a patch.
    ///
    /// # Errors
    /// See [`Engine::traces`].
    pub fn jacobi(&self, batch: &Batch, matrices: &Field, n: usize) -> Result<(ModesField, PatchStatus)> {
        self.run(Stage::Jacobi, |gpu| gpu::jacobi(gpu, batch, matrices, n), || cpu::jacobi(batch, matrices, n))
    }

    /// Flux, ivar and resolution of the core fibres; R's rows `half` bins to each side.
    ///
    /// # Errors
    /// See [`Engine::traces`].
    pub fn decorrelate(
        &self,
        batch: &Batch,
        how: Decorrelate,
        modes: &ModesField,
        x: &Field,
        half: usize,
    ) -> Result<DecorrelatedField> {
        let on_gpu = |gpu: &Gpu| gpu::decorrelate(gpu, batch, modes, x, half);
        self.run(Stage::Decorrelate, on_gpu, || cpu::decorrelate(batch, how, modes, x, half))
    }

    /// Model images A x, one patch after another, each `[ny, nx]` of its patch.
    ///
    /// # Errors
    /// See [`Engine::traces`].
    pub fn model(&self, batch: &Batch, traces: &BundleTraces, spots: &BundleSpots, x: &Field) -> Result<Field> {
        let on_gpu = |gpu: &Gpu| gpu::model(gpu, batch, traces, spots, x);
        self.run(Stage::Model, on_gpu, || cpu::model(batch, traces, spots, x))
    }

    /// Goodness of the core bins, `[patch, core fibre, core bin]` (core bins of that patch).
    ///
    /// # Errors
    /// See [`Engine::traces`].
    pub fn goodness(
        &self,
        batch: &Batch,
        ccd: &CcdField,
        traces: &BundleTraces,
        spots: &BundleSpots,
        model: &Field,
        psferr: f64,
    ) -> Result<Vec<Vec<Goodness>>> {
        let on_gpu = |gpu: &Gpu| gpu::goodness(gpu, batch, ccd, traces, spots, model, psferr);
        self.run(Stage::Goodness, on_gpu, || cpu::goodness(batch, ccd, traces, spots, model, psferr))
    }
}

/// A panic elsewhere leaves nothing half-written in what these guard.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
