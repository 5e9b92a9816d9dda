//! `spextral simulate`: writes a simulated frame, and the truth behind it.

use super::json::{Json, object, print_object, text};
use super::line_list::line_list;
use super::output::{Outcome, fibres, print};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::json;
use spextral::PendingFile;
use spextral::base::output_path::{Format, check_outputs};
use spextral::extract::WaveRange;
use spextral::fits::{
    Header, Medium, Truth, read_headers, read_line_list, read_psf_with, read_truth, read_wave_table, write_preproc,
    write_truth,
};
use spextral::psf::{Gh00, Psf};
use spextral::simulate::{Light, SimulateError, Simulation, simulate};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Simulate a frame: sky, stars, galaxies, quasars, or lamps; noise, cosmic rays and CCD defects; as a preproc file
///
/// The same seed gives the same bytes, whatever the number of threads.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// PSF file: DESI's or one of `spextral make-psf`
    #[arg(short = 'p', long, value_name = "PSF")]
    psf: PathBuf,
    /// Preproc file to write (.fits or .fits.gz)
    #[arg(short = 'o', long, value_name = "PREPROC")]
    output: PathBuf,
    /// Also write the true spectra here: FLUX in electron per bin, WAVELENGTH, FIBER
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Seed of targets, noise and defects
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// First fibre that is lit, counted on the PSF
    #[arg(short = 's', long, value_name = "FIBRE", default_value_t = 0)]
    specmin: usize,
    /// Number of fibres that are lit [default: all from --specmin on]
    #[arg(short = 'n', long, value_name = "N")]
    nspec: Option<usize>,
    /// Bins of light in Angstrom, as for the extraction [default: the PSF's range by the default step of an extraction]
    #[arg(short = 'w', long, value_name = "WMIN,WMAX,DW", allow_hyphen_values = true)]
    wavelength: Option<WaveRange>,
    /// Bins of light of every fibre, in place of a grid: a file as --wavelength-table of `spextral extract` takes it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["wavelength", "arc", "spectra"])]
    wavelength_table: Option<PathBuf>,
    /// Read noise in electron
    #[arg(long, value_name = "ELECTRON", default_value_t = Simulation::default().readnoise)]
    readnoise: f64,
    /// Exposure time in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = Simulation::default().exptime)]
    exptime: f64,
    /// Start of the exposure: modified Julian date (UTC)
    #[arg(long, value_name = "DAYS", default_value_t = Simulation::default().mjd)]
    mjd: f64,
    /// Exposure number
    #[arg(long, value_name = "NUMBER", default_value_t = Simulation::default().expid)]
    expid: i64,
    /// Cosmic rays relative to the usual number, 0 for none
    #[arg(long, value_name = "FACTOR", default_value_t = Simulation::default().cosmics)]
    cosmics: f64,
    /// Bad columns [default: one in 4 million pixels, at least one]
    #[arg(long, value_name = "N")]
    bad_columns: Option<usize>,
    /// Dead patches of the CCD [default: as bad columns]
    #[arg(long, value_name = "N")]
    dead_patches: Option<usize>,
    /// Also spread light into the PSF's power-law tails
    #[arg(long)]
    psf_tails: bool,
    /// GH-0-0 of the PSF: as in the file, or 1 as specex fits it
    #[arg(long, value_name = "VALUE", value_parser = PossibleValuesParser::new(Gh00::ALL.iter().map(|v| v.word())).try_map(|word| word.parse::<Gh00>()), default_value = Gh00::File.word())]
    psf_gh00: Gh00,
    /// Light the fibres by an arc lamp, whose line list this is: text or a FITS table, wavelength [ion] [weight]; or built-in lines, as builtin:HgCdNe
    #[arg(long, value_name = "LIST", value_parser = line_list(), conflicts_with_all = ["flat", "spectra", "wavelength"])]
    arc: Option<PathBuf>,
    /// Whether the list's wavelengths are in air or in vacuum [default: by the list itself]
    #[arg(long, value_name = "MEDIUM", requires = "arc", value_parser = ["air", "vacuum"])]
    lines_in: Option<String>,
    /// Electrons of the arc's line of median brightness
    #[arg(long, value_name = "ELECTRON", requires = "arc", default_value_t = 20_000.0)]
    arc_electrons: f64,
    /// Light the fibres by a flat lamp
    #[arg(long, conflicts_with = "spectra")]
    flat: bool,
    /// Light the fibres by the spectra of a file as --truth writes it, all light included: one for all, or one per fibre by its
    /// number in FIBER, without which they are in order. FLUX is in electron per bin, or by BUNIT in electron/Angstrom
    #[arg(long, value_name = "FILE", conflicts_with = "wavelength")]
    spectra: Option<PathBuf>,
    /// Fraction of the cosmic rays without a flag in MASK or IVAR
    #[arg(long, value_name = "FRACTION", default_value_t = 0.0)]
    unmasked_cosmics: f64,
    /// Electrons at which a pixel is full; MASK flags it [default: none is]
    #[arg(long, value_name = "ELECTRON")]
    saturation: Option<f64>,
    /// Replace outputs that exist
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    pub json: Json,
}

