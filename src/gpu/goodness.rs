//! Goodness of fit on the GPU: chi^2 of every pixel, then sums over the spot of every bin.

use super::patch::{CcdBuffers, Patches};
use super::{GpuError, Reals, Recording, Variant};
use crate::psf::MOST_HALF_SIZE;

/// Invocations of a workgroup.
const THREADS: usize = 64;

/// Sums that a workgroup keeps, one per pair of columns of its spots.
const SUMS: usize = 256;
const _: () = assert!(MOST_HALF_SIZE < SUMS, "the widest spot fits");

/// Floating-point operations per pixel.
const OPERATIONS: u64 = 16;

pub(super) fn variants() -> Vec<Variant> {
    vec![variant()]
}

fn variant() -> Variant {
    Variant::new("goodness").set("THREADS", THREADS).set("SUMS", SUMS)
}

/// Computes chi2pix, pixmask_fraction and the fraction off the pixels of a batch's core bins, `[patch, core fibre, core bin, 3]`
/// over [`Patches::core_bins`]. Twin of [`crate::stages::goodness::goodness`]. `model` is from [`super::model::model`].
///
/// # Errors
/// [`GpuError::Length`] if the model has another length, [`GpuError::OutOfMemory`] if the device is full.
pub fn goodness(patches: &Patches, ccd: &CcdBuffers, model: &Reals, psferr: f64) -> Result<Reals, GpuError> {
    let gpu = patches.gpu();
    model.expect_len(patches.npix())?;
    let count = patches.batch.len() * patches.batch.core.len() * patches.core_bins().len();
    let (goodness, chi2) = (gpu.scratch_reals("goodness", 3 * count)?, gpu.scratch_reals("chi2", patches.npix())?);
    let [spots, pixel, table] = patches.bound();
    let (image, ivar) = (ccd.image.named("image"), ccd.ivar.named("ivar"));
    let mut recording = Recording::new();
    let kernel = gpu.kernel(&variant(), "pixels")?;
    let bound = [table, image, ivar, model.named("model"), chi2.named("chi2_out")];
    let rows = patches.batch.len() * patches.most_rows();
    for items in gpu.dispatches(rows, OPERATIONS * patches.most_columns() as u64) {
        let args = patches.args(&items, ccd.nx).with_psferr(psferr);
        recording.dispatch(&kernel, items.len(), &args, &bound)?;
    }
    let kernel = gpu.kernel(&variant(), "goodness_of_bins")?;
    let bound = [spots, pixel, table, chi2.named("chi2"), goodness.named("goodness")];
    for items in gpu.dispatches(count, OPERATIONS * patches.spots.shape.size() as u64) {
        let bins_per_group = (SUMS / patches.spots.shape.nx().div_ceil(2)).min(THREADS);
        let groups = items.len().div_ceil(bins_per_group);
        recording.dispatch(&kernel, groups, &patches.args(&items, ccd.nx), &bound)?;
    }
    gpu.run(recording)?;
    Ok(goodness)
}
