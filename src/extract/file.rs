//! From files to files: a preproc frame and a PSF in, a frame and perhaps a model image out.

use super::decisions::warnings;
use super::default_grid::default_wavelength;
use super::fibermap::{fibermap_of_numbers, fibermap_rows};
use super::own_grid::own_grid_of;
use super::traces::{fit_traces, not_measured};
use super::{Digests, ExtractError, Extraction, FileError, Job, Options, Progress, Request, Summary, extract, record};
use crate::backend::Engine;
use crate::barycentric::{Correction, factor_of_exposure};
use crate::base::error_chain::one_line;
use crate::base::transpose::transposed;
use crate::fits::{
    FitsError, PendingFile, Preproc, preproc_of, psf_of, read_wave_table, with_digest, write_frame, write_model,
};
use crate::frame::{Frame, Header, Scores, Table};
use crate::geometry::WaveGrid;
use crate::psf::{Dispersion, Psf};
use crate::shift::Shifts;
use crate::stages::wave_table::WaveTable;
use std::ops::Range;
use std::time::{Duration, Instant};

/// The result of a request.
#[derive(Clone, Debug)]
pub struct Done {
    /// Fibres extracted.
    pub nspec: usize,
    /// Bins of the grid.
    pub nwave: usize,
    /// Pixels that were not finite or had an ivar that cannot be.
    pub bad_pixels: usize,
    /// The barycentric factor applied, and its site.
    pub barycentric: Option<Correction>,
    /// Description of the device.
    pub device: String,
    /// First wavelength, last one, and step of the grid, Angstrom; the step in its middle.
    pub grid: [f64; 3],
    /// Step of ln(wavelength) of a logarithmic grid.
    pub log_step: Option<f64>,
    /// The axis of dispersion of the CCD.
    pub dispersion: Dispersion,
    /// BLAKE3 of the inputs.
    pub digests: Digests,
    /// Defects of the inputs, in sentences.
    pub notes: Vec<String>,
    /// Shifts and widenings of the PSF that the frame asked for, if they were to be measured.
    pub shifts: Option<Shifts>,
    /// Fibres of the PSF, by their rows, that are not usable: they have no result.
    pub bad_fibres: Vec<usize>,
    /// Summary of the extraction.
    pub summary: Summary,
    /// Time to read, compute and write.
    pub read: Duration,
    /// See `read`.
    pub compute: Duration,
    /// See `read`.
    pub write: Duration,
}

/// A request's inputs, read and checked.
#[derive(Debug)]
pub struct Inputs {
    preproc: Preproc,
    psf: Psf,
    grid: WaveGrid,
    barycentric: Option<Correction>,
    fibermap: Option<Table>,
    /// Wavelengths of the bins, where fibres have a table of them.
    table: Option<WaveTable>,
    digests: Digests,
    notes: Vec<String>,
    shifts: Option<Shifts>,
    read: Duration,
}

/// One frame as it will be written.
#[derive(Debug)]
pub struct Product {
    frame: Frame,
    model: Option<Vec<f32>>,
    /// Cards of the model: those of the frame, and of the axes of the CCD.
    ccd_header: Header,
    /// Columns and rows of the model.
    ccd: [usize; 2],
    done: Done,
}

/// Reads, extracts and writes one frame; writes are atomic.
///
/// # Errors
/// [`FileError`], one sentence with the file at fault.
pub fn extract_file(request: &Request, engine: &Engine, progress: Progress) -> Result<Done, FileError> {
    let whole = || {
        let inputs = engine.region(|| "read".into(), || Inputs::read(request))?;
        let start = Instant::now();
        let extraction = engine.region(|| "extract".into(), || inputs.extract(request, engine, progress))?;
        let compute = start.elapsed();
        engine.region(|| "write".into(), || Product::new(request, inputs, extraction, compute).write(request))
    };
    engine.region(|| request.output.display().to_string(), whole)
}

/// Reads the inputs of a request and returns the model of its image, `[ny, nx]` as in its file; nothing is written.
///
/// # Errors
/// [`FileError`], one sentence with the file at fault.
pub fn extract_model(request: &Request, engine: &Engine, progress: Progress) -> Result<Option<Vec<f32>>, FileError> {
    let inputs = Inputs::read(request)?;
    let extraction = inputs.extract(request, engine, progress)?;
    Ok(extraction.model.map(|model| inputs.in_file(model)))
}

