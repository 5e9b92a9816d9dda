//! The GPU: device choice and self-test, typed buffers and kernels, one wrapper file a shader.
//!
//! ```no_run
//! use spextral::gpu::{Device, DeviceChoice, OpenOptions, Recording, Variant};
//! # fn main() -> Result<(), spextral::gpu::GpuError> {
//! // A device by name; `Gpu` is a cheap handle, clone it freely.
//! let choice = DeviceChoice::Name("llvmpipe".to_string());
//! let Device::Gpu(gpu) = Device::open(&choice, &OpenOptions::default())? else { return Ok(()) };
//!
//! // A kernel is an entry point of one variant of a shader; compiled once a device, then cached.
//! let kernel = gpu.kernel(&Variant::new("selftest").set("THREADS", 64), "functions")?;
//!
//! // Buffers are typed and their lengths are in elements. New ones are zero. Reals are f64 on the host; the handle says
//! // what they are on the device, and what shaders call `real`.
//! let x = gpu.upload_reals("x", &[1.0; 64])?;
//! let (roots, powers) = (gpu.reals("roots", 64)?, gpu.reals("powers", 64)?);
//! let fractions = gpu.reals("fractions", 64)?;
//!
//! // Buffers are bound by the names they have in the shader; kinds are checked here, not by the driver.
//! // The second argument is the number of workgroups, split over a 2-D grid where it passes 65 535.
//! let mut recording = Recording::new();
//! let bound = [x.named("x"), roots.named("roots"), powers.named("powers"), fractions.named("fractions")];
//! recording.dispatch(&kernel, 1, &64u32, &bound)?;
//! gpu.run(recording)?;
//! let roots: Vec<f64> = roots.download()?;
//! # Ok(()) }
//! ```
//!
//! **Shaders.** A shader is `shaders/NAME.wgsl`, listed in [`shaders`]. `#import NAME` on a line of its own pulls
//! in `shaders/shared/NAME.wgsl`, `#import NAME_real` that of the precision. One source serves both: `alias real = f32;`
//! becomes `f64`. Every line `const NAME: u32 = VALUE;` and `alias NAME = TYPE;` is a template
//! parameter: the file is valid WGSL with its defaults, [`Variant::set`] puts another value. Group 0, binding 0 is
//! the uniform `args` (a struct as [`bytemuck::Pod`]); storage buffers follow from binding 1 on.
//! A kernel finds which workgroup it is by `workgroup_index` of `shared/grid.wgsl` and must return when that is
//! not below the count it finds in its `args`: the 2-D grid may hold a few workgroups more than asked for.

mod adapter;
pub mod banded;
mod buffer;
pub mod cholesky;
pub mod decorrelate;
mod device;
mod error;
pub mod fault_injection;
pub mod goodness;
mod in_flight;
pub mod jacobi;
mod kernel;
mod limits;
pub(crate) mod memory;
pub mod model;
pub mod normal_equations;
pub mod patch;
mod reals;
mod reflect;
pub mod schur;
mod selftest;
pub mod shaders;
pub mod spots;
mod timestamps;
pub mod traces;

pub(crate) use adapter::instruction_set;
pub use adapter::{Device, DeviceChoice, DeviceEntry, DeviceKind, list};
pub use buffer::{Buffer, Download, Element, Named, ScalarKind};
pub use device::{Gpu, OpenOptions};
pub use error::GpuError;
pub use kernel::{Kernel, Recording};
pub use limits::{DEFAULT_MEMORY, GpuLimits};
pub use memory::MemoryUse;
pub use reals::{Precision, Reals, RealsDownload};
pub use shaders::Variant;
pub use timestamps::Pass;
