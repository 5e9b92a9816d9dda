//! The GPU: adapter selection and self-test, typed buffers and kernels, and one wrapper per shader.
//!
//! ```no_run
//! use spextral::gpu::{Device, DeviceChoice, OpenOptions, Recording, Variant};
//! # fn main() -> Result<(), spextral::gpu::GpuError> {
//! // A device by name; `Gpu` is a cheap handle, clone it freely.
//! let choice = DeviceChoice::Name("llvmpipe".to_string());
//! let Device::Gpu(gpu) = Device::open(&choice, &OpenOptions::default())? else { return Ok(()) };
//!
//! // A kernel is an entry point of one variant of a shader, compiled once per device.
//! let kernel = gpu.kernel(&Variant::new("selftest").set("THREADS", 64), "functions")?;
//!
//! // Buffers are typed, their lengths are in elements, and new ones are zero. Reals are f64 on the host; on the device they
//! // have the handle's precision, which shaders call `real`.
//! let x = gpu.upload_reals("x", &[1.0; 64])?;
//! let (roots, powers) = (gpu.reals("roots", 64)?, gpu.reals("powers", 64)?);
//! let fractions = gpu.reals("fractions", 64)?;
//!
//! // Buffers are bound by their names in the shader. Kinds and arguments are checked here, not by the driver.
//! // The second argument is the number of workgroups, in a 2-D grid if it exceeds 65 535.
//! let mut recording = Recording::new();
//! let bound = [x.named("x"), roots.named("roots"), powers.named("powers"), fractions.named("fractions")];
//! recording.dispatch(&kernel, 1, &64u32, &bound)?;
//! gpu.run(recording)?;
//! let roots: Vec<f64> = roots.download()?;
//! # Ok(()) }
//! ```
//!
//! **Layers**, each using only those before it. The first are `adapter` and `choice`, `driver` (an opened adapter and its
//! errors), and `queue` (submissions in flight). `memory` (buffers, their plan and their pool) is above the queue, because
//! allocation may wait for submissions. Then come `kernel`, `commands` and `submission` (what waits to be submitted),
//! `transfer` and `staging` (to the host and from it), and `handle` (the [`Gpu`]). The last are `buffer`, `reals` and
//! `recording`, then `selftest` and `open`, then the wrappers of the shaders.
//!
//! **Shaders.** A shader is `shaders/NAME.wgsl`, registered in [`shaders`]. A line `#import NAME` includes
//! `shaders/shared/NAME.wgsl`, `#import NAME_real` the file of the precision. One source serves both: `alias real = f32;`
//! becomes `f64`. Every line `const NAME: u32 = VALUE;` or `alias NAME = TYPE;` is a template
//! parameter. The file is valid WGSL with its defaults, and [`Variant::set`] replaces them. Group 0, binding 0 is
//! the uniform `args`, declared as [`KernelArgs`]; storage buffers follow from binding 1 on.
//! A kernel finds its workgroup by `workgroup_index` of `shared/grid.wgsl`, and must return if that is
//! not below the count in its `args`. The 2-D grid may have a few workgroups more than requested.

mod account;
mod adapter;
mod args;
pub mod banded;
mod buffer;
mod choice;
pub mod cholesky;
mod commands;
mod content;
pub mod decorrelate;
mod driver;
mod error;
#[cfg_attr(not(feature = "fault-injection"), path = "no_fault_injection.rs")]
pub mod fault_injection;
pub mod finish;
pub mod goodness;
mod handle;
mod held;
pub mod jacobi;
mod kernel;
mod landing;
mod limits;
pub(crate) mod memory;
pub mod model;
mod noop;
pub mod normal_equations;
mod open;
pub mod patch;
mod pool;
mod queue;
mod reals;
mod recording;
mod reflect;
pub mod roofs;
mod scalar;
pub mod schur;
mod selftest;
mod sent;
pub mod shaders;
pub mod spot_grid;
pub mod spot_images;
pub mod spot_kinds;
pub mod spots;
mod staging;
mod submission;
mod times;
mod timestamps;
mod touch;
mod trace_inputs;
pub mod traces;
mod traffic;
mod transfer;
mod variants;

pub use account::MemoryUse;
pub use adapter::DeviceKind;
pub(crate) use adapter::instruction_set;
pub use args::{ArgsMember, KernelArgs};
pub use buffer::{Buffer, Download};
pub use choice::DeviceChoice;
pub use driver::OpenOptions;
pub use error::GpuError;
pub use handle::Gpu;
pub use kernel::{Kernel, Named};
pub use limits::{DEFAULT_MEMORY, GpuLimits};
pub use open::{Device, DeviceEntry, list};
pub use reals::{LandedReals, Reals, RealsDownload};
pub use recording::Recording;
pub use scalar::{Element, Precision, ScalarKind};
pub use shaders::Variant;
pub use timestamps::Pass;
pub use traffic::Traffic;
pub use variants::all_variants;
