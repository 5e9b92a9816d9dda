//! Whole extractions, timed stage by stage: `cargo bench --bench extract -- [--nspec N] [--nwave N] [--device D]
//! [--repeat K] [--json FILE]`.
//!
//! The frame is simulated, so the figures need no other file. Times are the best of `repeat` runs; machines are noisy,
//! so compare ratios within one run.

use spextral::engine::Engine;
use spextral::extract::{Extraction, Options, Solver, extract};
use spextral::gpu::{DeviceChoice, OpenOptions};
use spextral::plan::WaveGrid;
use spextral::psf::synthetic::Synthetic;
use spextral::simulate::{Simulation, simulate};
use spextral::stages::patch::Ccd;
use std::time::{Duration, Instant};

/// What to time.
struct Job {
    nspec: usize,
    nwave: usize,
    repeat: usize,
    device: DeviceChoice,
    json: Option<String>,
    solver: Solver,
}

fn main() {
    let job = Job::from_args();
    let psf =
        Synthetic { nfibre: job.nspec.next_multiple_of(25), ..Synthetic::default() }.build().expect("a DESI-like PSF");
    let preproc = simulate(&psf, &Simulation::default()).expect("a DESI-like frame").preproc;
    let ccd = Ccd { ny: preproc.ny, nx: preproc.nx, image: &preproc.image, ivar: &preproc.ivar };
    let grid = WaveGrid::new(5760.0, 5760.0 + 0.8 * (job.nwave - 1) as f64, 0.8).expect("a grid");
    let options = Options { nspec: Some(job.nspec), solver: job.solver, ..Options::default() };
    // Stages are told apart on a GPU only by waiting for each.
    let engine = Engine::open(&job.device, &OpenOptions::default(), &[]).expect("a device").with_exact_times();
    let run = || {
        let start = Instant::now();
        let result = extract(&psf, ccd, &grid, &options, &engine, &|_, _| {}).expect("the frame extracts");
        (start.elapsed(), result)
    };
    let (time, best) = (0..job.repeat).map(|_| run()).min_by_key(|(time, _)| *time).expect("at least one run");
    print_table(&job, &engine, time, &best);
    if let Some(path) = &job.json {
        std::fs::write(path, json(&job, &engine, time, &best).to_string()).expect("the JSON file can be written");
    }
}

impl Job {
    fn from_args() -> Self {
        let args: Vec<String> = std::env::args().collect();
        let value = |name: &str| args.iter().position(|a| a == name).and_then(|k| args.get(k + 1)).cloned();
        let number = |name: &str, default| value(name).map_or(default, |v| v.parse().expect("a whole number"));
        Self {
            nspec: number("--nspec", 25),
            nwave: number("--nwave", 2326),
            repeat: number("--repeat", 3).max(1),
            device: value("--device").as_deref().unwrap_or("cpu").parse().expect("a device"),
            json: value("--json"),
            solver: match value("--solver").as_deref() {
                None | Some("patches") => Solver::Patches,
                Some("banded") => Solver::Banded,
                Some(other) => panic!("no solver {other}: patches or banded"),
            },
        }
    }

    fn bins(&self) -> f64 {
        (self.nspec * self.nwave) as f64
    }
}

fn print_table(job: &Job, engine: &Engine, time: Duration, best: &Extraction) {
    println!(
        "{} fibres x {} bins, {:?}, {}, {} threads",
        job.nspec,
        job.nwave,
        job.solver,
        engine.device(),
        rayon::current_num_threads()
    );
    println!("{:18} {:>9} {:>7} {:>9}", "stage", "seconds", "share", "ns a bin");
    let row = |name: &str, t: Duration| {
        let seconds = t.as_secs_f64();
        let share = 100.0 * seconds / time.as_secs_f64();
        println!("{name:18} {seconds:9.3} {share:6.1}% {:9.0}", 1e9 * seconds / job.bins());
    };
    best.summary.stage_time.iter().for_each(|(stage, t)| row(stage.name(), *t));
    let staged: Duration = best.summary.stage_time.iter().map(|(_, t)| *t).sum();
    row("plan and assembly", time.saturating_sub(staged));
    row("total", time);
    println!("peak memory {:.0} MB", peak_memory() as f64 / 1e6);
}

fn json(job: &Job, engine: &Engine, time: Duration, best: &Extraction) -> serde_json::Value {
    let stages: serde_json::Map<String, serde_json::Value> =
        best.summary.stage_time.iter().map(|(s, t)| (s.name().to_string(), t.as_secs_f64().into())).collect();
    serde_json::json!({
        "nspec": job.nspec, "nwave": job.nwave, "solver": format!("{:?}", job.solver), "device": engine.device(), "threads": rayon::current_num_threads(),
        "seconds": time.as_secs_f64(), "stages": stages, "peak_memory_bytes": peak_memory(),
    })
}

/// Peak resident memory of this process in bytes; 0 where the system does not tell.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kb| 1024 * kb)
}
