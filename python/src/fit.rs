//! PSFs from arcs, and PSFs that follow a frame.

use crate::arrays::{number, numbers};
use crate::error::{Raise, input};
use crate::preproc::Preproc;
use crate::psf::Psf;
use crate::work::watched;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};
use spextral::base::cancel::CancelToken;
use spextral::fit::{ArcFrame, BundleFit, FitOptions, Fitted};
use spextral::fits::{self, Line, Medium};
use spextral::shift::{BundleShift, Departure, Quantity, ShiftOptions, Shifts};
use std::path::PathBuf;

/// Reads a list from a file, or takes wavelengths in vacuum, Angstrom.
pub fn lines_of(lines: &Bound<PyAny>, medium: Option<&str>) -> PyResult<Vec<Line>> {
    let medium = medium.map(str::parse::<Medium>).transpose().map_err(|error| input(error.to_string()))?;
    if lines.is_instance_of::<PyString>() || lines.hasattr("__fspath__")? {
        let path: PathBuf = lines.extract()?;
        return fits::read_line_list(path, medium).map_err(Raise::raise);
    }
    let (waves, [_]) = numbers::<f64>("lines", lines, "Angstrom")?.need_axes("lines", "[nline]")?;
    if let Some(wave) = waves.iter().find(|wave| !(1000.0..=100_000.0).contains(*wave)) {
        return Err(input(format!(
            "lines has {wave}, which is not within 1000 to 100000: give wavelengths in Angstrom"
        )));
    }
    let medium = medium.unwrap_or(Medium::Vacuum);
    let line = |wave: f64| Line { wave: medium.to_vacuum(wave), ion: String::new(), weight: None };
    let mut lines: Vec<Line> = waves.into_iter().map(line).collect();
    lines.sort_by(|a, b| a.wave.total_cmp(&b.wave));
    Ok(lines)
}

/// The frame of a Preproc, of a path, or of what a Preproc is made of.
fn preproc_of<'py>(given: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Preproc>> {
    let found = given.py().import("spextral._frame")?.call_method1("as_preproc", (given,))?;
    Ok(found.cast_into()?)
}

/// The PSF of a Psf or of a path.
fn psf_of<'py>(given: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Psf>> {
    Ok(given.py().import("spextral._frame")?.call_method1("as_psf", (given,))?.cast_into()?)
}

fn arc_of(preproc: &fits::Preproc) -> ArcFrame<'_> {
    ArcFrame { ccd: &preproc.ccd, readnoise: preproc.readnoise.as_deref() }
}

/// Fits a PSF to arc frames of one camera, as ``spextral fit-psf`` does.
///
/// Parameters
/// ----------
/// arcs : Preproc, path, or list of these
///     Arc frames, or what :class:`Preproc` is made of; several are fitted together.
/// start : Psf or path
///     The PSF to start from: traces within ``reach``, widths within 15 %.
/// lines : str, path, or array of [nline]
///     A line list, built-in lines of elements as ``"builtin:HgCdNe"``, or wavelengths in Angstrom. They are in vacuum
///     unless ``lines_in`` is ``"air"``.
/// lines_in : str
///     ``"air"`` or ``"vacuum"``; by default the list's own medium.
/// bundlesize : int
///     Fibres that are fitted together; by default those between gaps, at most 40.
/// ghdeg, legdeg : int
///     Highest Hermite order, and degree of widths and Hermite terms along wavelength; by default the start's.
/// degree_across : int
///     Degree of widths and Hermite terms across a bundle; by default 1, and 2 where that fits a bundle better by far.
/// line_error, trace_error : float
///     Error of the list's wavelengths, and departure of a fibre's trace from the start, in pixels.
/// reach : (float, float)
///     How far the start's traces may be off along columns and rows in pixels.
/// broken_fibres : list of int
///     Fibres without light, rows of the PSF: they follow their bundles.
/// find_lines : bool
///     Whether lines that the list lacks are looked for.
/// threads : int
///     By default all cores; results do not depend on it.
/// progress : callable or bool
///     Called with the bundles done and their total.
///
/// Returns
/// -------
/// psf : Psf
///     Bundles that could not be fitted have the start's.
/// report : dict
///     ``status`` of every fibre (0 fitted, 2 as in the start) and ``bundles``, a list of dicts. They have ``first``, ``last``,
///     ``reason`` (None where it is fitted), ``reduced_chi2``, ``degree_across``, ``dead``, ``shifts``, ``lost``, ``found``.
#[pyfunction]
#[pyo3(signature = (arcs, start, lines, *, lines_in = None, bundlesize = None, ghdeg = None, legdeg = None,
    degree_across = None, line_error = 0.01, trace_error = 0.1, reach = (4.0, 15.0), broken_fibres = Vec::new(),
    find_lines = true, threads = None, progress = None))]
