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

/// Returns the error of an argument.
pub fn input(sentence: impl Into<String>) -> PyErr {
    exception(Kind::Input, sentence)
}

/// An error that becomes an exception.
pub trait Raise: Error + Sized {
    /// Which one.
    fn kind(&self) -> Kind {
        Kind::Input
    }

    /// The exception.
    fn raise(self) -> PyErr {
        exception(self.kind(), spextral::error_chain(&self))
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
