//! Consecutive failures and successes of a device.

use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

/// Record of a device's frames.
#[derive(Debug, Default)]
pub(super) struct Streak {
    /// Frames in a row that it failed.
    pub failed: AtomicUsize,
    /// Frames in a row that succeeded at the first attempt.
    pub good: AtomicUsize,
    /// Why it was abandoned.
    pub abandoned: Mutex<Option<String>>,
}
