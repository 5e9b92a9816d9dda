//! `spextral fit-psf`: a PSF from arc frames.

use super::fit_peers::{FitPeers, installed_list};
use super::json::{Json, object, print_object, text};
use super::line_list::line_list;
use super::logging::Progress;
use super::output::{Outcome, print};
use super::signals::cancel_on_signals;
use serde_json::{Map, Value, json};
use spextral::exposure;
#[cfg(feature = "mpi")]
use spextral::exposure::mpi::MpiJob;
#[cfg(feature = "mpi")]
use spextral::fit::FitInputs;
use spextral::fit::{BundleFit, FitDone, FitOptions, FitRequest, fit_file, remarks};
use spextral::fits::{Medium, PreprocOptions};
#[cfg(feature = "plot")]
use spextral::{
    PendingFile,
    base::output_path::{Format, check_outputs},
    fits::read_psf,
    report::fit_page,
};
use std::error::Error;
#[cfg(feature = "plot")]
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
#[cfg(feature = "mpi")]
use std::time::Instant;
#[cfg(feature = "mpi")]
use tracing::subscriber::{NoSubscriber, with_default};

/// Fit a PSF to arc frames: traces and Gauss-Hermite shapes of every bundle, from a start that is right to some pixels
///
/// Traces may be off by up to --reach, widths by 15 %. Lines may be missing in the list and the list may have lines that
/// the lamp lacks. Several arcs are fitted together: traces and shapes in common, fluxes and a rigid shift for each.
/// The PSF file has the tables BUNDLES, LINES (every spot, and why it did not count) and TRACEERR. STATUS of a fibre is 0
/// fitted, 2 as in the start. Fibres without light follow their bundle; the card NOLIGHT has them. The exit code is 1 if a
/// bundle kept the start's PSF.
/// Under mpirun or srun the ranks share the bundles (built with mpi); the file is the same for any number of them.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Preproc file of an arc; may be given several times
    #[arg(short = 'i', long, alias = "input-image", value_name = "ARC", required = true)]
    input: Vec<PathBuf>,
    /// PSF file to start from
    #[arg(short = 'p', long, alias = "input-psf", value_name = "PSF")]
    psf: PathBuf,
    /// PSF file to write (.fits or .fits.gz)
    #[arg(short = 'o', long, alias = "output-psf", value_name = "PSF")]
    output: PathBuf,
    /// Line list: text or a FITS table, wavelength [ion] [weight] in Angstrom. Or built-in lines of Hg, Cd, Ne, Ar, Kr, Xe, Th,
    /// as builtin:HgCdNe [default: that of $SPECEXDATA, if set]
    #[arg(long, value_name = "LIST", value_parser = line_list())]
    lines: Option<PathBuf>,
    /// Whether the list's wavelengths are in air or in vacuum [default: by the list itself]
    #[arg(long, value_name = "MEDIUM", value_parser = ["air", "vacuum"])]
    lines_in: Option<String>,
    /// First fibre that is fitted, a row of the PSF; the others are as in the start
    #[arg(short = 's', long, value_name = "N", default_value_t = 0)]
    specmin: usize,
    /// Number of fibres that are fitted [default: all from --specmin on]
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    nspec: Option<u32>,
    /// Fibres that are fitted together [default: those between gaps, at most 40]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    bundlesize: Option<u32>,
    /// Highest Hermite order along either axis [default: the start's]
    #[arg(long, value_name = "DEGREE", value_parser = clap::value_parser!(u32).range(0..=16))]
    ghdeg: Option<u32>,
    /// Degree of widths and Hermite terms along wavelength [default: the start's]
    #[arg(long, value_name = "DEGREE", value_parser = clap::value_parser!(u32).range(0..=10))]
    legdeg: Option<u32>,
    /// Degree of widths and Hermite terms across a bundle [default: 1, and 2 where that fits a bundle better by far]
    #[arg(long, value_name = "DEGREE", value_parser = clap::value_parser!(u32).range(0..=4))]
    degree_across: Option<u32>,
    /// Error of the list's wavelengths in pixels; 0 takes them as exact
    #[arg(long, value_name = "PIXELS", default_value_t = FitOptions::default().line_error, value_parser = size)]
    line_error: f64,
    /// Departure of a fibre's trace from the start in pixels, apart from what its whole bundle needs
    #[arg(long, value_name = "PIXELS", default_value_t = FitOptions::default().trace_error, value_parser = size)]
    trace_error: f64,
    /// How far the start's traces may be off across and along the dispersion in pixels
    #[arg(long, value_name = "ACROSS,ALONG", default_value = "4,15", value_parser = pair)]
    reach: [f64; 2],
    /// Fibres without light, numbered as in the PSF: they follow their bundles
    #[arg(long, visible_alias = "broken-fibers", value_name = "FIBRE,...", value_delimiter = ',')]
    broken_fibres: Vec<i64>,
    /// Do not look for lines that the list lacks
    #[arg(long)]
    no_unlisted: bool,
    /// Read noise in electron, for frames without weights
    #[arg(long, value_name = "ELECTRON", value_parser = size)]
    readnoise: Option<f64>,
    /// Electrons per unit of the image [default: the image is in electron]
    #[arg(long, value_name = "ELECTRON", value_parser = size)]
    gain: Option<f64>,
    /// Also write a page about the fit: residual, shifts, chi2 by line and fibre, widths, lines lost and found (.html)
    #[cfg(feature = "plot")]
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Replace the output where it exists
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    pub peers: FitPeers,
    #[command(flatten)]
    pub json: Json,
}

