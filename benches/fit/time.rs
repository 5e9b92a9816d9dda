//! Time and memory of fits to whole frames.
//!
//! Every fit is a process of its own, which reads files and writes one: its memory is its own.

use super::cases::{Truth, moved, normal};
use spextral::base::cancel::CancelToken;
use spextral::fit::{FitOptions, FitRequest, fit_file};
use spextral::fits::{PreprocOptions, write_preproc, write_psf};
use spextral::simulate::synthetic::Synthetic;
use spextral::simulate::{Light, Simulation, simulate};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// The first argument of a process that fits the files of a folder.
pub const FIT: &str = "--fit-folder";
/// Fibres and lines of the frames.
const FRAMES: [[usize; 2]; 4] = [[25, 88], [125, 88], [125, 44], [500, 88]];
/// Bounds of the last: core seconds, which are two minutes on two cores, and MB.
const BOUNDS: [f64; 2] = [240.0, 1000.0];

/// Returns a section of the page.
pub fn section() -> String {
    let mut page = String::from(
        "\n## Time\n\nArcs on synthetic PSFs of bundles of 25 fibres on 4128 rows: one process on two threads that reads the files, fits and writes. Core seconds are those of both threads; on two \
         cores that have nothing else to do the wall time is half of them.\n\n| fibres | lines | core seconds | wall time, s | core seconds per bundle | memory, MB | coarse shift, normal equations, steps, lines and pixels, errors |\n|---|---|---|---|---|---|---|\n",
    );
    for [fibres, lines] in FRAMES {
        let folder = tempfile::tempdir().expect("a temporary folder");
        prepare(folder.path(), fibres, lines);
        let me = std::env::current_exe().expect("this program");
        let output = Command::new(me).arg(FIT).arg(folder.path()).env("RAYON_NUM_THREADS", "2").output();
        let text = String::from_utf8(output.expect("a process").stdout).expect("numbers");
        let figures: Vec<f64> = text.split_whitespace().map_while(|word| word.parse().ok()).collect();
        let [cores, wall, memory, ref parts @ ..] = figures[..] else { panic!("the fit of {fibres} fibres: {text}") };
        let bounded = |k: usize, value: f64| match fibres == 500 && value > BOUNDS[k] {
            true => format!("**{value:.0}** (bound {:.0})", BOUNDS[k]),
            false => format!("{value:.0}"),
        };
        let _ = writeln!(
            page,
            "| {fibres} | {lines} | {} | {wall:.0} | {:.1} | {} | {} |",
            bounded(0, cores),
            cores / (fibres as f64 / 25.0),
            bounded(1, memory),
            parts.iter().map(|part| format!("{:.0} %", 100.0 * part)).collect::<Vec<_>>().join(", ")
        );
    }
    page
}

fn prepare(folder: &Path, nfibre: usize, count: usize) {
    let synthetic = Synthetic { nfibre, seed: 3, ..Synthetic::default() };
    let psf = synthetic.build().expect("parameters of a PSF");
    let step = (psf.wave_max - psf.wave_min) / (count + 2) as f64;
    let mut list = String::from("# vacuum\n");
    let mut lines = Vec::new();
    for (k, mut line) in Truth::made().lines.into_iter().take(count).enumerate() {
        line.wave = psf.wave_min + step * (k as f64 + 1.5 + 0.35 * normal(k).sin());
        let _ = writeln!(list, "{}", line.wave);
        lines.push(line);
    }
    let light = Light::Arc { lines, electrons: super::cases::ELECTRONS };
    let frame =
        simulate(&psf, &Simulation { light, cosmics: 0.0, ..Simulation::default() }).expect("a frame of the PSF");
    let start = moved(&psf, [0.3, -0.3], 1.05);
    std::fs::write(folder.join("lines.txt"), list).expect("a list");
    write_preproc(folder.join("arc.fits"), &frame.preproc, false).and_then(|f| Ok(f.persist()?)).expect("an arc");
    write_psf(folder.join("start.fits"), &start, false).and_then(|f| Ok(f.persist()?)).expect("a start");
}

/// Fits the files of a folder, and prints core seconds, wall seconds and MB.
pub fn fit_folder(folder: &Path) {
    let request = FitRequest {
        inputs: vec![folder.join("arc.fits")],
        start: folder.join("start.fits"),
        output: folder.join("fitted.fits"),
        lines: folder.join("lines.txt"),
        medium: None,
        preproc: PreprocOptions::default(),
        options: FitOptions::default(),
        broken_fibres: Vec::new(),
        overwrite: false,
    };
    let begin = Instant::now();
    let done = fit_file(&request, &CancelToken::default(), &|_, _| ()).expect("a fit");
    assert!(done.fitted.bundles.iter().all(|bundle| bundle.outcome.is_ok()), "a bundle is not fitted");
    let wall = begin.elapsed().as_secs_f64();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let most =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?.trim().parse().ok());
    let cores = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    print!("{} {wall} {}", cores.tv_sec as f64 + 1e-9 * cores.tv_nsec as f64, most.unwrap_or(0.0f64) / 1024.0);
    let parts = done.fitted.times.parts().map(|(_, time)| time.as_secs_f64());
    println!("{}", parts.map(|time| format!(" {}", time / parts.iter().sum::<f64>())).concat());
}
