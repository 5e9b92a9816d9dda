//! `spextral make-psf`: writes a PSF file, DESI-like or of measured spots.

use super::json::{Json, object, print_object, text};
use super::output::{Outcome, fibres, print};
use clap::ValueEnum;
use serde_json::json;
use spextral::base::output_path::{Format, check_outputs};
use spextral::fits::{FittedPsf, psf_from_spots, write_psf};
use spextral::psf::{Dispersion, Psf};
use spextral::simulate::synthetic::{Camera, Synthetic, SyntheticError};
use spextral::stages::trace_fit::{Residual, TraceFit};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Make a PSF file: DESI-like traces, widths and Gauss-Hermite terms, or those of your own spots (--from)
///
/// By default the PSF of a DESI r camera: 500 fibres in 20 bundles on 4114 x 4128 pixels. With --from a PSF of spots that you
/// have measured or computed; --npix-x and --npix-y are then needed.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// PSF file to write (.fits or .fits.gz)
    #[arg(short = 'o', long, value_name = "PSF")]
    output: PathBuf,
    /// Spots: a table, CSV or FITS, with columns fibre, wavelength [Angstrom], x, y, sigma_x, sigma_y [pixels] and perhaps
    /// Gauss-Hermite terms GH-i-j. Or traces XTRACE, YTRACE, XSIG, YSIG as desispec writes them
    #[arg(long, value_name = "FILE", requires_all = ["npix_x", "npix_y"], conflicts_with_all = ["camera", "nfibre", "bundlesize", "wave_min", "wave_max", "spacing", "bundle_gap", "gh_amplitude", "ghdeg", "tail_amplitude", "seed"])]
    from: Option<PathBuf>,
    /// Degree of the traces of --from; lower where a fibre has fewer spots than twice the terms
    #[arg(long, value_name = "DEGREE", default_value_t = 6, requires = "from")]
    tracedeg: usize,
    /// Arm of the spectrograph: sets the wavelength range and the size of the CCD
    #[arg(long, value_enum, default_value_t = Arm::R)]
    camera: Arm,
    /// Axis of dispersion: 2 for spectra along y, as DESI has them, 1 for spectra along x; --from takes it from the traces
    #[arg(long, value_name = "AXIS", default_value_t = 2, value_parser = clap::value_parser!(i64).range(1..=2), conflicts_with = "from")]
    dispaxis: i64,
    /// Number of fibres
    #[arg(long, value_name = "N", default_value_t = Synthetic::default().nfibre)]
    nfibre: usize,
    /// Fibres per bundle
    #[arg(long, value_name = "N", default_value_t = Synthetic::default().bundlesize)]
    bundlesize: usize,
    /// Columns of the CCD [default: what the fibres need; 4114 for 500 fibres]
    #[arg(long, value_name = "PIXELS")]
    npix_x: Option<usize>,
    /// Rows of the CCD [default: the arm's, 4128; 4096 in b]
    #[arg(long, value_name = "PIXELS")]
    npix_y: Option<usize>,
    /// Lower end of the wavelength range in Angstrom [default: the arm's, at the arm's dispersion]
    #[arg(long, value_name = "ANGSTROM")]
    wave_min: Option<f64>,
    /// Upper end of the wavelength range in Angstrom [default: the arm's, at the arm's dispersion]
    #[arg(long, value_name = "ANGSTROM")]
    wave_max: Option<f64>,
    /// Distance of neighbouring fibres in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = Synthetic::default().spacing)]
    spacing: f64,
    /// Distance of neighbouring fibres across the gap between two bundles in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = Synthetic::default().bundle_gap)]
    bundle_gap: f64,
    /// Width of the PSF along columns (x): standard deviation in pixels [default: DESI's across or along the dispersion]
    #[arg(long, value_name = "PIXELS")]
    sigma_x: Option<f64>,
    /// Width of the PSF along rows (y): standard deviation in pixels [default: DESI's across or along the dispersion]
    #[arg(long, value_name = "PIXELS")]
    sigma_y: Option<f64>,
    /// Departure from a Gaussian: the Hermite terms relative to DESI's, 0 for none
    #[arg(long, value_name = "FACTOR", default_value_t = Synthetic::default().gh_amplitude)]
    gh_amplitude: f64,
    /// Highest Hermite order along either axis
    #[arg(long, value_name = "DEGREE", default_value_t = Synthetic::default().gh_degree)]
    ghdeg: usize,
    /// Amplitude of the power-law tails, as TAILAMP; used with --psf-tails only
    #[arg(long, value_name = "AMPLITUDE", default_value_t = Synthetic::default().tail_amplitude)]
    tail_amplitude: f64,
    /// Half width of a spot in pixels: it has 2 N + 1 columns [default: 8; with --from five times the largest width]
    #[arg(long, value_name = "N")]
    hsizex: Option<usize>,
    /// Half height of a spot in pixels: it has 2 N + 1 rows [default: 5; with --from five times the largest width]
    #[arg(long, value_name = "N")]
    hsizey: Option<usize>,
    /// Degree of the Legendre series of widths and Hermite terms along wavelength
    #[arg(long, value_name = "DEGREE", default_value_t = Synthetic::default().legendre_degree)]
    legdeg: usize,
    /// Seed of the scatter from fibre to fibre and bundle to bundle
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// Replace the output where it exists
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    pub json: Json,
}

