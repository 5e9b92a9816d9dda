//! Timestamp queries around the passes of every stage, and the times read from them.

use std::time::Duration;

use super::GpuError;
use super::content::Content;
use super::held::Held;
use super::landing::Fetch;
use super::memory::Memory;
use super::queue::Ticket;
use super::times::{Ticks, Times};
use super::touch::Touch;

/// One compute pass, or all passes of a stage if the host measured them.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// Its stage.
    pub stage: &'static str,
    /// Its start on the device's own clock, if known.
    pub start: Option<Duration>,
    /// Its duration.
    pub time: Duration,
}

/// How stages are timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timing {
    /// Not at all.
    None,
    /// By the device's timestamps.
    Stamps,
    /// By the host, which waits after every pass.
    Waiting,
}

/// Timestamp queries of one submission, two per pass.
pub(super) struct Stamps {
    stages: Vec<&'static str>,
    queries: wgpu::QuerySet,
    ticks: Held,
    /// A copy of `ticks` that the host reads.
    words: Held,
}

impl Stamps {
    pub fn new(memory: &Memory, stages: Vec<&'static str>) -> Result<Self, GpuError> {
        let driver = memory.driver();
        let count = 2 * stages.len() as u32;
        driver.touch(Touch::Queries, "timestamps");
        let queries = driver.device().create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("stages"),
            ty: wgpu::QueryType::Timestamp,
            count,
        });
        driver.check("timestamps")?;
        let bytes = 8 * u64::from(count);
        let create = |usage| memory.create("ticks", bytes, usage, Content::Any);
        let ticks = create(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC)?;
        let words = create(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST)?;
        Ok(Self { stages, queries, ticks, words })
    }

    pub fn of_pass(&self, k: usize) -> wgpu::ComputePassTimestampWrites<'_> {
        wgpu::ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: Some(2 * k as u32),
            end_of_pass_write_index: Some(2 * k as u32 + 1),
        }
    }

    /// Returns the buffers it uses.
    pub fn held(&self) -> [Held; 2] {
        [self.ticks.clone(), self.words.clone()]
    }

    /// Records the writing of the ticks, after all passes.
    pub fn resolve(&self, encoder: &mut wgpu::CommandEncoder) {
        encoder.resolve_query_set(&self.queries, 0..2 * self.stages.len() as u32, &self.ticks, 0);
        encoder.copy_buffer_to_buffer(&self.ticks, 0, &self.words, 0, self.ticks.size());
    }

    /// Begins to map the ticks of the submission `ticket`.
    pub fn land(self, memory: &Memory, ticket: Ticket) -> Result<Ticks, GpuError> {
        let (fetch, landing) = Fetch::of("ticks", self.words.clone());
        landing.map(memory.driver(), "ticks", &self.words, ticket)?;
        Ok((self.stages, fetch))
    }
}

impl Times {
    /// Waits for the timestamps and returns all passes.
    pub fn wait(self, memory: &Memory) -> Result<Vec<Pass>, GpuError> {
        let period = f64::from(memory.driver().queue().get_timestamp_period());
        let time = |ticks: u64| Duration::from_nanos((ticks as f64 * period) as u64);
        let waited = self.waited.into_iter();
        let mut passes: Vec<Pass> = waited.map(|(stage, time)| Pass { stage, start: None, time }).collect();
        for (stages, words) in self.fetched {
            let mut ticks = vec![[0u64; 2]; stages.len()];
            words.wait(memory, |bytes| {
                let ticks: &mut [u8] = bytemuck::cast_slice_mut(&mut ticks);
                ticks.copy_from_slice(&bytes[..ticks.len()]);
            })?;
            passes.extend(stages.into_iter().zip(ticks).map(|(stage, [start, end])| Pass {
                stage,
                start: Some(time(start)),
                time: time(end.saturating_sub(start)),
            }));
        }
        Ok(passes)
    }
}
