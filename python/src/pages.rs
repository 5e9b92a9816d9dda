//! Comparisons, report pages and pictures.

use crate::arrays::{integers, numbers};
use crate::error::{Kind, Raise, input};
use crate::frame::frame_of;
use crate::preproc::Preproc;
use crate::psf::Psf;
use crate::work::released;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use spextral::compare::{CompareError, Side};
use spextral::fits::{self, FitsError, Truth};
use spextral::frame::{Frame, Header};
use spextral::plot::psf_png;
use spextral::report::{Material, Model, Report, ReportError, Severity, Sources};
use std::path::PathBuf;

impl Raise for CompareError {
    fn kind(&self) -> Kind {
        match self {
            Self::Fits(_) => Kind::File,
            _ => Kind::Input,
        }
    }
}

impl Raise for ReportError {
    fn kind(&self) -> Kind {
        match self {
            Self::Fits(_) => Kind::File,
            _ => Kind::Input,
        }
    }
}

/// A frame by its path, or by the dictionary of a Python frame.
fn given_frame(given: &Bound<PyAny>) -> PyResult<Frame> {
    let py = given.py();
    match given.cast::<PyDict>() {
        Ok(dict) => frame_of(dict, None, false),
        Err(_) => {
            let path: PathBuf = given.extract()?;
            released(py, None, || fits::read_frame(path))?.map_err(Raise::raise)
        }
    }
}

fn given_side(name: &str, given: &Bound<PyAny>) -> PyResult<Side> {
    match given.cast::<PyDict>() {
        Ok(dict) => {
            let frame = frame_of(dict, None, false)?;
            Ok(Side::of_frame(name, &frame))
        }
        Err(_) => {
            let path: PathBuf = given.extract()?;
            released(given.py(), None, || spextral::compare::read(&path))?.map_err(Raise::raise)
        }
    }
}

/// The truth of a dictionary that :func:`simulate` returned, or of a file.
fn given_truth(given: &Bound<PyAny>) -> PyResult<Truth> {
    let Ok(dict) = given.cast::<PyDict>() else {
        let path: PathBuf = given.extract()?;
        return released(given.py(), None, || fits::read_truth(path))?.map_err(Raise::raise);
    };
    let item = |name: &str| dict.get_item(name)?.ok_or_else(|| input(format!("the truth has no {name}")));
    let (fibres, [nspec]) = integers::<i64>("fibres", &item("fibres")?)?.need_axes("fibres", "[nspec]")?;
    let (wave, [nwave]) = numbers::<f64>("wave", &item("wave")?, "Angstrom")?.need_axes("wave", "[nwave]")?;
    let flux = numbers("flux", &item("flux")?, "electron")?.need_shape("flux", &[nspec, nwave], "fibres by wave")?;
    Ok(Truth { fibres, wave, flux })
}

/// Returns the fields of a comparison as JSON.
#[pyfunction]
#[pyo3(signature = (a, b, *, tolerance = None))]
pub fn compare_frames(
    py: Python,
    a: &Bound<PyAny>,
    b: &Bound<PyAny>,
    tolerance: Option<f64>,
) -> PyResult<(String, String, Option<bool>)> {
    let (a, b) = (given_side("a", a)?, given_side("b", b)?);
    let parity = released(py, None, || spextral::compare::compare(&a, &b))?.map_err(Raise::raise)?;
    Ok((parity.json().to_string(), parity.to_string(), tolerance.map(|tolerance| parity.within(tolerance))))
}

/// Returns the fields of a comparison with the truth as JSON.
#[pyfunction]
pub fn compare_with_truth(py: Python, frame: &Bound<PyAny>, truth: &Bound<PyAny>) -> PyResult<(String, String)> {
    let (frame, truth) = (given_frame(frame)?, given_truth(truth)?);
    let report = released(py, None, || spextral::compare::against_truth(&frame, &truth))?.map_err(Raise::raise)?;
    Ok((report.json().to_string(), report.to_string()))
}

/// Writes a model image.
#[pyfunction]
pub fn write_model(py: Python, path: PathBuf, model: &Bound<PyAny>) -> PyResult<()> {
    let (pixels, [ny, nx]) = numbers::<f32>("model", model, "electron")?.need_axes("model", "[ny, nx]")?;
    let write = || Ok(fits::write_model(&path, &pixels, nx, ny, &Header::new(), false)?.persist()?);
    released(py, None, write)?.map_err(FitsError::raise)
}

/// Writes a truth.
#[pyfunction]
pub fn write_truth(py: Python, path: PathBuf, truth: &Bound<PyAny>) -> PyResult<()> {
    let truth = given_truth(truth)?;
    released(py, None, || Ok(fits::write_truth(&path, &truth, false)?.persist()?))?.map_err(FitsError::raise)
}

/// Returns the page about a frame's files, and its warnings: whether each is a bad one, and its sentence.
#[pyfunction]
#[pyo3(signature = (frame, ccd = None, truth = None))]
pub fn page(
    py: Python,
    frame: PathBuf,
    ccd: Option<[PathBuf; 2]>,
    truth: Option<PathBuf>,
) -> PyResult<(String, Vec<(bool, String)>)> {
    let ccd = ccd.map(|[image, model]| (image, Model::File(model)));
    let sources = Sources { frame, ccd, psf: None, truth };
    let made = || {
        let report = Report::new(Material::read(sources)?);
        let warnings = report.warnings().iter().map(|w| (w.severity != Severity::Note, w.text.clone())).collect();
        Ok::<_, ReportError>((report.html()?, warnings))
    };
    released(py, None, made)?.map_err(Raise::raise)
}

/// Returns the picture of a PSF as PNG.
#[pyfunction]
#[pyo3(signature = (psf, title, image = None))]
pub fn psf_picture<'py>(
    py: Python<'py>,
    psf: &Bound<'py, Psf>,
    title: &str,
    image: Option<&Bound<'py, Preproc>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let (psf, preproc) = (psf.get().0.clone(), image.map(|image| image.get().0.clone()));
    let png = released(py, None, || psf_png(&psf, title, preproc.as_ref().map(|preproc| &preproc.ccd)))?;
    Ok(PyBytes::new(py, &png.map_err(|error| input(spextral::error_chain(&error)))?))
}
