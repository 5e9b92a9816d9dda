//! Many frames in one run: `cargo bench --bench exposure -- [--frames N] [--nspec N] [--nwave N] [--device D] [--repeat K]
//! [--ranks N,…] [--keep FOLDER] [--json FILE]`.
//!
//! The real binary extracts simulated frames, gzipped in and out, with and without overlap, and on request over MPI ranks
//! (cargo feature `mpi`). `--device none` stands for a GPU whose kernels do nothing: the host's part of a stream. `--inputs N` makes
//! so many files for all frames, and `--plain` leaves them unpacked. Its first and last frames do not count. The wall time is compared with a lower bound for any order of
//! work. That is processor time over cores, or the longest of reading, computing and writing by themselves.

use serde_json::{Value, json};
use spextral::backend::Engine;
use spextral::exposure::{self, Outcome, Phase, RunLog, Settings};
use spextral::extract::Request;
use spextral::fits::{write_preproc, write_psf};
use spextral::gpu::{Gpu, OpenOptions, Precision};
use spextral::simulate::synthetic::Synthetic;
use spextral::simulate::{Simulation, simulate};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread::available_parallelism;

/// Frames at the beginning of a run on a device without kernels that do not count, as the first makes all buffers and kernels.
/// As many at the end do not count: the frames between them begin and end beside as many others.
const SKIPPED: usize = 3;

/// The first argument of a process that extracts on a device without kernels; see [`without_kernels`].
const WITHOUT_KERNELS: &str = "--without-kernels";

struct Job {
    frames: usize,
    inputs: usize,
    plain: bool,
    nspec: usize,
    nwave: usize,
    device: String,
    repeat: usize,
    ranks: Vec<usize>,
    keep: Option<PathBuf>,
    json: Option<PathBuf>,
}

/// A row of the table: the figures of the fastest run.
struct Row {
    name: String,
    figures: Value,
}

fn main() {
    let job = Job::from_args();
    if std::env::args().any(|word| word == WITHOUT_KERNELS) {
        return job.without_kernels();
    }
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let folder = job.keep.as_deref().unwrap_or(scratch.path());
    std::fs::create_dir_all(folder).expect("the folder can be made");
    let cores = available_parallelism().map_or(1, usize::from);
    println!(
        "{} frames of {} fibres x {} bins, {}, {} cores, device {}",
        job.frames,
        job.nspec,
        job.nwave,
        if job.plain { "not packed" } else { "gzipped in and out" },
        cores,
        job.device
    );
    job.prepare(folder);
    let alone = job.row(folder, "sequential", None, &["--no-overlap"]);
    let mut rows = vec![job.row(folder, "overlapped", None, &[])];
    for &ranks in &job.ranks {
        rows.push(job.row(folder, &format!("{ranks} ranks"), Some(ranks), &[]));
        if ranks > 1 {
            let all = ranks.to_string();
            rows.push(job.row(folder, &format!("{ranks} ranks per frame"), Some(ranks), &["--ranks-per-frame", &all]));
        }
    }
    println!(
        "{:20} {:>7} {:>6} {:>7} {:>7} {:>7} {:>9} {:>7} {:>7} {:>6} {:>9}",
        "", "wall s", "cpu s", "read s", "comp. s", "write s", "bound", "ratio", "gain", "MB", "frames/h"
    );
    for row in [&alone].into_iter().chain(&rows) {
        let floor = floor(row, &alone, cores);
        let wall = row.get("wall_seconds");
        println!(
            "{:20} {wall:7.2} {:6.1} {:7.2} {:7.2} {:7.2} {floor:9.2} {:7.2} {:7.2} {:6.0} {:9.0}",
            row.name,
            row.get("cpu_seconds"),
            row.get("read_seconds"),
            row.get("compute_seconds"),
            row.get("write_seconds"),
            wall / floor,
            alone.get("wall_seconds") / wall,
            row.get("peak_memory_bytes") / 1e6,
            row.get("frames_per_node_hour"),
        );
    }
    println!(
        "bound: the larger of cpu s / cores and the longest phase of the sequential run; ratio: wall / bound; gain: \
         sequential wall / wall"
    );
    if let Some(path) = &job.json {
        let all: Vec<Value> =
            [&alone].into_iter().chain(&rows).map(|r| json!({"name": r.name, "figures": r.figures})).collect();
        std::fs::write(path, Value::from(all).to_string()).expect("the JSON file can be written");
    }
}

