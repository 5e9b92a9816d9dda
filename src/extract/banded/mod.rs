//! Whole bundles by banded linear algebra (`--solver banded`): exact to a tolerance, at a cost linear in bins and fibres.

mod cpu;
mod gpu;
mod rows;

use super::assemble::FrameBuilder;
use super::{ExtractError, Options, Progress};
use crate::backend::{CcdField, Engine};
use crate::geometry::Ccd;
use crate::geometry::WaveGrid;
use crate::gpu::Precision;
use crate::plan::Bundle;
use crate::psf::Psf;
use crate::stages::banded::{BandedNormal, banded_normal_equations, half_bandwidth, psf_correlation_length};
use crate::stages::normal_equations::Prior;
use crate::stages::spots::SpotSource;
use crate::stages::traces::{legendre, unit};

/// Fewest bins beyond each end of the grid, extracted and thrown away: with 12 the first and the last bin are 3e-2 sigma off.
const FEWEST_BEYOND_ENDS: usize = 30;

/// Error of flux where none is asked for, sigma: in f64, and on a device in f32.
const TOLERANCE: f64 = 1e-5;
const TOLERANCE_F32: f64 = 1e-3;

/// Error of flux that a device may make, sigma.
fn tolerance(options: &Options, precision: Precision) -> f64 {
    options.tolerance.unwrap_or(match precision {
        Precision::F32 => TOLERANCE_F32,
        Precision::F64 => TOLERANCE,
    })
}

/// Extracts the selected fibres of all bundles into `frame`, on the GPU where the engine has one for all stages.
///
/// # Errors
/// The PSF couples bins or fibres over larger distances than the method allows; what a device reports.
pub fn extract_bundles(
    psf: &Psf,
    ccd: &CcdField,
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

/// The normal equations of a fibre that is alone on a CCD without defects, as narrow as it can be.
pub fn fibre_alone(psf: &Psf, fibre: usize, wave: &[f64], options: &Options) -> BandedNormal {
    let mut psf = psf.clone();
    let x = |&w: &f64| legendre(psf.trace_x.of(fibre), unit(psf.trace_x.domain, w));
    let ends = wave.iter().map(x).fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(x), high.max(x)));
    let margin = psf.half_x + 1;
    let (first, shift) = (fibre * psf.trace_x.ncoeff, ends.0.floor() - margin as f64);
    // A trace whose positions f64 does not hold stays where it is.
    psf.update(|parts| parts.trace_x.coeff[first] -= shift).ok();
    let (ny, nx) = (psf.npix_y, (ends.1 - ends.0).ceil().min(psf.npix_x as f64) as usize + 2 * margin + 1);
    let (image, ivar) = (vec![0.0; ny * nx], vec![1.0; ny * nx]);
    let spots = SpotSource::new(&psf, fibre..fibre + 1, wave, options.psf_tails);
    let half = half_bandwidth(&spots.positions());
    let ccd = Ccd::new(ny, nx, image, ivar).expect("both planes are made here");
    banded_normal_equations(&spots, &ccd, half, Prior::new(options.regularize))
}

/// Bins beyond each end of the grid: what the tolerance needs.
pub fn beyond_ends(psf: &Psf, grid: &WaveGrid, options: &Options) -> usize {
    let tolerance = options.tolerance.unwrap_or(TOLERANCE);
    let length = psf_correlation_length(psf, grid, options.psf_tails, tolerance);
    // R's diagonals stay on the padded grid.
    length.max(FEWEST_BEYOND_ENDS).max(psf.ndiag() / 2)
}
