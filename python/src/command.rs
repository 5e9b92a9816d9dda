//! The command line, as the package's own command and `python -m spextral` have it.

use pyo3::prelude::*;
use std::ffi::OsString;
use std::process::ExitCode;

/// Carries out a command line, of which the first word is the program's name; returns its exit code. One that can't be parsed
/// ends the process.
#[pyfunction]
pub fn main(py: Python, words: Vec<OsString>) -> u8 {
    let code = py.detach(|| spextral::cli::main(words));
    (0..=u8::MAX).find(|&number| ExitCode::from(number) == code).unwrap_or(1)
}