/// Parses a size in pixels or electron.
fn size(word: &str) -> Result<f64, String> {
    match word.parse() {
        Ok(size) if (0.0..=1e6).contains(&size) => Ok(size),
        _ => Err("a number from 0 to 1e6 is needed".into()),
    }
}

/// Parses a distance across and one along the dispersion.
fn pair(words: &str) -> Result<[f64; 2], String> {
    let numbers: Vec<f64> = words.split(',').map_while(|word| word.trim().parse().ok()).collect();
    match numbers[..] {
        [dx, dy] if (0.0..=100.0).contains(&dx) && (0.0..=100.0).contains(&dy) => Ok([dx, dy]),
        _ => Err("two numbers of pixels from 0 to 100 are needed, ACROSS,ALONG".into()),
    }
}

impl Arguments {
    fn request(&self) -> Result<FitRequest, Box<dyn Error>> {
        let (lines, installed) = match &self.lines {
            Some(lines) => (lines.clone(), false),
            None => (installed_list(), true),
        };
        let medium = self.lines_in.as_deref().map(str::parse::<Medium>).transpose()?;
        let end = self.nspec.map_or(usize::MAX, |nspec| self.specmin.saturating_add(nspec as usize));
        Ok(FitRequest {
            inputs: self.input.clone(),
            start: self.psf.clone(),
            output: self.output.clone(),
            lines,
            medium: medium.or(installed.then_some(Medium::Vacuum)),
            preproc: PreprocOptions { readnoise: self.readnoise, gain: self.gain, ..PreprocOptions::default() },
            options: FitOptions {
                fibres: Some(self.specmin..end),
                bundlesize: self.bundlesize.map(|n| n as usize),
                gh_degree: self.ghdeg.map(|n| n as usize),
                legendre_degree: self.legdeg.map(|n| n as usize),
                degree_across: self.degree_across.map(|n| n as usize),
                line_error: self.line_error,
                trace_error: self.trace_error,
                reach: self.reach,
                // Numbers become rows when the start is read.
                broken_fibres: Vec::new(),
                find_lines: !self.no_unlisted,
            },
            broken_fibres: self.broken_fibres.clone(),
            overwrite: self.overwrite,
        })
    }

    /// Does this rank's part of a job.
    #[cfg(feature = "mpi")]
    fn run_in(&self, job: &MpiJob, request: &FitRequest) -> Outcome {
        let ready = || -> Result<_, Box<dyn Error>> {
            self.check_page()?;
            // All ranks read the same; rank 0 warns of what is odd.
            let read = || FitInputs::read(request);
            let inputs = if job.rank() == 0 { read() } else { with_default(NoSubscriber::new(), read) };
            Ok((inputs?, cancel_on_signals()?))
        };
        // Rank 0 reports the error and has the exit code of the job.
        let Some((inputs, cancel)) = job.agree(ready())? else { return Ok(ExitCode::SUCCESS) };
        if job.rank() == 0 {
            let (arcs, start, ranks) = (request.inputs.len(), request.start.display(), job.size());
            tracing::info!("fitting {arcs} arc(s) from {start} by {ranks} ranks");
            inputs.notes.iter().for_each(|note| tracing::warn!("{note}"));
        }
        let (begin, progress) = (Instant::now(), Progress::new("bundles"));
        let bundles = job.fit(&inputs, &request.output, &cancel, &|done, total| progress.report(done, total));
        drop(progress);
        let Some(bundles) = bundles else { return Ok(ExitCode::SUCCESS) };
        self.conclude(request, &inputs.write(request, bundles, begin.elapsed())?, job.size())
    }

    /// Checks that the page can be written.
    fn check_page(&self) -> Result<(), spextral::WriteError> {
        #[cfg(feature = "plot")]
        if let Some(page) = &self.report {
            check_outputs(&[&self.psf], &[(page, Format::Html)], self.overwrite)?;
        }
        Ok(())
    }

