//! An end that is asked for from outside, as by a batch system that wants its node back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Whether an end was asked for. Clones share the answer.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicUsize>);

impl CancelToken {
    #[cfg(feature = "cli")]
    /// Asked for by the first SIGTERM or SIGINT from now on; the second one ends the process at once.
    ///
    /// # Errors
    /// The system takes no handlers.
    pub fn on_signals() -> std::io::Result<Self> {
        use signal_hook::consts::{SIGINT, SIGTERM};
        let stop = Self::default();
        let twice = Arc::new(std::sync::atomic::AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            // In this order: the first signal finds `twice` not yet set.
            signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, twice.clone())?;
            signal_hook::flag::register(signal, twice.clone())?;
            signal_hook::flag::register_usize(signal, stop.0.clone(), signal as usize)?;
        }
        Ok(stop)
    }

    /// Asks for an end, as `signal` would.
    pub fn ask(&self, signal: i32) {
        self.0.store(signal as usize, Ordering::Relaxed);
    }

    /// The signal that asked for an end, if any has.
    pub fn asked(&self) -> Option<i32> {
        Some(self.0.load(Ordering::Relaxed) as i32).filter(|&signal| signal != 0)
    }
}
