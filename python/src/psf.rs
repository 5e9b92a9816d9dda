//! The PSF as a Python object.

use crate::arrays::{integers, numbers, to_numpy, wavelength_range, whole};
use crate::error::{Raise, input};
use crate::work::released;
use numpy::PyArrayDyn;
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use spextral::fits::{self, FitsError};
use spextral::geometry::SpotShape;
use spextral::simulate::synthetic::{Camera, Synthetic};
use spextral::stages::spots::SpotModel;
use spextral::stages::trace_fit::{Spots, TraceFit, fit_traces};
use spextral::stages::traces::traces;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

type Array<'py, T> = Bound<'py, PyArrayDyn<T>>;

/// A PSF of all fibres of one camera: traces, and spots by the equations of its kind.
/// Made by :func:`read_psf`, :func:`make_psf` or :meth:`from_traces`; can be pickled.
#[pyclass(frozen, module = "spextral")]
pub struct Psf(pub Arc<spextral::psf::Psf>);

impl From<spextral::psf::Psf> for Psf {
    fn from(psf: spextral::psf::Psf) -> Self {
        Self(Arc::new(psf))
    }
}

impl Psf {
    /// The PSF as its file has it, x along the columns of the CCD.
    fn in_file(&self) -> spextral::psf::Psf {
        (*self.0).clone().as_in_file()
    }

    /// Wavelengths in Angstrom, `[nwave]`, where the series serve.
    fn wavelengths(&self, argument: &Bound<PyAny>) -> PyResult<(Vec<f64>, usize)> {
        let (wave, [nwave]) = numbers::<f64>("wave", argument, "Angstrom")?.need_axes("wave", "[nwave]")?;
        match wave.iter().position(|&w| !self.0.reaches(w)) {
            Some(at) => Err(input(format!(
                "wave[{at}] is {} Angstrom, the PSF's range is {} to {}: give wavelengths in Angstrom, at most 5 % of that \
                 range outside",
                wave[at], self.0.wave_min, self.0.wave_max
            ))),
            None => Ok((wave, nwave)),
        }
    }

    /// Refuses what memory cannot hold: the traces of fibres at `nwave` wavelengths, and spots of `pixels`.
    fn check_memory(&self, fibres: &Range<usize>, nwave: usize, pixels: usize) -> PyResult<()> {
        // Offsets, pixels, and what is returned of them.
        let each = pixels + SpotModel::new(&self.0, false).shape().nparam() + 8;
        let numbers = fibres.len().saturating_mul(nwave).saturating_mul(each);
        Vec::<f64>::new().try_reserve_exact(numbers).map_err(|_| {
            PyMemoryError::new_err(format!(
                "{} fibres at {nwave} wavelengths take {:.0} GB: ask for fewer fibres or wavelengths at a time",
                fibres.len(),
                8e-9 * numbers as f64
            ))
        })
    }

    /// The rows of the PSF that a call asks for.
    fn fibres(&self, specmin: usize, nspec: Option<usize>) -> PyResult<Range<usize>> {
        let nfibre = self.0.nfibre;
        let end = nspec.map_or(Some(nfibre), |n| specmin.checked_add(n)).filter(|&end| end <= nfibre);
        match end {
            Some(end) if specmin <= end => Ok(specmin..end),
            _ => Err(input(format!(
                "specmin {specmin}{} leaves the PSF's {nfibre} fibres: choose specmin and nspec within them",
                nspec.map_or(String::new(), |n| format!(" with nspec {n}"))
            ))),
        }
    }
}

#[pymethods]
impl Psf {
    /// Number of fibres.
    #[getter]
    fn nfibre(&self) -> usize {
        self.0.nfibre
    }

    /// Number of the first fibre (FIBERMIN).
    #[getter]
    fn fibermin(&self) -> i64 {
        self.0.fibermin
    }

