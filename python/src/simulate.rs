//! Simulated frames.

use crate::arrays::{is_table, number, to_numpy, wave_table, wavelength_range, whole};
use crate::error::{Raise, input};
use crate::preproc::Preproc;
use crate::psf::Psf;
use crate::work::released;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use spextral::fits::PreprocOptions;
use spextral::simulate::{Simulated, Simulation};

/// A realistic frame: sky, stars, galaxies, quasars, noise, cosmic rays and CCD defects.
///
/// Parameters
/// ----------
/// psf : Psf
/// seed : int
///     Of targets, noise and defects; the same seed gives the same bits.
/// specmin, nspec : int
///     Fibres that are lit, rows of the PSF; by default all from ``specmin`` on.
/// wavelength : (float, float, float) or array, [nspec, nwave]
///     First and last wavelength and step of the light in Angstrom, those of the extraction to come. By default the PSF's
///     range by 0.8. An array of two axes has the wavelengths of the bins of every fibre.
/// readnoise : float
///     In electron; by default 3.
/// exptime : float
///     In seconds; by default 1000.
/// mjd : float
///     Start of the exposure: modified Julian date (UTC), in days.
/// cosmics : float
///     Cosmic rays relative to the usual number, 0 for none; by default 1.
/// bad_columns, dead_patches : int
///     Defects; by default one in 4 million pixels, at least one.
///
/// Returns
/// -------
/// preproc : Preproc
/// truth : dict
///     ``fibres`` [nspec] (fibre numbers), ``wave`` [nwave] (Angstrom), ``flux`` [nspec, nwave] (electron per bin). There
///     are 15 bins beyond either end of the grid.
#[pyfunction]
#[pyo3(signature = (psf, *, seed = 0, specmin = 0, nspec = None, wavelength = None,
    readnoise = None, exptime = None, mjd = None, cosmics = None, bad_columns = None, dead_patches = None))]
pub fn simulate<'py>(
    py: Python<'py>,
    psf: &Bound<'py, Psf>,
    #[pyo3(from_py_with = whole)] seed: u64,
    #[pyo3(from_py_with = whole)] specmin: usize,
    #[pyo3(from_py_with = whole)] nspec: Option<usize>,
    wavelength: Option<&Bound<'py, PyAny>>,
    readnoise: Option<&Bound<'py, PyAny>>,
    exptime: Option<&Bound<'py, PyAny>>,
    mjd: Option<&Bound<'py, PyAny>>,
    cosmics: Option<&Bound<'py, PyAny>>,
    #[pyo3(from_py_with = whole)] bad_columns: Option<usize>,
    #[pyo3(from_py_with = whole)] dead_patches: Option<usize>,
) -> PyResult<(Preproc, Bound<'py, PyDict>)> {
    let is_table = wavelength.map(is_table).transpose()?.unwrap_or(false);
    let (table, range) = if is_table { (wavelength, None) } else { (None, wavelength) };
    let wave = range.map(|wave| wavelength_range("wavelength", wave, "wmin, wmax, dw")).transpose()?;
    let table = table.map(|table| wave_table("wavelength", table)).transpose()?;
    let defaults = Simulation::default();
    let or = |name, given: Option<&Bound<PyAny>>, unit, default| given.map_or(Ok(default), |v| number(name, v, unit));
    let request = Simulation {
        seed,
        specmin,
        nspec,
        wave: wave.map(|wave| (wave[0], wave[1], wave[2]).into()),
        table,
        readnoise: or("readnoise", readnoise, "electron", defaults.readnoise)?,
        exptime: or("exptime", exptime, "s", defaults.exptime)?,
        mjd: or("mjd", mjd, "d", defaults.mjd)?,
        cosmics: or("cosmics", cosmics, "", defaults.cosmics)?,
        bad_columns,
        dead_patches,
        ..defaults
    };
    let psf = &psf.get().0;
    let work = || spextral::simulate::simulate(psf, &request);
    let Simulated { preproc, truth } = released(py, None, work)?.map_err(Raise::raise)?;
    // As where it is read from a file.
    let preproc = released(py, None, || preproc.masked_by(PreprocOptions::default().mask_bits))?;
    let preproc = preproc.map_err(|error| input(error.to_string()))?;
    let (nspec, nwave) = (truth.fibres.len(), truth.nwave());
    let dict = PyDict::new(py);
    dict.set_item("fibres", to_numpy(py, truth.fibres, &[nspec])?)?;
    let of_waves = if truth.wave.len() == nwave { vec![nwave] } else { vec![nspec, nwave] };
    dict.set_item("wave", to_numpy(py, truth.wave, &of_waves)?)?;
    dict.set_item("flux", to_numpy(py, truth.flux, &[nspec, nwave])?)?;
    Ok((preproc.into(), dict))
}
