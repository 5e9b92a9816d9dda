//! `spextral shift-psf`: a PSF with the traces and widths of a frame.

use super::fit_peers::ShiftPeers;
use super::json::{Json, object, print_object, quantity_fields, text};
use super::line_list::line_list;
use super::logging::Progress;
use super::output::{Outcome, print};
use super::signals::cancel_on_signals;
use serde_json::{Value, json};
use spextral::fits::{Medium, PreprocOptions};
use spextral::psf::Gh00;
use spextral::shift::{BundleShift, Lines, Quantity, ShiftDone, ShiftRequest, shift_file};
use std::path::PathBuf;
use std::process::ExitCode;

/// Shift and widen a PSF to fit a frame: traces move and the focus changes with temperature
///
/// Displacements and widths along x and y are measured for every bundle, as polynomials of fibre and wavelength, from the
/// frame's own light, with errors. x is across the dispersion, y along it. Places along y and widths along y need lines of
/// known wavelengths: the night sky's by default, or those of --lines. Where the frame has none, traces along x and widths
/// along x are measured alone.
/// The PSF file has what desi_compute_trace_shifts writes (MEANDX ... MAXDY, INTOFF, EXTOFF), and the table SHIFTS.
/// A bundle whose dx or dy is not measured takes the mean shift of the others, which the log, `notes` of --json and SPXNOT cards
/// of the PSF table say. A frame whose widths or dy are not measured at all is no error; one without light is.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Preproc file of the frame: science, or a lamp's
    #[arg(short = 'i', long, visible_alias = "image", value_name = "PREPROC")]
    input: PathBuf,
    /// PSF file
    #[arg(short = 'p', long, value_name = "PSF")]
    psf: PathBuf,
    /// PSF file to write (.fits or .fits.gz)
    #[arg(short = 'o', long, visible_alias = "outpsf", value_name = "PSF")]
    output: PathBuf,
    /// Line list in place of the built-in one of the night sky: text or a FITS table, wavelength [ion] [weight] in Angstrom.
    /// Of a lamp also built-in lines, as builtin:HgCdNe
    #[arg(long, value_name = "LIST", conflicts_with = "no_lines", value_parser = line_list())]
    lines: Option<PathBuf>,
    /// Whether the list's wavelengths are in air or in vacuum [default: by the list itself]
    #[arg(long, value_name = "MEDIUM", value_parser = ["air", "vacuum"], requires = "lines")]
    lines_in: Option<String>,
    /// Measure without any lines: traces along x and widths along x
    #[arg(long)]
    no_lines: bool,
    /// Intrinsic width of the lines in Angstrom, standard deviation [default: SKYSIGMA of the frame's header, or 0]
    #[arg(long, value_name = "ANGSTROM", value_parser = sigma)]
    line_sigma: Option<f64>,
    /// GH-0-0 of the PSF: as in the file, or 1
    #[arg(long, value_name = "VALUE", default_value = "file", value_parser = ["file", "one"])]
    psf_gh00: String,
    /// Read noise in electron, for frames without weights
    #[arg(long, value_name = "ELECTRON", value_parser = sigma)]
    readnoise: Option<f64>,
    /// Electrons per unit of the image [default: the image is in electron]
    #[arg(long, value_name = "ELECTRON", value_parser = sigma)]
    gain: Option<f64>,
    /// Replace the output where it exists
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    peers: ShiftPeers,
    #[command(flatten)]
    pub json: Json,
}

/// Parses a number that is not negative.
fn sigma(word: &str) -> Result<f64, String> {
    match word.parse() {
        Ok(sigma) if (0.0..=1e6).contains(&sigma) => Ok(sigma),
        _ => Err("a number from 0 to 1e6 is needed".into()),
    }
}

impl Arguments {
    fn request(&self) -> Result<ShiftRequest, Box<dyn std::error::Error>> {
        let medium = self.lines_in.as_deref().map(str::parse::<Medium>).transpose()?;
        Ok(ShiftRequest {
            input: self.input.clone(),
            psf: self.psf.clone(),
            output: self.output.clone(),
            psf_gh00: self.psf_gh00.parse::<Gh00>()?,
            lines: match self.lines.clone().or(self.peers.lines()) {
                Some(path) => Lines::List(path, medium),
                None if self.no_lines || self.peers.is_continuum() => Lines::None,
                None => Lines::NightSky,
            },
            line_sigma: self.line_sigma,
            preproc: PreprocOptions { readnoise: self.readnoise, gain: self.gain, ..PreprocOptions::default() },
            overwrite: self.overwrite,
        })
    }
}

/// Measures and writes.
///
/// # Errors
/// A file that cannot be read or written, inputs that do not fit each other, or a frame without light.
pub fn run(args: &Arguments) -> Outcome {
    args.peers.check();
    let request = args.request()?;
    let cancel = cancel_on_signals()?;
    tracing::info!("measuring {} with {}", request.input.display(), request.psf.display());
    let progress = Progress::new("bundles");
    let done = shift_file(&request, &cancel, &|done, total| progress.report(done, total))?;
    drop(progress);
    if let Some(none) = done.shifts.unmeasured() {
        tracing::warn!("{none}");
    }
    if args.json.is_wanted() {
        print_object("shift-psf", object(fields(&request, &done)))?;
    } else {
        print(&summary(&request, &done))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn summary(request: &ShiftRequest, done: &ShiftDone) -> String {
    let number = |quantity: Quantity, factor: f64, unit: &str| {
        let of = done.shifts.departure(quantity);
        let [known, all] = done.shifts.counts(quantity);
        let part = if known == all { String::new() } else { format!(" ({known} of {all} bundles)") };
        of.map_or("not measured".into(), |d| format!("{:+.4} +- {:.4}{unit}{part}", factor * d.mean, factor * d.error))
    };
    format!(
        "{}: dx {}, dy {}, widths along x {}, along y {}, in {:.1} s; {}",
        request.output.display(),
        number(Quantity::X, 1.0, " pixels"),
        number(Quantity::Y, 1.0, " pixels"),
        number(Quantity::SigmaX, 100.0, " %"),
        number(Quantity::SigmaY, 100.0, " %"),
        done.compute.as_secs_f64(),
        done.shifts.verdict()
    )
}

fn fields(request: &ShiftRequest, done: &ShiftDone) -> Value {
    let bundle = |bundle: &BundleShift| {
        let taken = ["dx", "dy"].into_iter().zip(bundle.taken).filter(|(_, taken)| *taken).map(|(name, _)| name);
        let mut fields = object(json!({
            "first": bundle.fibres.start, "last": bundle.fibres.end - 1,
            "taken": taken.collect::<Vec<_>>(), "line_spots": bundle.lines, "rejected_pixels": bundle.rejected, "unlisted": bundle.unlisted,
            "chunks": bundle.chunks, "chunks_not_described": bundle.distrusted,
        }));
        fields.extend(quantity_fields(|quantity| bundle.departure(quantity)));
        Value::Object(fields)
    };
    let mut fields = object(json!({
        "input": text(&request.input), "psf": text(&request.psf), "output": text(&request.output),
        "notes": done.notes, "sentence": done.shifts.sentence(), "verdict": done.shifts.verdict(),
        "bundles": done.shifts.bundles.iter().map(bundle).collect::<Vec<_>>(),
        "compute_seconds": done.compute.as_secs_f64(),
    }));
    fields.extend(quantity_fields(|quantity| done.shifts.departure(quantity)));
    Value::Object(fields)
}
