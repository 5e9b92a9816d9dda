//! How right fitted PSFs are: `cargo xtask fit`, which is `cargo bench --bench fit -- [--psf FILE --first N] [--only CASE] [--page FILE]`.
//!
//! Arcs are simulated on a true PSF and fitted from starts that are wrong. PSFs are compared as images, never by coefficients, which trade
//! places. The bound of a figure that is passed stands beside it, and the exit code is then 1.

mod cases;
mod disc;
mod images;
mod science;
mod shifts;
mod time;

use cases::{CASES, Case, EXACT, Truth};
use images::Distance;
use rayon::prelude::*;
use spextral::base::cancel::CancelToken;
use spextral::fit::{ArcFrame, BundleFit, FitOptions, Fitted, fit_psf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let value = |name: &str| args.iter().position(|a| a == name).and_then(|k| args.get(k + 1)).cloned();
    let first = value("--first").map_or(250, |v| v.parse().expect("a row of the PSF"));
    let only = value("--only");
    if let Some(folder) = value(time::FIT) {
        time::fit_folder(folder.as_ref());
        return ExitCode::SUCCESS;
    }
    let mut truths = vec![Truth::made()];
    truths.extend(value("--psf").map(|path| Truth::read(&path, first)));
    // All parts of the page, which threads take as they are free.
    type Part<'a> = Box<dyn Fn() -> String + Sync + 'a>;
    let mut parts: Vec<Part> = vec![Box::new(|| HEAD.into())];
    for truth in &truths {
        parts.push(Box::new(move || format!("\n## {}\n\n{TABLE}", truth.name)));
        for case in CASES.iter().filter(|case| only.as_ref().is_none_or(|only| case.name.contains(only.as_str()))) {
            parts.push(Box::new(move || run(truth, case)));
        }
        if only.is_none() {
            parts.push(Box::new(move || science::section(truth)));
            parts.push(Box::new(move || shifts::section(truth)));
        }
    }
    if only.is_none() {
        parts.push(Box::new(time::section));
    }
    let of_part = |part: &Part| {
        let text = part();
        eprint!("{text}");
        text
    };
    let page = parts.par_iter().map(of_part).collect::<Vec<String>>().concat();
    match value("--page") {
        Some(path) => std::fs::write(path, &page).expect("the page can be written"),
        None => println!("{page}"),
    }
    // Figures beyond their bounds are bold.
    if page[HEAD.len()..].contains("**") { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Computes on one thread; returns the result and the thread's time, s.
pub fn on_one_thread<T: Send>(compute: impl Fn() -> T + Sync) -> (T, f64) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    pool.install(|| {
        let now = || rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        let seconds = |time: rustix::time::Timespec| time.tv_sec as f64 + 1e-9 * time.tv_nsec as f64;
        let begin = seconds(now());
        (compute(), seconds(now()) - begin)
    })
}

const HEAD: &str = "\
# Fitted PSFs

How far PSFs of `spextral fit-psf` are from the truth, as measured on simulated arcs. This page is written by `cargo xtask fit`; quick cases are
among the unit tests. One bundle of 25 fibres, 88 lines of which half have more than 13 000 electron, one arc with a read noise of 3 electron unless a row says otherwise.

Images are compared, fitted and true, both as an extraction has them, at 40 wavelengths between the first line and the last. **Peak** is the largest difference over the image's peak: half of the images,
99 %, the worst. **x**, **y** are the displacements in pixels that describe the difference best, rms (mean, worst), **widths** the widenings in %, rms along x and y. **Stated** is the
rms of the errors in the file's TRACEERR, x and y, **pulls** are the rms of what x and y are off in these errors: below 1 along y where the list is better than the 0.01 pixels that are supposed. Time is that of one core, without what others take of it. A figure beyond its bound is bold, with the bound.
";

const TABLE: &str = "\
| case | chi2/ndf | peak, % | x | y | widths, % | stated | pulls | s | remarks |
|---|---|---|---|---|---|---|---|---|---|
";

/// Fits a case on one thread.
pub fn fit(truth: &Truth, case: &Case) -> (Fitted, f64) {
    let (start, frames) = (truth.start(case), truth.frames(case));
    let arcs: Vec<ArcFrame> =
        frames.iter().map(|f| ArcFrame { ccd: &f.ccd, readnoise: f.readnoise.as_deref() }).collect();
    let gh_degree = case.disc.then_some(disc::FITTED);
    let options = FitOptions { line_error: case.line_error, gh_degree, ..FitOptions::default() };
    let lines = truth.listed(case);
    let (fitted, seconds) =
        on_one_thread(|| fit_psf(&start, &arcs, &lines, &options, &CancelToken::default(), &|_, _| ()));
    (fitted.expect("inputs that fit together"), seconds)
}

/// Returns a row of the table.
fn run(truth: &Truth, case: &Case) -> String {
    let (fitted, seconds) = fit(truth, case);
    let bundle = &fitted.bundles[0];
    let quality = match &bundle.outcome {
        Ok(quality) => quality,
        Err(reason) => {
            return format!("| {} | **{reason}** | | | | | | | {seconds:.1} | |\n", case.name);
        }
    };
    let right = truth.of(case);
    let without = [&bundle.dead[..], case.harmed].concat();
    let distance = Distance::measure(&right, &fitted.psf, &without, &truth.waves(&truth.listed(case)));
    let figure = |value: f64, bound: f64, text: String| match value.abs() <= bound {
        true => text,
        false => format!("**{text}** (bound {bound})"),
    };
    let b = &case.bounds;
    let chi2 = figure(quality.reduced_chi2 - 1.0, b.chi2, format!("{:.3}", quality.reduced_chi2));
    let [half, most, worst] = distance.peak;
    let peak = figure(half.max(most * b.peak[0] / b.peak[1]), b.peak[0], format!("{half:.2} / {most:.2} / {worst:.2}"));
    let axis = |k: usize| {
        let [rms, mean, worst] = distance.at[k];
        figure(rms, b.at[k], format!("{rms:.4} ({mean:+.4}, {worst:.3})"))
    };
    let (x, y) = (axis(0), axis(1));
    let [wx, wy] = distance.widths;
    let widths = figure(wx.max(wy), b.widths, format!("{wx:.3}, {wy:.3}"));
    let stated = [0, 1].map(|k| rms(bundle.errors.iter().filter(|e| !without.contains(&e.fibre)).map(|e| e.at[k])));
    let pulls = Distance::pulls(&right, &fitted.psf, &bundle.errors, &without);
    let of_noise = case.name == EXACT && pulls.iter().any(|pull| !(0.85..1.2).contains(pull));
    let pulls = figure(f64::from(u8::from(of_noise)), 0.5, format!("{:.2}, {:.2}", pulls[0], pulls[1]));
    let found = (case.found)(truth, bundle);
    let remarks = remarks(bundle, case.harmed);
    let remarks = if found { remarks } else { format!("**other lines were to be found or left out**; {remarks}") };
    format!(
        "| {} | {chi2} | {peak} | {x} | {y} | {widths} | {:.4}, {:.4} | {pulls} | {seconds:.1} | {remarks} |\n",
        case.name, stated[0], stated[1]
    )
}

fn remarks(bundle: &BundleFit, harmed: &[usize]) -> String {
    let mut words = Vec::new();
    if !harmed.is_empty() {
        words.push(format!("without {} fibres that the defect hits", harmed.len()));
    }
    if !bundle.dead.is_empty() {
        words.push(format!("without light: {:?}", bundle.dead));
    }
    if !bundle.found.is_empty() {
        let waves: Vec<String> = bundle.found.iter().map(|line| format!("{:.1}", line.wave)).collect();
        words.push(format!("found {}", waves.join(", ")));
    }
    if !bundle.lost.is_empty() {
        words.push(format!("{} listed lines left out", bundle.lost.len()));
    }
    if bundle.rejected > 0 {
        words.push(format!("{} pixels rejected", bundle.rejected));
    }
    if bundle.shifts.len() > 1 {
        let first = bundle.shifts[0];
        let far = bundle.shifts.iter().map(|s| format!("({:+.3}, {:+.3})", s[0] - first[0], s[1] - first[1]));
        words.push(format!("exposures at {}", far.collect::<Vec<_>>().join(", ")));
    }
    words.join("; ")
}

/// Root of the mean square.
pub fn rms(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0), |(sum, n), v| (sum + v * v, n + 1));
    (sum / f64::from(n.max(1))).sqrt()
}