/// Returns the lower bound of the wall time for any order of work, s.
fn floor(row: &Row, alone: &Row, cores: usize) -> f64 {
    let phases = ["read_seconds", "compute_seconds", "write_seconds"].map(|phase| alone.get(phase));
    // Groups of ranks read and write at the same time.
    let longest = phases.into_iter().fold(0.0, f64::max) / row.get("groups");
    longest.max(row.get("cpu_seconds") / cores as f64)
}

/// Returns the figures of the frames that count, with their processor time.
fn steady(log: &RunLog, cpu: f64) -> Value {
    let end = |outcome: &Outcome| outcome.events.last().map_or(f64::NAN, |event| event.end);
    let counted = &log.outcomes[SKIPPED..log.outcomes.len() - SKIPPED];
    let wall = counted.iter().map(end).fold(f64::NAN, f64::max) - end(&log.outcomes[SKIPPED - 1]);
    let [read, compute, write] = Phase::ALL.map(|phase| counted.iter().map(|o| o.seconds(phase)).sum::<f64>());
    let mut figures = json!(log.figures());
    let changed = json!({
        "frames": counted.len(),
        "wall_seconds": wall,
        "cpu_seconds": cpu,
        "read_seconds": read,
        "compute_seconds": compute,
        "write_seconds": write,
        "frames_per_node_hour": 3600.0 * counted.len() as f64 / wall,
    });
    for (name, value) in changed.as_object().expect("it is an object") {
        figures[name] = value.clone();
    }
    figures
}

/// Returns the processor time of this process so far, s. Linux gives it in hundredths of a second.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks = |field: usize| after_name.split(' ').nth(field).and_then(|ticks| ticks.parse::<f64>().ok());
    ticks(11).zip(ticks(12)).map_or(f64::NAN, |(user, system)| (user + system) / 100.0)
}

impl Row {
    fn get(&self, name: &str) -> f64 {
        self.figures[name].as_f64().unwrap_or(f64::NAN)
    }
}

impl Job {
    fn from_args() -> Self {
        let args: Vec<String> = std::env::args().collect();
        let value = |name: &str| args.iter().position(|a| a == name).and_then(|k| args.get(k + 1)).cloned();
        let number = |name: &str, default| value(name).map_or(default, |v| v.parse().expect("a whole number"));
        let ranks = value("--ranks").unwrap_or_default();
        Self {
            frames: number("--frames", 8),
            inputs: number("--inputs", number("--frames", 8)).max(1),
            plain: args.iter().any(|a| a == "--plain"),
            nspec: number("--nspec", 100),
            nwave: number("--nwave", 2326),
            device: value("--device").unwrap_or_else(|| "cpu".into()),
            repeat: number("--repeat", 3).max(1),
            ranks: ranks.split(',').filter(|n| !n.is_empty()).map(|n| n.parse().expect("numbers of ranks")).collect(),
            keep: value("--keep").map(Into::into),
            json: value("--json").map(Into::into),
        }
    }

    /// Writes frames and manifest.
    fn prepare(&self, folder: &Path) {
        let psf = Synthetic { nfibre: self.nspec.next_multiple_of(25), ..Synthetic::default() };
        let psf = psf.build().expect("a DESI-like PSF");
        write_psf(folder.join("psf.fits"), &psf, true)
            .expect("the PSF can be written")
            .persist()
            .expect("the PSF can be written");
        let mut rows = String::from("input,psf,output\n");
        for i in 0..self.inputs {
            let simulation = Simulation { seed: i as u64, ..Simulation::default() };
            let frame = simulate(&psf, &simulation).expect("a DESI-like frame").preproc;
            write_preproc(folder.join(self.file("in", i)), &frame, true)
                .expect("a frame can be written")
                .persist()
                .expect("a frame can be written");
        }
        for i in 0..self.frames {
            rows += &format!("{},psf.fits,{}\n", self.file("in", i % self.inputs), self.file("out", i));
        }
        std::fs::write(folder.join("frames.csv"), rows).expect("the manifest can be written");
    }

