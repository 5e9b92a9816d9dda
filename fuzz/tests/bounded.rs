//! The bounded run: every target meets its seeds and some thousand of them damaged, in a fixed order.
//!
//! An input that fails is written to a file, for `cargo xtask fuzz TARGET FILE`.

use spextral_fuzz::memory::Counting;
use spextral_fuzz::mutate::Damage;
use spextral_fuzz::targets::{self, Target};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Damaged inputs per target without `SPEXTRAL_FUZZ_RUNS`.
const RUNS: u64 = 4000;
/// An input takes a millisecond; after this it never ends.
const HANGS: Duration = Duration::from_secs(120);

/// Reads the number of damaged inputs per target, and the only target to run, from the environment.
fn asked() -> (u64, Option<String>) {
    let runs = std::env::var("SPEXTRAL_FUZZ_RUNS").map(|runs| runs.parse().expect("SPEXTRAL_FUZZ_RUNS is a number"));
    (runs.unwrap_or(RUNS), std::env::var("SPEXTRAL_FUZZ").ok())
}

/// Meets an input; what fails is kept.
fn meet(target: &Target, bytes: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| target.check(bytes))).is_err() {
        let kept = std::env::temp_dir().join(format!("spextral-fuzz-{}", target.name));
        std::fs::write(&kept, bytes).expect("a temporary file");
        panic!("{} fails: cargo xtask fuzz {} {}", target.name, target.name, kept.display());
    }
}

/// In a test of its own: the allocator counts for all threads.
#[test]
fn no_input_makes_a_target_panic_hang_or_hold_more_memory_than_it_may() {
    let (done, next) = channel();
    let worker = thread::spawn(move || {
        targets::use_one_thread();
        let (runs, only) = asked();
        for target in targets::ALL.iter().filter(|target| only.as_ref().is_none_or(|only| only == target.name)) {
            let seeds = (target.seeds)();
            for bytes in &seeds {
                meet(target, bytes);
            }
            for run in 0..runs {
                let bytes = Damage::new(run).next(target, &seeds);
                let _ = done.send((target.name, run));
                meet(target, &bytes);
            }
        }
    });
    let mut last = ("", 0);
    loop {
        match next.recv_timeout(HANGS) {
            Ok(now) => last = now,
            Err(RecvTimeoutError::Timeout) => panic!("{} hangs with damage {}", last.0, last.1),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    worker.join().expect("no input fails");
}
