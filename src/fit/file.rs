//! From files to a file: arc frames, a start PSF and a line list in, a PSF out.

use super::{ArcFrame, BundleFit, FitError, FitOptions, FitPlan, Fitted, FittedBundle, collect};
use crate::base::cancel::CancelToken;
use crate::base::number::runs;
use crate::base::output_path::{Format, check_outputs};
use crate::base::version::VERSION;
use crate::fits::{
    ColumnData, FitsError, Header, Line, Medium, Preproc, PreprocOptions, PsfExtras, Table, read_line_list,
    read_preproc, read_psf, write_psf_with,
};
use crate::psf::Psf;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Most bundles whose figures have cards: their keywords have two digits.
const MOST_CARDS: usize = 100;

/// A fit from files to a file.
#[derive(Clone, Debug)]
pub struct FitRequest {
    /// Preproc files of arcs, of one camera.
    pub inputs: Vec<PathBuf>,
    /// The PSF to start from.
    pub start: PathBuf,
    /// The PSF to write.
    pub output: PathBuf,
    /// The line list.
    pub lines: PathBuf,
    /// The medium of its wavelengths; None for that of the list.
    pub medium: Option<Medium>,
    /// How the frames are read.
    pub preproc: PreprocOptions,
    /// How the fit is made.
    pub options: FitOptions,
    /// Numbers of the fibres without light.
    pub broken_fibres: Vec<i64>,
    /// Whether the output may be replaced.
    pub overwrite: bool,
}

