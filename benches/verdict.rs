//! The verdict on a frame: the faults that it finds, by size, and how often it blames a good one. `cargo xtask verdict` runs
//! `cargo bench --bench verdict -- [--seeds N] [--only CASE] [--page FILE]`.
//!
//! Frames of the sky, stars and galaxies are simulated with a PSF that differs from that of the extraction, or with wrong errors.
//! The exit code is 1 where a fault is not found that shall be, or a good frame is blamed.

use spextral::extract::{Request, extract_file};
use spextral::fits::{write_preproc, write_psf};
use spextral::psf::PsfParts;
use spextral::report::{Light, Material, Model, Report, Severity, Sources};
use spextral::simulate::synthetic::Synthetic;
use spextral::simulate::{Simulation, simulate};
use spextral::{Ccd, Engine, ModelFlux, Psf};
use std::fmt::Write;
use std::ops::Range;
use std::path::Path;
use std::process::ExitCode;

/// A fault of a frame.
#[derive(Clone, Copy)]
enum Fault {
    /// The traces are off along x and y, pixels.
    Shift([f64; 2]),
    /// The traces are off along x by so much at either end of the wavelengths, with opposite signs, pixels.
    Tilt(f64),
    /// The spots are wider by these factors along x and y.
    Width([f64; 2]),
    /// The stated errors are too small by this factor.
    Errors(f64),
    /// The errors of the lower left quarter are too small by this factor.
    QuarterErrors(f64),
}

/// A fault, the fibres that have it, the words by which the verdict names it, and whether it shall be found.
struct Case {
    name: &'static str,
    fault: Fault,
    fibres: Range<usize>,
    words: &'static str,
    wanted: bool,
}

const fn case(name: &'static str, fault: Fault, words: &'static str, wanted: bool) -> Case {
    Case { name, fault, fibres: 0..NFIBRE, words, wanted }
}

/// Fibres in two bundles.
const NFIBRE: usize = 50;
/// Rows of the CCD.
const ROWS: usize = 1032;
/// Good frames.
const SEEDS: u64 = 100;

