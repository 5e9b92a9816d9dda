//! CCD frames as Python objects.

use crate::arrays::{integers, numbers, to_frozen};
use crate::error::{Raise, input};
use crate::files::warn;
use crate::tables::{header_dict, header_of, table_dict};
use crate::work::released;
use numpy::{PyArrayDyn, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use spextral::barycentric::factor_of_exposure;
use spextral::fits::{self, FitsError, PreprocOptions};
use spextral::frame::{Header, Table};
use spextral::geometry::{Ccd, Rejected};
use std::path::PathBuf;
use std::sync::Arc;

type Array<'py, T> = Bound<'py, PyArrayDyn<T>>;

/// A preprocessed CCD frame: pixels in electron and their inverse variances.
///
/// Made by :func:`read_preproc`, :func:`simulate`, of arrays, or of what holds them.
///
/// Parameters
/// ----------
/// image : array of f4 or f8, [ny, nx]
///     Pixels in electron. Kept in f4. Or in place of all: a CCDData or NDData with uncertainty and mask, an HDUList,
///     an image of desispec, a mapping with "image" and "ivar".
/// ivar : array of f4 or f8, [ny, nx]
///     Inverse variances in 1/electron²; 0 where a pixel is not to be used. Kept in f4.
/// mask : array of integers or truth values, [ny, nx], optional
///     CCD mask bits. Of truth values True is a pixel that is not to be used.
/// mask_bits : int
///     Pixels with any of these bits in ``mask`` get ivar = 0; by default all of DESI's ``ccdmask`` but BADREADNOISE. Of a Preproc
///     pixels with these bits are masked, too.
/// header : mapping, optional
///     Cards for the header, as a dict or a Header of astropy; by default those of ``image``.
///
/// Notes
/// -----
/// Quantities, of astropy and alike, are converted to these units; other units are refused. Masked elements of masked arrays
/// get ivar = 0. Can be pickled.
///
/// Pixels that are not finite, or whose ivar is negative, not finite, or absurdly large, get ivar = 0.
/// ``bad_pixels`` counts them.
#[pyclass(frozen, module = "spextral")]
pub struct Preproc(pub Arc<fits::Preproc>);

impl From<fits::Preproc> for Preproc {
    fn from(preproc: fits::Preproc) -> Self {
        Self(Arc::new(preproc))
    }
}

#[pymethods]
impl Preproc {
    #[new]
    #[pyo3(signature = (image, ivar = None, mask = None, *, mask_bits = None, header = None))]
    fn new(
        py: Python,
        image: &Bound<PyAny>,
        ivar: Option<&Bound<PyAny>>,
        mask: Option<&Bound<PyAny>>,
        mask_bits: Option<u32>,
        header: Option<&Bound<PyAny>>,
    ) -> PyResult<Self> {
        let planes = py.import("spextral._pixels")?.getattr("planes")?;
        let planes = planes.call1((image, ivar, mask, mask_bits, header))?;
        if let Ok(whole) = planes.cast::<Self>() {
            return whole.get().with_bits(mask_bits);
        }
        let [image, ivar, mask, cards]: [Bound<PyAny>; 4] = planes.extract()?;
        let (image, ivar, mask) = (&image, &ivar, (!mask.is_none()).then_some(&mask));
        let (image, [ny, nx]) = numbers::<f32>("image", image, "electron")?.need_axes("image", "[ny, nx]")?;
        if image.is_empty() {
            return Err(input(format!("image has shape [{ny}, {nx}]: give the pixels of a CCD")));
        }
        let ivar = numbers::<f32>("ivar", ivar, "1 / electron2")?.need_shape("ivar", &[ny, nx], "as image")?;
        let mask = match mask {
            // Bits above those of 32 say nothing of DESI's.
            Some(mask) => Some(integers::<i64>("mask", mask)?.need_shape("mask", &[ny, nx], "as image")?),
            None => None,
        };
        let mask: Option<Vec<i32>> = mask.map(|mask| mask.into_iter().map(|bits| bits as i32).collect());
        let preproc = released(py, None, || fits::Preproc::new([ny, nx], image, ivar, mask, bits(mask_bits)))?;
        let mut preproc = preproc.map_err(|e| input(e.to_string()))?;
        preproc.header = header_of(&cards)?;
        let unit = preproc.header.get_str("BUNIT").unwrap_or_default();
        if !unit.trim().is_empty() && !fits::is_electron(&unit) {
            return Err(input(format!(
                "the header's BUNIT is {unit}, image is in electron: multiply it by the gain (and ivar by its inverse square) \
                 where it is not, and leave the card out"
            )));
        }
        Ok(preproc.into())
    }

    /// Rows and columns.
    #[getter]
    fn shape(&self) -> (usize, usize) {
        (self.0.ccd.ny(), self.0.ccd.nx())
    }

    /// Pixels in electron, f4 [ny, nx]; a copy that can't be written to.
    #[getter]
    fn image<'py>(&self, py: Python<'py>) -> PyResult<Array<'py, f32>> {
        to_frozen(py, self.0.ccd.image().to_vec(), &[self.0.ccd.ny(), self.0.ccd.nx()])
    }

    /// Inverse variances in 1/electron², f4 [ny, nx], 0 where masked; a copy that can't be written to.
    #[getter]
    fn ivar<'py>(&self, py: Python<'py>) -> PyResult<Array<'py, f32>> {
        to_frozen(py, self.0.ccd.ivar().to_vec(), &[self.0.ccd.ny(), self.0.ccd.nx()])
    }

    /// CCD mask bits, i4 [ny, nx], or None; a copy that can't be written to.
    #[getter]
    fn mask<'py>(&self, py: Python<'py>) -> PyResult<Option<Array<'py, i32>>> {
        self.0.mask.clone().map(|mask| to_frozen(py, mask, &[self.0.ccd.ny(), self.0.ccd.nx()])).transpose()
    }

    /// Read noise in electron, f4 [ny, nx], or None; a copy that can't be written to.
    #[getter]
    fn readnoise<'py>(&self, py: Python<'py>) -> PyResult<Option<Array<'py, f32>>> {
        self.0.readnoise.clone().map(|noise| to_frozen(py, noise, &[self.0.ccd.ny(), self.0.ccd.nx()])).transpose()
    }

    /// Pixels that were not finite, or whose ivar was negative, not finite or absurd beside that of all others.
    #[getter]
    fn bad_pixels(&self) -> usize {
        self.0.ccd.rejected().total()
    }

    /// Remarks of the reader: what is missing, supposed or mended, in sentences.
    #[getter]
    fn notes(&self) -> Vec<String> {
        self.0.notes.clone()
    }

    /// Cards of IMAGE by keyword, the first of each; COMMENT and HISTORY as lists of lines.
    #[getter]
    fn header<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        header_dict(py, &self.0.header)
    }

    /// Columns of FIBERMAP by name, [nrows] or [nrows, n], those of numbers and strings; None without a fibermap.
    #[getter]
    fn fibermap<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        self.0.fibermap.as_ref().map(|table| table_dict(py, table)).transpose()
    }

    /// The factor f of a barycentric correction at mid-exposure, of the header's (or the fibermap's) position and date.
    /// Warns where the header names no site, which then is Kitt Peak.
    fn barycentric_factor(&self, py: Python) -> PyResult<f64> {
        let fibermap = self.0.fibermap.as_ref().map(Table::header);
        let correction = factor_of_exposure(&self.0.header, fibermap).map_err(Raise::raise)?;
        warn(py, correction.site.note)?;
        Ok(correction.factor)
    }

    /// Writes a preproc file: IMAGE, IVAR, and where there are any MASK, READNOISE, FIBERMAP.
    #[pyo3(signature = (path, *, overwrite = false))]
    fn write(&self, py: Python, path: PathBuf, overwrite: bool) -> PyResult<()> {
        released(py, None, || Ok(fits::write_preproc(&path, &self.0, overwrite)?.persist()?))?.map_err(FitsError::raise)
    }

    /// ``preproc["image"]`` and ``preproc["ivar"]``, as of a dictionary.
    fn __getitem__<'py>(&self, py: Python<'py>, key: &str) -> PyResult<Array<'py, f32>> {
        match key {
            "image" => self.image(py),
            "ivar" => self.ivar(py),
            other => Err(PyKeyError::new_err(other.to_string())),
        }
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let Self(preproc) = self;
        let Rejected { unsound, absurd } = preproc.ccd.rejected();
        let rest = (&preproc.header, &preproc.fibermap, &preproc.notes, [unsound, absurd]);
        let mut bytes = Vec::new();
        ciborium::into_writer(&rest, &mut bytes).map_err(|error| input(format!("cannot pickle a frame: {error}")))?;
        let planes = (self.image(py)?, self.ivar(py)?, self.mask(py)?, self.readnoise(py)?, PyBytes::new(py, &bytes));
        Ok((py.get_type::<Self>().getattr("_of_parts")?, planes.into_pyobject(py)?))
    }

    /// The frame of the parts of a pickled one.
    #[staticmethod]
    fn _of_parts(
        image: PyReadonlyArray2<f32>,
        ivar: PyReadonlyArray2<f32>,
        mask: Option<PyReadonlyArray2<i32>>,
        readnoise: Option<PyReadonlyArray2<f32>>,
        rest: &[u8],
    ) -> PyResult<Self> {
        let damaged = || input("these are no parts of a pickled frame");
        let (header, fibermap, notes, [unsound, absurd]): Parts = ciborium::from_reader(rest).map_err(|_| damaged())?;
        let &[ny, nx] = image.shape() else { return Err(damaged()) };
        // They have passed the border.
        let ccd =
            Ccd::from_columns([ny, nx], 0..nx, [image.as_slice()?, ivar.as_slice()?], None).map_err(|_| damaged())?;
        Ok(Self::from(fits::Preproc {
            ccd: ccd.having_rejected(Rejected { unsound, absurd }),
            mask: mask.map(|mask| mask.as_slice().map(<[i32]>::to_vec)).transpose()?,
            readnoise: readnoise.map(|noise| noise.as_slice().map(<[f32]>::to_vec)).transpose()?,
            header,
            fibermap,
            notes,
        }))
    }

    fn __repr__(&self) -> String {
        let ccd = &self.0.ccd;
        let (nx, ny, bad_pixels) = (ccd.nx(), ccd.ny(), ccd.rejected().total());
        format!("<spextral.Preproc: {nx} x {ny} pixels, {bad_pixels} bad>")
    }
}

