//! `spextral report`: a page, or a picture, about a frame; of several frames their pages and an index.

use super::output::{Outcome, print};
use super::report_files::Files;
use spextral::PendingFile;
use spextral::base::output_path::{Format, check_outputs};
use spextral::report::{Material, Model, Report, Severity, Sources, Verdict, index};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Make a page about a frame: verdict, spectra, errors, goodness, residual, resolution, warnings
///
/// The page is one HTML file that opens in any browser and needs no network. Image and PSF are found by the frame's header,
/// and its model is extracted again for the residual. Of several frames each has its page beside it, and PAGE is an index,
/// the worst on top. Verdict and warnings are printed as well.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Frame files
    #[arg(value_name = "FRAME", required = true)]
    frames: Vec<PathBuf>,
    /// Page to write (.html); by default FRAME with .html, of several frames index.html beside the first
    #[arg(short = 'o', long, value_name = "PAGE")]
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
    /// Only what is in the frame: do not look for its image and PSF
    #[arg(long, conflicts_with = "image")]
    alone: bool,
    /// Also write one picture for a quick look here (.png)
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
    /// Open the page in the browser
    #[arg(long)]
    open: bool,
    /// Replace outputs that exist
    #[arg(long)]
    overwrite: bool,
}

/// Reads the files, makes page and picture, and prints verdict and warnings.
///
/// # Errors
/// Files that cannot be read or do not belong together, or an output that cannot be written.
pub fn run(args: &Arguments) -> Outcome {
    let page = match &args.frames[..] {
        [frame] => args.of_one(frame)?,
        frames => args.of_several(frames)?,
    };
    if args.open {
        let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
        let mut command = Command::new(if cfg!(windows) { "explorer" } else { program });
        command.arg(&page).spawn().map_err(|error| format!("cannot open {} by {program}: {error}", page.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Arguments {
    /// Makes the page of one frame; returns where it is.
    fn of_one(&self, frame: &Path) -> Result<PathBuf, Box<dyn Error>> {
        let page = self.output.clone().unwrap_or_else(|| page_of(frame));
        let inputs = [Some(frame), self.image.as_deref(), self.model.as_deref(), self.truth.as_deref()];
        let inputs: Vec<&Path> = inputs.into_iter().flatten().collect();
        let mut outputs = vec![(page.as_path(), Format::Html)];
        outputs.extend(self.png.as_deref().map(|png| (png, Format::Png)));
        check_outputs(&inputs, &outputs, self.overwrite)?;
        let report = write(self.files(frame), &page, self.png.as_deref(), self.overwrite)?;
        say(&report, [Some(page.as_path()), self.png.as_deref()].into_iter().flatten())?;
        Ok(page)
    }

    /// Makes the pages of several frames beside them, and the index; returns where that is.
    fn of_several(&self, frames: &[PathBuf]) -> Result<PathBuf, Box<dyn Error>> {
        if self.image.is_some() || self.truth.is_some() || self.png.is_some() {
            return Err("--image, --model, --truth and --png are of one frame: give them with that frame alone".into());
        }
        let page = self.output.clone().unwrap_or_else(|| frames[0].with_file_name("index.html"));
        let pages: Vec<PathBuf> = frames.iter().map(|frame| page_of(frame)).collect();
        let inputs: Vec<&Path> = frames.iter().map(PathBuf::as_path).collect();
        let outputs: Vec<(&Path, Format)> =
            pages.iter().chain([&page]).map(|page| (page.as_path(), Format::Html)).collect();
        check_outputs(&inputs, &outputs, self.overwrite)?;
        let mut rows = Vec::new();
        for (frame, own) in frames.iter().zip(&pages) {
            let report = write(self.files(frame), own, None, self.overwrite)?;
            say(&report, [own.as_path()])?;
            rows.push(report.index_row(link(&page, own)));
        }
        let text = index(rows);
        PendingFile::write(&page, self.overwrite, |out| out.write_all(text.as_bytes()))?.persist()?;
        print(&format!("{}: {} frames", page.display(), frames.len()))?;
        Ok(page)
    }

    fn files(&self, frame: &Path) -> Files {
        let ccd = self.image.clone().zip(self.model.clone().map(Model::File));
        match ccd.is_some() || self.alone {
            true => Files::given(Sources { frame: frame.into(), ccd, psf: None, truth: self.truth.clone() }),
            false => Files::of_frame(frame, self.truth.clone()),
        }
    }
}

/// Returns the page of a frame by default: its name with .html.
pub fn page_of(frame: &Path) -> PathBuf {
    let name = frame.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem = name.split_once(".fit").map_or(name.as_str(), |(stem, _)| stem);
    frame.with_file_name(format!("{stem}.html"))
}

/// Returns a page's address from an index: beside it, or absolute.
fn link(index: &Path, page: &Path) -> String {
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let (index, page) = (whole(index), whole(page));
    match index.parent().and_then(|folder| page.strip_prefix(folder).ok()) {
        Some(beside) => beside.to_string_lossy().into_owned(),
        None => page.to_string_lossy().into_owned(),
    }
}

/// Writes page and picture about a frame.
///
/// # Errors
/// Files that cannot be read or do not belong together, or an output that cannot be written.
pub fn write(files: Files, page: &Path, png: Option<&Path>, overwrite: bool) -> Result<Report, Box<dyn Error>> {
    let report = Report::new(Material::read(files.sources)?);
    drop(files.folder);
    let mut outputs = vec![(page, report.html()?.into_bytes())];
    if let Some(png) = png {
        outputs.push((png, report.png()?));
    }
    let fill = |(path, bytes): &(&Path, Vec<u8>)| PendingFile::write(path, overwrite, |out| out.write_all(bytes));
    PendingFile::persist_all(outputs.iter().map(fill).collect::<Result<Vec<_>, _>>()?)?;
    Ok(report)
}

/// Prints the verdict and the warnings of a report, below the names of its outputs.
///
/// # Errors
/// An [`std::io::Error`] if the standard output cannot be written.
pub fn say<'a>(report: &Report, outputs: impl IntoIterator<Item = &'a Path>) -> std::io::Result<()> {
    for path in outputs {
        let size = std::fs::metadata(path).map_or(0, |file| file.len());
        print(&format!("{}: {:.1} MB", path.display(), size as f64 / 1e6))?;
    }
    let Verdict { light, sentence } = report.verdict();
    print(&format!("{}: {sentence}", light.name()))?;
    for warning in report.warnings() {
        let kind = if warning.severity == Severity::Note { "note" } else { "warning" };
        print(&format!("{kind}: {}", warning.text))?;
    }
    Ok(())
}
