//! Files read and written.

use crate::arrays::{integers, number, numbers};
use crate::error::{Raise, input};
use crate::preproc::Preproc;
use crate::psf::Psf;
use crate::work::released;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use spextral::base::word_enum::UnknownWord;
use spextral::extract::{CutRows, Dark, Summary, fibermap_rows, note_run};
use spextral::fits::{self, FitsError, PreprocOptions};
use spextral::frame::{Frame, Scores, Spectra, SpectraParts};
use spextral::plan::Groups;
use spextral::psf::Gh00;
use spextral::solver::{Excess, Record};
use std::path::{Path, PathBuf};

/// Reads a PSF file (PSFTYPE GAUSS-HERMITE, PSFVER 3 or 2).
///
/// Parameters
/// ----------
/// path : str or path
///     ``.fits`` or ``.fits.gz``.
/// psf_gh00 : str
///     GH-0-0 of the spots: ``"file"`` as in the file, or ``"one"`` as specex fits it, which writes it with terms of another
///     row.
///
/// Returns
/// -------
/// Psf
#[pyfunction]
#[pyo3(signature = (path, *, psf_gh00 = "file"))]
pub fn read_psf(py: Python, path: PathBuf, psf_gh00: &str) -> PyResult<Psf> {
    let unknown = |error: UnknownWord| input(format!("psf_gh00 is {:?}: give {}", error.word, error.choice()));
    let gh00 = psf_gh00.parse::<Gh00>().map_err(unknown)?;
    let psf = released(py, None, || fits::read_psf_with(&path, gh00))?.map_err(Raise::raise)?;
    warn(py, &path, &psf.defects().sentences())?;
    Ok(psf.into())
}

/// Warns of defects of a file.
fn warn(py: Python, path: &Path, notes: &[String]) -> PyResult<()> {
    let kind = py.import("spextral")?.getattr("ExtractionWarning")?;
    let warn = py.import("warnings")?.getattr("warn")?;
    notes.iter().try_for_each(|note| warn.call1((format!("{}: {note}", path.display()), &kind)).map(|_| ()))
}

/// Reads a preproc file: IMAGE, IVAR, and where there are any MASK, READNOISE, FIBERMAP.
///
/// Warns of what the file lacks or leaves to be supposed, and lists it in ``Preproc.notes``.
///
/// Parameters
/// ----------
/// path : str or path
///     ``.fits``, ``.fits.gz`` or ``.fits.fz``.
/// mask_bits : int
///     Pixels with any of these bits in MASK get ivar = 0; by default all of DESI's ``ccdmask`` but BADREADNOISE.
/// fibermap : str or path
///     A file with the fibermap, in place of the frame's own.
/// image_hdu : str or int
///     HDU of the image, by EXTNAME or number; by default IMAGE, or a primary image without EXTNAME.
/// readnoise : float
///     Read noise in electron, for a file without weights (IVAR, VAR, STDDEV, ERR): the variance of a pixel is its square
///     and the pixel's own electrons.
/// gain : float
///     Electrons per unit of an image that is not in electron.
/// ignore_checksum : bool
///     Whether FIBERMAP and READNOISE, which decide no number, are used also where their DATASUM is wrong.
///
/// Returns
/// -------
/// Preproc
#[pyfunction]
#[pyo3(signature = (path, *, mask_bits = PreprocOptions::default().mask_bits, fibermap = None, image_hdu = None,
    readnoise = None, gain = None, ignore_checksum = false))]
pub fn read_preproc(
    py: Python,
    path: PathBuf,
    mask_bits: u32,
    fibermap: Option<PathBuf>,
    image_hdu: Option<Bound<PyAny>>,
    readnoise: Option<Bound<PyAny>>,
    gain: Option<Bound<PyAny>>,
    ignore_checksum: bool,
) -> PyResult<Preproc> {
    let readnoise = readnoise.map(|value| number("readnoise", &value, "electron")).transpose()?;
    let gain = gain.map(|value| number("gain", &value, "electron / adu")).transpose()?;
    for (name, value) in [("readnoise", readnoise), ("gain", gain)] {
        if let Some(value) = value.filter(|v| !(v.is_finite() && *v > 0.0)) {
            return Err(input(format!("{name} is {value}: give a number above 0")));
        }
    }
    let image_hdu = image_hdu.map(|hdu| hdu.str().map(|text| text.to_string())).transpose()?;
    let options = PreprocOptions { mask_bits, fibermap, image_hdu, readnoise, gain, ignore_checksum };
    let preproc = released(py, None, || fits::read_preproc(&path, &options))?.map_err(Raise::raise)?;
    warn(py, &path, &preproc.notes)?;
    Ok(preproc.into())
}

