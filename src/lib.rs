//! Extracts 1-D spectra from 2-D fibre-spectrograph CCD frames by spectro-perfectionism
//! (Bolton & Schlegel 2010, "BS10"), on any GPU that wgpu reaches and on CPUs.
//!
//! ```
//! use spextral::simulate::{Simulation, simulate, synthetic::Synthetic};
//! use spextral::{Engine, Job, Options, WaveGrid, extract};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Of a real camera: `fits::read_psf(path)?` and `fits::read_preproc(path, &Default::default())?`.
//! let psf = Synthetic { nfibre: 5, npix_y: Some(200), ..Synthetic::default() }.build()?;
//! let preproc = simulate(&psf, &Simulation::default())?.preproc.masked_by(u32::MAX)?; // no pixel with a mask bit
//! let grid = WaveGrid::new(psf.wave_min + 10.0, psf.wave_max - 10.0, 0.8)?; // Angstrom
//! let options = Options::default();
//! let job = Job::new(&psf, &preproc.ccd, &grid, &options)?;
//! let spectra = extract(&job, &Engine::cpu(), &|_done, _of| ())?.spectra;
//! assert_eq!(spectra.flux.len(), 5 * grid.nwave()); // [nspec, nwave], electron/Angstrom
//! # Ok(()) }
//! ```
//!
//! `examples/` has three programs: a frame from files to files, a PSF from your own traces and widths, and batched
//! linear algebra on a GPU.
//!
//! | module | contents |
//! |---|---|
//! | [`fits`] | preproc, PSF, frame and truth files |
//! | [`extract`](mod@extract) | one frame from files to files; options, and their text in headers |
//! | [`exposure`] | many frames: a work queue, reading, computing and writing at the same time, ranks of an MPI job |
//! | `bench` | how fast a device is, and what the host takes |
//! | [`simulate`] | synthetic PSFs, simulated frames and their truth |
//! | [`compare`] | parity of two frames; chi against the truth |
//! | [`report`], [`plot`] | an HTML page about a frame; pictures |
//! | [`barycentric`] | the barycentric factor of an exposure |
//! | [`low_level`] | solvers, stages, kernels, devices: everything below |
//! | [`guide`] | for users of gpu_specter, of other spectrographs, of clusters, and for authors of shaders |
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `cli` (default) | the program `spextral` |
//! | `plot` (default) | [`report`] and [`plot`] |
//! | `simulate` (default) | [`simulate`] |
//! | `mpi` | frames, and bundles of a PSF's fit, over the ranks of an MPI job |
//! | `fault-injection` | failures on demand, for tests |
//!
//! `default-features = false` leaves what an extraction needs.

// The command line names the library as programs do.
extern crate self as spextral;

#[doc(hidden)]
pub mod backend;
pub mod barycentric;
#[doc(hidden)]
pub mod base;
#[cfg(feature = "simulate")]
pub mod bench;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
pub mod compare;
pub mod exposure;
pub mod extract;
pub mod find;
pub mod fit;
pub mod fits;
#[doc(hidden)]
pub mod frame;
#[doc(hidden)]
pub mod geometry;
#[doc(hidden)]
pub mod gpu;
pub mod guide;
#[doc(hidden)]
pub mod plan;
#[cfg(feature = "plot")]
pub mod plot;
#[doc(hidden)]
pub mod psf;
#[cfg(feature = "plot")]
pub mod report;
pub mod shift;
#[cfg(feature = "simulate")]
pub mod simulate;
#[doc(hidden)]
pub mod solver;
#[doc(hidden)]
pub mod stages;

pub mod low_level {
    //! The layers below an extraction, from the bottom up.
    //!
    //! | module | contents |
    //! |---|---|
    //! | [`base`] | atomic files, cancellation, the trace, names of options |
    //! | [`psf`], [`geometry`], [`frame`] | the PSF; wavelength grids, CCDs and spots; spectra and header cards |
    //! | [`plan`] | bundles, patches and batches |
    //! | [`stages`] | the mathematics in f64, pure functions on slices: the CPU twins of the shaders |
    //! | [`gpu`] | devices and their self-test, typed buffers and kernels, batched Cholesky and Jacobi |
    //! | [`backend`] | one method per stage, on the CPU or on the GPU |
    //! | [`solver`] | the solvers, and the ladder of fallbacks |

    #[doc(inline)]
    pub use crate::{backend, base, frame, geometry, gpu, plan, psf, solver, stages};
}

pub use backend::Engine;
pub use base::atomic_file::{PendingFile, WriteError};
pub use base::error_chain::error_chain;
pub use extract::{ExtractError, Extraction, extract};
pub use frame::{Frame, Spectra};
pub use geometry::{Ccd, WaveGrid};
pub use gpu::DeviceChoice;
pub use psf::Psf;
pub use solver::{Job, ModelFlux, Options, Solver};
