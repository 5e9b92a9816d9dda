//! Errors of the crate as exceptions of `spextral._errors`, with the same sentences.

use pyo3::prelude::*;
use spextral::backend::EngineError;
use spextral::extract::ExtractError;
use spextral::fits::FitsError;
use spextral::geometry::GridError;
use spextral::gpu::GpuError;
use std::error::Error;

/// The classes of `spextral._errors`.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A value, a shape, an option: also a ValueError.
    Input,
    /// A file: also an OSError.
    File,
    /// A device: also a RuntimeError.
    Device,
    /// A matrix: also a ValueError.
    LinAlg,
}

/// An exception of that kind.
pub fn exception(kind: Kind, sentence: impl Into<String>) -> PyErr {
    let name = match kind {
        Kind::Input => "InputError",
        Kind::File => "FileError",
        Kind::Device => "DeviceError",
        Kind::LinAlg => "LinAlgError",
    };
    let made = |py: Python| {
        let class = py.import("spextral._errors")?.getattr(name)?;
        class.call1((sentence.into(),)).map(PyErr::from_value)
    };
    Python::attach(made).unwrap_or_else(|error| error)
}

/// The number of the operating system's error that is the cause, if one is.
fn code(error: &(dyn Error + 'static)) -> Option<i32> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(code) = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error) {
            return Some(code);
        }
        cause = error.source();
    }
    None
}

/// Gives a FileError its errno; one of a file that is not there becomes a FileNotFoundError, too.
fn with_errno(py: Python, error: PyErr, code: i32) -> PyErr {
    let made = || -> PyResult<PyErr> {
        let errors = py.import("spextral._errors")?;
        if !error.matches(py, errors.getattr("FileError")?)? {
            return Ok(error.clone_ref(py));
        }
        Ok(PyErr::from_value(errors.getattr("with_errno")?.call1((error.value(py), code))?))
    };
    made().unwrap_or_else(|_| error.clone_ref(py))
}

/// Returns the error of an argument.
pub fn input(sentence: impl Into<String>) -> PyErr {
    exception(Kind::Input, sentence)
}

/// An error that becomes an exception.
pub trait Raise: Error + Sized + 'static {
    /// Which one.
    fn kind(&self) -> Kind {
        Kind::Input
    }

    /// The exception.
    fn raise(self) -> PyErr {
        let raised = exception(self.kind(), spextral::error_chain(&self));
        match code(&self) {
            Some(code) => Python::attach(|py| with_errno(py, raised, code)),
            None => raised,
        }
    }
}

impl Raise for FitsError {
    fn kind(&self) -> Kind {
        Kind::File
    }
}

impl Raise for GpuError {
    fn kind(&self) -> Kind {
        Kind::Device
    }
}

impl Raise for EngineError {
    fn kind(&self) -> Kind {
        Kind::Device
    }
}

impl Raise for ExtractError {
    fn kind(&self) -> Kind {
        match self {
            Self::Engine(_) => Kind::Device,
            _ => Kind::Input,
        }
    }
}

impl Raise for GridError {}
impl Raise for spextral::barycentric::BarycentricError {}
impl Raise for spextral::simulate::synthetic::SyntheticError {}
impl Raise for spextral::simulate::SimulateError {}
