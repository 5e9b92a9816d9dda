//! Whole bundles by banded linear algebra (`--solver banded`): exact to a tolerance, at a cost linear in bins and fibres.

mod cpu;
mod gpu;

use super::assemble::FrameBuilder;
use super::{ExtractError, Options, Progress};
use crate::engine::{Engine, EngineCcd};
use crate::plan::{Bundle, WaveGrid};
use crate::psf::Psf;
use crate::stages::banded::psf_correlation_length;

/// Fewest bins beyond each end of the grid, extracted and thrown away: with 12 the first and the last bin are 3e-2 sigma off.
const FEWEST_BEYOND_ENDS: usize = 30;

/// Error of flux where none is asked for, sigma, in f64 and in f32.
const TOLERANCE: f64 = 1e-5;
const TOLERANCE_F32: f64 = 1e-3;

/// Extracts the selected fibres of all bundles into `frame`, on the GPU where the engine has one for all stages.
///
/// # Errors
/// The PSF couples bins or fibres over larger distances than the method allows; what a device reports.
pub fn extract_bundles(
    psf: &Psf,
    ccd: &EngineCcd,
    grid: &WaveGrid,
    options: &Options,
    engine: &Engine,
    bundles: &[Bundle],
    frame: &mut FrameBuilder,
    progress: Progress,
) -> Result<(), ExtractError> {
    if engine.is_banded_on_gpu() {
        return gpu::extract_bundles(psf, ccd, grid, options, engine, bundles, frame, progress);
    }
    if engine.is_gpu() {
        tracing::warn!("a stage is on the CPU, so all of the banded solver is");
    }
    cpu::extract_bundles(psf, ccd, grid, options, engine, bundles, frame, progress)
}

/// Bins beyond each end of the grid: what the tolerance needs.
pub fn beyond_ends(psf: &Psf, grid: &WaveGrid, options: &Options) -> usize {
    let tolerance = options.tolerance.unwrap_or(TOLERANCE);
    let length = psf_correlation_length(psf, grid, options.psf_tails, tolerance);
    // R's diagonals stay on the padded grid.
    length.max(FEWEST_BEYOND_ENDS).max(psf.ndiag() / 2)
}