pub fn fit_psf<'py>(
    py: Python<'py>,
    arcs: &Bound<'py, PyAny>,
    start: &Bound<'py, PyAny>,
    lines: &Bound<'py, PyAny>,
    lines_in: Option<&str>,
    bundlesize: Option<usize>,
    ghdeg: Option<usize>,
    legdeg: Option<usize>,
    degree_across: Option<usize>,
    line_error: f64,
    trace_error: f64,
    reach: (f64, f64),
    broken_fibres: Vec<usize>,
    find_lines: bool,
    threads: Option<usize>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<(Psf, Bound<'py, PyDict>)> {
    // Marks of one frame: of a path, an HDUList, a mapping, an NDData, an image of desispec.
    let marks = ["__fspath__", "writeto", "keys", "uncertainty", "pix"];
    let is_known = arcs.is_instance_of::<PyString>() || arcs.is_instance_of::<Preproc>();
    let is_one = is_known || marks.iter().try_fold(false, |is, mark| Ok::<_, PyErr>(is || arcs.hasattr(*mark)?))?;
    let arcs: Vec<Bound<Preproc>> = match is_one {
        true => vec![preproc_of(arcs)?],
        false => arcs.try_iter()?.map(|arc| preproc_of(&arc?)).collect::<PyResult<_>>()?,
    };
    let start = psf_of(start)?;
    let lines = lines_of(lines, lines_in)?;
    let sizes = [("line_error", line_error), ("trace_error", trace_error), ("reach", reach.0), ("reach", reach.1)];
    if let Some((name, value)) = sizes.into_iter().find(|(_, value)| !(0.0..=1e3).contains(value)) {
        return Err(input(format!("{name} is {value}: give pixels from 0 to 1000")));
    }
    let degrees = [("ghdeg", ghdeg, 0..=16), ("legdeg", legdeg, 0..=10), ("degree_across", degree_across, 0..=4)];
    for (name, value, range) in degrees.into_iter().chain([("bundlesize", bundlesize, 1..=1000)]) {
        if let Some(value) = value.filter(|value| !range.contains(value)) {
            return Err(input(format!("{name} is {value}: give a number from {} to {}", range.start(), range.end())));
        }
    }
    if let Some(fibre) = broken_fibres.iter().find(|fibre| **fibre >= start.get().0.nfibre) {
        let last = start.get().0.nfibre.saturating_sub(1);
        return Err(input(format!("broken_fibres has {fibre}: the PSF has fibres 0 to {last}, its rows")));
    }
    let options = FitOptions {
        bundlesize,
        gh_degree: ghdeg,
        legendre_degree: legdeg,
        degree_across,
        line_error,
        trace_error,
        reach: [reach.0, reach.1],
        broken_fibres,
        find_lines,
        ..FitOptions::default()
    };
    let start = &start.get().0;
    let turned: Vec<_> = arcs.iter().map(|arc| (*arc.get().0).clone().turned_for(start.dispersion)).collect();
    let frames: Vec<ArcFrame> = turned.iter().map(arc_of).collect();
    let stop = CancelToken::default();
    let fitted = watched(py, threads, &stop, progress, |told| {
        spextral::fit::fit_psf(start, &frames, &lines, &options, &stop, told)
    })?
    .map_err(|error| input(error.to_string()))?;
    let report = PyDict::new(py);
    report.set_item("status", fitted.status())?;
    let Fitted { psf, bundles, .. } = fitted;
    let bundles = bundles.iter().map(|bundle| bundle_dict(py, bundle)).collect::<PyResult<Vec<_>>>()?;
    report.set_item("bundles", PyList::new(py, bundles)?)?;
    Ok((psf.into(), report))
}

fn bundle_dict<'py>(py: Python<'py>, bundle: &BundleFit) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("first", bundle.fibres.start)?;
    dict.set_item("last", bundle.fibres.end - 1)?;
    dict.set_item("reason", bundle.outcome.as_ref().err())?;
    dict.set_item("reduced_chi2", bundle.outcome.as_ref().ok().map(|quality| quality.reduced_chi2))?;
    dict.set_item("degree_across", bundle.degree_across)?;
    dict.set_item("dead", &bundle.dead)?;
    dict.set_item("shifts", bundle.shifts.iter().map(|[x, y]| (*x, *y)).collect::<Vec<_>>())?;
    dict.set_item("lost", bundle.lost.iter().map(|line| (line.wave, &line.reason)).collect::<Vec<_>>())?;
    dict.set_item("found", bundle.found.iter().map(|line| (line.wave, line.flux)).collect::<Vec<_>>())?;
    Ok(dict)
}

