//! Cancellation by SIGTERM and SIGINT.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use spextral::base::cancel::CancelToken;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Returns a token that the first SIGTERM or SIGINT from now on cancels; the second one ends the process at once.
///
/// # Errors
/// An [`io::Error`] if the system takes no handlers.
pub fn cancel_on_signals() -> io::Result<CancelToken> {
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
