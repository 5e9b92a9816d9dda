//! Files read and written.

use crate::arrays::number;
use crate::error::{Raise, input};
use crate::frame::frame_of;
use crate::preproc::{Preproc, bits};
use crate::psf::Psf;
use crate::work::released;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use spextral::base::word_enum::UnknownWord;
use spextral::fits::{self, FitsError, PreprocOptions};
use spextral::psf::Gh00;
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
    warn_of(py, &path, &psf.defects().sentences())?;
    Ok(psf.into())
}

/// Warns of defects of a file.
fn warn_of(py: Python, path: &Path, notes: &[String]) -> PyResult<()> {
    warn(py, notes.iter().map(|note| format!("{}: {note}", path.display())))
}

/// Warns by sentences.
pub fn warn(py: Python, sentences: impl IntoIterator<Item = String>) -> PyResult<()> {
    let kind = py.import("spextral")?.getattr("ExtractionWarning")?;
    let warn = py.import("warnings")?.getattr("warn")?;
    sentences.into_iter().try_for_each(|sentence| warn.call1((sentence, &kind)).map(|_| ()))
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
///     Read noise in electron, for a file without weights (IVAR, VAR, STDDEV, ERR). The variance of a pixel is then its
///     square and the pixel's own electrons.
/// gain : float
///     Electrons per unit of an image that is not in electron.
/// ignore_checksum : bool
///     Whether FIBERMAP and READNOISE, which decide no number, are used also where their DATASUM is wrong.
///
/// Returns
/// -------
/// Preproc
#[pyfunction]
#[pyo3(signature = (path, *, mask_bits = None, fibermap = None, image_hdu = None, readnoise = None, gain = None,
    ignore_checksum = false))]
pub fn read_preproc(
    py: Python,
    path: PathBuf,
    mask_bits: Option<u32>,
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
    let options = PreprocOptions { mask_bits: bits(mask_bits), fibermap, image_hdu, readnoise, gain, ignore_checksum };
    let preproc = released(py, None, || fits::read_preproc(&path, &options))?.map_err(Raise::raise)?;
    warn_of(py, &path, &preproc.notes)?;
    Ok(preproc.into())
}

/// Writes a frame file as ``spextral extract`` does: FLUX, IVAR, MASK, WAVELENGTH, RESOLUTION, CHI2PIX, FIBERMAP and SCORES,
/// with the header of the image. The write is atomic.
///
/// Parameters
/// ----------
/// path : str or path
///     ``.fits`` or ``.fits.gz``.
/// frame : Frame
///     What :func:`extract_frame` or :func:`read_frame` returned; its entries ``header`` and ``fibermap`` are written as they are
///     now. Spectra, fibermap and summary have to be of the same fibres (see ``Frame.select``).
/// preproc : Preproc
///     Its header and fibermap are written in place of the frame's own.
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
    let frame = frame_of(frame, preproc.map(Bound::get), scores)?;
    released(py, None, || Ok(fits::write_frame(&path, &frame, overwrite)?.persist()?))?.map_err(FitsError::raise)
}
