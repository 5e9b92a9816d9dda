//! Accuracy of a device, measured on the PSF.

use super::Job;
use super::precision::fibre_alone;
use crate::backend::BandedFailure;
use crate::gpu::Precision;
use crate::gpu::banded::Accuracy;
use crate::stages::banded::{BandedNormal, SolverParameters};
use rayon::prelude::*;

/// Fraction of the tolerance to which the correlation falls over the overlap of chunks on a device. The brightest bins are
/// hundreds of sigma, and beside masks bins are correlated farther.
const DECAY_OF_TOLERANCE: f64 = 1e-3;

/// Reads the accuracy of a device off the PSF on a CCD without defects: the same for all bundles and selections.
pub(super) fn accuracy(
    job: &Job,
    wave: &[f64],
    precision: Precision,
    tolerance: f64,
) -> Result<Accuracy, BandedFailure> {
    job.facts().accuracy(precision, || measure(job, wave, precision, tolerance))
}

fn measure(job: &Job, wave: &[f64], precision: Precision, tolerance: f64) -> Result<Accuracy, BandedFailure> {
    let fibres = [0, job.psf.nfibre / 2, job.psf.nfibre - 1];
    let of_fibre = |fibre: usize| overlap(job, wave, fibre, tolerance);
    let overlaps = fibres.into_par_iter().map(of_fibre).collect::<Result<Vec<usize>, _>>()?;
    let accuracy = Accuracy::of(precision, tolerance, overlaps.into_iter().max().unwrap_or(0));
    tracing::debug!(
        "{tolerance:.0e} sigma in {precision}: {} bins of overlap, {} fibres to each side where not all are taken, up to {} poles down to {:.0e}",
        accuracy.overlap,
        accuracy.depth,
        accuracy.poles.most(),
        accuracy.floor
    );
    Ok(accuracy)
}

/// Measures how far the bins of a fibre are correlated, at the largest of eight places.
fn overlap(job: &Job, wave: &[f64], fibre: usize, tolerance: f64) -> Result<usize, BandedFailure> {
    let normal = fibre_alone(job.psf, fibre, wave, job.options);
    // Each fibre is looked at in one place.
    let eight = BandedNormal { diagonal: vec![normal.diagonal[0].clone(); 8], ..normal };
    Ok(SolverParameters::measure(&eight, DECAY_OF_TOLERANCE * tolerance, job.grid.step(), 0, 0.0)?.overlap)
}