const CASES: [Case; 20] = [
    case("traces, x, 0.01 px", Fault::Shift([0.01, 0.0]), "off in x", false),
    case("traces, x, 0.03 px", Fault::Shift([0.03, 0.0]), "off in x", true),
    case("traces, x, 0.1 px", Fault::Shift([0.1, 0.0]), "off in x", true),
    case("traces, x, 0.5 px", Fault::Shift([0.5, 0.0]), "off in x", true),
    case("traces, y, 0.02 px", Fault::Shift([0.0, 0.02]), "off in y", false),
    case("traces, y, 0.06 px", Fault::Shift([0.0, 0.06]), "off in y", true),
    case("traces, y, 0.1 px", Fault::Shift([0.0, 0.1]), "off in y", true),
    case("traces, y, 0.5 px", Fault::Shift([0.0, 0.5]), "off in y", true),
    Case {
        name: "traces, x, 0.1 px, one bundle",
        fault: Fault::Shift([0.1, 0.0]),
        fibres: 25..50,
        words: "at fibres 25 to 49",
        wanted: true,
    },
    Case {
        name: "traces, y, 0.1 px, one bundle",
        fault: Fault::Shift([0.0, 0.1]),
        fibres: 25..50,
        words: "at fibres 25 to 49",
        wanted: true,
    },
    case("traces, x, -0.1 to 0.1 px along wavelength", Fault::Tilt(0.1), "off in x at fibres", true),
    case("width along x, 2 %", Fault::Width([1.02, 1.0]), "width along x", true),
    case("width along x, 5 %", Fault::Width([1.05, 1.0]), "width along x", true),
    case("width along y, 2 %", Fault::Width([1.0, 1.02]), "width along y", false),
    case("width along y, 5 %", Fault::Width([1.0, 1.05]), "width along y", true),
    case("errors 1.03 times too small", Fault::Errors(1.03), "times too small", false),
    case("errors 1.1 times too small", Fault::Errors(1.1), "times too small", true),
    case("errors 1.2 times too small", Fault::Errors(1.2), "times too small", true),
    case("errors 1.2 times too large", Fault::Errors(1.0 / 1.2), "times too large", true),
    case("errors 1.2 times too small in a quarter", Fault::QuarterErrors(1.2), "lower left quarter", true),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let value = |name: &str| args.iter().position(|a| a == name).and_then(|k| args.get(k + 1)).cloned();
    let only = value("--only");
    let seeds = value("--seeds").map_or(SEEDS, |text| text.parse().expect("a number of seeds"));
    let psf = Synthetic { nfibre: NFIBRE, npix_y: Some(ROWS), ..Synthetic::default() }.build().expect("a PSF");
    let (mut page, mut passed) = (format!("{HEAD}{TABLE}"), true);
    for case in CASES.iter().filter(|case| only.as_ref().is_none_or(|only| case.name.contains(only.as_str()))) {
        let report = frame(&psf, Some(case), 1);
        let text = said(&report);
        let found = text.contains(case.words);
        passed &= found || !case.wanted;
        let light = report.verdict().light.name();
        let mark = if found {
            "found"
        } else if case.wanted {
            "**not found**"
        } else {
            "not found"
        };
        let row = format!("| {} | {mark} | {light} | {} |\n", case.name, text.replace('|', ""));
        eprint!("{row}");
        page += &row;
    }
    if only.is_none() {
        let blamed: Vec<(u64, String)> = (0..seeds)
            .map(|seed| (seed, said(&frame(&psf, None, seed))))
            .filter(|(seed, text)| {
                eprintln!("seed {seed}: {text}");
                !text.is_empty()
            })
            .collect();
        passed &= blamed.is_empty();
        let _ = writeln!(
            page,
            "\n## Good frames\n\nOf {seeds} good frames, seeds 0 to {}, {} are blamed.",
            seeds - 1,
            blamed.len()
        );
        blamed.iter().for_each(|(seed, text)| _ = writeln!(page, "\n**seed {seed}**: {text}"));
    }
    match value("--page") {
        Some(path) => std::fs::write(path, page).expect("the page can be written"),
        None => println!("{page}"),
    }
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

const HEAD: &str = "\
# The verdict on a frame

Which faults `spextral report` finds, as measured on simulated frames. This page is written by `cargo xtask verdict`. Two bundles of 25 fibres on 1032 rows, the night sky with stars
and galaxies, 1000 s, read noise 3 electron, with cosmic rays, bad columns and broken fibres. The frame is simulated with the fault and extracted without knowing of it.
A fault that shall be found and is not is bold. Some sizes are below the thresholds by intent: what is measured is in the page's tiles and table in any case.

";

const TABLE: &str = "\
| fault | | verdict | said |
|---|---|---|---|
";

/// Returns the warnings that blame PSF or errors. Broken fibres of the simulation do not count.
fn said(report: &Report) -> String {
    let is_blame = |text: &str| !text.contains("without flux") && !text.contains("without a single usable bin");
    let texts = report.warnings().iter().filter(|w| w.severity != Severity::Note && is_blame(&w.text));
    let texts: Vec<&str> = texts.map(|w| &*w.text).collect();
    let light = report.verdict().light;
    assert!(light != Light::Green || texts.is_empty(), "a green verdict with blame");
    texts.join(" ")
}

/// Simulates a frame, with a fault or good, and makes the report as `spextral report FRAME` does.
fn frame(psf: &Psf, case: Option<&Case>, seed: u64) -> Report {
    let mut night = psf.clone();
    if let Some(case) = case {
        night.update(|parts| change(parts, case)).expect("a PSF that is off");
    }
    let mut preproc = simulate(&night, &Simulation { seed, ..Simulation::default() }).expect("a frame").preproc;
    if let Some(Fault::Errors(factor) | Fault::QuarterErrors(factor)) = case.map(|case| case.fault) {
        let quarter = matches!(case.map(|case| case.fault), Some(Fault::QuarterErrors(_)));
        let [ny, nx] = [preproc.ccd.ny(), preproc.ccd.nx()];
        let [image, mut ivar] = preproc.ccd.clone().into_planes();
        let is_off = |i: usize| !quarter || (2 * (i % nx) < nx && 2 * (i / nx) < ny);
        ivar.iter_mut().enumerate().filter(|(i, _)| is_off(*i)).for_each(|(_, w)| *w *= (factor * factor) as f32);
        preproc.ccd = Ccd::new(ny, nx, image, ivar).expect("planes of one shape");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    write_psf(at("psf.fits"), psf, false).expect("a PSF file").persist().expect("a PSF file");
    write_preproc(at("preproc.fits"), &preproc, false).expect("a frame file").persist().expect("a frame file");
    report(folder.path())
}

fn report(folder: &Path) -> Report {
    let at = |name: &str| folder.join(name);
    let request = Request {
        model: Some((at("model.fits"), ModelFlux::default())),
        ..Request::new(at("preproc.fits"), at("psf.fits"), at("frame.fits"))
    };
    extract_file(&request, &Engine::cpu(), &|_, _| ()).expect("spectra");
    let sources = Sources {
        frame: at("frame.fits"),
        ccd: Some((at("preproc.fits"), Model::File(at("model.fits")))),
        psf: Some(at("psf.fits")),
        truth: None,
    };
    Report::new(Material::read(sources).expect("files of one frame"))
}

fn change(parts: &mut PsfParts, case: &Case) {
    let fibres = case.fibres.clone();
    let mut add = |axis: usize, order: usize, by: f64| {
        let trace = if axis == 0 { &mut parts.trace_x } else { &mut parts.trace_y };
        let n = trace.ncoeff;
        fibres.clone().for_each(|fibre| trace.coeff[fibre * n + order] += by);
    };
    match case.fault {
        Fault::Shift([x, y]) => {
            add(0, 0, x);
            add(1, 0, y);
        }
        Fault::Tilt(by) => add(0, 1, by),
        Fault::Width(factors) => {
            for (series, factor) in [&mut parts.sigma_x, &mut parts.sigma_y].into_iter().zip(factors) {
                series.coeff.iter_mut().for_each(|c| *c *= factor);
            }
        }
        Fault::Errors(_) | Fault::QuarterErrors(_) => {}
    }
}
