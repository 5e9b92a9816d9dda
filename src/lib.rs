//! Extract 1-D spectra from 2-D fibre-spectrograph CCD frames by spectro-perfectionism
//! (Bolton & Schlegel 2010, "BS10"), on any GPU that wgpu reaches and on plain CPUs.
//!
//! The way of a pixel through this crate: it enters through [`fits`], is weighted in
//! [`stages::normal_equations`], solved in [`stages::cholesky`], decorrelated in [`stages::decorrelate`],
//! and leaves through [`fits`]. It never goes back up.
//!
//! | module | what it holds |
//! |---|---|
//! | [`psf`], [`frame`] | the nouns everyone shares: the Gauss-Hermite model, the extracted frame |
//! | [`fits`] | one file a file type: preproc, psf, frame |
//! | [`geometry`], [`plan`] | wavelength grid, CCD, spots; bundles, patches, batches |
//! | [`stages`] | the mathematics in f64, pure functions on slices: the CPU twins of the shaders |
//! | [`gpu`] | device choice and self-test, typed buffers and kernels |
//! | [`backend`] | one method a stage, on the CPU or on the GPU |
//! | [`extract`] | one frame: plan, stages, [`frame::Frame`] |
//! | [`exposure`] | many frames: who does what, reading, computing and writing overlapped |
//! | [`guide`] | how to come from gpu_specter, serve another spectrograph, run a cluster, write a shader |

pub mod backend;
pub mod barycentric;
pub mod base;
pub mod compare;
pub mod exposure;
pub mod extract;
pub mod fits;
pub mod frame;
pub mod geometry;
pub mod gpu;
pub mod guide;
pub mod plan;
#[cfg(feature = "plot")]
pub mod plot;
pub mod psf;
#[cfg(feature = "plot")]
pub mod report;
#[cfg(feature = "simulate")]
pub mod simulate;
pub mod solver;
pub mod stages;

pub use base::atomic_file::{PendingFile, WriteError};
pub use base::error_chain::error_chain;