impl Inputs {
    /// Reads the inputs of a request, and refuses outputs and options that cannot be, before the work.
    ///
    /// # Errors
    /// [`FileError`], one sentence with the file at fault.
    pub fn read(request: &Request) -> Result<Self, FileError> {
        request.check()?;
        let start = Instant::now();
        let (mut preproc, mut psf, table, digests) = read_inputs(request)?;
        preproc.mask = None;
        // Here alone: everything behind has dispersion along y.
        let mut preproc = preproc.turned_for(psf.dispersion);
        // The grid is that of the PSF as it was: it does not depend on the night.
        let grid = grid_of(request, &psf)?;
        let shifts = request.fit_traces.then(|| fit_traces(request, &preproc, &mut psf)).transpose()?;
        // Its work is done; a queue of frames is spared its memory.
        preproc.readnoise = None;
        if psf.ranges.is_some() && table.is_none() {
            tracing::info!(
                "every fibre has a range of its own: the grid is on the scale of the middle one, {:.2} to {:.2} Angstrom; WAVELENGTH is \
                 [nspec, nwave]",
                psf.wave_min,
                psf.wave_max
            );
        }
        if psf.dispersion == Dispersion::AlongX {
            tracing::info!(
                "dispersion is along x (DISPAXIS 1): rows and columns are exchanged as they are read and written"
            );
        }
        let barycentric = barycentric_correction(request, &preproc)?;
        let factor = barycentric.as_ref().map(|correction| correction.factor);
        let (grid, table) = match own_grid_of(request, &mut psf, &grid, table, factor)? {
            Some((grid, table)) => (grid, Some(table)),
            None => (grid, None),
        };
        let mut notes = defects(request, &preproc, &psf);
        let of_site = barycentric.iter().filter_map(|correction| correction.site.note.as_ref());
        notes.extend(of_site.map(|note| format!("{}: {note}", request.input.display())));
        let fibermap = select_fibermap(request, &preproc, &psf, &mut notes)?;
        notes.extend(shifts.iter().flat_map(|shifts| not_measured(request, shifts)));
        notes.iter().for_each(|note| tracing::warn!("{note}"));
        Ok(Self { preproc, psf, grid, barycentric, fibermap, table, digests, notes, shifts, read: start.elapsed() })
    }

    /// Extracts the frame.
    ///
    /// # Errors
    /// [`FileError::Extract`].
    pub fn extract(&self, request: &Request, engine: &Engine, progress: Progress) -> Result<Extraction, FileError> {
        let options = self.options(request);
        let job = self.job(&options).map_err(|source| self.failed(request, source))?;
        if !engine.serves_spots(&self.psf, options.psf_tails) {
            let kind = self.psf.form.name();
            tracing::warn!(
                "the CPU makes the spots of this {kind} PSF, which are too large for the GPU; the other stages stay there"
            );
        }
        warnings(&job).iter().for_each(|warning| tracing::warn!("{warning}"));
        extract(&job, engine, progress).map_err(|source| self.failed(request, source))
    }

    /// The error with the names of the files.
    pub fn failed(&self, request: &Request, source: ExtractError) -> FileError {
        FileError::Extract { input: request.input.clone(), psf: request.psf.clone(), source: Box::new(source) }
    }

    /// Returns the job of the inputs with some options.
    ///
    /// # Errors
    /// [`ExtractError::Job`] if they do not fit together.
    pub fn job<'a>(&'a self, options: &'a Options) -> Result<Job<'a>, ExtractError> {
        Ok(Job::new(&self.psf, &self.preproc.ccd, &self.grid, options)?)
    }

    /// The grid of the output.
    pub fn grid(&self) -> &WaveGrid {
        &self.grid
    }

    /// The options of a request, with the model and the barycentric factor that it asks for.
    pub fn options(&self, request: &Request) -> Options {
        let model = request.model.as_ref().map(|(_, which)| *which);
        // A table has the factor in its bins already.
        let barycentric =
            self.barycentric.as_ref().filter(|_| self.table.is_none()).map(|correction| correction.factor);
        Options { barycentric, model, ..request.options.clone() }
    }

