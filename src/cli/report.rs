//! `spextral report`: one page, or one picture, about a frame.

use super::output::{Outcome, print};
use spextral::PendingFile;
use spextral::base::output_path::{Format, check_outputs};
use spextral::report::{Material, Report, ReportError, Severity, Sources};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Make a page about a frame: spectra, errors, goodness, residual, resolution, warnings
///
/// The page is one HTML file that opens in any browser and needs no network. Warnings are printed as well.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Frame file
    #[arg(value_name = "FRAME")]
    frame: PathBuf,
    /// Page to write (.html)
    #[arg(short = 'o', long, value_name = "PAGE", required_unless_present = "png")]
    output: Option<PathBuf>,
    /// The preproc file of the frame: with --model, for the residual of the CCD
    #[arg(long, value_name = "PREPROC", requires = "model")]
    image: Option<PathBuf>,
    /// The model image that `spextral extract -m` wrote
    #[arg(long, value_name = "MODEL", requires = "image")]
    model: Option<PathBuf>,
    /// The truth of `spextral simulate --truth`, for chi
    #[arg(long, value_name = "TRUTH")]
    truth: Option<PathBuf>,
    /// Also write one picture for a quick look here (.png)
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
    /// Replace outputs that exist
    #[arg(long)]
    overwrite: bool,
}

/// Reads the files, makes page and picture, and prints the warnings.
///
/// # Errors
/// Files that cannot be read or do not belong together, or an output that cannot be written.
pub fn run(args: &Arguments) -> Outcome {
    let inputs = [Some(&args.frame), args.image.as_ref(), args.model.as_ref(), args.truth.as_ref()];
    let inputs: Vec<&Path> = inputs.into_iter().flatten().map(PathBuf::as_path).collect();
    let outputs = [(&args.output, Format::Html), (&args.png, Format::Png)].into_iter();
    let outputs: Vec<(&Path, Format)> =
        outputs.filter_map(|(path, format)| path.as_deref().map(|path| (path, format))).collect();
    check_outputs(&inputs, &outputs, args.overwrite)?;
    let ccd = args.image.clone().zip(args.model.clone()).map(|(image, model)| [image, model]);
    let report = Report::new(Material::read(&Sources { frame: args.frame.clone(), ccd, truth: args.truth.clone() })?);
    let page = args.output.as_ref().map(|path| Ok::<_, ReportError>((path, report.html()?.into_bytes())));
    let picture = args.png.as_ref().map(|path| Ok((path, report.png()?)));
    let files: Vec<(&PathBuf, Vec<u8>)> = [page, picture].into_iter().flatten().collect::<Result<_, _>>()?;
    let fill =
        |(path, bytes): &(&PathBuf, Vec<u8>)| PendingFile::write(path, args.overwrite, |out| out.write_all(bytes));
    PendingFile::persist_all(files.iter().map(fill).collect::<Result<Vec<_>, _>>()?)?;
    for (path, bytes) in files {
        print(&format!("{}: {:.1} MB", path.display(), bytes.len() as f64 / 1e6))?;
    }
    for warning in report.warnings() {
        let kind = if warning.severity == Severity::Bad { "warning" } else { "note" };
        print(&format!("{kind}: {}", warning.text))?;
    }
    Ok(ExitCode::SUCCESS)
}