/// The result of a request.
#[derive(Clone, Debug)]
pub struct FitDone {
    /// The PSF and the fits of its bundles, these along x and y of the files.
    pub fitted: Fitted,
    /// Lines of the list within the PSF's range.
    pub lines: usize,
    /// Defects of the inputs, in sentences.
    pub notes: Vec<String>,
    /// Time of the fit.
    pub compute: Duration,
}

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FitFileError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Fits(#[from] FitsError),
    /// An output cannot be.
    #[error(transparent)]
    Output(#[from] crate::base::atomic_file::WriteError),
    /// The inputs do not fit together.
    #[error("{}: {source}", path.display())]
    Fit {
        /// The start.
        path: PathBuf,
        /// The reason.
        source: FitError,
    },
    /// A broken fibre that the start lacks.
    #[error("{}: there is no fibre {number} that could be broken: it has {nfibre} fibres, from {first} to {last}", path.display())]
    Broken {
        /// The start.
        path: PathBuf,
        /// The number.
        number: i64,
        /// How many fibres the start has.
        nfibre: usize,
        /// The start's first fibre.
        first: i64,
        /// Its last.
        last: i64,
    },
    /// No bundle could be fitted.
    #[error("{}: no bundle can be fitted, and no PSF is written (fibres {first} to {last}: {reason})", path.display())]
    Nothing {
        /// The first arc.
        path: PathBuf,
        /// Ends of the first bundle.
        first: usize,
        /// See `first`.
        last: usize,
        /// Why it cannot be fitted.
        reason: String,
    },
}

/// Inputs of a fit, read and checked.
#[derive(Clone, Debug)]
pub struct FitInputs {
    start: Psf,
    lines: Vec<Line>,
    frames: Vec<Preproc>,
    plan: FitPlan,
    /// Defects of the inputs, in sentences.
    pub notes: Vec<String>,
}

impl FitInputs {
    /// Reads and checks the inputs, and whether the output can be written.
    ///
    /// # Errors
    /// [`FitFileError`], one sentence with the file at fault.
    pub fn read(request: &FitRequest) -> Result<Self, FitFileError> {
        let inputs: Vec<&Path> =
            request.inputs.iter().chain([&request.start, &request.lines]).map(PathBuf::as_path).collect();
        check_outputs(&inputs, &[(&request.output, Format::Fits)], request.overwrite)?;
        let start = read_psf(&request.start)?;
        let lines = read_line_list(&request.lines, request.medium)?;
        let (mut frames, mut notes) = (Vec::new(), Vec::new());
        for path in &request.inputs {
            let mut frame = read_preproc(path, &request.preproc)?.turned_for(start.dispersion);
            frame.mask = None;
            // A fit needs no fibermap.
            let of_frame = frame.notes.iter().filter(|note| !note.contains("FIBERMAP"));
            notes.extend(of_frame.map(|note| format!("{}: {note}", path.display())));
            frames.push(frame);
        }
        let mut options = request.options.clone();
        for &number in &request.broken_fibres {
            let (first, last) = (start.number(0), start.number(start.nfibre.saturating_sub(1)));
            let (path, nfibre) = (request.start.clone(), start.nfibre);
            let none = || FitFileError::Broken { path, number, nfibre, first, last };
            options.broken_fibres.push(start.row_of(number).ok_or_else(none)?);
        }
        let failed = |source| FitFileError::Fit { path: request.start.clone(), source };
        let plan = FitPlan::new(&start, &arcs_of(&frames), &lines, &options).map_err(failed)?;
        Ok(Self { start, lines, frames, plan, notes })
    }

    /// Returns the number of bundles.
    pub fn bundles(&self) -> usize {
        self.plan.bundles()
    }

    /// Fits the bundles that `is_own` names; `done` gets each as soon as it is.
    pub fn fit(
        &self,
        is_own: &(dyn Fn(usize) -> bool + Sync),
        cancel: &CancelToken,
        done: &(dyn Fn(FittedBundle) + Sync),
    ) {
        self.plan.fit(&self.start, &arcs_of(&self.frames), is_own, cancel, done);
    }

    /// Writes the PSF of all bundles, which are in any order; the write is atomic. `compute` is the time that they took.
    ///
    /// # Errors
    /// [`FitFileError`]. Bundles that keep the start's PSF are no error as long as one is fitted.
    pub fn write(
        self,
        request: &FitRequest,
        bundles: Vec<FittedBundle>,
        compute: Duration,
    ) -> Result<FitDone, FitFileError> {
        let failed = |source| FitFileError::Fit { path: request.start.clone(), source };
        let fitted = self.plan.assemble(&self.start, bundles).map_err(failed)?.in_file();
        if let (true, Some(bundle)) = (fitted.bundles.iter().all(|b| b.outcome.is_err()), fitted.bundles.first()) {
            return Err(FitFileError::Nothing {
                path: request.inputs[0].clone(),
                first: bundle.fibres.start,
                last: bundle.fibres.end - 1,
                reason: bundle.outcome.clone().err().unwrap_or_default(),
            });
        }
        write_fitted(request, &fitted, &self.lines)?;
        let lines = self.lines.iter().filter(|line| self.start.has(line.wave)).count();
        Ok(FitDone { fitted, lines, notes: self.notes, compute })
    }
}

/// Reads, fits and writes; the write is atomic. `progress` gets the number of bundles that are done and their total.
///
/// # Errors
/// [`FitFileError`], one sentence with the file at fault. Bundles that keep the start's PSF are no error as long as one is
/// fitted.
pub fn fit_file(
    request: &FitRequest,
    cancel: &CancelToken,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<FitDone, FitFileError> {
    let inputs = FitInputs::read(request)?;
    inputs.notes.iter().for_each(|note| tracing::warn!("{note}"));
    let (begin, bundles) = (Instant::now(), Mutex::new(Vec::new()));
    inputs.fit(&|_| true, cancel, &collect(&bundles, inputs.bundles(), progress));
    inputs.write(request, bundles.into_inner().unwrap_or_else(PoisonError::into_inner), begin.elapsed())
}

fn arcs_of(frames: &[Preproc]) -> Vec<ArcFrame<'_>> {
    frames.iter().map(|frame| ArcFrame { ccd: &frame.ccd, readnoise: frame.readnoise.as_deref() }).collect()
}

fn write_fitted(request: &FitRequest, fitted: &Fitted, lines: &[Line]) -> Result<(), FitFileError> {
    let extras = PsfExtras {
        status: Some(fitted.status()),
        cards: cards(request, fitted),
        tables: vec![
            ("BUNDLES", bundle_table(fitted)),
            ("LINES", line_table(fitted, lines)),
            ("TRACEERR", error_table(fitted)),
        ],
    };
    Ok(write_psf_with(&request.output, &fitted.psf, &extras, request.overwrite)?.persist()?)
}

/// Returns the cards of the PSF table: what the PSF was made of, and the quality of its bundles.
fn cards(request: &FitRequest, fitted: &Fitted) -> Header {
    let name = |path: &Path| path.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
    let mut header = Header::new();
    header.set("CREATOR", format!("spextral fit-psf {VERSION}"), "");
    header.set("IN_PSF", name(&request.start), "start of the fit");
    header.set("IN_LINES", name(&request.lines), "line list");
    for (k, input) in request.inputs.iter().enumerate().take(MOST_CARDS) {
        header.set(&format!("IN_ARC{k}"), name(input), "arc frame");
    }
    let dark = fitted.dark_fibres();
    if !dark.is_empty() {
        let numbers: Vec<i64> = dark.iter().map(|&fibre| fitted.psf.number(fibre)).collect();
        header.set("NOLIGHT", runs(&numbers).join(","), "fibres without light: they follow their bundles");
    }
    header.set("BUNDLMIN", 0i64, "first bundle");
    header.set("BUNDLMAX", fitted.bundles.len() as i64 - 1, "last bundle");
    for (k, bundle) in fitted.bundles.iter().enumerate().take(MOST_CARDS) {
        let [chi2, pixels, unknowns] = figures(bundle);
        header.set(&format!("B{k:02}RCHI2"), chi2, "reduced chi2 of the bundle, 0: not fitted");
        header.set(&format!("B{k:02}NDATA"), pixels as i64, "pixels");
        header.set(&format!("B{k:02}NPAR"), unknowns as i64, "unknowns");
    }
    header
}

fn figures(bundle: &BundleFit) -> [f64; 3] {
    let quality = bundle.outcome.as_ref();
    quality.map_or([0.0; 3], |q| [q.reduced_chi2, q.pixels as f64, q.unknowns as f64])
}

fn bundle_table(fitted: &Fitted) -> Table {
    let bundles = &fitted.bundles;
    let number = |of: &dyn Fn(&BundleFit) -> f64| ColumnData::F64(bundles.iter().map(of).collect());
    let count = |of: &dyn Fn(&BundleFit) -> usize| ColumnData::I32(bundles.iter().map(|b| of(b) as i32).collect());
    let reasons = bundles.iter().map(|b| b.outcome.as_ref().err().cloned().unwrap_or_default()).collect();
    Table::new(bundles.len())
        .with_column("FIBERMIN", "", &count(&|b| fitted.psf.number(b.fibres.start) as usize))
        .with_column("FIBERMAX", "", &count(&|b| fitted.psf.number(b.fibres.end - 1) as usize))
        .with_column("FITTED", "", &ColumnData::Bool(bundles.iter().map(|b| b.outcome.is_ok()).collect()))
        .with_column("RCHI2", "", &number(&|b| figures(b)[0]))
        .with_column("NDATA", "", &count(&|b| figures(b)[1] as usize))
        .with_column("NPAR", "", &count(&|b| figures(b)[2] as usize))
        .with_column("DX", "pixel", &number(&|b| b.shifts.first().map_or(0.0, |s| s[0])))
        .with_column("DY", "pixel", &number(&|b| b.shifts.first().map_or(0.0, |s| s[1])))
        .with_column("NCORE", "", &count(&|b| b.coreless.len()))
        .with_column("NLOST", "", &count(&|b| b.lost.len()))
        .with_column("NFOUND", "", &count(&|b| b.found.len()))
        .with_column("NREJECT", "", &count(&|b| b.rejected))
        .with_column("REASON", "", &ColumnData::Str(reasons))
}

fn line_table(fitted: &Fitted, lines: &[Line]) -> Table {
    let spots: Vec<_> = fitted.bundles.iter().flat_map(|b| &b.spots).collect();
    let number = |of: &dyn Fn(usize) -> f64| ColumnData::F64((0..spots.len()).map(of).collect());
    let count = |of: &dyn Fn(usize) -> i64| ColumnData::I32((0..spots.len()).map(|k| of(k) as i32).collect());
    let ion = |wave: f64| {
        let at = lines.partition_point(|line| line.wave < wave);
        lines.get(at).filter(|line| line.wave == wave).map_or(String::new(), |line| line.ion.clone())
    };
    let text = |of: &dyn Fn(usize) -> String| ColumnData::Str((0..spots.len()).map(of).collect());
    Table::new(spots.len())
        .with_column("EXPOSURE", "", &count(&|k| spots[k].exposure as i64))
        .with_column("FIBER", "", &count(&|k| fitted.psf.number(spots[k].fibre)))
        .with_column("WAVELENGTH", "Angstrom", &number(&|k| spots[k].wave))
        .with_column("ION", "", &text(&|k| ion(spots[k].wave)))
        .with_column("LISTED", "", &ColumnData::Bool(spots.iter().map(|s| s.listed).collect()))
        .with_column("X", "pixel", &number(&|k| spots[k].at[0]))
        .with_column("Y", "pixel", &number(&|k| spots[k].at[1]))
        .with_column("FLUX", "electron", &number(&|k| spots[k].flux[0]))
        .with_column("FLUXERR", "electron", &number(&|k| spots[k].flux[1]))
        .with_column("CHI2", "", &number(&|k| spots[k].chi2))
        .with_column("NPIX", "", &count(&|k| spots[k].pixels as i64))
        .with_column("USED", "", &ColumnData::Bool(spots.iter().map(|s| s.reason.is_none()).collect()))
        .with_column("REASON", "", &text(&|k| spots[k].reason.clone().unwrap_or_default()))
}

fn error_table(fitted: &Fitted) -> Table {
    let errors: Vec<_> = fitted.bundles.iter().flat_map(|b| &b.errors).collect();
    let number = |of: &dyn Fn(usize) -> f64| ColumnData::F64((0..errors.len()).map(of).collect());
    let fibres = errors.iter().map(|e| fitted.psf.number(e.fibre) as i32).collect();
    Table::new(errors.len())
        .with_column("FIBER", "", &ColumnData::I32(fibres))
        .with_column("WAVELENGTH", "Angstrom", &number(&|k| errors[k].wave))
        .with_column("XERR", "pixel", &number(&|k| errors[k].at[0]))
        .with_column("YERR", "pixel", &number(&|k| errors[k].at[1]))
        .with_column("SIGXERR", "", &number(&|k| errors[k].widths[0]))
        .with_column("SIGYERR", "", &number(&|k| errors[k].widths[1]))
}

/// Returns a sentence per bundle about what did not go as wished.
pub fn remarks(psf: &Psf, bundle: &BundleFit) -> Vec<String> {
    let number = |fibre: usize| psf.number(fibre);
    let which = format!("fibres {} to {}", number(bundle.fibres.start), number(bundle.fibres.end - 1));
    if let Err(reason) = &bundle.outcome {
        return vec![format!("{which} keep the start's PSF: {reason}")];
    }
    let mut remarks = Vec::new();
    if !bundle.dead.is_empty() {
        let dead: Vec<String> = bundle.dead.iter().map(|&fibre| number(fibre).to_string()).collect();
        remarks.push(format!("{which}: no light in {}; they follow the bundle", dead.join(", ")));
    }
    if !bundle.coreless.is_empty() {
        let count = bundle.coreless.len();
        remarks.push(format!(
            "{which}: the cores of {count} bright lines are masked, as saturated ones are; their wings count"
        ));
    }
    for line in &bundle.lost {
        remarks.push(format!("{which}: the line at {:.2} Angstrom is left out: {}", line.wave, line.reason));
    }
    for line in &bundle.found {
        remarks.push(format!("{which}: an unlisted line at {:.2} Angstrom, {:.0} electron", line.wave, line.flux));
    }
    remarks
}