/// Writes a frame file as ``spextral extract`` does: FLUX, IVAR, MASK, WAVELENGTH, RESOLUTION, CHI2PIX, and of ``preproc``
/// its header, FIBERMAP and SCORES. The write is atomic.
///
/// Parameters
/// ----------
/// path : str or path
///     ``.fits`` or ``.fits.gz``.
/// frame : dict
///     What :func:`extract_frame` returned.
/// preproc : Preproc
///     The frame that was extracted, for its header and fibermap.
/// scores : bool
///     Whether to write SCORES.
/// overwrite : bool
///     Whether a file that exists is replaced.
#[pyfunction]
#[pyo3(signature = (path, frame, preproc = None, *, scores = true, overwrite = false))]
pub fn write_frame(
    py: Python,
    path: PathBuf,
    frame: &Bound<PyDict>,
    preproc: Option<&Bound<Preproc>>,
    scores: bool,
    overwrite: bool,
) -> PyResult<()> {
    let (spectra, wave) = spectra_of(frame)?;
    let run = Run::of(frame)?;
    let preproc = preproc.map(|preproc| &*preproc.get().0);
    let fibermap = preproc.and_then(|preproc| preproc.fibermap.as_ref());
    let mut header = preproc.map(|preproc| preproc.header.clone()).unwrap_or_default();
    let (camera, spectra_rows) = (header.get_str("CAMERA"), run.specmin..run.specmin + spectra.nspec);
    let rows = |table| fibermap_rows(table, run.fibermin - run.specmin as i64, spectra_rows, camera.as_deref());
    let rows = fibermap.map(rows).transpose().map_err(|what| input(format!("the fibermap of preproc {what}")))?;
    let fibermap = rows.map(|rows| rows.table);
    header.remove_image_axes();
    let smallest = fibermap.as_ref().and_then(|t| t.column_i64("FIBER")).and_then(|f| f.into_iter().min());
    let fibermin = smallest.unwrap_or(run.fibermin);
    note_run(&mut header, &wave, run.step, spectra.nspec, fibermin, run.barycentric, &run.summary);
    let targets = || fibermap.as_ref().and_then(|t| t.column_i64("TARGETID"));
    let scores = scores.then(|| Scores::of(&spectra, &wave, targets())).flatten();
    let frame = Frame { spectra, wave, header, fibermap, scores };
    released(py, None, || Ok(fits::write_frame(&path, &frame, overwrite)?.persist()?))?.map_err(FitsError::raise)
}

fn spectra_of(frame: &Bound<PyDict>) -> PyResult<(Spectra, Vec<f64>)> {
    let item = |name: &str| frame.get_item(name)?.ok_or_else(|| input(format!("the frame has no {name}")));
    let (flux, [nspec, nwave]) =
        numbers("specflux", &item("specflux")?, "electron / Angstrom")?.need_axes("specflux", "[nspec, nwave]")?;
    let (bins, why) = ([nspec, nwave], "as specflux");
    let (resolution, [_, ndiag, _]) =
        numbers("Rdiags", &item("Rdiags")?, "")?.need_axes("Rdiags", "[nspec, ndiag, nwave]")?;
    if resolution.len() != nspec * ndiag * nwave || resolution.is_empty() {
        return Err(input(format!("Rdiags has {} values, specflux is {nspec} x {nwave}", resolution.len())));
    }
    let wave = numbers("wave", &item("wave")?, "Angstrom")?;
    // Where fibres have wavelengths of their own, there is one per bin.
    let of_waves = if wave.values.len() == nwave { &bins[1..] } else { &bins[..] };
    let wave = wave.need_shape("wave", of_waves, "one per bin of specflux")?;
    let ivar = numbers("specivar", &item("specivar")?, "Angstrom2 / electron2")?.need_shape("specivar", &bins, why)?;
    let chi2pix = numbers("chi2pix", &item("chi2pix")?, "")?.need_shape("chi2pix", &bins, why)?;
    let mask = integers::<u32>("specmask", &item("specmask")?)?.need_shape("specmask", &bins, why)?;
    let parts =
        SpectraParts { nspec, nwave, ndiag, flux, ivar, resolution, chi2pix, pixmask_fraction: Vec::new(), mask };
    Ok((Spectra::new(parts).map_err(|error| input(error.to_string()))?, wave))
}

/// Parameters of the run, for the header.
struct Run {
    specmin: usize,
    fibermin: i64,
    step: f64,
    barycentric: Option<f64>,
    summary: Summary,
}

fn cut_rows((fibre, rows, least): (usize, usize, f64)) -> CutRows {
    CutRows { fibre, rows, least }
}

fn excess((fibre, first, last, bins, error): (usize, f64, f64, usize, f64)) -> Excess {
    Excess { fibre, wave: [first, last], bins, error }
}

impl Run {
    fn of(frame: &Bound<PyDict>) -> PyResult<Self> {
        let missing = || input("the frame has no summary: give what extract_frame returned");
        let summary = frame.get_item("summary")?.ok_or_else(missing)?;
        let item = |name: &str| summary.get_item(name);
        Ok(Self {
            specmin: item("specmin")?.extract()?,
            fibermin: item("fibermin")?.extract()?,
            step: item("wavestep")?.extract()?,
            barycentric: item("barycentric")?.extract()?,
            summary: Summary {
                device: item("device")?.extract()?,
                dark: Dark { masked: item("dark_fibres")?.extract()?, ..Dark::default() },
                record: Record {
                    retried: item("retried")?.extract()?,
                    banded: item("banded")?.extract()?,
                    patches: item("patches")?.extract()?,
                    in_patches: item("in_patches")?.extract()?,
                    flux_error: item("flux_error")?.extract()?,
                    above_tolerance: item("above_tolerance")?.extract::<Vec<_>>()?.into_iter().map(excess).collect(),
                    information: item("information")?.extract()?,
                    noise_gain: item("noise_gain")?.extract()?,
                    ..Record::default()
                },
                groups: Groups::of_sizes(&item("bundles")?.extract::<Vec<usize>>()?),
                forced_cut: item("forced_cut")?.extract()?,
                cut_rows: item("resolution_cut_rows")?.extract::<Vec<_>>()?.into_iter().map(cut_rows).collect(),
                ..Summary::default()
            },
        })
    }
}
