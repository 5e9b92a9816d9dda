//! Copies between buffers, and from a buffer to the host.

use std::sync::mpsc;

use super::GpuError;
use super::account::Held;
use super::memory::Memory;
use super::queue::Ticket;
use super::touch::{Fault, Touch};

/// Copies all of `from` to `to` after the submissions before.
pub(super) fn copy(memory: &Memory, label: &str, from: &Held, to: &Held) -> Result<Ticket, GpuError> {
    let mut encoder = memory.driver().device().create_command_encoder(&Default::default());
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
}

impl Fetch {
    /// Starts to copy a buffer to the host, after the submissions before.
    pub fn start(memory: &Memory, label: &str, from: &Held) -> Result<Self, GpuError> {
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = memory.create("download", from.size(), usage)?;
        let ticket = copy(memory, label, from, &staging)?;
        memory.driver().traffic().add_download(from.size());
        let (sender, mapped) = mpsc::channel();
        memory.driver().touch(Touch::Map, label);
        // A send fails only if the fetch was dropped.
        staging.map_async(wgpu::MapMode::Read, .., move |result| drop(sender.send(result)));
        memory.driver().check(label)?;
        Ok(Self { label: label.to_string(), staging, ticket, mapped })
    }

    /// Waits for the copy, not for later submissions, and fills `out` from its beginning.
    pub fn wait(self, memory: &Memory, out: &mut [u8]) -> Result<(), GpuError> {
        memory.queue().wait_for(self.ticket)?;
        let driver = memory.driver();
        let failed = |why: &str| driver.report(format!("downloading `{}`: {why}", self.label));
        match self.mapped.try_recv() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(failed(&error.to_string())),
            Err(_) => return Err(failed("the driver never answered")),
        }
        let fault = driver.touch(Touch::Read, &self.label);
        let bytes = self.staging.get_mapped_range(..).map_err(|error| failed(&error.to_string()))?;
        out.copy_from_slice(&bytes[..out.len()]);
        if fault == Some(Fault::Wrong) {
            out.iter_mut().for_each(|byte| *byte ^= 0x55);
        }
        drop(bytes);
        driver.check(&self.label)
    }
}