    /// Rows and columns of the CCD in pixels, (NPIX_Y, NPIX_X).
    #[getter]
    fn ccd_shape(&self) -> (usize, usize) {
        let [nx, ny] = self.0.dispersion.in_file([self.0.npix_x, self.0.npix_y]);
        (ny, nx)
    }

    /// Axis of dispersion as the card DISPAXIS: 1 for spectra along x, 2 for spectra along y.
    #[getter]
    fn dispaxis(&self) -> i64 {
        self.0.dispersion.dispaxis()
    }

    /// Rows and columns of a spot in pixels.
    #[getter]
    fn spot_shape(&self) -> (usize, usize) {
        let shape = SpotShape::new(&self.0, false);
        let [nx, ny] = self.0.dispersion.in_file([shape.nx(), shape.ny()]);
        (ny, nx)
    }

    /// First wavelength in Angstrom (WAVEMIN).
    #[getter]
    fn wave_min(&self) -> f64 {
        self.0.wave_min
    }

    /// Last wavelength in Angstrom (WAVEMAX).
    #[getter]
    fn wave_max(&self) -> f64 {
        self.0.wave_max
    }

    /// Fractional error, for chi2pix (PSFERR).
    #[getter]
    fn psferr(&self) -> f64 {
        self.0.psferr
    }

    /// CAMERA, or None.
    #[getter]
    fn camera(&self) -> Option<&str> {
        self.0.camera.as_deref()
    }

    /// Fibres (rows of the PSF) that are not usable: they have no result.
    #[getter]
    fn bad_fibres(&self) -> Vec<usize> {
        self.0.defects().fibres.iter().map(|bad| bad.fibre).collect()
    }

    /// Whether the file has power-law tails.
    #[getter]
    fn has_tails(&self) -> bool {
        self.0.tails.is_some()
    }

