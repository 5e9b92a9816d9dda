//! `spextral demo`: everything once, from nothing to a picture, by the commands that a user would give.

use super::device_arguments::open;
use super::output::{Outcome, print};
use spextral::WriteError;
use spextral::compare::against_truth;
use spextral::fits::{PreprocOptions, read_frame, read_image_f64, read_preproc, read_psf, read_truth};
use spextral::gpu::DeviceChoice;
use spextral::plot::{self, Picture};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// Fibres and CCD rows of the quick demonstration: two bundles, a quarter of a CCD.
const QUICK: [&str; 4] = ["--nfibre", "50", "--npix-y", "1032"];
/// Largest distance of mean and scatter of chi from 0 and 1: four standard errors of the quick demonstration's mean.
const CHI_TOLERANCE: f64 = 0.02;

/// Show what spextral does: make a PSF, simulate a frame, extract it, compare it with the truth, draw a picture
///
/// Each step is a command of its own; the demonstration prints it. Files of an earlier
/// demonstration in the folder are replaced.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Folder for the files; made where it does not exist
    #[arg(short = 'o', long, value_name = "FOLDER", default_value = "spextral-demo")]
    output: PathBuf,
    /// Use a whole DESI frame, 500 fibres on 4114 x 4128 pixels, in place of 50 fibres on a quarter of its rows
    #[arg(long)]
    full: bool,
    /// Device that extracts, as in `spextral extract`
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,
    /// Seed of PSF and frame
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
}

/// Files of a demonstration.
struct Files {
    psf: PathBuf,
    preproc: PathBuf,
    truth: PathBuf,
    frame: PathBuf,
    model: PathBuf,
    picture: PathBuf,
}

impl Files {
    fn of(folder: &Path) -> Self {
        let at = |name: &str| folder.join(name);
        Self {
            psf: at("psf.fits"),
            preproc: at("preproc.fits.gz"),
            truth: at("truth.fits"),
            frame: at("frame.fits"),
            model: at("model.fits"),
            picture: at("picture.png"),
        }
    }
}

/// Runs a command line.
pub type RunCommand = dyn Fn(Vec<String>) -> Outcome;

/// Runs the demonstration.
///
/// # Errors
/// The error of the command that failed.
pub fn run(args: &Arguments, run_command: &RunCommand) -> Outcome {
    if args.output.as_os_str() == "-" {
        return Err(WriteError::StandardOutput.into());
    }
    // A missing device is reported before any work.
    open(&args.device, &[], false)?;
    std::fs::create_dir_all(&args.output)
        .map_err(|e| format!("cannot make the folder {}: {e}; choose another with -o", args.output.display()))?;
    let files = Files::of(&args.output);
    let seed = args.seed.to_string();
    let path = |p: &Path| p.to_string_lossy().into_owned();

    print("1. A spectrograph: the point spread function (PSF) of every fibre at every wavelength.")?;
    let mut make_psf = vec!["make-psf".into(), "-o".into(), path(&files.psf), "--seed".into(), seed.clone()];
    if !args.full {
        make_psf.extend(QUICK.map(String::from));
    }
    command(run_command, make_psf)?;

    print("2. A frame: sky, stars, galaxies, quasars, noise, cosmic rays; and the truth behind it.")?;
    let words = ["simulate", "-p", &path(&files.psf), "-o", &path(&files.preproc), "--truth", &path(&files.truth)];
    command(run_command, words.into_iter().map(String::from).chain(["--seed".into(), seed]).collect())?;

    print("3. The extraction: spectra, errors and resolution by spectro-perfectionism.")?;
    let words = ["extract", "-i", &path(&files.preproc), "-p", &path(&files.psf), "-o", &path(&files.frame)];
    let more = ["-m", &path(&files.model), "--device", &args.device.to_string()];
    let seconds = command(run_command, words.into_iter().chain(more).map(String::from).collect())?;

    print("4. The comparison: the difference from the truth must be noise of the size that was stated.")?;
    let words = ["compare", &path(&files.frame), "--truth", &path(&files.truth)];
    command(run_command, words.into_iter().map(String::from).collect())?;
    conclude(&files, seconds)
}

/// Prints and runs a command as a user would give it; returns its time, s.
fn command(run_command: &RunCommand, mut words: Vec<String>) -> Result<f64, Box<dyn Error>> {
    print(&format!("   spextral {}", words.join(" ")))?;
    if words[0] != "compare" {
        words.push("--overwrite".into());
    }
    words.insert(0, "spextral".into());
    let start = Instant::now();
    run_command(words)?;
    let seconds = start.elapsed().as_secs_f64();
    print(&format!("   done in {seconds:.1} s\n"))?;
    Ok(seconds)
}

/// Draws the picture and prints the verdict.
fn conclude(files: &Files, seconds: f64) -> Outcome {
    let (psf, frame, truth) = (read_psf(&files.psf)?, read_frame(&files.frame)?, read_truth(&files.truth)?);
    let preproc = read_preproc(&files.preproc, &PreprocOptions::default())?;
    let model: Vec<f32> = read_image_f64(&files.model, "MODEL")?.1.into_iter().map(|p| p as f32).collect();
    let chi = against_truth(&frame, &truth)?;
    let (nspec, nwave) = (frame.spectra.nspec, frame.spectra.nwave);
    let title = format!("spextral demo: {nspec} simulated fibres x {nwave} bins, extracted in {seconds:.1} s");
    let (preproc, model, truth) = (&preproc, &model[..], Some(&truth));
    plot::write(&files.picture, &Picture { title: &title, psf: &psf, preproc, model, frame: &frame, truth })?;
    let passed = chi.mean.abs() < CHI_TOLERANCE && (chi.std - 1.0).abs() < CHI_TOLERANCE;
    let verdict = match passed {
        true => "The spectra differ from the truth by noise alone, and the noise is as large as stated.",
        false => "The spectra differ from the truth by more than noise of the size stated: something is wrong.",
    };
    print(&format!(
        "In short: {nspec} spectra of {nwave} bins in {seconds:.1} s. Of {} bins that are not masked, the difference\n\
         from the truth in units of the stated error has mean {:+.3} (0 is perfect) and scatter {:.3} (1 is perfect).\n\
         {verdict}\n\
         Look at {}.",
        chi.bins,
        chi.mean,
        chi.std,
        files.picture.display()
    ))?;
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
