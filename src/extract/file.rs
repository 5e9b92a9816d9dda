//! From files to files: a preproc frame and a PSF in, a frame and perhaps a model image out.

use super::{ExtractError, ModelFlux, Options, Progress, Summary, extract};
use crate::barycentric::{BarycentricError, factor_of_exposure};
use crate::engine::Engine;
use crate::fits::{
    Filled, FitsError, Header, Preproc, PreprocOptions, Table, check_outputs, fill_frame, fill_model, read_preproc,
    read_psf,
};
use crate::frame::Frame;
use crate::plan::{GridError, WaveGrid};
use crate::psf::Psf;
use crate::scores::Scores;
use crate::stages::patch::Ccd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Step of the default grid, Angstrom.
const DEFAULT_STEP: f64 = 0.8;

/// What to extract, from which files, to which.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The preproc frame.
    pub input: PathBuf,
    /// The PSF.
    pub psf: PathBuf,
    /// The frame to write.
    pub output: PathBuf,
    /// A file with the fibermap, in place of the frame's own.
    pub fibermap: Option<PathBuf>,
    /// The model image to write, and what it shows.
    pub model: Option<(PathBuf, ModelFlux)>,
    /// (WMIN, WMAX, DW) in Angstrom; None for the PSF's range by 0.8.
    pub wavelength: Option<(f64, f64, f64)>,
    /// Pixels with any of these bits in MASK get ivar = 0.
    pub mask_bits: u32,
    /// Whether the grid is barycentric.
    pub barycentric: bool,
    /// Whether the frame gets SCORES.
    pub scores: bool,
    /// Whether existing outputs are replaced.
    pub overwrite: bool,
    /// Everything else; `model` and `barycentric` are set from the above.
    pub options: Options,
}

impl Request {
    /// A request with the survey's defaults.
    pub fn new(input: impl Into<PathBuf>, psf: impl Into<PathBuf>, output: impl Into<PathBuf>) -> Self {
        Self {
            input: input.into(),
            psf: psf.into(),
            output: output.into(),
            fibermap: None,
            model: None,
            wavelength: None,
            mask_bits: PreprocOptions::default().mask_bits,
            barycentric: false,
            scores: true,
            overwrite: false,
            options: Options::default(),
        }
    }

