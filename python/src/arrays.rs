//! numpy arrays in and out: of any real type, byte order and strides on the way in.

use crate::error::input;
use numpy::{Element, PyArray1, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArrayMethods, dtype};
use pyo3::exceptions::PyOverflowError;
use pyo3::intern;
use pyo3::prelude::*;
use spextral::stages::wave_table::WaveTable;

/// A whole number of at least 0, or None. One beyond its type is an error of the argument, as other values are, and no OverflowError.
pub fn whole<'py, T>(argument: &Bound<'py, PyAny>) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py, Error = PyErr>,
{
    argument.extract().map_err(|error: PyErr| match error.is_instance_of::<PyOverflowError>(argument.py()) {
        true => input(format!("{argument} is given: choose a whole number from 0 to 2^64 - 1")),
        false => error,
    })
}

/// The numbers of an argument with its shape.
pub struct Numbers<T> {
    /// In C order.
    pub values: Vec<T>,
    pub shape: Vec<usize>,
}

/// The package's module of units.
fn units(py: Python) -> PyResult<Bound<PyModule>> {
    py.import(intern!(py, "spextral._units"))
}

/// A number in `unit`, from which its own unit is converted.
pub fn number(name: &str, argument: &Bound<PyAny>, unit: &str) -> PyResult<f64> {
    units(argument.py())?.call_method1("number", (name, argument, unit))?.extract()
}

/// A range of wavelengths in Angstrom, of as many numbers as there are `names`.
pub fn wavelength_range(name: &str, argument: &Bound<PyAny>, names: &str) -> PyResult<Vec<f64>> {
    units(argument.py())?.call_method1("wavelengths", (name, argument, names))?.extract()
}

/// The wavelengths of the bins of every fibre, `[nspec, nwave]`.
pub fn wave_table(name: &str, argument: &Bound<PyAny>) -> PyResult<WaveTable> {
    let (wave, [_, nwave]) = numbers::<f64>(name, argument, "Angstrom")?.need_axes(name, "[nspec, nwave]")?;
    WaveTable::new(nwave, wave).map_err(|error| input(format!("{name}: {error}")))
}

/// Whether wavelengths are such a table, in place of a range.
pub fn is_table(argument: &Bound<PyAny>) -> PyResult<bool> {
    units(argument.py())?.call_method1("is_table", (argument,))?.extract()
}

/// An argument as a numpy array in `unit`, empty for none: quantities are converted, or refused. A masked array is refused,
/// since its mask would be lost.
pub fn array<'py>(name: &str, argument: &Bound<'py, PyAny>, unit: &str) -> PyResult<Bound<'py, PyAny>> {
    let py = argument.py();
    let argument = &units(py)?.call_method1("plain", (name, argument, unit))?;
    let numpy = py.import(intern!(py, "numpy"))?;
    if argument.is_instance(&numpy.getattr("ma")?.getattr("MaskedArray")?)? {
        return Err(input(format!("{name} is a masked array: fill it, and give masked pixels ivar = 0")));
    }
    numpy.call_method1(intern!(py, "asarray"), (argument,))
}

/// The letter of an array's kind of type: f, i, u, b, c, O, …
fn kind(array: &Bound<PyAny>) -> PyResult<char> {
    array.getattr("dtype")?.getattr("kind")?.extract()
}

/// Whether an array holds 4-byte reals.
pub fn is_f4(array: &Bound<PyAny>) -> PyResult<bool> {
    Ok(kind(array)? == 'f' && array.getattr("dtype")?.getattr("itemsize")?.extract::<usize>()? == 4)
}

/// Real numbers in `unit` as `T`.
pub fn numbers<T: Element + Copy>(name: &str, argument: &Bound<PyAny>, unit: &str) -> PyResult<Numbers<T>> {
    of_kinds(name, argument, unit, "fiu", "real numbers (f4 or f8)")
}

/// Whole numbers as `T`.
pub fn integers<T: Element + Copy>(name: &str, argument: &Bound<PyAny>) -> PyResult<Numbers<T>> {
    of_kinds(name, argument, "", "iu", "whole numbers")
}

fn of_kinds<T: Element + Copy>(
    name: &str,
    argument: &Bound<PyAny>,
    unit: &str,
    kinds: &str,
    wanted: &str,
) -> PyResult<Numbers<T>> {
    let py = argument.py();
    let array = array(name, argument, unit)?;
    if !kinds.contains(kind(&array)?) {
        return Err(input(format!("{name} is an array of {}: give {wanted}", array.getattr("dtype")?)));
    }
    let numpy = py.import(intern!(py, "numpy"))?;
    let native = numpy.call_method1(intern!(py, "ascontiguousarray"), (&array, dtype::<T>(py)))?;
    let native: PyReadonlyArrayDyn<T> = native.extract()?;
    // ascontiguousarray makes a single number an array of one; its own shape is said.
    let shape = array.getattr("shape")?.extract()?;
    Ok(Numbers { values: native.as_slice()?.to_vec(), shape })
}

impl<T> Numbers<T> {
    /// Refuses any other shape.
    pub fn need_shape(self, name: &str, shape: &[usize], why: &str) -> PyResult<Vec<T>> {
        if self.shape == shape {
            return Ok(self.values);
        }
        Err(input(format!("{name} has shape {:?}, {shape:?} is needed ({why})", self.shape)))
    }

    /// Refuses another number of axes.
    pub fn need_axes<const N: usize>(self, name: &str, axes: &str) -> PyResult<(Vec<T>, [usize; N])> {
        match <[usize; N]>::try_from(self.shape.as_slice()) {
            Ok(shape) => Ok((self.values, shape)),
            Err(_) => Err(input(format!("{name} has shape {:?}, {axes} is needed", self.shape))),
        }
    }
}

/// A new array.
pub fn to_numpy<'py, T: Element>(
    py: Python<'py>,
    values: Vec<T>,
    shape: &[usize],
) -> PyResult<Bound<'py, PyArrayDyn<T>>> {
    PyArray1::from_vec(py, values).reshape(shape)
}

/// A new array that can't be written to: a copy of what an object holds, whose change would change nothing.
pub fn to_frozen<'py, T: Element>(
    py: Python<'py>,
    values: Vec<T>,
    shape: &[usize],
) -> PyResult<Bound<'py, PyArrayDyn<T>>> {
    let array = to_numpy(py, values, shape)?;
    array.call_method1("setflags", (false,))?;
    debug_assert_eq!(array.shape(), shape);
    Ok(array)
}
