//! GPU tests: they run on the device that SPEXTRAL_TEST_DEVICE names (llvmpipe where it is not set), are skipped
//! aloud where it is not there, and fail then where SPEXTRAL_REQUIRE_GPU=1.

mod again;
mod banded;
mod banded_frames;
mod banded_sim11;
mod case;
mod cholesky;
mod decorrelate;
mod device;
mod engine;
mod faults;
mod frames;
mod functions;
mod goodness;
mod jacobi;
mod kernels;
mod like;
mod matrices;
mod memory;
mod model;
mod normal_equations;
mod real;
mod schur;
#[path = "../stress/sound.rs"]
mod sound;
mod spots;
mod stress;
mod traces;
mod translation;
mod uniformity;
#[allow(dead_code)]
#[path = "../stress/worlds.rs"]
mod worlds;

use std::io::Write;
use std::sync::Once;

// Each test binary needs another part of it.
#[allow(dead_code)]
#[path = "../reference/shared.rs"]
mod shared;

use spextral::gpu::{Device, DeviceChoice, Gpu, GpuError, OpenOptions, Precision};

/// The test device with what its adapter grants; None, said aloud, where it is not there.
fn gpu() -> Option<Gpu> {
    open(&OpenOptions::default())
}

/// The test device with no more than WebGPU's default limits.
fn gpu_with_default_limits() -> Option<Gpu> {
    open(&OpenOptions { webgpu_defaults: true, ..Default::default() })
}

/// The test device with WebGPU's default limits in every precision it has.
fn in_each_precision() -> Vec<Gpu> {
    let fine = open(&OpenOptions { webgpu_defaults: true, needs_f64: true, ..Default::default() });
    gpu_with_default_limits().into_iter().chain(fine.map(|gpu| gpu.with_f64().unwrap())).collect()
}

/// What an error may be in the precision of a device.
fn allowed(gpu: &Gpu, in_f32: f64, in_f64: f64) -> f64 {
    match gpu.precision() {
        Precision::F32 => in_f32,
        Precision::F64 => in_f64,
    }
}

fn open(options: &OpenOptions) -> Option<Gpu> {
    let name = std::env::var("SPEXTRAL_TEST_DEVICE").unwrap_or_else(|_| "llvmpipe".to_string());
    let Ok(choice) = name.parse::<DeviceChoice>();
    match Device::open(&choice, options) {
        Ok(Device::Gpu(gpu)) => Some(gpu),
        Ok(Device::Cpu) => panic!("SPEXTRAL_TEST_DEVICE={name} is no GPU"),
        Err(error @ GpuError::NoSuchDevice { .. }) => {
            let required = std::env::var("SPEXTRAL_REQUIRE_GPU").is_ok_and(|value| value == "1");
            assert!(!required, "SPEXTRAL_REQUIRE_GPU=1, but {error}");
            // Past the test harness, which swallows what a passing test prints; once for all tests.
            static SAID: Once = Once::new();
            SAID.call_once(|| {
                let remedy = "install Mesa's software Vulkan (mesa-vulkan-drivers)";
                let _ = writeln!(std::io::stderr(), "GPU TESTS SKIPPED, no GPU to test on: {error}; {remedy}");
            });
            None
        }
        Err(error @ GpuError::NoF64 { .. }) => {
            static SAID: Once = Once::new();
            SAID.call_once(|| drop(writeln!(std::io::stderr(), "GPU TESTS IN F64 SKIPPED: {error}")));
            None
        }
        Err(error) => panic!("{error}"),
    }
}