    /// Prints what was fitted, writes the page, returns the exit code.
    fn conclude(&self, request: &FitRequest, done: &FitDone, ranks: usize) -> Outcome {
        let failed = done.fitted.bundles.iter().filter(|bundle| bundle.outcome.is_err()).count();
        for bundle in &done.fitted.bundles {
            remarks(&done.fitted.psf, bundle).iter().for_each(|remark| tracing::warn!("{remark}"));
        }
        #[cfg(feature = "plot")]
        if let Some(page) = &self.report {
            write_page(page, request, done)?;
        }
        if self.json.is_wanted() {
            print_object("fit-psf", object(fields(request, done, ranks)))?;
        } else {
            print(&summary(request, done))?;
        }
        Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Fits and writes.
///
/// # Errors
/// A file that cannot be read or written, inputs that do not fit each other, or no bundle that can be fitted.
pub fn run(args: &Arguments) -> Outcome {
    args.peers.check();
    let request = args.request()?;
    #[cfg(feature = "mpi")]
    if let Some(job) = MpiJob::join()? {
        return args.run_in(&job, &request);
    }
    exposure::check_alone("fit the same bundles")?;
    let cancel = cancel_on_signals()?;
    args.check_page()?;
    tracing::info!("fitting {} arc(s) from {}", request.inputs.len(), request.start.display());
    let progress = Progress::new("bundles");
    let done = fit_file(&request, &cancel, &|done, total| progress.report(done, total))?;
    drop(progress);
    args.conclude(&request, &done, 1)
}

#[cfg(feature = "plot")]
fn write_page(path: &Path, request: &FitRequest, done: &FitDone) -> Result<(), Box<dyn Error>> {
    let name = request.output.file_name().unwrap_or(request.output.as_os_str()).to_string_lossy();
    let page = fit_page(&name, &read_psf(&request.start)?, &done.fitted, &done.notes)?;
    Ok(PendingFile::write(path, request.overwrite, |out| out.write_all(page.as_bytes()))?.persist()?)
}

fn summary(request: &FitRequest, done: &FitDone) -> String {
    let fitted: Vec<_> = done.fitted.bundles.iter().filter_map(|bundle| bundle.outcome.as_ref().ok()).collect();
    let chi2 = fitted.iter().map(|quality| quality.reduced_chi2);
    let ends = chi2.fold([f64::MAX, f64::MIN], |[low, high], chi2| [low.min(chi2), high.max(chi2)]);
    format!(
        "{}: {} of {} bundles fitted by {} lines in {:.1} s, reduced chi2 {:.3} to {:.3}",
        request.output.display(),
        fitted.len(),
        done.fitted.bundles.len(),
        done.lines,
        done.compute.as_secs_f64(),
        ends[0],
        ends[1]
    )
}

fn fields(request: &FitRequest, done: &FitDone, ranks: usize) -> Value {
    let bundle = |bundle: &BundleFit| {
        let quality = bundle.outcome.as_ref().ok();
        let lost = bundle.lost.iter().map(|line| json!({ "wave": line.wave, "reason": line.reason }));
        let found = bundle.found.iter().map(|line| json!({ "wave": line.wave, "flux": line.flux }));
        json!({
            "first": bundle.fibres.start, "last": bundle.fibres.end - 1,
            "reason": bundle.outcome.as_ref().err(),
            "reduced_chi2": quality.map(|q| q.reduced_chi2),
            "pixels": quality.map(|q| q.pixels), "unknowns": quality.map(|q| q.unknowns),
            "degree_across": bundle.degree_across, "dead": bundle.dead, "shifts": bundle.shifts,
            "lost": lost.collect::<Vec<_>>(), "found": found.collect::<Vec<_>>(),
            "coreless": bundle.coreless, "rejected_pixels": bundle.rejected,
            "spots": bundle.spots.len(), "spots_used": bundle.spots.iter().filter(|s| s.reason.is_none()).count(),
        })
    };
    json!({
        "output": text(&request.output), "start": text(&request.start), "lines_file": text(&request.lines),
        "inputs": request.inputs.iter().map(|path| text(path)).collect::<Vec<_>>(),
        "nspec": done.fitted.psf.nfibre, "lines": done.lines, "notes": done.notes,
        "bundles": done.fitted.bundles.iter().map(bundle).collect::<Vec<_>>(),
        "ranks": ranks, "compute_seconds": done.compute.as_secs_f64(),
        "thread_seconds": done.fitted.times.parts().map(|(part, time)| (part.to_string(), json!(time.as_secs_f64()))).into_iter().collect::<Map<_, _>>(),
    })
}
