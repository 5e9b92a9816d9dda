//! What is done when a device fails: the work again, in smaller parts or on the device opened anew, and then on the CPU.

use super::{Engine, lock};
use crate::gpu::GpuError;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much less memory batches fill, and how much shorter dispatches are, at the next attempt.
const LESS_MEMORY: u64 = 4;
const SHORTER: u64 = 8;

/// Less than this makes batches no smaller that are worth a device, bytes.
const LEAST_MEMORY: u64 = 1 << 20;

/// So few floating-point operations take a slow discrete GPU 0.02 ms, no longer than handing over the dispatch does.
const LEAST_OPERATIONS: u64 = 1_000_000;

/// Frames in a row without a failure that give a device back what it was opened with: memory may have been another program's,
/// and a frame that has to be done again for it costs a sixteenth.
const GOOD_FRAMES: usize = 16;

/// Attempts on the device after it ran out of memory, and after it was lost or hung. A driver that ends long dispatches
/// does it by losing the device.
const AFTER_MEMORY: usize = 2;
const AFTER_LOSS: usize = 1;

/// Frames in a row that a device may fail before it is left alone.
const FRAMES: usize = 3;

/// How a device has done.
#[derive(Debug, Default)]
pub(super) struct Streak {
    /// Frames in a row that it has failed, and that it has done at once.
    failed: AtomicUsize,
    good: AtomicUsize,
    /// Why it is not used any more.
    left: Mutex<Option<String>>,
}

/// Why work was done again, or by the CPU in a device's place.
#[derive(Clone, Debug, PartialEq)]
pub struct Again {
    /// What became of the first attempts, or of the device.
    pub reason: String,
    /// Whether the CPU has done it in the end.
    pub on_cpu: bool,
}

impl Engine {
    /// Does `work`. Where the device runs out of memory or is lost, it is done again from its beginning in smaller parts: results
    /// do not depend on them. The engine keeps to these until sixteen pieces of work in a row have gone well at once.
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
                    self.goes_well(reason.is_none());
                    let again = reason.map(|reason| Again { reason, on_cpu: false });
                    let left = || lock(&self.streak.left).clone().map(|reason| Again { reason, on_cpu: true });
                    return Ok((done, again.or_else(left)));
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
                // The device has not failed.
                GpuError::LittleMemory { .. } => return Err(error),
                _ => false,
            };
            if !again {
                self.give_up(&error.to_string());
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
            let (memory, less) = (gpu.memory(), less(gpu.memory(), LESS_MEMORY, LEAST_MEMORY));
            gpu.set_memory(less);
            less < memory && (recovers || self.renew(1))
        })
    }

    /// After a frame: one that was done `at_once` counts towards the device's former limits.
    fn goes_well(&self, at_once: bool) {
        let Streak { failed, good, .. } = &self.streak;
        failed.store(0, Ordering::Relaxed);
        let frames = if at_once { good.load(Ordering::Relaxed) + 1 } else { 0 };
        good.store(frames % GOOD_FRAMES, Ordering::Relaxed);
        if let (GOOD_FRAMES, Some(gpu)) = (frames, self.gpu()) {
            gpu.restore_limits();
        }
    }

    /// After the last attempt for a frame: the next one finds the device opened anew, unless it has failed too often.
    fn give_up(&self, reason: &str) {
        let Streak { failed, good, .. } = &self.streak;
        good.store(0, Ordering::Relaxed);
        if self.gpu().is_none() {
            return;
        }
        if failed.fetch_add(1, Ordering::Relaxed) + 1 >= FRAMES {
            self.leave(format!("the device has failed {FRAMES} frames in a row, at last so: {reason}"));
        } else {
            self.renew(1);
        }
    }

    /// Opens the device anew, for dispatches `shorter` times as short; false where it cannot be, and from then on the CPU
    /// serves.
    fn renew(&self, shorter: u64) -> bool {
        let Some(gpu) = self.gpu() else { return false };
        match gpu.open_again() {
            Ok(again) => {
                again.set_operations_per_dispatch(less(gpu.operations_per_dispatch(), shorter, LEAST_OPERATIONS));
                *lock(&self.gpu) = Some(again);
                true
            }
            Err(error) => {
                self.leave(format!("the device has failed and cannot be opened anew: {error}"));
                false
            }
        }
    }

    /// Leaves the device alone.
    fn leave(&self, reason: String) {
        tracing::warn!("{reason}; the CPU does all further work");
        *lock(&self.gpu) = None;
        *lock(&self.streak.left) = Some(reason);
    }
}

/// A limit divided, but no less than what is worth a device where it was more.
fn less(limit: u64, divided_by: u64, least: u64) -> u64 {
    (limit / divided_by).max(least.min(limit))
}
