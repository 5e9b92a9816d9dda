//! `spextral find-traces`: a start for fit-psf from a flat and an arc.

use super::json::{Json, object, print_object, text};
use super::line_list::line_list;
use super::output::{Outcome, print};
use serde_json::json;
use spextral::find::{FindOptions, FindRequest, find_file};
use spextral::fits::{Medium, PreprocOptions};
use spextral::psf::Dispersion;
use std::path::PathBuf;
use std::process::ExitCode;

/// Find the traces of all fibres and their wavelengths by a flat and an arc alone: a start for fit-psf
///
/// Nothing need be known but the lamp's lines. The flat shows the fibres, and lines are identified by their pattern, whatever the axis and the sense of the
/// dispersion. The output has Gaussian spots; `fit-psf` makes the PSF of it.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Preproc file of a flat: all fibres lit, along their whole length
    #[arg(long, value_name = "FLAT")]
    flat: PathBuf,
    /// Preproc file of an arc
    #[arg(long, value_name = "ARC")]
    arc: PathBuf,
    /// Line list: text or a FITS table, wavelength [ion] [weight] in Angstrom; or built-in lines of Hg, Cd, Ne, Ar, Kr, Xe, Th, as builtin:HgCdNe. It may have lines that the lamp lacks
    #[arg(long, value_name = "LIST", value_parser = line_list())]
    lines: PathBuf,
    /// Whether the list's wavelengths are in air or in vacuum [default: by the list itself]
    #[arg(long, value_name = "MEDIUM", value_parser = ["air", "vacuum"])]
    lines_in: Option<String>,
    /// PSF file to write (.fits or .fits.gz)
    #[arg(short = 'o', long, value_name = "START")]
    output: PathBuf,
    /// Wavelengths at the ends of the frame in Angstrom, right to a tenth of the range; for long lists and few lines [default: found]
    #[arg(long, value_name = "WMIN,WMAX", value_parser = range)]
    range: Option<[f64; 2]>,
    /// Number of fibres, those without light included [default: those that the flat shows]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    nfibre: Option<u32>,
    /// Fibres without light, counted from 0 across the frame
    #[arg(long, visible_alias = "broken-fibers", value_name = "FIBRE,...", value_delimiter = ',')]
    broken_fibres: Vec<usize>,
    /// Axis of dispersion: 2 for spectra along y, 1 for spectra along x [default: found]
    #[arg(long, value_name = "AXIS", value_parser = clap::value_parser!(i64).range(1..=2))]
    dispaxis: Option<i64>,
    /// Degree of the traces
    #[arg(long, value_name = "DEGREE", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=20))]
    tracedeg: u32,
    /// Highest Hermite order along either axis that fit-psf will fit from here
    #[arg(long, value_name = "DEGREE", default_value_t = 6, value_parser = clap::value_parser!(u32).range(0..=9))]
    ghdeg: u32,
    /// Degree of widths and Hermite terms along wavelength
    #[arg(long, value_name = "DEGREE", default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=10))]
    legdeg: u32,
    /// Read noise in electron, for frames without weights
    #[arg(long, value_name = "ELECTRON")]
    readnoise: Option<f64>,
    /// Electrons per unit of the image [default: the image is in electron]
    #[arg(long, value_name = "ELECTRON")]
    gain: Option<f64>,
    /// Replace the output where it exists
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    pub json: Json,
}

/// Parses two wavelengths.
fn range(words: &str) -> Result<[f64; 2], String> {
    let numbers: Vec<f64> = words.split(',').map_while(|word| word.trim().parse().ok()).collect();
    match numbers[..] {
        [a, b] if a != b && [a, b].iter().all(|w| (1000.0..=1e5).contains(w)) => Ok([a, b]),
        _ => Err("two wavelengths from 1000 to 100000 Angstrom are needed, WMIN,WMAX".into()),
    }
}

/// Searches and writes.
///
/// # Errors
/// A file that cannot be read or written, or frames in which fibres or lines cannot be identified.
pub fn run(args: &Arguments) -> Outcome {
    let request = FindRequest {
        flat: args.flat.clone(),
        arc: args.arc.clone(),
        lines: args.lines.clone(),
        medium: args.lines_in.as_deref().map(str::parse::<Medium>).transpose()?,
        output: args.output.clone(),
        preproc: PreprocOptions { readnoise: args.readnoise, gain: args.gain, ..PreprocOptions::default() },
        dispersion: args.dispaxis.and_then(Dispersion::of_dispaxis),
        options: FindOptions {
            nfibre: args.nfibre.map(|n| n as usize),
            broken_fibres: args.broken_fibres.clone(),
            range: args.range,
        },
        trace_degree: args.tracedeg as usize,
        gh_degree: args.ghdeg as usize,
        legendre_degree: args.legdeg as usize,
        overwrite: args.overwrite,
    };
    let done = find_file(&request)?;
    done.notes.iter().for_each(|note| tracing::warn!("{note}"));
    let (found, axis) = (&done.found, done.psf.dispersion);
    if args.json.is_wanted() {
        let lines = found.lines.iter().map(|[wave, row]| json!({ "wave": wave, "pixel": row }));
        let fields = json!({
            "output": text(&args.output), "flat": text(&args.flat), "arc": text(&args.arc), "lines_file": text(&args.lines),
            "nfibre": done.psf.nfibre, "dark": found.dark, "dispaxis": axis.dispaxis(),
            "wave_min": done.psf.wave_min, "wave_max": done.psf.wave_max,
            "lines": lines.collect::<Vec<_>>(), "rms": found.rms, "notes": done.notes,
        });
        print_object("find-traces", object(fields))?;
        return Ok(ExitCode::SUCCESS);
    }
    let dark =
        if found.dark.is_empty() { String::new() } else { format!(", {} of them without light", found.dark.len()) };
    print(&format!(
        "{}: {} fibres along {}{dark}; {:.1} to {:.1} Angstrom by {} lines, off by {:.3} pixels (rms)",
        args.output.display(),
        done.psf.nfibre,
        axis.letter(),
        done.psf.wave_min,
        done.psf.wave_max,
        found.lines.len(),
        found.rms
    ))?;
    Ok(ExitCode::SUCCESS)
}