    fn file(&self, kind: &str, i: usize) -> String {
        format!("{kind}{i}.fits{}", if self.plain { "" } else { ".gz" })
    }

    fn wave_max(&self) -> f64 {
        5760.0 + 0.8 * (self.nwave - 1) as f64
    }

    /// Extracts all frames of the present folder on a device whose kernels do nothing, and prints the figures as JSON.
    fn without_kernels(&self) {
        let request = |i: usize| {
            let mut request = Request::new(self.file("in", i % self.inputs), "psf.fits", self.file("out", i));
            request.overwrite = true;
            request.wavelength = format!("5760,{},0.8", self.wave_max()).parse().ok();
            request.options.nspec = Some(self.nspec);
            request.options.precision = Some(Precision::F32);
            request
        };
        let requests: Vec<Request> = (0..self.frames).map(request).collect();
        let overlap = std::env::args().all(|word| word != "--no-overlap");
        let settings = Settings { overlap, ..Settings::default() };
        let open = || Ok(Engine::on_gpu(Gpu::without_kernels(&OpenOptions::default())?, &[]));
        assert!(self.frames > 2 * SKIPPED, "the first and the last {SKIPPED} frames do not count: give more");
        let marks = Mutex::new(Vec::new());
        let progress = |done: usize, _| {
            if done == SKIPPED || done == self.frames - SKIPPED {
                marks.lock().expect("nothing panics").push(cpu_seconds());
            }
        };
        let log = exposure::run(&requests, &settings, open, &progress).expect("there is such a device");
        let marks = marks.into_inner().expect("nothing panics");
        println!("{}", steady(&log, marks[marks.len() - 1] - marks[0]));
    }

    /// Runs `repeat` times and keeps the fastest.
    fn row(&self, folder: &Path, name: &str, ranks: Option<usize>, more: &[&str]) -> Row {
        let figures = (0..self.repeat).map(|_| self.run(folder, name, ranks, more));
        let best =
            figures.min_by(|a, b| a["wall_seconds"].as_f64().partial_cmp(&b["wall_seconds"].as_f64()).expect("times"));
        Row { name: name.into(), figures: best.expect("there is one run at least") }
    }

    fn run(&self, folder: &Path, name: &str, ranks: Option<usize>, more: &[&str]) -> Value {
        let binary = env!("CARGO_BIN_EXE_spextral");
        if self.device == "none" {
            let mut command = Command::new(std::env::current_exe().expect("this program has a name"));
            command.args(std::env::args().skip(1)).arg(WITHOUT_KERNELS).args(more);
            let output = command.current_dir(folder).output().expect("this program runs again");
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
            return serde_json::from_slice(&output.stdout).expect("the figures are JSON");
        }
        let mut command = match ranks {
            None => Command::new(binary),
            Some(ranks) => {
                let mut launcher = Command::new("mpirun");
                launcher.args([
                    "--allow-run-as-root",
                    "--oversubscribe",
                    "--bind-to",
                    "none",
                    "-n",
                    &ranks.to_string(),
                ]);
                launcher.arg(binary);
                launcher
            }
        };
        let timeline = format!("{}-timeline", name.replace(' ', "-"));
        let wmax = self.wave_max();
        command.args(["exposure", "--manifest", "frames.csv", "--overwrite", "--report", "report.json"]);
        command.args(["--device", &self.device, "--loglevel", "warn", "--timeline", &timeline]);
        command.args(["-w", &format!("5760,{wmax},0.8"), "-n", &self.nspec.to_string()]);
        let output = command.args(more).current_dir(folder).output().expect("the binary runs");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let report = std::fs::read(folder.join("report.json")).expect("there is a report");
        let report: Value = serde_json::from_slice(&report).expect("the report is JSON");
        report["figures"].clone()
    }
}
