//! From files to a file: a frame and a PSF in, the PSF with the frame's traces and widths out.

use super::{Quantity, ShiftError, ShiftOptions, Shifts, measure_shifts};
use crate::base::cancel::CancelToken;
use crate::base::output_path::{Format, check_outputs};
use crate::base::version::VERSION;
use crate::fit::ArcFrame;
use crate::fits::{
    ColumnData, FitsError, Header, Medium, Preproc, PreprocOptions, PsfExtras, Table, read_line_list, read_preproc,
    read_psf_with, write_psf_with,
};
use crate::psf::{Gh00, Psf, PsfError};
use crate::stages::legendre::{legendre, unit};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Wavelengths of the tables.
const WAVES: usize = 9;

/// A measurement from files to a file.
#[derive(Clone, Debug)]
pub struct ShiftRequest {
    /// Preproc file of the frame.
    pub input: PathBuf,
    /// The PSF.
    pub psf: PathBuf,
    /// The PSF to write.
    pub output: PathBuf,
    /// GH-0-0 of the spots.
    pub psf_gh00: Gh00,
    /// The lines of its light.
    pub lines: Lines,
    /// Intrinsic width of the lines, Angstrom; None takes that of the frame's header, or 0.
    pub line_sigma: Option<f64>,
    /// How the frame is read.
    pub preproc: PreprocOptions,
    /// Whether the output may be replaced.
    pub overwrite: bool,
}

/// The lines of a frame's light.
#[derive(Clone, Debug, PartialEq)]
pub enum Lines {
    /// The built-in list of the night sky.
    NightSky,
    /// A list, and the medium of its wavelengths; None for that of the list.
    List(PathBuf, Option<Medium>),
    /// None are known.
    None,
}