    /// Positions of the fibres' traces.
    ///
    /// Parameters
    /// ----------
    /// wave : array, [nwave]
    ///     Wavelengths in Angstrom, or a quantity; at most 5 % of the PSF's range outside of it.
    /// specmin, nspec : int
    ///     Fibres, rows of the PSF; by default all from ``specmin`` on.
    ///
    /// Returns
    /// -------
    /// x, y : arrays of f8, [nspec, nwave]
    ///     Column and row in pixels; the centre of pixel 0 is at 0.
    #[pyo3(signature = (wave, specmin = 0, nspec = None))]
    fn traces<'py>(
        &self,
        wave: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = whole)] specmin: usize,
        #[pyo3(from_py_with = whole)] nspec: Option<usize>,
    ) -> PyResult<(Array<'py, f64>, Array<'py, f64>)> {
        let py = wave.py();
        let (wave, nwave) = self.wavelengths(wave)?;
        let fibres = self.fibres(specmin, nspec)?;
        self.check_memory(&fibres, nwave, 0)?;
        let shape = [fibres.len(), nwave];
        let [x, y] = released(py, None, || {
            let traces = traces(&self.in_file(), fibres, &wave, false);
            let sum = |(&pixel, &offset): (&i32, &f64)| f64::from(pixel) + offset;
            [(&traces.pixel_x, &traces.offset_x), (&traces.pixel_y, &traces.offset_y)]
                .map(|(pixel, offset)| pixel.iter().zip(offset).map(sum).collect())
        })?;
        Ok((to_numpy(py, x, &shape)?, to_numpy(py, y, &shape)?))
    }

    /// Spots: the PSF integrated over pixels, each of sum 1.
    ///
    /// Parameters
    /// ----------
    /// wave : array, [nwave]
    ///     Wavelengths in Angstrom, or a quantity; at most 5 % of the PSF's range outside of it.
    /// specmin, nspec : int
    ///     Fibres, rows of the PSF; by default all from ``specmin`` on.
    /// tails : bool
    ///     Add the PSF's power-law tails.
    ///
    /// Returns
    /// -------
    /// spots : array of f8, [nspec, nwave, ny, nx]
    ///     ``(ny, nx)`` is ``spot_shape``.
    /// x0, y0 : arrays of i4, [nspec, nwave]
    ///     Column and row of each spot's first pixel; beside the CCD they are negative or too large.
    #[pyo3(signature = (wave, specmin = 0, nspec = None, *, tails = false))]
    fn spots<'py>(
        &self,
        wave: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = whole)] specmin: usize,
        #[pyo3(from_py_with = whole)] nspec: Option<usize>,
        tails: bool,
    ) -> PyResult<(Array<'py, f64>, Array<'py, i32>, Array<'py, i32>)> {
        let py = wave.py();
        let (wave, nwave) = self.wavelengths(wave)?;
        let fibres = self.fibres(specmin, nspec)?;
        if tails && self.0.tails.is_none() {
            return Err(input("the PSF has no power-law tails: leave out tails=True, or give a PSF with them"));
        }
        let psf = self.in_file();
        let model = SpotModel::new(&psf, tails);
        let spot = *model.shape();
        self.check_memory(&fibres, nwave, spot.size())?;
        let (shape, bins) = ([fibres.len(), nwave, spot.ny(), spot.nx()], [fibres.len(), nwave]);
        let (pixels, x0, y0) = released(py, None, || {
            let traces = traces(&psf, fibres, &wave, tails);
            let corner = |pixels: &[i32], half: usize| pixels.iter().map(|p| p.saturating_sub(half as i32)).collect();
            let corners = [corner(&traces.pixel_x, spot.half_x), corner(&traces.pixel_y, spot.half_y)];
            let [x0, y0]: [Vec<i32>; 2] = corners;
            (model.spots(&traces), x0, y0)
        })?;
        Ok((to_numpy(py, pixels, &shape)?, to_numpy(py, x0, &bins)?, to_numpy(py, y0, &bins)?))
    }

    /// Makes a PSF of measured spots by Legendre fits of their places and widths.
    ///
    /// Parameters
    /// ----------
    /// fibre : array of integers, [nspot]
    ///     Number of the fibre of each spot.
    /// wave, x, y, sigma_x, sigma_y : arrays, [nspot]
    ///     Wavelengths in Angstrom; columns and rows of the centres and standard deviations along both, in pixels.
    /// ccd_shape : (int, int)
    ///     Rows and columns of the CCD. Spectra may run along either; ``dispaxis`` is the axis that the traces have.
    /// trace_degree, width_degree : int
    ///     Largest degrees of the series.
    ///
    /// Returns
    /// -------
    /// psf : Psf
    /// residuals : dict
    ///     For each quantity the root mean square and the largest difference of the spots from the fit.
    #[staticmethod]
    #[pyo3(signature = (fibre, wave, x, y, sigma_x, sigma_y, *, ccd_shape, trace_degree = 6, width_degree = 3))]
    fn from_traces<'py>(
        fibre: &Bound<'py, PyAny>,
        wave: &Bound<'py, PyAny>,
        x: &Bound<'py, PyAny>,
        y: &Bound<'py, PyAny>,
        sigma_x: &Bound<'py, PyAny>,
        sigma_y: &Bound<'py, PyAny>,
        ccd_shape: (usize, usize),
        trace_degree: usize,
        width_degree: usize,
    ) -> PyResult<(Self, Bound<'py, PyDict>)> {
        let py = fibre.py();
        let list = |name: &str, argument: &Bound<PyAny>, unit: &str| -> PyResult<Vec<f64>> {
            let (values, [_]) = numbers::<f64>(name, argument, unit)?.need_axes(name, "[nspot]")?;
            Ok(values)
        };
        let (numbers, [_]) = integers::<i64>("fibre", fibre)?.need_axes("fibre", "[nspot]")?;
        let spots = Spots {
            fibre: numbers,
            wave: list("wave", wave, "Angstrom")?,
            x: list("x", x, "pix")?,
            y: list("y", y, "pix")?,
            sigma_x: list("sigma_x", sigma_x, "pix")?,
            sigma_y: list("sigma_y", sigma_y, "pix")?,
            terms: Vec::new(),
        };
        let (npix, half, camera) = ([ccd_shape.1, ccd_shape.0], [None, None], None);
        let how = TraceFit { npix, trace_degree, width_degree, half, camera };
        let (psf, residuals) =
            released(py, None, || fit_traces(&spots, &how))?.map_err(|error| input(error.to_string()))?;
        let found = PyDict::new(py);
        residuals.into_iter().try_for_each(|of| found.set_item(of.quantity, (of.rms, of.worst)))?;
        Ok((psf.into(), found))
    }

    /// Writes a PSF file (PSFVER 3).
    #[pyo3(signature = (path, *, overwrite = false))]
    fn write(&self, py: Python, path: PathBuf, overwrite: bool) -> PyResult<()> {
        released(py, None, || Ok(fits::write_psf(&path, &self.0, overwrite)?.persist()?))?.map_err(FitsError::raise)
    }

    fn __eq__(&self, other: &Bound<PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| other.get().0 == self.0)
    }

    fn __repr__(&self) -> String {
        let Self(psf) = self;
        let (nfibre, (ny, nx)) = (psf.nfibre, self.ccd_shape());
        format!("<spextral.Psf: {nfibre} fibres on {nx} x {ny} pixels, {} to {} Angstrom>", psf.wave_min, psf.wave_max)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        let mut bytes = Vec::new();
        ciborium::into_writer(&*self.0, &mut bytes).map_err(|error| input(format!("cannot pickle a PSF: {error}")))?;
        let make = py.get_type::<Self>().getattr("_of_bytes")?;
        Ok((make, (PyBytes::new(py, &bytes),)))
    }

    #[staticmethod]
    fn _of_bytes(bytes: &[u8]) -> PyResult<Self> {
        let psf = ciborium::from_reader::<spextral::psf::Psf, _>(bytes);
        psf.map(Self::from).map_err(|error| input(format!("these bytes are no pickled PSF: {error}")))
    }
}

