//! A node of many cores, simulated: the measured times of one thread, cut into the units that the solver's stages run in parallel.
//!
//! A bundle takes its stages one after another, and a stage ends with its last unit. Bundles are independent. A free core takes
//! a unit of the first bundle that has one, as work stealing does on average.

use crate::case::Outcome;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Cores of the simulated nodes.
const CORES: [usize; 5] = [1, 2, 16, 64, 128];

/// Fibres of a bundle, and bins of a block of the stages that work on the image.
const BUNDLE: usize = 25;
const BLOCK: usize = 128;

/// Fibres that are solved at once, one per lane.
const LANES: usize = 8;

/// A stage of one bundle: equal units that run in parallel.
#[derive(Clone, Copy, Debug)]
struct Stage {
    units: usize,
    seconds: f64,
}

/// Prints how long the largest frame that one thread extracted would take, and returns it as JSON.
pub fn simulate(outcomes: &[Outcome]) -> Option<Value> {
    let of_one_thread = |o: &&Outcome| o.threads == 1 && o.case.solver == "banded" && o.case.device == "cpu";
    let measured = outcomes.iter().filter(of_one_thread).max_by(|a, b| a.case.bins().total_cmp(&b.case.bins()))?;
    let bundles = measured.case.nspec.div_ceil(BUNDLE);
    let stages = stages(measured, bundles);
    let total: f64 = bundles as f64 * stages.iter().map(|s| s.units as f64 * s.seconds).sum::<f64>();
    let path: f64 = stages.iter().map(|s| s.seconds).sum();
    println!(
        "\nsimulated from one thread, {} fibres x {} bins: {total:.2} core seconds, critical path {path:.3} s",
        measured.case.nspec, measured.case.nwave
    );
    let mut nodes = Vec::new();
    for cores in CORES {
        let seconds = makespan(&stages, bundles, cores);
        let busy = total / seconds / cores as f64;
        println!("{cores:4} cores: {seconds:7.3} s, {:3.0} % busy", 100.0 * busy);
        nodes.push(json!({ "cores": cores, "seconds": seconds, "busy": busy }));
    }
    Some(json!({ "core_seconds": total, "critical_path": path, "nodes": nodes }))
}

/// The stages of one bundle. Times of all bundles are alike.
fn stages(measured: &Outcome, bundles: usize) -> Vec<Stage> {
    let fibres = measured.case.nspec.min(BUNDLE);
    let units = |name: &str| match name {
        "banded_normal" | "goodness" => measured.case.nwave.div_ceil(BLOCK),
        "banded_solve" => fibres.div_ceil(LANES),
        // The recursion over fibres from either side.
        "banded_complement" => 2,
        "banded_root" => fibres,
        _ => 1,
    };
    let of_stage = |(name, seconds): &(String, f64)| {
        let units = units(name);
        Stage { units, seconds: seconds / (units * bundles) as f64 }
    };
    measured.stages.iter().map(of_stage).collect()
}

/// Units that may begin: bundle, stage and number, the first bundle first.
type Units = BinaryHeap<Reverse<(usize, usize, usize)>>;

/// Seconds until the last unit of the last bundle ends.
fn makespan(stages: &[Stage], bundles: usize, cores: usize) -> f64 {
    // Times in nanoseconds, so that they are ordered.
    let nanoseconds = |seconds: f64| (1e9 * seconds) as u64;
    let mut ready = Units::new();
    // Units that have not ended.
    let mut left = vec![stages.iter().map(|stage| stage.units).collect::<Vec<_>>(); bundles];
    let begin = |ready: &mut Units, bundle: usize, stage: usize| {
        ready.extend((0..stages[stage].units).map(|unit| Reverse((bundle, stage, unit))));
    };
    (0..bundles).for_each(|bundle| begin(&mut ready, bundle, 0));
    let mut running: BinaryHeap<Reverse<(u64, usize, usize)>> = BinaryHeap::new();
    let mut now = 0;
    loop {
        while running.len() < cores
            && let Some(Reverse((bundle, stage, _))) = ready.pop()
        {
            running.push(Reverse((now + nanoseconds(stages[stage].seconds), bundle, stage)));
        }
        let Some(Reverse((end, bundle, stage))) = running.pop() else {
            return now as f64 / 1e9;
        };
        now = end;
        left[bundle][stage] -= 1;
        if left[bundle][stage] == 0 && stage + 1 < stages.len() {
            begin(&mut ready, bundle, stage + 1);
        }
    }
}