/// The result of a request.
#[derive(Clone, Debug)]
pub struct ShiftDone {
    /// The measurement.
    pub shifts: Shifts,
    /// Defects of the inputs, in sentences.
    pub notes: Vec<String>,
    /// Time of the measurement.
    pub compute: Duration,
}

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShiftFileError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Fits(#[from] FitsError),
    /// An output cannot be.
    #[error(transparent)]
    Output(#[from] crate::base::atomic_file::WriteError),
    /// Nothing can be measured.
    #[error("{} with {}: {source}", input.display(), psf.display())]
    Shift {
        /// The frame.
        input: PathBuf,
        /// The PSF.
        psf: PathBuf,
        /// The reason.
        source: ShiftError,
    },
    /// The result is no PSF.
    #[error("{}: shifted by what was measured, it is no PSF: {source}", path.display())]
    Psf {
        /// The PSF.
        path: PathBuf,
        /// The reason.
        source: PsfError,
    },
    /// No bundle has enough light.
    #[error("{}: no bundle has light enough to measure its traces, and no PSF is written", .0.display())]
    Dark(PathBuf),
}

/// Reads, measures and writes; the write is atomic. `progress` gets the number of bundles that are done and their total.
///
/// # Errors
/// [`ShiftFileError`], one sentence with the file at fault.
pub fn shift_file(
    request: &ShiftRequest,
    cancel: &CancelToken,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<ShiftDone, ShiftFileError> {
    let list = match &request.lines {
        Lines::List(path, _) => Some(path.as_path()),
        _ => None,
    };
    let inputs: Vec<&Path> = [request.input.as_path(), &request.psf].into_iter().chain(list).collect();
    check_outputs(&inputs, &[(&request.output, Format::Fits)], request.overwrite)?;
    let psf = read_psf_with(&request.psf, request.psf_gh00)?;
    let mut frame = read_preproc(&request.input, &request.preproc)?.turned_for(psf.dispersion);
    frame.mask = None;
    // A measurement needs no fibermap.
    let mut notes: Vec<String> = frame.notes.iter().filter(|note| !note.contains("FIBERMAP")).cloned().collect();
    notes.iter().for_each(|note| tracing::warn!("{}: {note}", request.input.display()));
    let mut options = ShiftOptions::night_sky(&frame.header);
    match &request.lines {
        Lines::NightSky => {}
        Lines::List(path, medium) => options.lines = read_line_list(path, *medium)?,
        Lines::None => options.lines.clear(),
    }
    options.line_sigma = request.line_sigma.unwrap_or(options.line_sigma);
    let begin = Instant::now();
    let failed = |source| ShiftFileError::Shift { input: request.input.clone(), psf: request.psf.clone(), source };
    let shifts = measure_shifts(&psf, &arc_of(&frame), 0..psf.nfibre, &options, cancel, progress).map_err(failed)?;
    let compute = begin.elapsed();
    if shifts.departure(Quantity::X).is_none() {
        return Err(ShiftFileError::Dark(request.input.clone()));
    }
    let shifted = shifts.apply(&psf).map_err(|source| ShiftFileError::Psf { path: request.psf.clone(), source })?;
    let of_shifts = shifts.notes();
    of_shifts.iter().for_each(|note| tracing::warn!("{}: {note}", request.input.display()));
    notes.extend(of_shifts);
    let extras = extras(request, &psf, &shifts, &notes);
    write_psf_with(&request.output, &shifted, &extras, request.overwrite)?.persist()?;
    Ok(ShiftDone { shifts, notes, compute })
}

fn arc_of(frame: &Preproc) -> ArcFrame<'_> {
    ArcFrame { ccd: &frame.ccd, readnoise: frame.readnoise.as_deref() }
}

/// Returns cards and tables as desi_compute_trace_shifts writes them, and all that was measured.
fn extras(request: &ShiftRequest, psf: &Psf, shifts: &Shifts, notes: &[String]) -> PsfExtras {
    let bad = &psf.defects().fibres;
    let status =
        (!bad.is_empty()).then(|| (0..psf.nfibre).map(|f| f64::from(u8::from(psf.defects().has(f)))).collect());
    let tables = vec![
        ("INTOFF", internal_offsets(psf, shifts)),
        ("EXTOFF", external_offsets(psf, shifts)),
        ("SHIFTS", shift_table(psf, shifts)),
    ];
    PsfExtras { status, cards: cards(request, shifts, notes), tables }
}

fn cards(request: &ShiftRequest, shifts: &Shifts, notes: &[String]) -> Header {
    let name = |path: &Path| path.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
    let mut header = Header::new();
    header.set("CREATOR", format!("spextral shift-psf {VERSION}"), "");
    header.set("IN_PSF", name(&request.psf), "PSF before the shift");
    header.set("IN_IMAGE", name(&request.input), "frame that was measured");
    for (quantity, keyword, unit) in [(Quantity::X, "DX", "pixel"), (Quantity::Y, "DY", "pixel")] {
        if let Some(d) = shifts.departure(quantity) {
            let comment = format!("[{unit}] mean shift of traces{}", of_bundles(shifts, quantity));
            header.set(&format!("MEAN{keyword}"), d.mean, &comment);
            header.set(&format!("MIN{keyword}"), d.ends[0], &format!("[{unit}] smallest"));
            header.set(&format!("MAX{keyword}"), d.ends[1], &format!("[{unit}] largest"));
            header.set(&format!("ERR{keyword}"), d.error, &format!("[{unit}] error of the mean"));
        }
    }
    for (quantity, keyword) in [(Quantity::SigmaX, "DSX"), (Quantity::SigmaY, "DSY")] {
        if let Some(d) = shifts.departure(quantity) {
            let comment = format!("mean ln(width / width before){}", of_bundles(shifts, quantity));
            header.set(&format!("MEAN{keyword}"), d.mean, &comment);
            header.set(&format!("ERR{keyword}"), d.error, "error of the mean");
        }
    }
    notes.iter().enumerate().for_each(|(k, note)| header.set(&format!("SPXNOT{}", k + 1), note.as_str(), ""));
    header
}

/// Returns how many bundles a mean is of, where they are not all.
fn of_bundles(shifts: &Shifts, quantity: Quantity) -> String {
    let [known, all] = shifts.counts(quantity);
    if known == all { String::new() } else { format!(", {known} of {all} bundles") }
}

fn waves(psf: &Psf) -> Vec<f64> {
    let step = (psf.wave_max - psf.wave_min) / (WAVES - 1) as f64;
    (0..WAVES).map(|k| psf.wave_min + step * k as f64).collect()
}

/// Angstrom per row at a fibre and a wavelength of the scale.
fn row(psf: &Psf, fibre: usize, wave: f64) -> f64 {
    let y = |wave: f64| legendre(psf.trace_y.of(fibre), unit(psf.trace_y.domain, wave));
    psf.stretch(fibre) / (y(wave + 0.5) - y(wave - 0.5))
}

/// Mean displacement along wavelength over all fibres, and its error.
fn mean_offset(psf: &Psf, shifts: &Shifts, wave: f64) -> [f64; 2] {
    let of = |fibre: usize| {
        let [value, error] = shifts.at(psf, Quantity::Y, fibre, wave)?;
        let angstrom = row(psf, fibre, wave);
        Some([value * angstrom, error * angstrom.abs()])
    };
    let all: Vec<[f64; 2]> = (0..psf.nfibre).filter_map(of).collect();
    let count = all.len().max(1) as f64;
    let bundles = shifts.bundles.len().max(1) as f64;
    [all.iter().map(|o| o[0]).sum::<f64>() / count, all.iter().map(|o| o[1]).sum::<f64>() / count / bundles.sqrt()]
}

/// Displacements of fibres from the mean of all, along wavelength.
fn internal_offsets(psf: &Psf, shifts: &Shifts) -> Table {
    let (mut fibres, mut wave, mut offset, mut errors) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for w in waves(psf) {
        let mean = mean_offset(psf, shifts, w)[0];
        for fibre in 0..psf.nfibre {
            let Some([value, error]) = shifts.at(psf, Quantity::Y, fibre, w) else { continue };
            fibres.push(psf.number(fibre) as i32);
            wave.push(psf.wavelength(fibre, w) as f32);
            offset.push((value * row(psf, fibre, w) - mean) as f32);
            errors.push((error * row(psf, fibre, w).abs()) as f32);
        }
    }
    Table::new(fibres.len())
        .with_column("FIBER", "", &ColumnData::I32(fibres))
        .with_column("WAVE", "Angstrom", &ColumnData::F32(wave))
        .with_column("DWAVE", "Angstrom", &ColumnData::F32(offset))
        .with_column("DWAVE_ERR", "Angstrom", &ColumnData::F32(errors))
}

/// Displacements of the mean of all fibres from the list, along wavelength.
fn external_offsets(psf: &Psf, shifts: &Shifts) -> Table {
    let measured = shifts.departure(Quantity::Y).is_some();
    let wave: Vec<f64> = if measured { waves(psf) } else { Vec::new() };
    let means: Vec<[f64; 2]> = wave.iter().map(|&w| mean_offset(psf, shifts, w)).collect();
    let of = |k: usize| ColumnData::F32(means.iter().map(|mean| mean[k] as f32).collect());
    Table::new(wave.len())
        .with_column("WAVE", "Angstrom", &ColumnData::F32(wave.iter().map(|&w| w as f32).collect()))
        .with_column("DWAVE", "Angstrom", &of(0))
        .with_column("DWAVE_ERR", "Angstrom", &of(1))
}

/// All quantities with their errors; NaN where a bundle does not give one itself.
fn shift_table(psf: &Psf, shifts: &Shifts) -> Table {
    let fibres = shifts.bundles.iter().flat_map(|bundle| bundle.fibres.clone());
    let places: Vec<(usize, f64)> = fibres.flat_map(|fibre| waves(psf).into_iter().map(move |w| (fibre, w))).collect();
    let mut table = Table::new(places.len())
        .with_column("FIBER", "", &ColumnData::I32(places.iter().map(|(fibre, _)| psf.number(*fibre) as i32).collect()))
        .with_column(
            "WAVELENGTH",
            "Angstrom",
            &ColumnData::F64(places.iter().map(|(fibre, at)| psf.wavelength(*fibre, *at)).collect()),
        );
    let names =
        [("DX", "DXERR", "pixel"), ("DY", "DYERR", "pixel"), ("DLNSX", "DLNSXERR", ""), ("DLNSY", "DLNSYERR", "")];
    for (quantity, (name, error, unit)) in Quantity::ALL.into_iter().zip(names) {
        let found: Vec<[f64; 2]> =
            places.iter().map(|&(f, w)| shifts.at(psf, quantity, f, w).unwrap_or([f64::NAN; 2])).collect();
        let of = |k: usize| ColumnData::F64(found.iter().map(|pair| pair[k]).collect());
        table = table.with_column(name, unit, &of(0)).with_column(error, unit, &of(1));
    }
    table
}
