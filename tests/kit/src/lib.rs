//! The testkit: harness, devices, frames, files and the binary in a fresh folder, for all tests.
//!
//! A test binary without the compiler's harness (`harness = false`) begins with
//! `#[macro_use(test, note)] extern crate testkit;` and ends in `testkit::main()`.
//!
//! | module | contents |
//! |---|---|
//! | `harness` | runs tests, reports those that lack a device, a file or a program as ignored |
//! | `device` | the GPU that tests run on |
//! | `extracting` | engines and extractions: the only place that knows their signatures |
//! | `numbers` | distances between arrays, bits of spectra |
//! | `small`, `worlds`, `sound` | synthetic frames; random ones; properties of every extraction |
//! | `reported` | random instruments: flux is exact, or its error is reported |
//! | `reference` | files made by other programs, in the `shared` folder beside the checkout |
//! | `files` | small FITS files of every kind |
//! | `folder` | a frame and its PSF in a fresh folder, and the binary run in it |

#![allow(missing_docs)] // of fields and helpers with self-explanatory names

mod device;
mod extracting;
pub mod files;
mod folder;
mod harness;
mod numbers;
pub mod psf_kinds;
mod reference;
pub mod reported;
mod small;
pub mod sound;

pub mod worlds;

pub use device::{allowed, device_name, gpu, gpu_with_default_limits, in_each_precision, open, open_with_f64};
pub use extracting::{cpu, extract, in_pool, on, on_except, try_extract};
pub use folder::{Folder, Run, binary, bytes, fails_and_leaves_nothing, small_psf};
pub use harness::{Test, ignore, main, note};
pub use inventory;
pub use numbers::{bits, largest, maximum, worst};
pub use reference::{Reference, Sim11, shared, try_shared};
pub use small::{Small, dense, masked_planes};
pub use spextral::backend::Engine;
pub use testkit_macros::test;
