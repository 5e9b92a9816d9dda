//! Tools without astronomy: atomic writes, output paths, cancellation, panics and errors as text, medians, planes turned, the process,
//! arrays of reals, memory used again, the trace.

pub mod atomic_file;
pub mod cancel;
pub(crate) mod catch_panic;
pub mod error_chain;
pub mod median;
pub mod memory_size;
pub(crate) mod number;
pub mod option_name;
pub mod output_path;
pub(crate) mod process;
pub(crate) mod real_array;
pub(crate) mod recycled;
pub mod trace;
pub mod transpose;
pub mod version;
pub mod word_enum;
