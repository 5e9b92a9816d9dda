//! Copies between buffers, and from a buffer to the host.

use std::sync::mpsc;

use super::GpuError;
use super::held::Held;
use super::memory::{Content, Memory};
use super::queue::Ticket;
use super::touch::{Fault, Touch};

/// Copies all of `from` to `to` after the submissions before.
pub(super) fn copy(memory: &Memory, label: &str, from: &Held, to: &Held) -> Result<Ticket, GpuError> {
    let _commands = memory.commands();
    let mut encoder = memory.driver().device().create_command_encoder(&Default::default());
    memory.pool().record_clears(&mut encoder);
    encoder.copy_buffer_to_buffer(from, 0, to, 0, from.size());
    memory.queue().submit(label, Some(encoder.finish()), [from.clone(), to.clone()])
}

/// A copy of a buffer in flight to the host.
#[derive(Debug)]
pub(super) struct Fetch {
    label: String,
    staging: Held,
    ticket: Ticket,
    mapped: mpsc::Receiver<Result<(), wgpu::BufferAsyncError>>,
    /// Whether the mapping has failed.
    failed: bool,
}

impl Fetch {
    /// Starts to copy a buffer to the host, after the submissions before.
    pub fn start(memory: &Memory, label: &str, from: &Held) -> Result<Self, GpuError> {
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = memory.create("download", from.size(), usage, Content::Any)?;
        let ticket = copy(memory, label, from, &staging)?;
        memory.driver().traffic().add_download(from.size());
        let (sender, mapped) = mpsc::channel();
        memory.driver().touch(Touch::Map, label);
        // A send fails only if the fetch was dropped.
        staging.map_async(wgpu::MapMode::Read, .., move |result| drop(sender.send(result)));
        let fetch = Self { label: label.to_string(), staging, ticket, mapped, failed: false };
        memory.driver().check(label)?;
        Ok(fetch)
    }

    /// Waits for the copy, not for later submissions, and hands its bytes to `read`.
    pub fn wait<T>(mut self, memory: &Memory, read: impl FnOnce(&[u8]) -> T) -> Result<T, GpuError> {
        memory.queue().wait_for(self.ticket)?;
        let driver = memory.driver();
        let failed = |label: &str, why: &str| driver.report(format!("downloading `{label}`: {why}"));
        match self.mapped.try_recv() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                self.failed = true;
                return Err(failed(&self.label, &error.to_string()));
            }
            Err(_) => return Err(failed(&self.label, "the driver never answered")),
        }
        let fault = driver.touch(Touch::Read, &self.label);
        let bytes = self.staging.get_mapped_range(..).map_err(|error| failed(&self.label, &error.to_string()))?;
        let out = match fault {
            Some(Fault::Wrong) => read(&bytes.iter().map(|byte| byte ^ 0x55).collect::<Vec<u8>>()),
            _ => read(&bytes),
        };
        drop(bytes);
        driver.check(&self.label)?;
        Ok(out)
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        // The next fetch takes its buffer.
        if !self.failed && !matches!(self.mapped.try_recv(), Ok(Err(_))) {
            self.staging.unmap();
        }
    }
}
