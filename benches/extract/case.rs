//! One row of the table: an extraction with its settings, in a process of its own.

use serde::{Deserialize, Serialize};
use spextral::backend::Engine;
use spextral::extract::{ExtractError, Extraction, Job, Options, Solver, extract};
use spextral::fits::{PreprocOptions, read_preproc, read_psf};
use spextral::geometry::WaveGrid;
use spextral::gpu::OpenOptions;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Names of the frame and its PSF.
pub const PREPROC: &str = "preproc.fits";
pub const PSF: &str = "psf.fits";

/// An extraction to time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    pub solver: String,
    pub device: String,
    pub nspec: usize,
    pub nwave: usize,
    /// Times each is run; the best counts.
    pub repeat: usize,
    /// CPU threads; None for as many as rayon takes.
    pub threads: Option<usize>,
    /// Patches per batch; None for as many as memory serves.
    pub batch: Option<usize>,
    pub tolerance: Option<f64>,
    pub nwavestep: usize,
    pub nsubbundles: Option<usize>,
    pub bundlesize: Option<usize>,
    /// Options that differ from the defaults; empty in a row of the sizes.
    pub setting: String,
}

/// Its time and memory.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub case: Case,
    /// Name and description of the device.
    pub device: String,
    pub threads: usize,
    pub read_seconds: f64,
    pub seconds: f64,
    /// Seconds by stage; where bundles run side by side they add up to more than `seconds`.
    pub stages: Vec<(String, f64)>,
    pub peak_memory_bytes: u64,
}

impl Case {
    /// Bins of all fibres.
    pub fn bins(&self) -> f64 {
        (self.nspec * self.nwave) as f64
    }

    fn options(&self) -> Options {
        let defaults = Options::default();
        let mut patches = defaults.patches;
        (patches.nwavestep, patches.nsubbundles) = (self.nwavestep, self.nsubbundles);
        patches.bundlesize = self.bundlesize;
        let solver = solver(&self.solver).expect("it has been checked");
        Options { nspec: Some(self.nspec), solver, tolerance: self.tolerance, patches, ..defaults }
    }

    fn engine(&self) -> Engine {
        let device = self.device.parse().expect("any word is a choice");
        let engine = Engine::open(&device, &OpenOptions::default(), &[]).unwrap_or_else(|e| {
            eprintln!("error: {e}");
            std::process::exit(1);
        });
        match self.batch {
            Some(patches) => engine.with_batches_of(patches),
            None => engine,
        }
    }

    /// Runs the case in a process of its own.
    pub fn in_process(self, folder: &Path) -> Result<Outcome, String> {
        let this = std::env::current_exe().map_err(|e| e.to_string())?;
        let case = serde_json::to_string(&self).map_err(|e| e.to_string())?;
        let mut command = Command::new(this);
        command.arg("--case").arg(folder).arg(case);
        if let Some(threads) = self.threads {
            command.env("RAYON_NUM_THREADS", threads.to_string());
        }
        let output = command.stderr(std::process::Stdio::inherit()).output().map_err(|e| e.to_string())?;
        if !output.status.success() {
            return Err(format!("{} on {} failed", self.solver, self.device));
        }
        serde_json::from_slice(&output.stdout).map_err(|e| e.to_string())
    }
}

/// The solver of a word.
pub fn solver(word: &str) -> Result<Solver, String> {
    match word {
        "patches" => Ok(Solver::Patches),
        "banded" => Ok(Solver::Banded),
        other => Err(format!("no solver {other}: patches or banded")),
    }
}

/// Reads the frame and extracts it; the outcome as JSON.
pub fn run(folder: &Path, case: Case) -> String {
    let start = Instant::now();
    let preproc = read_preproc(folder.join(PREPROC), &PreprocOptions::default()).expect("the frame reads");
    let psf = read_psf(folder.join(PSF)).expect("the PSF reads");
    let read_seconds = start.elapsed().as_secs_f64();
    let ccd = &preproc.ccd;
    // Sizes grow from the middle of the CCD, where all bins have information.
    let middle = 0.5 * (psf.wave_min + psf.wave_max);
    let first = middle - 0.8 * (case.nwave / 2) as f64;
    let grid = WaveGrid::new(first, first + 0.8 * (case.nwave - 1) as f64, 0.8).expect("a grid");
    let options = case.options();
    let once = |engine: &Engine| -> (Duration, Extraction) {
        let start = Instant::now();
        let result = Job::new(&psf, ccd, &grid, &options)
            .map_err(ExtractError::from)
            .and_then(|job| extract(&job, engine, &|_, _| {}))
            .expect("the frame extracts");
        (start.elapsed(), result)
    };
    let engine = case.engine();
    let (time, mut best) =
        (0..case.repeat).map(|_| once(&engine)).min_by_key(|(time, _)| *time).expect("at least one run");
    if engine.is_gpu() {
        // Its stages are told apart only by waiting for each, which takes longer.
        best = once(&engine.with_exact_times()).1;
    } else {
        drop(engine);
    }
    let outcome = Outcome {
        device: case.engine().device(),
        threads: rayon::current_num_threads(),
        read_seconds,
        seconds: time.as_secs_f64(),
        stages: best.summary.stage_time.iter().map(|(s, t)| (s.name().to_string(), t.as_secs_f64())).collect(),
        peak_memory_bytes: peak_memory(),
        case,
    };
    serde_json::to_string(&outcome).expect("numbers and words")
}

/// Peak resident memory of this process in bytes; 0 where the system does not tell.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kb| 1024 * kb)
}
