//! `spextral compare`: the parity table of two extractions, or chi against the truth.

use super::json::{Json, object, print_object, text};
use super::output::{Outcome, print};
use serde_json::json;
use spextral::compare::{against_truth, compare, read};
use spextral::fits::{read_frame, read_truth};
use std::path::PathBuf;
use std::process::ExitCode;

/// Compare two extractions bin by bin, or one with the truth it was simulated from
///
/// Prints the fraction of bins that agree within 1e-5 sigma up to 1, likewise for sigma and resolution, and the worst
/// bins. Only common fibres and wavelengths are compared. Bins with half of their PSF on masked pixels in both files are
/// listed but do not count for --tolerance. If they are so in one file alone, they are beyond it.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Frame file, or a file of reference arrays (FLUX, IVAR, RDIAGS, PIXMASK_FRACTION, WAVELENGTH)
    #[arg(value_name = "A")]
    a: PathBuf,
    /// Frame file or reference arrays to compare with; its sigma is the unit
    #[arg(value_name = "B", required_unless_present = "truth")]
    b: Option<PathBuf>,
    /// Exit with 1 if the flux of a usable bin differs by more than T sigma. So also if its sigma (relative) or R differs by
    /// more than T
    #[arg(long, value_name = "T", requires = "b")]
    tolerance: Option<f64>,
    /// Compare A, a frame, with the truth of `spextral simulate --truth`
    #[arg(long, value_name = "TRUTH", conflicts_with = "b")]
    truth: Option<PathBuf>,
    #[command(flatten)]
    pub json: Json,
}

/// Compares and prints; the exit code is 0 if the tolerance is met.
///
/// # Errors
/// Files that cannot be read or have nothing in common.
pub fn run(args: &Arguments) -> Outcome {
    if let Some(path) = &args.truth {
        let (frame, truth) = (read_frame(&args.a)?, read_truth(path)?);
        let report = against_truth(&frame, &truth)?;
        if report.bins == 0 {
            if !args.json.is_wanted() {
                print(report.to_string().trim_end())?;
            }
            let (frame, truth) = (args.a.display(), path.display());
            return Err(format!("no bin of {frame} can be judged by {truth}: all are masked, without information, or at an end; extract more bins").into());
        }
        match args.json.is_wanted() {
            true => {
                let mut fields = object(report.json());
                fields.extend(object(json!({ "frame": text(&args.a), "truth": text(path) })));
                print_object("compare-truth", fields)?;
            }
            false => print(report.to_string().trim_end())?,
        }
        return Ok(ExitCode::SUCCESS);
    }
    let b = args.b.as_ref().expect("clap asks for B where there is no --truth");
    if let Some(tolerance) = args.tolerance.filter(|t| t.is_nan() || *t < 0.0) {
        return Err(format!("--tolerance is {tolerance}: it must be a number of sigma, 0 or more").into());
    }
    let parity = compare(&read(&args.a)?, &read(b)?)?;
    let within = args.tolerance.map(|tolerance| parity.within(tolerance));
    let nothing = within.is_some() && parity.good.flux.bins == 0;
    match args.json.is_wanted() {
        // A failure has an object of its own.
        true if nothing => {}
        true => {
            let mut fields = object(parity.json());
            fields.extend(object(json!({ "tolerance": args.tolerance, "within": within })));
            print_object("compare", fields)?;
        }
        false => print(&parity.to_string())?,
    }
    if nothing {
        return Err("no bin is usable in both files: nothing was compared; extract more bins".into());
    }
    if let (Some(tolerance), Some(within), false) = (args.tolerance, within, args.json.is_wanted()) {
        print(&format!("{} the tolerance of {tolerance}", if within { "within" } else { "beyond" }))?;
    }
    Ok(if within == Some(false) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