/// Shifts and widens a PSF to fit a frame, as ``spextral shift-psf`` does.
///
/// Parameters
/// ----------
/// preproc : Preproc
///     The frame: science, or a lamp's.
/// psf : Psf
/// lines : str, path, array of [nline], or False
///     The lines of its light: a line list or wavelengths in Angstrom. By default the built-in list of the night sky. False
///     for none, which leaves traces along x and widths along x.
/// lines_in : str
///     ``"air"`` or ``"vacuum"``, of ``lines``; by default the list's own medium, and vacuum for wavelengths.
/// line_sigma : float
///     Intrinsic width of the lines in Angstrom; by default SKYSIGMA of the frame's header, or 0.
/// threads : int
///     By default all cores; results do not depend on it.
/// progress : callable or bool
///     Called with the bundles done and their total.
///
/// Returns
/// -------
/// psf : Psf
/// report : dict
///     ``dx``, ``dy`` (pixels), ``ln_sigma_x``, ``ln_sigma_y``: each None where the frame does not give it. Else each is a dict
///     with ``mean``, ``error``, ``least``, ``most``. ``sentence`` about these, None of a PSF that fits. ``notes``: bundles that do
///     not give a quantity, and what they have in its place. ``bundles``, a list of such dicts with ``first`` and ``last``.
#[pyfunction]
#[pyo3(signature = (preproc, psf, *, lines = None, lines_in = None, line_sigma = None, threads = None, progress = None))]
pub fn shift_psf<'py>(
    py: Python<'py>,
    preproc: &Bound<'py, PyAny>,
    psf: &Bound<'py, PyAny>,
    lines: Option<&Bound<'py, PyAny>>,
    lines_in: Option<&str>,
    line_sigma: Option<&Bound<'py, PyAny>>,
    threads: Option<usize>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<(Psf, Bound<'py, PyDict>)> {
    let (preproc, psf) = (preproc_of(preproc)?, psf_of(psf)?);
    let (preproc, psf) = (&preproc.get().0, &psf.get().0);
    let mut options = ShiftOptions::night_sky(&preproc.header);
    match lines {
        Some(lines) if lines.extract::<bool>().is_ok_and(|wanted| !wanted) => options.lines.clear(),
        Some(lines) => options.lines = lines_of(lines, lines_in)?,
        None => {}
    }
    if let Some(sigma) = line_sigma {
        options.line_sigma = number("line_sigma", sigma, "Angstrom")?;
        if !(0.0..=100.0).contains(&options.line_sigma) {
            return Err(input(format!("line_sigma is {}: give a width from 0 to 100 Angstrom", options.line_sigma)));
        }
    }
    let stop = CancelToken::default();
    let turned = (**preproc).clone().turned_for(psf.dispersion);
    let frame = arc_of(&turned);
    let measured = watched(py, threads, &stop, progress, |told| {
        spextral::shift::measure_shifts(psf, &frame, 0..psf.nfibre, &options, &stop, told)
    })?;
    let shifts: Shifts = measured.map_err(|error| input(error.to_string()))?;
    let shifted = shifts.apply(psf).map_err(|error| input(error.to_string()))?;
    let report = PyDict::new(py);
    set_quantities(&report, |quantity| shifts.departure(quantity))?;
    report.set_item("sentence", shifts.sentence())?;
    report.set_item("notes", shifts.notes())?;
    let bundle = |bundle: &BundleShift| -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        dict.set_item("first", bundle.fibres.start)?;
        dict.set_item("last", bundle.fibres.end - 1)?;
        set_quantities(&dict, |quantity| bundle.departure(quantity))?;
        Ok(dict)
    };
    let bundles = shifts.bundles.iter().map(bundle).collect::<PyResult<Vec<_>>>()?;
    report.set_item("bundles", PyList::new(py, bundles)?)?;
    Ok((shifted.into(), report))
}

fn set_quantities(dict: &Bound<PyDict>, of: impl Fn(Quantity) -> Option<Departure>) -> PyResult<()> {
    for (quantity, name) in Quantity::ALL.into_iter().zip(["dx", "dy", "ln_sigma_x", "ln_sigma_y"]) {
        let Some(departure) = of(quantity) else {
            dict.set_item(name, dict.py().None())?;
            continue;
        };
        let values = PyDict::new(dict.py());
        values.set_item("mean", departure.mean)?;
        values.set_item("error", departure.error)?;
        values.set_item("least", departure.ends[0])?;
        values.set_item("most", departure.ends[1])?;
        dict.set_item(name, values)?;
    }
    Ok(())
}
