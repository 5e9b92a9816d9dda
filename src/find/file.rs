//! From files to a file: a flat, an arc and a line list in, a start for the fit of a PSF out.

use super::{FindError, FindOptions, Found, Plane, find_traces};
use crate::base::atomic_file::WriteError;
use crate::base::number::runs;
use crate::base::output_path::{Format, check_outputs};
use crate::base::version::VERSION;
use crate::fits::{
    FitsError, Header, Medium, Preproc, PreprocOptions, PsfExtras, read_line_list, read_preproc, write_psf_with,
};
use crate::psf::{Dispersion, Psf};
use crate::stages::trace_fit::{TraceFit, TraceFitError, fit_traces};
use std::path::{Path, PathBuf};

/// A search from files to a file.
#[derive(Clone, Debug)]
pub struct FindRequest {
    /// Preproc file of a flat.
    pub flat: PathBuf,
    /// Preproc file of an arc, of the same camera.
    pub arc: PathBuf,
    /// The line list.
    pub lines: PathBuf,
    /// The medium of its wavelengths; None for that of the list.
    pub medium: Option<Medium>,
    /// The PSF to write.
    pub output: PathBuf,
    /// How the frames are read.
    pub preproc: PreprocOptions,
    /// Axis of dispersion; None finds it.
    pub dispersion: Option<Dispersion>,
    /// Knowledge of fibres and wavelengths.
    pub options: FindOptions,
    /// Degree of the traces.
    pub trace_degree: usize,
    /// Highest Hermite order along either axis that a fit from this start will have; its terms are 0.
    pub gh_degree: usize,
    /// Degree of widths and Hermite terms along wavelength.
    pub legendre_degree: usize,
    /// Whether the output may be replaced.
    pub overwrite: bool,
}

/// The result of a request.
#[derive(Clone, Debug)]
pub struct FindDone {
    /// The start.
    pub psf: Psf,
    /// The traces and how they were found.
    pub found: Found,
    /// Remarks on frames and search, in sentences.
    pub notes: Vec<String>,
}

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindFileError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Fits(#[from] FitsError),
    /// An output cannot be.
    #[error(transparent)]
    Output(#[from] WriteError),
    /// The frames show no traces.
    #[error("{}: {source}", path.display())]
    Find {
        /// The frame or list.
        path: PathBuf,
        /// The reason.
        source: FindError,
    },
    /// The traces make no PSF.
    #[error("{}: {source}", path.display())]
    Traces {
        /// The flat.
        path: PathBuf,
        /// The reason.
        source: TraceFitError,
    },
}

/// Reads, searches and writes; the write is atomic.
///
/// # Errors
/// [`FindFileError`], one sentence with the file at fault.
pub fn find_file(request: &FindRequest) -> Result<FindDone, FindFileError> {
    let inputs = [&request.flat, &request.arc, &request.lines].map(PathBuf::as_path);
    check_outputs(&inputs, &[(&request.output, Format::Fits)], request.overwrite)?;
    let lines: Vec<f64> = read_line_list(&request.lines, request.medium)?.iter().map(|line| line.wave).collect();
    let mut notes = Vec::new();
    let mut read = |path: &Path| -> Result<Preproc, FitsError> {
        let frame = read_preproc(path, &request.preproc)?;
        // The search needs no fibermap.
        let of_frame = frame.notes.iter().filter(|note| !note.contains("FIBERMAP"));
        notes.extend(of_frame.map(|note| format!("{}: {note}", path.display())));
        Ok(frame)
    };
    let (flat, arc) = (read(&request.flat)?, read(&request.arc)?);
    let mut done = find_psf(request, flat, arc, &lines)?;
    notes.append(&mut done.notes);
    let extras = PsfExtras { cards: cards(request, &done.found), ..PsfExtras::default() };
    write_psf_with(&request.output, &done.psf, &extras, request.overwrite)?.persist()?;
    Ok(FindDone { notes, ..done })
}

/// Searches in frames that are read, by the options of a request; its paths are the names of the inputs in errors.
///
/// # Errors
/// [`FindFileError::Find`] and [`FindFileError::Traces`], one sentence with the input at fault.
pub fn find_psf(request: &FindRequest, flat: Preproc, arc: Preproc, lines: &[f64]) -> Result<FindDone, FindFileError> {
    let axis = request.dispersion.unwrap_or_else(|| match plane(&flat).runs_along_y() {
        true => Dispersion::AlongY,
        false => Dispersion::AlongX,
    });
    let (flat, arc) = (flat.turned_for(axis), arc.turned_for(axis));
    let failed = |source: FindError| {
        let path = match &source {
            FindError::NoFibres | FindError::Count { .. } | FindError::Broken { .. } | FindError::NoRoom { .. } => {
                &request.flat
            }
            FindError::FewLines { .. } => &request.lines,
            _ => &request.arc,
        };
        FindFileError::Find { path: path.clone(), source }
    };
    let mut found = find_traces(&plane(&flat), &plane(&arc), lines, &request.options).map_err(failed)?;
    let notes = std::mem::take(&mut found.notes);
    let [ny, nx] = [flat.ccd.ny(), flat.ccd.nx()];
    let psf = psf_of(request, &found, axis, [nx, ny])
        .map_err(|source| FindFileError::Traces { path: request.flat.clone(), source })?;
    Ok(FindDone { psf, found, notes })
}

fn plane(frame: &Preproc) -> Plane<'_> {
    Plane { nx: frame.ccd.nx(), ny: frame.ccd.ny(), data: frame.ccd.image(), ivar: frame.ccd.ivar() }
}

/// Makes the PSF of Gaussians with room for Hermite terms. `fit_traces` takes places along x and y of files.
fn psf_of(request: &FindRequest, found: &Found, axis: Dispersion, npix: [usize; 2]) -> Result<Psf, TraceFitError> {
    let mut spots = found.spots.clone();
    if axis == Dispersion::AlongX {
        std::mem::swap(&mut spots.x, &mut spots.y);
        std::mem::swap(&mut spots.sigma_x, &mut spots.sigma_y);
    }
    let degree = request.gh_degree;
    if degree > 0 {
        spots.terms.push(([degree, degree], vec![0.0; spots.wave.len()]));
    }
    let how = TraceFit {
        npix: axis.in_file(npix),
        trace_degree: request.trace_degree,
        width_degree: request.legendre_degree,
        half: [None, None],
        camera: None,
    };
    Ok(fit_traces(&spots, &how)?.0)
}

fn cards(request: &FindRequest, found: &Found) -> Header {
    let name = |path: &Path| path.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
    let mut header = Header::new();
    header.set("CREATOR", format!("spextral find-traces {VERSION}"), "");
    header.set("IN_FLAT", name(&request.flat), "flat of the fibres");
    header.set("IN_ARC0", name(&request.arc), "arc frame");
    header.set("IN_LINES", name(&request.lines), "line list");
    header.set("NLINES", found.lines.len() as i64, "lines that were identified");
    if !found.dark.is_empty() {
        let numbers: Vec<i64> = found.dark.iter().map(|&fibre| fibre as i64).collect();
        header.set("NOLIGHT", runs(&numbers).join(","), "fibres without light");
    }
    header
}