/// An arm of the spectrograph.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Arm {
    /// Blue, 3550 to 5950 Angstrom
    B,
    /// Red, 5543 to 7826 Angstrom
    R,
    /// Near infrared, 7400 to 9920 Angstrom
    Z,
}

impl Arguments {
    /// How spots become a PSF.
    fn fit(&self) -> TraceFit {
        TraceFit {
            npix: [self.npix_x, self.npix_y].map(Option::unwrap_or_default),
            trace_degree: self.tracedeg,
            width_degree: self.legdeg,
            half: [self.hsizex, self.hsizey],
            camera: None,
        }
    }

    /// Widths for traces without their own.
    fn widths(&self) -> [f64; 2] {
        let default = Synthetic::default();
        [self.sigma_x.unwrap_or(default.sigma_x), self.sigma_y.unwrap_or(default.sigma_y)]
    }

    /// Builds the PSF of the numbers. Options are along x and y of the file, the model has dispersion along y.
    fn build(&self) -> Result<Psf, SyntheticError> {
        let axis = Dispersion::of_dispaxis(self.dispaxis).unwrap_or_default();
        let [npix_x, npix_y] = axis.in_file([self.npix_x, self.npix_y]);
        let [sigma_x, sigma_y] = axis.in_file([self.sigma_x, self.sigma_y]);
        let default = Synthetic::default();
        let [half_x, half_y] = axis.in_file([self.hsizex, self.hsizey]);
        let synthetic = Synthetic {
            camera: match self.camera {
                Arm::B => Camera::B,
                Arm::R => Camera::R,
                Arm::Z => Camera::Z,
            },
            nfibre: self.nfibre,
            bundlesize: self.bundlesize,
            spacing: self.spacing,
            bundle_gap: self.bundle_gap,
            npix_x,
            npix_y,
            wave_min: self.wave_min,
            wave_max: self.wave_max,
            sigma_x: sigma_x.unwrap_or(default.sigma_x),
            sigma_y: sigma_y.unwrap_or(default.sigma_y),
            gh_amplitude: self.gh_amplitude,
            gh_degree: self.ghdeg,
            tail_amplitude: self.tail_amplitude,
            half_x: half_x.unwrap_or(default.half_x),
            half_y: half_y.unwrap_or(default.half_y),
            legendre_degree: self.legdeg,
            seed: self.seed,
        };
        let mut psf = synthetic.build()?;
        psf.update(|parts| parts.dispersion = axis)?;
        Ok(psf)
    }
}

/// Makes and writes the PSF.
///
/// # Errors
/// Parameters that make no PSF, or an output that cannot be written.
pub fn run(args: &Arguments) -> Outcome {
    let inputs: Vec<&Path> = args.from.iter().map(PathBuf::as_path).collect();
    check_outputs(&inputs, &[(&args.output, Format::Fits)], args.overwrite)?;
    let FittedPsf { psf, residuals, notes } = match &args.from {
        Some(from) => psf_from_spots(from, &args.fit(), args.widths())?,
        None => FittedPsf { psf: args.build()?, residuals: Vec::new(), notes: Vec::new() },
    };
    notes.iter().for_each(|note| tracing::warn!("{note}"));
    write_psf(&args.output, &psf, args.overwrite)?.persist()?;
    let [npix_x, npix_y] = psf.dispersion.in_file([psf.npix_x, psf.npix_y]);
    if args.json.is_wanted() {
        let [hsizex, hsizey] = psf.dispersion.in_file([psf.half_x, psf.half_y]);
        let fields = json!({
            "output": text(&args.output), "nfibre": psf.nfibre, "npix_x": npix_x, "npix_y": npix_y,
            "wave_min": psf.wave_min, "wave_max": psf.wave_max, "hsizex": hsizex, "hsizey": hsizey,
            "dispaxis": psf.dispersion.dispaxis(),
            "residuals": residuals.iter().map(residual).collect::<Vec<_>>(), "notes": notes,
        });
        print_object("make-psf", object(fields))?;
        return Ok(ExitCode::SUCCESS);
    }
    print(&format!(
        "{}: {} on {npix_x} x {npix_y} pixels, {} to {} Angstrom along {}",
        args.output.display(),
        fibres(psf.nfibre),
        psf.wave_min,
        psf.wave_max,
        psf.dispersion.letter()
    ))?;
    for Residual { quantity, rms, worst, fibre, wave } in &residuals {
        print(&format!(
            "{quantity}: off the spots by {rms:.2e} rms, at most {worst:.2e} (fibre {fibre}, {wave:.2} Angstrom)"
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The residual of one quantity as JSON.
fn residual(of: &Residual) -> serde_json::Value {
    json!({ "quantity": of.quantity, "rms": of.rms, "worst": of.worst, "fibre": of.fibre, "wave": of.wave })
}
