//! Recovery of a device that failed: smaller batches, reopening, and leaving it alone. When to do which is the ladder's.

use super::Engine;
use super::engine::lock;
use super::streak::Streak;
use crate::gpu::Gpu;
use std::sync::atomic::Ordering;

/// Factors by which batches fill less memory, and dispatches are shorter, at the next attempt.
const LESS_MEMORY: u64 = 4;
const SHORTER: u64 = 8;

/// Bytes below which smaller batches are not worth a device.
const LEAST_MEMORY: u64 = 1 << 20;

/// Floating-point operations that take a slow discrete GPU 0.02 ms, no longer than the submission of the dispatch.
const LEAST_OPERATIONS: u64 = 1_000_000;

/// Good frames in a row that restore the limits of a device. Another program may have held its memory for a while; a retry of
/// one frame in 16 costs a sixteenth.
const GOOD_FRAMES: usize = 16;

/// Frames in a row that a device may fail before it is abandoned.
const FRAMES: usize = 3;

impl Engine {
    /// Lets batches fill less memory. Returns false if they are as small as is worth it, or the device is gone.
    pub(crate) fn shrink_batches(&self) -> bool {
        self.clear_times();
        self.gpu().is_some_and(|gpu| {
            let recovers = gpu.recovers();
            let (memory, less) = (gpu.memory(), divided(gpu.memory(), LESS_MEMORY, LEAST_MEMORY));
            gpu.set_memory(less);
            less < memory && (recovers || self.open_anew(1))
        })
    }

    /// Reopens the device with shorter dispatches: a driver that ends long dispatches does so by losing the device. Returns
    /// false if it cannot be opened; the CPU serves from then on.
    pub(crate) fn reopen(&self) -> bool {
        self.clear_times();
        self.open_anew(SHORTER)
    }

    /// Counts a frame that succeeded; one done at the first attempt counts towards the device's former limits.
    pub(crate) fn note_success(&self, at_first_attempt: bool) {
        let Streak { failed, good, .. } = &self.streak;
        failed.store(0, Ordering::Relaxed);
        let frames = if at_first_attempt { good.load(Ordering::Relaxed) + 1 } else { 0 };
        good.store(frames % GOOD_FRAMES, Ordering::Relaxed);
        if let (GOOD_FRAMES, Some(gpu)) = (frames, self.gpu()) {
            gpu.restore_limits();
        }
    }

    /// Counts a frame that failed for good: the device is reopened for the next one, or abandoned after too many.
    pub(crate) fn note_failure(&self, reason: &str) {
        self.clear_times();
        let Streak { failed, good, .. } = &self.streak;
        good.store(0, Ordering::Relaxed);
        if self.gpu().is_none() {
            return;
        }
        if failed.fetch_add(1, Ordering::Relaxed) + 1 >= FRAMES {
            self.abandon(format!("the device has failed {FRAMES} frames in a row, at last so: {reason}"));
        } else {
            self.open_anew(1);
        }
    }

    /// Why the device was abandoned, if it was.
    pub(crate) fn abandoned(&self) -> Option<String> {
        lock(&self.streak.abandoned).clone()
    }

    fn open_anew(&self, shorter: u64) -> bool {
        let Some(gpu) = self.gpu() else { return false };
        match gpu.open_again() {
            Ok(again) => {
                let operations = divided(gpu.operations_per_dispatch(), shorter, LEAST_OPERATIONS);
                again.set_operations_per_dispatch(operations);
                self.replace_gpu(Some(again));
                true
            }
            Err(error) => {
                self.abandon(format!("the device has failed and cannot be opened anew: {error}"));
                false
            }
        }
    }

    fn abandon(&self, reason: String) {
        tracing::warn!("{reason}; the CPU does all further work");
        self.replace_gpu(None::<Gpu>);
        *lock(&self.streak.abandoned) = Some(reason);
    }
}

/// Divides a limit, but not below `least` if it was above it.
fn divided(limit: u64, by: u64, least: u64) -> u64 {
    (limit / by).max(least.min(limit))
}