impl Arguments {
    fn request(&self, psf: &Psf) -> Result<Simulation, Box<dyn Error>> {
        let medium = self.lines_in.as_deref().map(str::parse::<Medium>).transpose()?;
        let light = match (&self.arc, &self.spectra) {
            (Some(list), _) => Light::Arc { lines: read_line_list(list, medium)?, electrons: self.arc_electrons },
            (None, Some(spectra)) => Light::Spectra(self.spectra_of(spectra, psf)?),
            (None, None) if self.flat => Light::Flat,
            (None, None) => Light::Sky,
        };
        Ok(Simulation {
            light,
            unmasked_cosmics: self.unmasked_cosmics,
            saturation: self.saturation,
            seed: self.seed,
            specmin: self.specmin,
            nspec: self.nspec,
            wave: self.wavelength,
            table: self.wavelength_table.as_ref().map(read_wave_table).transpose()?.map(|(table, _)| table),
            readnoise: self.readnoise,
            exptime: self.exptime,
            mjd: self.mjd,
            expid: self.expid,
            cosmics: self.cosmics,
            bad_columns: self.bad_columns,
            dead_patches: self.dead_patches,
            psf_tails: self.psf_tails,
        })
    }

    /// Reads spectra; without numbers they are those of the lit fibres in order.
    fn spectra_of(&self, path: &Path, psf: &Psf) -> Result<Truth, Box<dyn Error>> {
        let mut truth = read_truth(path)?;
        let is_fiber = |header: &Header| header.get_str("EXTNAME").is_some_and(|name| name.trim() == "FIBER");
        if truth.fibres.len() > 1 && !read_headers(path)?.iter().any(is_fiber) {
            tracing::info!("{}: no image FIBER; its spectra are those of the lit fibres in order", path.display());
            let of_row = |row: usize| self.specmin.checked_add(row).filter(|fibre| *fibre < psf.nfibre);
            let numbers = (0..truth.fibres.len()).map_while(of_row).map(|fibre| psf.number(fibre));
            truth.fibres.iter_mut().zip(numbers).for_each(|(to, number)| *to = number);
        }
        Ok(truth)
    }
}

/// Simulates and writes.
///
/// # Errors
/// A PSF that cannot be read, a request that does not fit it, or an output that cannot be written.
pub fn run(args: &Arguments) -> Outcome {
    let outputs = [&args.output].into_iter().chain(&args.truth).map(|path| (path.as_path(), Format::Fits));
    let outputs: Vec<(&Path, Format)> = outputs.collect();
    let inputs = [&args.psf]
        .into_iter()
        .chain(&args.arc)
        .chain(&args.spectra)
        .chain(&args.wavelength_table)
        .map(PathBuf::as_path);
    check_outputs(&inputs.collect::<Vec<_>>(), &outputs, args.overwrite)?;
    let psf = read_psf_with(&args.psf, args.psf_gh00)?;
    let of_psf = |error: SimulateError| match error {
        SimulateError::Fibres { .. } | SimulateError::Range { .. } | SimulateError::NoTails => {
            format!("{}: {error}", args.psf.display())
        }
        SimulateError::NoLight { .. } | SimulateError::NoSpectrum { .. } | SimulateError::Spectra { .. } => {
            format!("{}: {error}", args.spectra.as_deref().unwrap_or(&args.psf).display())
        }
        other => other.to_string(),
    };
    let simulated = simulate(&psf, &args.request(&psf)?).map_err(of_psf)?;
    let truth = args.truth.as_ref().map(|path| write_truth(path, &simulated.truth, args.overwrite)).transpose()?;
    let preproc = write_preproc(&args.output, &simulated.preproc, args.overwrite)?;
    PendingFile::persist_all(truth.into_iter().chain([preproc]))?;
    let truth = &simulated.truth;
    let (nwave, ends) = (truth.nwave(), wave_ends(&truth.wave));
    if args.json.is_wanted() {
        let fields = json!({
            "output": text(&args.output), "truth": args.truth.as_deref().map(text), "psf": text(&args.psf),
            "arc": args.arc.as_deref().map(text), "spectra": args.spectra.as_deref().map(text), "flat": args.flat,
            "seed": args.seed, "nspec": truth.fibres.len(), "nwave": nwave,
            "wave_min": ends[0], "wave_max": ends[1],
        });
        print_object("simulate", object(fields))?;
        return Ok(ExitCode::SUCCESS);
    }
    print(&format!(
        "{}: {} lit, {} {} from {:.1} to {:.1} Angstrom, seed {}",
        args.output.display(),
        fibres(truth.fibres.len()),
        nwave,
        if args.arc.is_some() { "lines" } else { "bins" },
        ends[0],
        ends[1],
        args.seed
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// The smallest and the largest wavelength.
fn wave_ends(wave: &[f64]) -> [f64; 2] {
    wave.iter().fold([f64::MAX, f64::MIN], |[low, high], w| [low.min(*w), high.max(*w)])
}