    /// Returns a model with the axes of the image's file.
    fn in_file(&self, model: Vec<f32>) -> Vec<f32> {
        match self.psf.dispersion {
            Dispersion::AlongX => transposed(&model, [self.preproc.ccd.ny(), self.preproc.ccd.nx()]),
            Dispersion::AlongY => model,
        }
    }

    /// Returns the wavelengths of some fibres, `[nwave]` or, where they differ, `[nspec, nwave]`.
    fn wave(&self, fibres: Range<usize>) -> Vec<f64> {
        match &self.table {
            None => self.psf.wavelengths(fibres, self.grid.wave()),
            Some(table) => table.wave(fibres),
        }
    }
}

impl Product {
    /// Builds the frame of an extraction from `inputs`, with header and scores.
    pub fn new(request: &Request, inputs: Inputs, extraction: Extraction, compute: Duration) -> Self {
        let (spectra, mut summary) = (extraction.spectra, extraction.summary);
        for excess in &mut summary.record.above_tolerance {
            excess.wave = excess.wave.map(|wave| inputs.psf.wavelength(excess.fibre, wave));
        }
        let done = Done {
            nspec: spectra.nspec,
            nwave: spectra.nwave,
            bad_pixels: inputs.preproc.ccd.rejected().total(),
            barycentric: inputs.barycentric.clone(),
            device: summary.device.clone(),
            grid: [inputs.grid.wave()[0], inputs.grid.wave()[spectra.nwave - 1], inputs.grid.step()],
            log_step: inputs.grid.log_step(),
            dispersion: inputs.psf.dispersion,
            digests: inputs.digests.clone(),
            notes: inputs.notes.clone(),
            shifts: inputs.shifts.clone(),
            bad_fibres: inputs.psf.defects().fibres.iter().map(|bad| bad.fibre).collect(),
            summary,
            read: inputs.read,
            compute,
            write: Duration::ZERO,
        };
        let odd_fit = done.summary.fit.and_then(|fit| fit.sentence(request.options.regularize > 0.0));
        for sentence in done.summary.dark.sentence(spectra.nspec).into_iter().chain(odd_fit) {
            tracing::warn!("{} with {}: {sentence}", request.input.display(), request.psf.display());
        }
        let ccd_header = header(request, &inputs, spectra.nspec, &done.summary);
        let mut header = ccd_header.clone();
        header.remove_image_axes();
        let first = request.options.specmin;
        let wave = inputs.wave(first..first + spectra.nspec);
        let model = extraction.model.map(|model| inputs.in_file(model));
        let Inputs { preproc, psf, fibermap, .. } = inputs;
        let scores = request.scores.then(|| scores(&spectra, &wave, fibermap.as_ref())).flatten();
        let frame = Frame { spectra, wave, header, fibermap, scores };
        let ccd = psf.dispersion.in_file([preproc.ccd.nx(), preproc.ccd.ny()]);
        preproc.ccd.recycle();
        Self { frame, model, ccd_header, ccd, done }
    }

    /// Fills all outputs before the first of them takes its place, the frame last: it is there only when all of them are.
    ///
    /// # Errors
    /// [`FileError::Fits`].
    pub fn write(&self, request: &Request) -> Result<Done, FileError> {
        let start = Instant::now();
        let ([nx, ny], overwrite) = (self.ccd, request.overwrite);
        let model = match (&request.model, &self.model) {
            (Some((path, _)), Some(model)) => Some(write_model(path, model, nx, ny, &self.ccd_header, overwrite)?),
            _ => None,
        };
        let frame = write_frame(&request.output, &self.frame, overwrite)?;
        PendingFile::persist_all(model.into_iter().chain([frame])).map_err(FitsError::from)?;
        Ok(Done { write: start.elapsed(), ..self.done.clone() })
    }
}

