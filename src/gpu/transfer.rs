//! Copies from a buffer to the host.

use super::GpuError;
use super::commands::Copy;
use super::content::Content;
use super::held::Held;
use super::landing::{Fetch, State};
use super::memory::Memory;
use super::touch::{Fault, Touch};

impl Fetch {
    /// Copies a buffer to the host, after the commands before.
    pub fn start(memory: &Memory, label: &str, from: &Held) -> Result<Self, GpuError> {
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = memory.create("download", from.size(), usage, Content::Any)?;
        memory.driver().traffic().add_download(from.size());
        let (fetch, landing) = Self::of(label, staging.clone());
        memory.copy(Copy { label: label.to_string(), from: from.clone(), to: staging, landing: Some(landing) });
        Ok(fetch)
    }

    /// Waits for the copy, not for later submissions, and hands its bytes to `read`.
    pub fn wait<T>(self, memory: &Memory, read: impl FnOnce(&[u8]) -> T) -> Result<T, GpuError> {
        let landed = self.land(memory)?;
        let out = read(landed.bytes());
        memory.driver().check(&landed.fetch.label)?;
        Ok(out)
    }

    /// Waits for the copy, not for later submissions, and leaves its bytes where they are.
    pub fn land(self, memory: &Memory) -> Result<Landed, GpuError> {
        if matches!(*self.landing.state(), State::Recorded) {
            memory.flush()?;
        }
        let driver = memory.driver();
        let failed = |why: &str| driver.report(format!("downloading `{}`: {why}", self.label));
        let State::Mapping(ticket, mapped) = std::mem::replace(&mut *self.landing.state(), State::Left) else {
            return Err(failed("it was not submitted"));
        };
        let waited = memory.queue().wait_for(ticket);
        // Whatever becomes of it, the buffer is not in the way of the next.
        let answer = mapped.try_recv();
        *self.landing.state() = match answer {
            Ok(Err(_)) => State::Left,
            _ => State::Mapping(ticket, mapped),
        };
        waited?;
        match answer {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(failed(&error.to_string())),
            Err(_) => return Err(failed("the driver never answered")),
        }
        let fault = driver.touch(Touch::Read, &self.label);
        let view = self.staging.get_mapped_range(..).map_err(|error| failed(&error.to_string()))?;
        let wrong = (fault == Some(Fault::Wrong)).then(|| view.iter().map(|byte| byte ^ 0x55).collect());
        driver.check(&self.label)?;
        Ok(Landed { view, wrong, fetch: self })
    }
}

/// Bytes of a device in memory that the host reads.
#[derive(Debug)]
pub(super) struct Landed {
    /// Dropped before its buffer is unmapped.
    view: wgpu::BufferView,
    /// Other bytes, by fault injection.
    wrong: Option<Vec<u8>>,
    fetch: Fetch,
}

impl Landed {
    pub fn bytes(&self) -> &[u8] {
        self.wrong.as_deref().unwrap_or(&self.view)
    }
}
