//! `spextral plot-psf`: spots, traces and widths of a PSF as one picture.

use super::output::{Outcome, print};
use spextral::PendingFile;
use spextral::base::output_path::{Format, check_outputs};
use spextral::fits::{PreprocOptions, read_preproc, read_psf};
use spextral::plot::psf_png;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Draw a PSF: spots at several fibres and wavelengths, traces on the CCD, widths against wavelength
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// PSF file
    #[arg(value_name = "PSF")]
    psf: PathBuf,
    /// Preproc frame whose image is drawn below the traces
    #[arg(long, value_name = "PREPROC")]
    image: Option<PathBuf>,
    /// Picture to write (.png)
    #[arg(short = 'o', long, value_name = "FILE", default_value = "psf.png")]
    output: PathBuf,
    /// Replace the output where it exists
    #[arg(long)]
    overwrite: bool,
}

/// Reads, draws and writes.
///
/// # Errors
/// A PSF that cannot be read, or an output that cannot be written.
pub fn run(args: &Arguments) -> Outcome {
    let inputs: Vec<&Path> = [&args.psf].into_iter().chain(&args.image).map(PathBuf::as_path).collect();
    check_outputs(&inputs, &[(&args.output, Format::Png)], args.overwrite)?;
    let name = args.psf.file_name().unwrap_or(args.psf.as_os_str()).to_string_lossy();
    let psf = read_psf(&args.psf)?;
    let frame = args.image.as_ref().map(|path| read_preproc(path, &PreprocOptions::default())).transpose()?;
    let picture = psf_png(&psf, &name, frame.as_ref().map(|frame| &frame.ccd))?;
    PendingFile::write(&args.output, args.overwrite, |out| out.write_all(&picture))?.persist()?;
    print(&args.output.display().to_string())?;
    Ok(ExitCode::SUCCESS)
}
