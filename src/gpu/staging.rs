//! Writing through memory that the host and the device see.

use std::sync::mpsc;

use super::GpuError;
use super::commands::Copy;
use super::content::Content;
use super::held::Held;
use super::memory::Memory;
use super::touch::Touch;
use rayon::prelude::*;

/// Bytes that a thread copies at a time.
const PART: usize = 4 << 20;

impl Memory {
    /// Writes all of a buffer through memory that the host and the device see, by all threads, in the order of the commands.
    pub(super) fn write_staged(&self, label: &str, to: &Held, bytes: &[u8]) -> Result<(), GpuError> {
        let driver = self.driver();
        let usage = wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC;
        let staging = self.create("upload", to.size(), usage, Content::Any)?;
        driver.touch(Touch::Write, label);
        driver.check(label)?;
        let (sender, mapped) = mpsc::channel();
        staging.map_async(wgpu::MapMode::Write, .., move |result| drop(sender.send(result)));
        // Nobody uses it: a poll maps it.
        driver.poll(wgpu::PollType::Poll, None)?;
        let failed = |why: &str| match (driver.report(format!("uploading `{label}`: {why}")), driver.check(label)) {
            (_, Err(error)) => error,
            (error, Ok(())) => error,
        };
        match mapped.try_recv() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(failed(&error.to_string())),
            Err(_) => return Err(failed("the driver never answered")),
        }
        let part = |(k, part): (usize, &[u8])| {
            let first = (k * PART) as u64;
            let mut view = staging.get_mapped_range_mut(first..first + part.len() as u64)?;
            view.copy_from_slice(part);
            Ok::<_, wgpu::MapRangeError>(())
        };
        let copied = bytes.par_chunks(PART).enumerate().try_for_each(part);
        staging.unmap();
        copied.map_err(|error| failed(&error.to_string()))?;
        driver.check(label)?;
        driver.traffic().add_upload(bytes.len());
        self.copy(Copy { label: label.to_string(), from: staging, to: to.clone(), landing: None });
        Ok(())
    }
}
