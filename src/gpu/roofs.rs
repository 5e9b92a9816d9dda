//! Roofs of a device, measured: multiply-adds, a copy through its memory, transfers to and from it.

use super::{Gpu, GpuError, Kernel, Reals, Recording, Variant};
use std::sync::Arc;
use std::time::Instant;

/// Invocations of a workgroup.
const THREADS: usize = 64;

/// Turns of the loop of multiply-adds.
const TURNS: usize = 256;

/// Multiply-adds of a turn.
const OF_A_TURN: usize = 32;

/// Values of a copy or transfer: 64 MiB of f32, far beyond caches.
const VALUES: usize = 16 << 20;

/// Threads of multiply-adds at the first try, and the factor to the next.
const FIRST_THREADS: usize = 1 << 12;
const FACTOR: usize = 8;
const MOST_THREADS: usize = 1 << 21;

/// Seconds that a measurement should take at least.
const LEAST_SECONDS: f64 = 0.02;

/// Runs of each; the fastest counts.
const RUNS: usize = 3;

pub(super) fn variants() -> Vec<Variant> {
    vec![variant()]
}

fn variant() -> Variant {
    Variant::new("roofs").set("THREADS", THREADS).set("TURNS", TURNS)
}

/// The most that a device does per second.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Roofs {
    /// Floating-point operations per second in the precision of the handle, a multiply-add counting as two.
    pub operations: f64,
    /// Bytes per second through the device's memory, read and written.
    pub copy: f64,
    /// Bytes per second from the host to the device.
    pub up: f64,
    /// Bytes per second from the device to the host.
    pub down: f64,
}

/// Measures the roofs of a device.
///
/// # Errors
/// [`GpuError`] if the device fails.
pub fn measure(gpu: &Gpu) -> Result<Roofs, GpuError> {
    let (x, y) = (gpu.reals("x", VALUES)?, gpu.reals("y", VALUES)?);
    let bytes = gpu.real_bytes(VALUES) as f64;
    let multiply_adds = gpu.kernel(&variant(), "multiply_adds")?;
    let copies = gpu.kernel(&variant(), "copies")?;
    let run = |kernel: &Arc<Kernel>, threads: usize| seconds(|| dispatch(gpu, kernel, threads, &x, &y));
    let (mut threads, mut time) = (FIRST_THREADS, run(&multiply_adds, FIRST_THREADS)?);
    while time < LEAST_SECONDS && threads < MOST_THREADS {
        threads *= FACTOR;
        time = run(&multiply_adds, threads)?;
    }
    let operations = (2 * OF_A_TURN * TURNS * threads) as f64 / time;
    let copy = 2.0 * bytes / run(&copies, VALUES)?;
    let host = vec![0f32; VALUES];
    let plane = gpu.zeros::<f32>("plane", VALUES)?;
    let bytes = (size_of::<f32>() * VALUES) as f64;
    let up = || {
        plane.write(&host)?;
        gpu.wait()
    };
    let up = bytes / seconds(up)?;
    let down = bytes / seconds(|| plane.download().map(drop))?;
    Ok(Roofs { operations, copy, up, down })
}

fn dispatch(gpu: &Gpu, kernel: &Arc<Kernel>, threads: usize, x: &Reals, y: &Reals) -> Result<(), GpuError> {
    let mut recording = Recording::new();
    recording.dispatch(kernel, threads.div_ceil(THREADS), &(threads as u32), &[x.named("x"), y.named("y")])?;
    gpu.run(recording)?;
    gpu.wait()
}

/// Returns the seconds of the fastest of some runs.
fn seconds(work: impl Fn() -> Result<(), GpuError>) -> Result<f64, GpuError> {
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let start = Instant::now();
        work()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(best.max(1e-9))
}
