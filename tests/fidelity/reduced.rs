//! The scenes that take seconds and need nothing but this repository, as tests on the CPU and on the GPU.

use crate::runs::{Outcome, Runs, beyond, precisions};
use crate::scenes::{self, Scene};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

macro_rules! scenes {
    ($($name:ident: $scene:literal,)*) => {
        mod cpu {
            $(#[test] fn $name() { super::check_cpu($scene) })*
        }
        mod gpu {
            $(#[test] fn $name() { super::check_gpu($scene) })*
        }
    };
}

scenes! {
    bundles_of_five_are_within_their_bounds: "small",
    traces_that_leave_the_ccd_are_within_their_bounds: "edge",
    dead_rows_and_a_bright_fibre_are_within_their_bounds: "dead",
    a_fine_step_is_within_its_bounds: "fine",
    residuals_from_the_truth_are_within_their_bounds: "noise-2",
}

/// A scene with what the CPU made of it, once made.
type Made = Arc<OnceLock<(Scene, Runs)>>;

/// Extracts a scene on the CPU, once for both of its tests.
fn on_cpu(name: &'static str) -> Made {
    static DONE: Mutex<BTreeMap<&str, Made>> = Mutex::new(BTreeMap::new());
    let done = DONE.lock().unwrap().entry(name).or_default().clone();
    done.get_or_init(|| {
        let scene = scenes::make(name).expect("it needs no file");
        let runs = Runs::on_cpu(&scene, |outcome| note!("{name}: {outcome}"));
        (scene, runs)
    });
    done
}

fn check_cpu(name: &'static str) {
    let done = on_cpu(name);
    let (scene, runs) = done.get().unwrap();
    check(scene, &runs.outcomes);
}

fn check_gpu(name: &'static str) {
    let gpu = testkit::gpu();
    let done = on_cpu(name);
    let (scene, runs) = done.get().unwrap();
    for device in precisions(&gpu) {
        check(scene, &runs.on_gpu(scene, &device, |outcome| note!("{name}: {outcome}")));
    }
}

fn check(scene: &Scene, outcomes: &[Outcome]) {
    let lines = beyond(scene, outcomes);
    assert!(lines.is_empty(), "beyond a bound: {}", lines.join("; "));
}
