//! What this process has in hand, so that a panic can name the frame.

use super::Phase;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

static IN_HAND: Mutex<Vec<(Phase, String)>> = Mutex::new(Vec::new());

/// A phase of a frame, in hand until dropped.
pub struct InFlight(Phase, String);

impl InFlight {
    /// Takes a frame, by its output, in hand.
    pub fn new(phase: Phase, output: &Path) -> Self {
        let name = output.display().to_string();
        list().push((phase, name.clone()));
        #[cfg(debug_assertions)]
        panic_if_told(phase, &name);
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

/// Everything in hand, in words.
pub fn words() -> String {
    let list = list();
    let each = list.iter().map(|(phase, name)| format!("{} {name}", doing(*phase)));
    if list.is_empty() { "between frames".into() } else { each.collect::<Vec<_>>().join(", ") }
}

fn doing(phase: Phase) -> &'static str {
    match phase {
        Phase::Read => "reading",
        Phase::Compute => "computing",
        Phase::Write => "writing",
    }
}

fn list() -> MutexGuard<'static, Vec<(Phase, String)>> {
    IN_HAND.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A test's way to see how a panic ends: `SPEXTRAL_PANIC=compute:FRAME`. Not in a release build.
#[cfg(debug_assertions)]
fn panic_if_told(phase: Phase, name: &str) {
    let told = std::env::var("SPEXTRAL_PANIC").is_ok_and(|told| told == format!("{}:{name}", phase.name()));
    assert!(!told, "as told by SPEXTRAL_PANIC");
}