    /// Refuses outputs that would destroy an input, each other, or an existing file, before any work.
    fn check(&self) -> Result<(), FitsError> {
        let inputs: Vec<&Path> =
            [&self.input, &self.psf].into_iter().chain(&self.fibermap).map(PathBuf::as_path).collect();
        let model = self.model.as_ref().map(|(path, _)| path);
        let outputs: Vec<&Path> = [&self.output].into_iter().chain(model).map(PathBuf::as_path).collect();
        check_outputs(&inputs, &outputs, self.overwrite)
    }
}

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Fits(#[from] FitsError),
    /// The grid cannot be.
    #[error(transparent)]
    Grid(#[from] GridError),
    /// The barycentric factor cannot be computed.
    #[error("{}: {source}", path.display())]
    Barycentric {
        /// The frame.
        path: PathBuf,
        /// Why.
        source: BarycentricError,
    },
    /// The fibermap does not cover the fibres.
    #[error("{}: FIBERMAP has {rows} rows, fibres {first} to {last} are extracted: give the fibermap of this frame", path.display())]
    Fibermap {
        /// The file with the fibermap.
        path: PathBuf,
        /// Its rows.
        rows: usize,
        /// First fibre extracted.
        first: usize,
        /// Last fibre extracted.
        last: usize,
    },
    /// The frame cannot be extracted.
    #[error("{} with {}: {source}", input.display(), psf.display())]
    Extract {
        /// The frame.
        input: PathBuf,
        /// The PSF.
        psf: PathBuf,
        /// Why.
        source: ExtractError,
    },
}

/// What was done for a request.
#[derive(Clone, Debug)]
pub struct Done {
    /// Fibres extracted.
    pub nspec: usize,
    /// Bins of the grid.
    pub nwave: usize,
    /// Pixels that were not finite or had an ivar that cannot be.
    pub bad_pixels: usize,
    /// The barycentric factor applied.
    pub barycentric: Option<f64>,
    /// What the extraction did.
    pub summary: Summary,
    /// Time to read, compute and write.
    pub read: Duration,
    /// See `read`.
    pub compute: Duration,
    /// See `read`.
    pub write: Duration,
}

/// Reads, extracts and writes one frame. Outputs are whole or absent.
///
/// # Errors
/// [`FileError`], one sentence with the file at fault.
pub fn extract_file(request: &Request, engine: &Engine, progress: Progress) -> Result<Done, FileError> {
    request.check()?;
    let start = Instant::now();
    let (preproc, psf) = read_inputs(request)?;
    let read = start.elapsed();
    let grid = grid_of(request, &psf)?;
    let barycentric = barycentric_factor(request, &preproc)?;
    let fibermap = select_fibermap(request, &preproc, &psf)?;
    let options =
        Options { barycentric, model: request.model.as_ref().map(|(_, which)| *which), ..request.options.clone() };
    let ccd = Ccd { ny: preproc.ny, nx: preproc.nx, image: &preproc.image, ivar: &preproc.ivar };
    let start = Instant::now();
    let failed = |source| FileError::Extract { input: request.input.clone(), psf: request.psf.clone(), source };
    let extraction = extract(&psf, ccd, &grid, &options, engine, progress).map_err(failed)?;
    let compute = start.elapsed();
    let start = Instant::now();
    let model = extraction.model;
    let nspec = extraction.spectra.nspec;
    let scores = request.scores.then(|| scores(&extraction.spectra, &grid, fibermap.as_ref())).flatten();
    let header = header(request, &preproc, &psf, &grid, nspec, barycentric, engine, fibermap.as_ref());
    let frame = Frame { spectra: extraction.spectra, wave: grid.wave().to_vec(), header, fibermap, scores };
    write_outputs(request, &frame, model.as_deref(), &preproc)?;
    Ok(Done {
        nspec,
        nwave: grid.nwave(),
        bad_pixels: preproc.bad_pixels,
        barycentric,
        summary: extraction.summary,
        read,
        compute,
        write: start.elapsed(),
    })
}

fn read_inputs(request: &Request) -> Result<(Preproc, Psf), FileError> {
    let options = PreprocOptions { mask_bits: request.mask_bits, fibermap: request.fibermap.clone() };
    let (preproc, psf) = rayon::join(|| read_preproc(&request.input, &options), || read_psf(&request.psf));
    let preproc = preproc?;
    if preproc.bad_pixels > 0 {
        let (path, n) = (request.input.display(), preproc.bad_pixels);
        tracing::warn!("{path}: {n} pixels are not finite or have a negative or non-finite ivar; they count as masked");
    }
    Ok((preproc, psf?))
}

fn grid_of(request: &Request, psf: &Psf) -> Result<WaveGrid, FileError> {
    let (wmin, wmax, dw) = request.wavelength.unwrap_or((psf.wave_min, psf.wave_max, DEFAULT_STEP));
    Ok(WaveGrid::new(wmin, wmax, dw)?)
}

fn barycentric_factor(request: &Request, preproc: &Preproc) -> Result<Option<f64>, FileError> {
    let compute = || factor_of_exposure(&preproc.header, preproc.fibermap.as_ref().map(Table::header));
    let failed = |source| FileError::Barycentric { path: request.input.clone(), source };
    request.barycentric.then(compute).transpose().map_err(failed)
}

/// The rows of the fibermap that are extracted; looked at before the work, which may take minutes.
fn select_fibermap(request: &Request, preproc: &Preproc, psf: &Psf) -> Result<Option<Table>, FileError> {
    let first = request.options.specmin;
    let nspec = request.options.nspec.unwrap_or(psf.nfibre.saturating_sub(first));
    // Fibres that the PSF does not have are the extraction's to refuse.
    let exist = nspec > 0 && first.checked_add(nspec).is_some_and(|end| end <= psf.nfibre);
    let Some(table) = preproc.fibermap.as_ref().filter(|_| exist) else {
        return Ok(None);
    };
    if table.nrows() < first + nspec {
        let path = request.fibermap.as_ref().unwrap_or(&request.input).clone();
        return Err(FileError::Fibermap { path, rows: table.nrows(), first, last: first + nspec - 1 });
    }
    Ok(Some(table.slice_rows(first..first + nspec)))
}

fn scores(spectra: &crate::frame::Spectra, grid: &WaveGrid, fibermap: Option<&Table>) -> Option<Scores> {
    Scores::of(spectra, grid.wave(), fibermap.and_then(|t| t.column_i64("TARGETID")))
}

/// The cards of the input's IMAGE and those of the run.
fn header(
    request: &Request,
    preproc: &Preproc,
    psf: &Psf,
    grid: &WaveGrid,
    nspec: usize,
    barycentric: Option<f64>,
    engine: &Engine,
    fibermap: Option<&Table>,
) -> Header {
    let mut header = preproc.header.clone();
    let wave = grid.wave();
    let first = psf.fibermin + request.options.specmin as i64;
    let fibermin = fibermap.and_then(|t| t.column_i64("FIBER")).and_then(|f| f.into_iter().min()).unwrap_or(first);
    header.set("NSPEC", nspec as i64, "Number of spectra");
    header.set("WAVEMIN", wave[0], "First wavelength [Angstrom]");
    header.set("WAVEMAX", wave[wave.len() - 1], "Last wavelength [Angstrom]");
    header.set("WAVESTEP", grid.step(), "Wavelength step [Angstrom]");
    header.set("FIBERMIN", fibermin, "Smallest fibre number");
    header.set("IN_PSF", request.psf.display().to_string(), "Input spectral PSF");
    header.set("IN_IMG", request.input.display().to_string(), "Input image");
    match barycentric {
        Some(factor) => header.set("HELIOCOR", factor, "Barycentric factor applied to wavelengths"),
        None => header.remove("HELIOCOR"),
    }
    header.set("SPXVER", env!("CARGO_PKG_VERSION"), "Version of spextral");
    header.set("SPXDEV", engine.device(), "Device that extracted");
    header
}

/// Fills all outputs before the first of them takes its place, the frame last: it is there only when all of them are.
fn write_outputs(request: &Request, frame: &Frame, model: Option<&[f32]>, preproc: &Preproc) -> Result<(), FitsError> {
    let (nx, ny, overwrite) = (preproc.nx, preproc.ny, request.overwrite);
    let model = match (&request.model, model) {
        (Some((path, _)), Some(model)) => Some(fill_model(path, model, nx, ny, &frame.header, overwrite)?),
        _ => None,
    };
    let frame = fill_frame(&request.output, frame, overwrite)?;
    model.into_iter().chain([frame]).try_for_each(Filled::persist)
}
