//! Frames in flight in this process, so that a panic can name them.

use super::run_log::Phase;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

static IN_FLIGHT: Mutex<Vec<(Phase, String)>> = Mutex::new(Vec::new());

/// A phase of a frame, in flight until dropped.
pub struct InFlight(Phase, String);

impl InFlight {
    /// Registers a frame by its output.
    pub fn new(phase: Phase, output: &Path) -> Self {
        let name = output.display().to_string();
        list().push((phase, name.clone()));
        #[cfg(feature = "fault-injection")]
        inject_panic(phase, &name);
        Self(phase, name)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut list = list();
        if let Some(at) = list.iter().position(|(phase, name)| *phase == self.0 && *name == self.1) {
            list.remove(at);
        }
    }
}

/// Lists everything in flight, for a message.
pub fn describe() -> String {
    let list = list();
    let verb = |phase| match phase {
        Phase::Read => "reading",
        Phase::Compute => "computing",
        Phase::Write => "writing",
    };
    let each = list.iter().map(|(phase, name)| format!("{} {name}", verb(*phase)));
    if list.is_empty() { "between frames".into() } else { each.collect::<Vec<_>>().join(", ") }
}

fn list() -> MutexGuard<'static, Vec<(Phase, String)>> {
    IN_FLIGHT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Injects a panic for tests: `SPEXTRAL_PANIC=compute:FRAME`.
#[cfg(feature = "fault-injection")]
fn inject_panic(phase: Phase, name: &str) {
    let wanted = std::env::var("SPEXTRAL_PANIC").is_ok_and(|wanted| wanted == format!("{}:{name}", phase.name()));
    assert!(!wanted, "injected by SPEXTRAL_PANIC");
}
