//! How long a device took: timestamps around the passes of every stage.

use super::fault_injection::Touch;
use super::in_flight::Held;
use super::{Buffer, Download, Gpu, GpuError};
use std::collections::BTreeMap;
use std::time::Duration;

/// Timestamps of one submission, two a pass.
#[derive(Debug)]
pub(super) struct Stamps {
    stages: Vec<&'static str>,
    queries: wgpu::QuerySet,
    ticks: Held,
    /// The same, to be fetched; two u32 a tick.
    words: Buffer<u32>,
}

/// Ticks on their way to the host.
#[derive(Debug)]
pub(super) struct Ticks {
    stages: Vec<&'static str>,
    words: Download<u32>,
}

impl Stamps {
    pub(super) fn of_pass(&self, k: usize) -> wgpu::ComputePassTimestampWrites<'_> {
        wgpu::ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: Some(2 * k as u32),
            end_of_pass_write_index: Some(2 * k as u32 + 1),
        }
    }

    /// The buffers it uses.
    pub(super) fn held(&self) -> [Held; 2] {
        [self.ticks.clone(), self.words.raw().clone()]
    }

    /// Records the writing of the ticks, after all passes.
    pub(super) fn resolve(&self, encoder: &mut wgpu::CommandEncoder) {
        encoder.resolve_query_set(&self.queries, 0..2 * self.stages.len() as u32, &self.ticks, 0);
        encoder.copy_buffer_to_buffer(&self.ticks, 0, self.words.raw(), 0, self.ticks.size());
    }
}

/// One pass, or all of a stage where the host took the time.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// What it did.
    pub stage: &'static str,
    /// When it began on the device's own clock, where that is known.
    pub start: Option<Duration>,
    /// How long it took.
    pub time: Duration,
}

/// How the time of stages is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timing {
    /// Not at all.
    None,
    /// By the device.
    Stamps,
    /// By the host, waiting after every pass.
    Waiting,
}

/// What is known of the time taken so far.
#[derive(Debug, Default)]
pub(super) struct Times {
    ticks: Vec<Ticks>,
    waited: BTreeMap<&'static str, Duration>,
}

impl Gpu {
    /// Takes the time of all that is run from now on: by timestamps where the device has them, else by waiting for every
    /// stage.
    pub fn time_stages(&self) {
        self.timed().get_or_insert_default();
    }

    /// Whether the device tells the time of its passes.
    pub fn has_timestamps(&self) -> bool {
        self.device().features().contains(wgpu::Features::TIMESTAMP_QUERY)
    }

    /// What the device took for its passes since the last call, waiting for them; empty where its time is not taken.
    ///
    /// # Errors
    /// What the driver reports.
    pub fn take_times(&self) -> Result<Vec<Pass>, GpuError> {
        let Times { ticks, waited } = self.timed().as_mut().map(std::mem::take).unwrap_or_default();
        let period = f64::from(self.queue().get_timestamp_period());
        let time = |ticks: u64| Duration::from_nanos((ticks as f64 * period) as u64);
        let mut passes: Vec<Pass> = waited.into_iter().map(|(stage, time)| Pass { stage, start: None, time }).collect();
        for Ticks { stages, words } in ticks {
            let words = words.wait()?;
            let tick = |k: usize| u64::from(words[2 * k]) | u64::from(words[2 * k + 1]) << 32;
            passes.extend(stages.into_iter().enumerate().map(|(k, stage)| {
                let (start, end) = (tick(2 * k), tick(2 * k + 1));
                Pass { stage, start: Some(time(start)), time: time(end.saturating_sub(start)) }
            }));
        }
        Ok(passes)
    }

    pub(super) fn timing(&self) -> Timing {
        match self.timed().as_ref() {
            None => Timing::None,
            Some(_) if self.has_timestamps() => Timing::Stamps,
            Some(_) => Timing::Waiting,
        }
    }

    /// Queries for the passes of a submission.
    pub(super) fn stamps(&self, stages: Vec<&'static str>) -> Result<Stamps, GpuError> {
        let count = 2 * stages.len() as u32;
        self.touch(Touch::Queries, "timestamps");
        let queries = self.device().create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("stages"),
            ty: wgpu::QueryType::Timestamp,
            count,
        });
        self.check("timestamps")?;
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let ticks = self.create("ticks", 8 * u64::from(count), usage)?;
        Ok(Stamps { stages, queries, ticks, words: self.zeros("ticks", 2 * count as usize)? })
    }

    pub(super) fn keep_stamps(&self, Stamps { stages, words, .. }: Stamps) -> Result<(), GpuError> {
        let words = words.fetch()?;
        self.timed().get_or_insert_default().ticks.push(Ticks { stages, words });
        Ok(())
    }

    pub(super) fn add_time(&self, stage: &'static str, time: Duration) {
        *self.timed().get_or_insert_default().waited.entry(stage).or_default() += time;
    }
}
