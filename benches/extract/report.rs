//! The table, as text and as JSON.

use crate::FRAME;
use crate::case::Outcome;
use crate::machine::Machine;
use crate::work::{self, Work};
use serde_json::{Value, json};
use spextral::psf::Psf;
use std::collections::BTreeMap;

/// Prints the peak rates of the machine, and the table's head.
pub fn head(machine: &Machine) {
    let Machine { threads, flops, bytes } = machine;
    println!(
        "{threads} threads: at most {:.1} GF/s in f64, {:.1} GB/s from memory (both measured)\n",
        flops / 1e9,
        bytes / 1e9
    );
    println!(
        "{:8} {:22} {:>6} {:>5} {:>7} {:>8} {:>9} {:>8} {:>6}  {:20} ns per bin by stage",
        "solver", "device", "fibres", "bins", "threads", "seconds", "ns/bin", "frames/h", "MB", "setting"
    );
}

/// One row.
pub fn row(outcome: &Outcome) {
    let Outcome { case, device, threads, seconds, .. } = outcome;
    let stages: Vec<String> =
        outcome.stages.iter().map(|(name, s)| format!("{} {:.0}", short(name), 1e9 * s / case.bins())).collect();
    let device: String = device.chars().take(22).collect();
    println!(
        "{:8} {device:22} {:6} {:5} {threads:7} {seconds:8.3} {:9.0} {:8.1} {:6.0}  {:20} {}",
        case.solver,
        case.nspec,
        case.nwave,
        1e9 * seconds / case.bins(),
        frames_per_hour(outcome),
        outcome.peak_memory_bytes as f64 / 1e6,
        case.setting,
        stages.join(", "),
    );
}

fn short(stage: &str) -> &str {
    if stage == "normal_equations" { "normal" } else { stage }
}

/// Whole frames per hour at the speed of this size.
fn frames_per_hour(outcome: &Outcome) -> f64 {
    3600.0 / outcome.seconds * outcome.case.bins() / (FRAME[0] * FRAME[1]) as f64
}

/// How the time grows with bins and with fibres: the exponent of the best power law through all sizes, printed.
pub fn growth(outcomes: &[Outcome]) -> Vec<Value> {
    let mut all = Vec::new();
    let mut series: BTreeMap<(&str, &str), Vec<&Outcome>> = BTreeMap::new();
    for outcome in outcomes.iter().filter(|o| o.case.setting.is_empty() && [o.case.nspec, o.case.nwave] != FRAME) {
        series.entry((&outcome.case.solver, &outcome.device)).or_default().push(outcome);
    }
    for ((solver, device), of_pair) in series {
        let size = |o: &Outcome| [o.case.nspec, o.case.nwave];
        for (name, fixed, free) in [("bins", 0, 1), ("fibres", 1, 0)] {
            let points = most_of_one_size(&of_pair, |o| size(o)[fixed]);
            let points: Vec<[f64; 2]> = points.iter().map(|o| [(size(o)[free] as f64).ln(), o.seconds.ln()]).collect();
            if points.len() < 2 {
                continue;
            }
            let exponent = slope(&points);
            println!(
                "{}{solver}, {device}: seconds grow as {name}^{exponent:.2} ({} sizes)",
                if all.is_empty() { "\n" } else { "" },
                points.len()
            );
            all.push(json!({ "solver": solver, "device": device, "along": name, "exponent": exponent, "sizes": points.len() }));
        }
    }
    all
}

/// The outcomes that are alike in one size, of the value that most of them have.
fn most_of_one_size<'a>(outcomes: &[&'a Outcome], size: impl Fn(&Outcome) -> usize) -> Vec<&'a Outcome> {
    let alike = |of: &Outcome| outcomes.iter().filter(|o| size(o) == size(of)).copied().collect::<Vec<_>>();
    outcomes.iter().map(|o| alike(o)).max_by_key(Vec::len).unwrap_or_default()
}

/// The slope of the line of least squares.
fn slope(points: &[[f64; 2]]) -> f64 {
    let mean = [0, 1].map(|k| points.iter().map(|p| p[k]).sum::<f64>() / points.len() as f64);
    let moment = |k: usize| points.iter().map(|p| (p[0] - mean[0]) * (p[k] - mean[k])).sum::<f64>();
    moment(1) / moment(0)
}

/// Wall-clock seconds of a stage: where bundles run side by side, its share of the whole.
fn wall_seconds(outcome: &Outcome, seconds: f64) -> f64 {
    let all: f64 = outcome.stages.iter().map(|(_, s)| s).sum();
    seconds * (outcome.seconds / all).min(1.0)
}

/// For the largest size of every solver on the CPU: what each stage does with the machine.
pub fn roofs(machine: &Machine, outcomes: &[Outcome], psf: &Psf) {
    let mut largest: BTreeMap<&str, &Outcome> = BTreeMap::new();
    for outcome in outcomes.iter().filter(|o| o.case.setting.is_empty() && o.case.device == "cpu") {
        let best = largest.entry(&outcome.case.solver).or_insert(outcome);
        if outcome.case.bins() > best.case.bins() {
            *best = outcome;
        }
    }
    for (solver, outcome) in largest {
        println!(
            "\n{solver}, {} fibres x {} bins: counted work against what the machine can do",
            outcome.case.nspec, outcome.case.nwave
        );
        println!(
            "{:18} {:>8} {:>6} {:>8} {:>7} {:>6} {:>8} {:>6} {:>6}  bound by",
            "stage", "seconds", "share", "Gflop", "GF/s", "peak", "GB", "GB/s", "peak"
        );
        for (stage, summed) in &outcome.stages {
            let seconds = wall_seconds(outcome, *summed);
            let share = 100.0 * seconds / outcome.seconds;
            print!("{stage:18} {seconds:8.3} {share:5.1}%");
            let Some(Work { flops, bytes }) = work::of_stage(&outcome.case, psf, stage) else {
                println!();
                continue;
            };
            let (of_flops, of_bytes) = (flops / seconds / machine.flops, bytes / seconds / machine.bytes);
            let bound = if flops / machine.flops > bytes / machine.bytes { "arithmetic" } else { "memory" };
            println!(
                " {:8.2} {:7.1} {:5.1}% {:8.3} {:6.1} {:5.1}%  {bound}",
                flops / 1e9,
                flops / seconds / 1e9,
                100.0 * of_flops,
                bytes / 1e9,
                bytes / seconds / 1e9,
                100.0 * of_bytes
            );
        }
        let staged: f64 = outcome.stages.iter().map(|(_, s)| wall_seconds(outcome, *s)).sum();
        let rest = outcome.seconds - staged;
        println!("{:18} {rest:8.3} {:5.1}%", "plan and assembly", 100.0 * rest / outcome.seconds);
    }
}

/// A row with its stages.
pub fn json(outcome: &Outcome, psf: &Psf) -> Value {
    let stage = |(name, seconds): &(String, f64)| {
        let work = work::of_stage(&outcome.case, psf, name);
        let value = json!({
            "seconds": seconds, "flops": work.map(|w| w.flops), "bytes": work.map(|w| w.bytes),
        });
        (name.clone(), value)
    };
    json!({
        "case": outcome.case, "device": outcome.device, "threads": outcome.threads,
        "seconds": outcome.seconds, "read_seconds": outcome.read_seconds,
        "frames_per_hour": frames_per_hour(outcome), "peak_memory_bytes": outcome.peak_memory_bytes,
        "stages": outcome.stages.iter().map(stage).collect::<serde_json::Map<String, Value>>(),
    })
}
