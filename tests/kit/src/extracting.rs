//! Engines and extractions. Tests build and call them here alone, so that a new signature changes this file.

use spextral::backend::{Engine, Stage};
use spextral::extract::{self, ExtractError, Extraction, Job, Options};
use spextral::geometry::{Ccd, WaveGrid};
use spextral::gpu::Gpu;
use spextral::psf::Psf;

/// Returns the CPU backend.
pub fn cpu() -> Engine {
    Engine::cpu()
}

/// Returns the backend of a GPU.
pub fn on(gpu: &Gpu) -> Engine {
    Engine::on_gpu(gpu.clone(), &[])
}

/// Returns the backend of a GPU with some stages on the CPU.
pub fn on_except(gpu: &Gpu, on_cpu: &[Stage]) -> Engine {
    Engine::on_gpu(gpu.clone(), on_cpu)
}

/// Extracts a frame; the error if it cannot be extracted.
pub fn try_extract(
    psf: &Psf,
    ccd: &Ccd,
    grid: &WaveGrid,
    options: &Options,
    engine: &Engine,
) -> Result<Extraction, ExtractError> {
    let job = Job::new(psf, ccd, grid, options)?;
    extract::extract(&job, engine, &|_, _| {})
}

/// Extracts a frame.
#[track_caller]
pub fn extract(psf: &Psf, ccd: &Ccd, grid: &WaveGrid, options: &Options, engine: &Engine) -> Extraction {
    try_extract(psf, ccd, grid, options, engine).unwrap()
}

/// Runs `work` on a number of CPU threads.
pub fn in_pool<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}
