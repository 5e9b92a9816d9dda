//! Cancellation by SIGTERM and SIGINT.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use spextral::base::cancel::CancelToken;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether signals have their meaning already.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Returns a token that the first SIGTERM or SIGINT from now on cancels; the second one ends the process at once.
///
/// # Errors
/// An [`io::Error`] if the system takes no handlers.
pub fn cancel_on_signals() -> io::Result<CancelToken> {
    TAKEN.store(true, Ordering::Relaxed);
    let token = CancelToken::default();
    let second = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        // Handlers run in the order of their registration: the first signal finds `second` not yet set.
        flag::register_conditional_shutdown(signal, 128 + signal, second.clone())?;
        flag::register(signal, second.clone())?;
        flag::register_usize(signal, token.state(), signal as usize)?;
    }
    Ok(token)
}

/// Lets `tidy` run before SIGTERM or SIGINT ends the process, unless they cancel the work. Without handlers they end it at once.
pub fn before_the_end(tidy: impl Fn() + Send + 'static) {
    if TAKEN.swap(true, Ordering::Relaxed) {
        return;
    }
    if let Ok(mut signals) = Signals::new([SIGTERM, SIGINT]) {
        std::thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                tidy();
                let _ = emulate_default_handler(signal);
            }
        });
    }
}