fn read_inputs(request: &Request) -> Result<(Preproc, Psf, Option<WaveTable>, Digests), FileError> {
    if let Some(second) = request.psf_or.as_ref().filter(|_| !request.psf.exists()) {
        return Err(FileError::NoPsf { places: [request.psf.clone(), second.clone()] });
    }
    let (options, ignore) = (request.preproc_options(), request.ignore_checksum);
    let (preproc, psf) = rayon::join(
        || with_digest(&request.input, ignore, |file| preproc_of(file, &options)),
        || with_digest(&request.psf, ignore, |file| psf_of(file, request.psf_gh00)),
    );
    let ((preproc, input), (psf, psf_digest)) = (preproc?, psf?);
    let fibermap = request.fibermap.as_ref().map(|path| with_digest(path, ignore, |_| Ok(()))).transpose()?;
    let (table, wavelength_table) = request.wavelength_table.as_ref().map(read_wave_table).transpose()?.unzip();
    let fibermap = fibermap.map(|(_, digest)| digest);
    let digests = Digests { input, psf: psf_digest, fibermap, wavelength_table };
    if let Some(expected) = &request.expected {
        check_unchanged(expected, &digests, request)?;
    }
    Ok((preproc, psf, table, digests))
}

/// Refuses inputs that have other digests than those of the frame to repeat.
fn check_unchanged(expected: &Digests, found: &Digests, request: &Request) -> Result<(), FileError> {
    let fibermap = request.fibermap.iter().zip(&expected.fibermap).zip(&found.fibermap);
    let all = [((&request.input, &expected.input), &found.input), ((&request.psf, &expected.psf), &found.psf)];
    let table = request.wavelength_table.iter().zip(&expected.wavelength_table).zip(&found.wavelength_table);
    match all.into_iter().chain(fibermap).chain(table).find(|((_, then), now)| then != now) {
        Some(((path, then), now)) => {
            Err(FileError::Changed { path: path.clone(), then: then.clone(), now: now.clone() })
        }
        None => Ok(()),
    }
}

fn grid_of(request: &Request, psf: &Psf) -> Result<WaveGrid, FileError> {
    let default = || default_wavelength(psf, request.options.specmin, request.options.nspec).into();
    Ok(request.wavelength.unwrap_or_else(default).grid()?)
}

fn barycentric_correction(request: &Request, preproc: &Preproc) -> Result<Option<Correction>, FileError> {
    let compute = || factor_of_exposure(&preproc.header, preproc.fibermap.as_ref().map(Table::header));
    let failed = |source| FileError::Barycentric { path: request.input.clone(), source };
    request.barycentric.then(compute).transpose().map_err(failed)
}

/// The rows of the fibermap that are extracted; looked at before the work, which may take minutes.
fn select_fibermap(
    request: &Request,
    preproc: &Preproc,
    psf: &Psf,
    notes: &mut Vec<String>,
) -> Result<Option<Table>, FileError> {
    let first = request.options.specmin;
    let nspec = request.options.nspec.unwrap_or(psf.nfibre.saturating_sub(first));
    // Fibres that the PSF does not have are the extraction's to refuse.
    let exist = nspec > 0 && first.checked_add(nspec).is_some_and(|end| end <= psf.nfibre);
    let numbers = || (first..first + nspec).map(|fibre| psf.number(fibre)).collect::<Vec<i64>>();
    let Some(table) = preproc.fibermap.as_ref().filter(|_| exist) else {
        return Ok((exist && psf.numbers.is_some()).then(|| fibermap_of_numbers(&numbers())));
    };
    let path = request.fibermap.as_ref().unwrap_or(&request.input);
    let camera = preproc.header.get_str("CAMERA").or_else(|| psf.camera.clone());
    let rows = fibermap_rows(table, &numbers(), camera.as_deref());
    let rows = rows.map_err(|what| FileError::Fibermap { path: path.clone(), what })?;
    notes.extend(rows.notes.iter().map(|note| format!("{}: {note}", path.display())));
    Ok(Some(rows.table))
}

