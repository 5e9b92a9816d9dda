//! What is done when a device fails: the work again, in smaller parts or on the device opened anew, and then on the CPU.

use super::{Engine, lock};
use crate::gpu::{Gpu, GpuError};
use std::sync::atomic::Ordering;

/// How much less memory batches fill, and how much shorter dispatches are, at the next attempt.
const LESS_MEMORY: u64 = 4;
const SHORTER: u64 = 8;

/// Less than this makes batches no smaller that are worth a device, bytes.
const LEAST_MEMORY: u64 = 1 << 20;

/// Attempts on the device after it ran out of memory, and after it was lost or hung. A driver that ends long dispatches
/// does it by losing the device.
const AFTER_MEMORY: usize = 2;
const AFTER_LOSS: usize = 1;

/// Frames in a row that a device may fail before it is left alone.
const FRAMES: usize = 3;

/// Why work was done again, and by whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Again {
    /// What became of the first attempts.
    pub reason: String,
    /// Whether the CPU has done it in the end.
    pub on_cpu: bool,
}

impl Engine {
    /// Does `work`. Where the device runs out of memory or is lost, it is done again from its beginning in smaller parts: results
    /// do not depend on them. The engine keeps to these, and to the device opened anew, from then on.
    ///
    /// # Errors
    /// Those of `work`; `of_device` tells which are the device's.
    pub fn persist<T, E: ToString>(
        &self,
        work: impl Fn(&Self) -> Result<T, E>,
        of_device: impl Fn(&E) -> Option<&GpuError>,
    ) -> Result<(T, Option<Again>), E> {
        let (mut memory, mut loss) = (0, 0);
        let mut reason = None;
        loop {
            let error = match work(self) {
                Ok(done) => {
                    self.failed.store(0, Ordering::Relaxed);
                    return Ok((done, reason.map(|reason| Again { reason, on_cpu: false })));
                }
                Err(error) => error,
            };
            let Some(failure) = of_device(&error) else { return Err(error) };
            lock(&self.times).clear();
            let again = match failure {
                GpuError::OutOfMemory { .. } if memory < AFTER_MEMORY => {
                    memory += 1;
                    self.fill_less()
                }
                GpuError::Lost { .. } | GpuError::Hung { .. } if loss < AFTER_LOSS => {
                    loss += 1;
                    self.renew(SHORTER)
                }
                GpuError::LittleMemory { .. } => false,
                _ => {
                    self.give_up();
                    false
                }
            };
            if !again {
                return Err(error);
            }
            tracing::warn!("{}; it is tried again in smaller parts", error.to_string());
            reason.get_or_insert_with(|| error.to_string());
        }
    }

    /// As [`Engine::persist`], and on the CPU where the device does not serve at all.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn persist_or_cpu<T, E: ToString>(
        &self,
        work: impl Fn(&Self) -> Result<T, E>,
        of_device: impl Fn(&E) -> Option<&GpuError>,
    ) -> Result<(T, Option<Again>), E> {
        match self.persist(&work, &of_device) {
            Err(error) if of_device(&error).is_some() => {
                let reason = error.to_string();
                tracing::warn!("{reason}; the CPU does it");
                Ok((work(&self.cpu_instead())?, Some(Again { reason, on_cpu: true })))
            }
            result => result,
        }
    }

    /// The CPU in this engine's place.
    pub fn cpu_instead(&self) -> Self {
        Self { stop: self.stop.clone(), trace: self.trace.clone(), ..Self::cpu() }
    }

    /// Lets batches fill less memory; false where they are as small as they get, or the device is gone.
    fn fill_less(&self) -> bool {
        self.gpu().is_some_and(|gpu| {
            let recovers = gpu.recovers();
            let more = gpu.memory() > LEAST_MEMORY;
            gpu.set_memory((gpu.memory() / LESS_MEMORY).max(LEAST_MEMORY));
            more && (recovers || self.renew(1))
        })
    }

    /// After the last attempt for a frame: the next one finds the device opened anew, unless it has failed too often.
    fn give_up(&self) {
        if self.failed.fetch_add(1, Ordering::Relaxed) + 1 >= FRAMES {
            tracing::warn!("the device has failed {FRAMES} frames in a row: the CPU does all further ones");
            *lock(&self.gpu) = None;
        } else {
            self.renew(1);
        }
    }

    /// Opens the device anew, for dispatches `shorter` times as short; false where it cannot be, and from then on the CPU
    /// serves.
    fn renew(&self, shorter: u64) -> bool {
        let opened = self.gpu().map(|gpu| gpu.open_again(shorter));
        let (gpu, opened): (Option<Gpu>, bool) = match opened {
            Some(Ok(gpu)) => (Some(gpu), true),
            Some(Err(error)) => {
                tracing::warn!("{error}; the CPU does all further work");
                (None, false)
            }
            None => (None, false),
        };
        *lock(&self.gpu) = gpu;
        opened
    }
}
