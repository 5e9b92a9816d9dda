//! The test device: the GPU that SPEXTRAL_TEST_DEVICE names, or llvmpipe. Without it tests are ignored; with
//! SPEXTRAL_REQUIRE_GPU=1 they fail.

use crate::ignore;
use spextral::gpu::{Device, DeviceChoice, Gpu, GpuError, OpenOptions, Precision};

/// Returns the name of the test device.
pub fn device_name() -> String {
    std::env::var("SPEXTRAL_TEST_DEVICE").unwrap_or_else(|_| "llvmpipe".to_string())
}

/// Opens the test device with all that its adapter grants.
pub fn gpu() -> Gpu {
    open(&OpenOptions::default())
}

/// Opens the test device with WebGPU's default limits.
pub fn gpu_with_default_limits() -> Gpu {
    open(&OpenOptions { webgpu_defaults: true, ..OpenOptions::default() })
}

/// Opens the test device with WebGPU's default limits, in f32, and in f64 if it has f64.
pub fn in_each_precision() -> Vec<Gpu> {
    let fine = OpenOptions { webgpu_defaults: true, needs_f64: true, ..OpenOptions::default() };
    let fine = try_open(&fine).map(|gpu| gpu.with_f64().unwrap());
    if let Err(error) = &fine {
        crate::note(format!("f32 alone: {error}"));
    }
    [Some(gpu_with_default_limits()), fine.ok()].into_iter().flatten().collect()
}

/// Opens the test device with f64; ignores the test if it has none.
pub fn open_with_f64(options: &OpenOptions) -> Gpu {
    open(&OpenOptions { needs_f64: true, ..options.clone() })
}

/// Opens the test device.
pub fn open(options: &OpenOptions) -> Gpu {
    try_open(options).unwrap_or_else(|error| ignore(error.to_string()))
}

/// Returns the bound of an error in the precision of a device.
pub fn allowed(gpu: &Gpu, in_f32: f64, in_f64: f64) -> f64 {
    match gpu.precision() {
        Precision::F32 => in_f32,
        Precision::F64 => in_f64,
    }
}

/// Opens the test device; the error if it is absent or lacks f64.
fn try_open(options: &OpenOptions) -> Result<Gpu, GpuError> {
    let name = device_name();
    let Ok(choice) = name.parse::<DeviceChoice>();
    match Device::open(&choice, options) {
        Ok(Device::Gpu(gpu)) => Ok(gpu),
        Ok(Device::Cpu) => panic!("SPEXTRAL_TEST_DEVICE={name} is no GPU"),
        Err(error @ GpuError::NoSuchDevice { .. }) => {
            let required = std::env::var("SPEXTRAL_REQUIRE_GPU").is_ok_and(|value| value == "1");
            assert!(!required, "SPEXTRAL_REQUIRE_GPU=1, but {error}");
            Err(error)
        }
        Err(error @ GpuError::NoF64 { .. }) => Err(error),
        Err(error) => panic!("{error}"),
    }
}