impl Preproc {
    /// Returns the frame with pixels of other bits masked, too; `bits` were asked for, or none.
    fn with_bits(&self, bits: Option<u32>) -> PyResult<Self> {
        let (Some(bits), fits::Preproc { ccd, .. }) = (bits, &*self.0) else { return Ok(Self(self.0.clone())) };
        let Some(mask) = &self.0.mask else {
            return Err(input("image is a Preproc without a mask: mask_bits say nothing of its pixels"));
        };
        let planes = [ccd.image(), ccd.ivar()].map(<[f32]>::to_vec);
        let [image, ivar] = planes;
        let masked = fits::Preproc::new([ccd.ny(), ccd.nx()], image, ivar, Some(mask.clone()), bits);
        let ccd = masked.map_err(|error| input(error.to_string()))?.ccd.having_rejected(ccd.rejected());
        let of = &*self.0;
        Ok(Self::from(fits::Preproc {
            ccd,
            mask: of.mask.clone(),
            readnoise: of.readnoise.clone(),
            header: of.header.clone(),
            fibermap: of.fibermap.clone(),
            notes: of.notes.clone(),
        }))
    }
}

/// The parts of a pickled frame besides its planes: header, fibermap, notes, rejected pixels and the weight of a dark pixel.
type Parts = (Header, Option<Table>, Vec<String>, [usize; 2]);

/// The bits that mask a pixel; by default all of DESI's `ccdmask` but BADREADNOISE.
pub fn bits(given: Option<u32>) -> u32 {
    given.unwrap_or(PreprocOptions::default().mask_bits)
}
