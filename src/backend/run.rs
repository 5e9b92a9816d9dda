//! One stage at a time: on the device or on the CPU, timed and traced.

use super::engine::lock;
use super::error::Result;
use super::{Engine, EngineError, Stage};
use crate::base::trace::Moment;
use crate::gpu::{Gpu, GpuError, Reals};
use std::time::{Duration, Instant};

impl Engine {
    /// Returns the time spent in each stage since the last call.
    ///
    /// # Errors
    /// [`EngineError::Gpu`] if timestamps cannot be read.
    pub fn take_times(&self) -> Result<Vec<(Stage, Duration)>> {
        let mut times = std::mem::take(&mut *lock(&self.times));
        let on_gpu = self.gpu().as_ref().map(Gpu::take_times).transpose()?.unwrap_or_default();
        for pass in &on_gpu {
            if let Some(stage) = Stage::from_name(pass.stage) {
                *times.entry(stage).or_default() += pass.time;
            }
        }
        if let Some(trace) = &self.trace {
            let timed = on_gpu.iter().filter_map(|pass| Some((pass.stage, pass.start?, pass.time)));
            trace.add_device("GPU", Instant::now(), timed);
            if let Some(traffic) = self.traffic() {
                trace.count("GPU", &traffic.named());
            }
        }
        Ok(times.into_iter().collect())
    }

    /// Runs `work` on the CPU and counts its time as `stage`.
    pub(crate) fn timed<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let start = self.now();
        let result = work();
        self.add_time(stage, start, true);
        result
    }

    /// Returns the present moment, of which a trace may want the processor time, too.
    fn now(&self) -> (Instant, Option<Moment>) {
        (Instant::now(), self.trace.as_ref().map(|trace| trace.now()))
    }

    /// Counts the time since `start` as `stage`, and records it in the trace.
    fn add_time(&self, stage: Stage, (start, moment): (Instant, Option<Moment>), counts: bool) {
        let elapsed = match (&self.trace, moment) {
            (Some(trace), Some(moment)) => trace.add(stage.name(), moment).since(&moment),
            _ => start.elapsed(),
        };
        if counts {
            *lock(&self.times).entry(stage).or_default() += elapsed;
        }
    }

    /// Runs one stage on the GPU if it belongs there, else on the CPU.
    ///
    /// # Errors
    /// [`EngineError::StageLimit`] if the stage is beyond the GPU's limits, else the stage's own.
    pub(super) fn run<T>(
        &self,
        stage: Stage,
        on_gpu: impl FnOnce(&Gpu) -> Result<T>,
        on_cpu: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        self.check_cancel()?;
        let start = self.now();
        let result = match self.on(stage).map(|gpu| on_gpu(&gpu)) {
            None => on_cpu(),
            Some(Err(EngineError::Gpu(source @ (GpuError::Limit { .. } | GpuError::TooLarge { .. })))) => {
                return Err(EngineError::StageLimit { stage, source });
            }
            Some(result) => result,
        };
        // On a GPU timestamp queries report the time of the stage later.
        self.add_time(stage, start, !(self.exact_times && self.on(stage).is_some()));
        result
    }

    /// Empties the stage times, as those of a failed attempt.
    pub(super) fn clear_times(&self) {
        lock(&self.times).clear();
    }
}

/// Makes the outputs of a stage on a GPU wrong if fault injection requests it.
pub(super) fn corrupt(gpu: &Gpu, stage: Stage, outputs: &[&Reals]) -> Result<()> {
    Ok(outputs.iter().try_for_each(|output| gpu.corrupt_stage_output(stage.name(), output))?)
}
