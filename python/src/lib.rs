//! spextral for Python: the extension module `spextral._spextral`. Arguments are checked here and in the package's Python
//! files; all work is done by the crate `spextral`, with the interpreter's lock released.
//!
//! Without the feature `extension` the crate is empty.
#![cfg(feature = "extension")]

mod arrays;
mod command;
mod device;
mod error;
mod extract;
mod files;
mod find;
mod fit;
mod frame;
mod linalg;
mod pages;
mod preproc;
mod psf;
mod simulate;
mod tables;
mod work;

use pyo3::prelude::*;

#[pymodule]
mod _spextral {
    #[pymodule_export]
    use super::command::main;
    #[pymodule_export]
    use super::device::devices;
    #[pymodule_export]
    use super::extract::{Plan, Share};
    #[pymodule_export]
    use super::files::{read_preproc, read_psf, write_frame};
    #[pymodule_export]
    use super::find::find_traces;
    #[pymodule_export]
    use super::fit::{fit_psf, shift_psf};
    #[pymodule_export]
    use super::frame::{head_of_rows, read_frame};
    #[pymodule_export]
    use super::linalg::{cholesky, cholesky_solve, jacobi};
    #[pymodule_export]
    use super::pages::{compare_frames, compare_with_truth, page, psf_picture, write_model, write_truth};
    #[pymodule_export]
    use super::preproc::Preproc;
    #[pymodule_export]
    use super::psf::{Psf, make_psf};
    #[pymodule_export]
    use super::simulate::simulate;
    use super::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        spextral::base::option_name::Spelling::Keyword.use_in_messages();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
