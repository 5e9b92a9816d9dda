//! Traces and wavelengths from a flat and an arc alone.

use crate::arrays::number;
use crate::error::input;
use crate::fit::lines_of;
use crate::preproc::Preproc;
use crate::psf::Psf;
use crate::work::released;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use spextral::find::{FindOptions, FindRequest, find_psf};
use spextral::fits::PreprocOptions;
use spextral::psf::Dispersion;

/// Finds the traces of all fibres and their wavelengths by a flat and an arc alone, as ``spextral find-traces`` does.
///
/// Parameters
/// ----------
/// flat, arc : Preproc
///     A flat with all fibres lit along their whole length, and an arc.
/// lines : str, path, or array of [nline]
///     A line list, or wavelengths in Angstrom, in vacuum unless ``lines_in`` is ``"air"``. It may have lines that the lamp lacks.
/// lines_in : str
///     ``"air"`` or ``"vacuum"``; by default the list's own medium.
/// range : (float, float)
///     Wavelengths at the ends of the frame in Angstrom, right to a tenth of the range; by default they are found.
/// nfibre : int
///     Number of fibres, those without light included; by default those that the flat shows.
/// broken_fibres : list of int
///     Fibres without light, counted from 0 across the frame.
/// dispaxis : int
///     2 for spectra along y, 1 for spectra along x; by default it is found.
/// tracedeg, ghdeg, legdeg : int
///     Degree of the traces; highest Hermite order that ``fit_psf`` will fit from here; degree of widths along wavelength.
/// threads : int
///     By default all cores; results do not depend on it.
///
/// Returns
/// -------
/// psf : Psf
///     The start for :func:`fit_psf`, with Gaussian spots.
/// report : dict
///     ``lines``, a list of (wavelength, pixel) of those identified; ``rms`` in pixels; ``dark``, the fibres without light; ``notes``.
#[pyfunction]
#[pyo3(signature = (flat, arc, lines, *, lines_in = None, range = None, nfibre = None, broken_fibres = Vec::new(),
    dispaxis = None, tracedeg = 6, ghdeg = 6, legdeg = 3, threads = None))]
pub fn find_traces<'py>(
    py: Python<'py>,
    flat: &Bound<'py, Preproc>,
    arc: &Bound<'py, Preproc>,
    lines: &Bound<'py, PyAny>,
    lines_in: Option<&str>,
    range: Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>,
    nfibre: Option<usize>,
    broken_fibres: Vec<usize>,
    dispaxis: Option<i64>,
    tracedeg: usize,
    ghdeg: usize,
    legdeg: usize,
    threads: Option<usize>,
) -> PyResult<(Psf, Bound<'py, PyDict>)> {
    let lines: Vec<f64> = lines_of(lines, lines_in)?.iter().map(|line| line.wave).collect();
    let ends = |(low, high): (Bound<PyAny>, Bound<PyAny>)| -> PyResult<[f64; 2]> {
        let ends = [number("range", &low, "Angstrom")?, number("range", &high, "Angstrom")?];
        match ends[0] != ends[1] && ends.iter().all(|end| (1000.0..=1e5).contains(end)) {
            true => Ok(ends),
            false => Err(input(format!("range is {ends:?}: give two wavelengths from 1000 to 100000 Angstrom"))),
        }
    };
    let dispersion = match dispaxis {
        None => None,
        Some(axis) => match Dispersion::of_dispaxis(axis) {
            Some(dispersion) if axis > 0 => Some(dispersion),
            _ => return Err(input(format!("dispaxis is {axis}: give 1 for spectra along x, 2 for spectra along y"))),
        },
    };
    for (name, value, from, most) in [("tracedeg", tracedeg, 1, 20), ("ghdeg", ghdeg, 0, 9), ("legdeg", legdeg, 0, 10)]
    {
        if !(from..=most).contains(&value) {
            return Err(input(format!("{name} is {value}: give a number from {from} to {most}")));
        }
    }
    let request = FindRequest {
        flat: "flat".into(),
        arc: "arc".into(),
        lines: "lines".into(),
        medium: None,
        output: "psf".into(),
        preproc: PreprocOptions::default(),
        dispersion,
        options: FindOptions { nfibre, broken_fibres, range: range.map(ends).transpose()? },
        trace_degree: tracedeg,
        gh_degree: ghdeg,
        legendre_degree: legdeg,
        overwrite: false,
    };
    let [flat, arc] = [flat, arc].map(|frame| (*frame.get().0).clone());
    let done = released(py, threads, || find_psf(&request, flat, arc, &lines))?;
    let done = done.map_err(|error| input(error.to_string()))?;
    let report = PyDict::new(py);
    report.set_item("lines", done.found.lines.iter().map(|[wave, pixel]| (*wave, *pixel)).collect::<Vec<_>>())?;
    report.set_item("rms", done.found.rms)?;
    report.set_item("dark", done.found.dark.clone())?;
    report.set_item("notes", done.notes)?;
    Ok((done.psf.into(), report))
}
