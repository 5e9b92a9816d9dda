//! Cancellation requested from outside, for example by a batch system that wants its node back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A request for cancellation, with the number of the signal behind it. Clones share their state.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicUsize>);

impl CancelToken {
    /// Requests cancellation on behalf of a signal (SIGTERM is 15).
    pub fn cancel(&self, signal: i32) {
        self.0.store(signal as usize, Ordering::Relaxed);
    }

    /// Returns whether cancellation was requested.
    pub fn is_cancelled(&self) -> bool {
        self.signal().is_some()
    }

    /// Returns the number of the signal that requested cancellation.
    pub fn signal(&self) -> Option<i32> {
        Some(self.0.load(Ordering::Relaxed) as i32).filter(|&signal| signal != 0)
    }

    /// Returns the shared state, 0 or a signal's number, for a signal handler to store into.
    pub fn state(&self) -> Arc<AtomicUsize> {
        self.0.clone()
    }
}