/// Returns the defects of the inputs, each with its file.
fn defects(request: &Request, preproc: &Preproc, psf: &Psf) -> Vec<String> {
    let (input, psf_path) = (request.input.display(), request.psf.display());
    let of_psf = psf.defects().sentences().into_iter().map(|note| format!("{psf_path}: {note}"));
    let mut notes: Vec<String> = preproc.notes.iter().map(|note| format!("{input}: {note}")).chain(of_psf).collect();
    let bare = |camera: String| camera.trim_matches([' ', '\'', '"']).to_ascii_lowercase();
    let cameras = [preproc.header.get_str("CAMERA"), psf.camera.clone()].map(|camera| camera.map(bare));
    if let [Some(of_image), Some(of_psf)] = &cameras
        && of_image != of_psf
        && !of_image.is_empty()
    {
        notes.push(format!("{input} is of camera {of_image}, {psf_path} of {of_psf}; is it the PSF of this frame?"));
    }
    let stated = preproc.header.get_i64("DISPAXIS");
    if let Some(value) = stated.filter(|&value| Dispersion::of_dispaxis(value) != Some(psf.dispersion)) {
        notes.push(format!(
            "{input} has DISPAXIS {value}, but {psf_path} has dispersion along {}; is it the PSF of this frame?",
            psf.dispersion.letter()
        ));
    }
    let n = preproc.ccd.rejected().total();
    if n > 0 {
        notes.push(format!(
            "{input}: {n} pixels are not finite or have a negative, non-finite or absurdly large ivar; they count as masked"
        ));
    }
    notes
}

fn scores(spectra: &crate::frame::Spectra, wave: &[f64], fibermap: Option<&Table>) -> Option<Scores> {
    Scores::of(spectra, wave, fibermap.and_then(|t| t.column_i64("TARGETID")))
}

/// The cards of the input's IMAGE and those of the run.
fn header(request: &Request, inputs: &Inputs, nspec: usize, summary: &Summary) -> Header {
    let mut header = inputs.preproc.header.clone();
    let fibres = request.options.specmin..request.options.specmin + nspec;
    let all = inputs.wave(fibres);
    let is_shared = all.len() == inputs.grid.nwave();
    let wave = if is_shared { &all } else { inputs.grid.wave() };
    let first = inputs.psf.number(request.options.specmin);
    let smallest = |table: &Table| table.column_i64("FIBER").and_then(|fibres| fibres.into_iter().min());
    let fibermin = inputs.fibermap.as_ref().and_then(smallest).unwrap_or(first);
    let factor = inputs.barycentric.as_ref().map(|correction| correction.factor);
    note_run(&mut header, wave, inputs.grid.step(), nspec, fibermin, factor, summary);
    match inputs.grid.log_step() {
        Some(log_step) => header.set("WAVEDLN", log_step, "Step of ln(wavelength); WAVESTEP is the middle's"),
        None => header.remove("WAVEDLN"),
    }
    record::note(&mut header, request, &inputs.digests, &inputs.notes);
    record::note_site(&mut header, inputs.barycentric.as_ref().map(|correction| &correction.site));
    record::note_axis(&mut header, inputs.psf.dispersion);
    record::note_ranges(&mut header, (!is_shared).then_some(&all[..]));
    record::note_shifts(&mut header, inputs.shifts.as_ref());
    header
}

/// Sets the cards of an extraction on the grid `wave` (Angstrom, `[nwave]`, by `step`), those of its files apart.
pub fn note_run(
    header: &mut Header,
    wave: &[f64],
    step: f64,
    nspec: usize,
    fibermin: i64,
    barycentric: Option<f64>,
    summary: &Summary,
) {
    header.set("NSPEC", nspec, "Number of spectra");
    header.set("WAVEMIN", wave[0], "First wavelength [Angstrom]");
    header.set("WAVEMAX", wave[wave.len() - 1], "Last wavelength [Angstrom]");
    header.set("WAVESTEP", step, "Wavelength step [Angstrom]");
    header.set("FIBERMIN", fibermin, "Smallest fibre number");
    match barycentric {
        Some(factor) => header.set("HELIOCOR", factor, "Barycentric factor applied to wavelengths"),
        None => header.remove("HELIOCOR"),
    }
    record::note_run(header, summary);
    match &summary.retried {
        Some(reason) => header.set("SPXRETRY", one_line(reason), "Why it was done again, or by the CPU"),
        None => header.remove("SPXRETRY"),
    }
}
