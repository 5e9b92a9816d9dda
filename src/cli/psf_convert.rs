//! `spextral psf-convert`: a PSF of one kind as another.

use super::json::{Json, object, print_object, text};
use super::output::{Outcome, fibres, print};
use clap::ValueEnum;
use serde_json::json;
use spextral::base::output_path::{Format, check_outputs};
use spextral::fits::{read_psf_with, write_psf};
use spextral::psf::{Gh00, Psf, PsfError};
use spextral::stages::hermite_fit::as_gauss_hermite;
use spextral::stages::psf_difference::{PsfDifference, psf_difference};
use spextral::stages::spot_samples::{GridSize, sampled};
use std::path::PathBuf;
use std::process::ExitCode;

/// Convert a PSF file of any kind to a grid of oversampled images, or to Gauss-Hermite terms by a fit
///
/// Power-law tails are left out. --check prints how far the spots of the result are from those of the source.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// PSF file
    #[arg(value_name = "PSF")]
    psf: PathBuf,
    /// PSF file to write (.fits or .fits.gz)
    #[arg(short = 'o', long, value_name = "PSF")]
    output: PathBuf,
    /// Kind of the result
    #[arg(long, value_enum)]
    to: Kind,
    /// Compare the spots of the result with those of the source
    #[arg(long)]
    check: bool,
    /// Spot grid: samples per CCD pixel, odd
    #[arg(long, value_name = "N", default_value_t = GridSize::default().oversampling)]
    oversampling: usize,
    /// Spot grid: fibres whose spots are sampled, evenly over the PSF
    #[arg(long, value_name = "N", default_value_t = GridSize::default().positions)]
    positions: usize,
    /// Spot grid: wavelengths, evenly over the range
    #[arg(long, value_name = "N", default_value_t = GridSize::default().waves)]
    waves: usize,
    /// Gauss-Hermite: highest order along either axis
    #[arg(long, value_name = "DEGREE", default_value_t = 6, value_parser = clap::value_parser!(u64).range(0..=16))]
    ghdeg: u64,
    /// Gauss-Hermite: degree of the Legendre series of the terms along wavelength
    #[arg(long, value_name = "DEGREE", default_value_t = 3, value_parser = clap::value_parser!(u64).range(0..=20))]
    legdeg: u64,
    /// Replace the output where it exists
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    pub json: Json,
}

/// The kind of the result.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Oversampled images on a grid, as specter reads them
    Spotgrid,
    /// Gauss-Hermite terms, PSFVER 3
    GaussHermite,
}

impl Arguments {
    fn convert(&self, psf: &Psf) -> Result<Psf, PsfError> {
        match self.to {
            Kind::Spotgrid => {
                let size = GridSize { oversampling: self.oversampling, positions: self.positions, waves: self.waves };
                sampled(psf, size)
            }
            Kind::GaussHermite => as_gauss_hermite(psf, self.ghdeg as usize, self.legdeg as usize),
        }
    }
}

/// Reads, converts, compares and writes.
///
/// # Errors
/// A PSF that cannot be read or converted, or an output that cannot be written.
pub fn run(args: &Arguments) -> Outcome {
    check_outputs(&[&args.psf], &[(&args.output, Format::Fits)], args.overwrite)?;
    let psf = read_psf_with(&args.psf, Gh00::File)?;
    let result = args.convert(&psf).map_err(|error| format!("{}: {error}", args.psf.display()))?;
    let difference = args.check.then(|| psf_difference(&psf, &result).in_file(psf.dispersion));
    write_psf(&args.output, &result, args.overwrite)?.persist()?;
    let bad: Vec<usize> = result.defects().fibres.iter().map(|bad| bad.fibre).collect();
    if !bad.is_empty() {
        tracing::warn!(
            "{}: fibres {bad:?} (rows of the PSF, from 0) are not usable, as in the source",
            args.output.display()
        );
    }
    let kinds = [psf.form.name(), result.form.name()];
    if args.json.is_wanted() {
        let fields = json!({
            "input": text(&args.psf), "output": text(&args.output), "from": kinds[0], "to": kinds[1],
            "nfibre": result.nfibre, "bad_fibres": bad, "difference": difference.map(fields_of),
        });
        print_object("psf-convert", object(fields))?;
        return Ok(ExitCode::SUCCESS);
    }
    print(&format!("{}: {} from {}, {}", args.output.display(), kinds[1], kinds[0], fibres(result.nfibre)))?;
    if let Some(PsfDifference { places, median, most, centroid: [x, y], width: [wx, wy] }) = difference {
        print(&format!(
            "spots at {places} places differ by {:.3} % of their peak in the median, {:.3} % at most; centroids by {x:.4} and \
             {y:.4} pixels, widths by {:.3} and {:.3} % at most (x, y)",
            100.0 * median,
            100.0 * most,
            100.0 * wx,
            100.0 * wy
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The fields of a difference.
fn fields_of(of: PsfDifference) -> serde_json::Value {
    json!({
        "places": of.places, "median_of_peak": of.median, "most_of_peak": of.most,
        "centroid_x": of.centroid[0], "centroid_y": of.centroid[1], "width_x": of.width[0], "width_y": of.width[1],
    })
}