/// A PSF as DESI's, of any number of fibres: for tests and examples.
///
/// Parameters
/// ----------
/// nfibre : int
///     Number of fibres.
/// camera : str
///     Arm: ``"b"``, ``"r"`` or ``"z"``; sets wavelength range and dispersion.
/// bundlesize : int
///     Fibres of a bundle.
/// wave : (float, float)
///     First and last wavelength in Angstrom; by default the arm's.
/// npix_y, npix_x : int
///     Rows and columns of the CCD; by default the arm's rows and the columns that the fibres need.
/// seed : int
///     Of the scatter from fibre to fibre.
///
/// Returns
/// -------
/// Psf
#[pyfunction]
#[pyo3(signature = (nfibre = 500, *, camera = "r", bundlesize = 25, wave = None, npix_y = None, npix_x = None, seed = 0))]
pub fn make_psf(
    py: Python,
    #[pyo3(from_py_with = whole)] nfibre: usize,
    camera: &str,
    #[pyo3(from_py_with = whole)] bundlesize: usize,
    wave: Option<&Bound<PyAny>>,
    #[pyo3(from_py_with = whole)] npix_y: Option<usize>,
    #[pyo3(from_py_with = whole)] npix_x: Option<usize>,
    #[pyo3(from_py_with = whole)] seed: u64,
) -> PyResult<Psf> {
    let camera = match camera {
        "b" => Camera::B,
        "r" => Camera::R,
        "z" => Camera::Z,
        other => return Err(input(format!("camera is {other:?}: give \"b\", \"r\" or \"z\""))),
    };
    let wave = wave.map(|wave| wavelength_range("wave", wave, "wmin, wmax")).transpose()?;
    let figures = Synthetic {
        nfibre,
        camera,
        bundlesize,
        wave_min: wave.as_ref().map(|wave| wave[0]),
        wave_max: wave.as_ref().map(|wave| wave[1]),
        npix_y,
        npix_x,
        seed,
        ..Synthetic::default()
    };
    released(py, None, || figures.build())?.map(Psf::from).map_err(Raise::raise)
}
