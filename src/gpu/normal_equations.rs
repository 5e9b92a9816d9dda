//! Normal equations on the GPU: one workgroup per row of K.

use super::patch::{Args, CcdBuffers, Patches};
use super::{GpuError, Reals, Recording, Variant};
use crate::plan::Batch;
use std::ops::Range;

/// Invocations of a workgroup: a row of K has about a hundred elements.
const THREADS: usize = 64;

/// Values of workgroup memory for a spot, one variant each; in f32 the largest leaves room for the sums in 16 KiB.
const SPOT: [usize; 4] = [256, 512, 1024, 4096 - 4 * THREADS];

/// Normal equations of a batch on a device; unknowns are ordered bin by bin.
#[derive(Clone, Debug)]
pub struct NormalEquations {
    /// K with its prior, `[patch, n, half_bandwidth + 1]`, row-aligned lower band storage.
    pub band: Reals,
    /// y, `[patch, n]`.
    pub rhs: Reals,
    /// Flux weight A^T W 1 and part on good pixels of every spot, `[patch, n, 2]`.
    pub flux_weight: Reals,
}

pub(super) fn variants() -> Vec<Variant> {
    SPOT.into_iter().map(variant).collect()
}

fn variant(spot: usize) -> Variant {
    Variant::new("normal_equations").set("THREADS", THREADS).set("SPOT", spot)
}

/// Forms the normal equations of a batch; the twin of [`crate::stages::normal_equations::normal_equations`].
///
/// # Errors
/// [`GpuError::Limit`] if a spot exceeds workgroup memory, [`GpuError::TooLarge`] if the batch exceeds a binding,
/// [`GpuError::OutOfMemory`] if the device is full.
pub fn normal_equations(patches: &Patches, ccd: &CcdBuffers) -> Result<NormalEquations, GpuError> {
    let (gpu, batch) = (patches.gpu(), patches.batch);
    let size = patches.spots.shape.size();
    let spot = SPOT.into_iter().find(|&s| s >= size).ok_or_else(|| GpuError::Limit {
        what: "pixels of a spot in workgroup memory".to_string(),
        value: size as u64,
        limit: SPOT[SPOT.len() - 1] as u64,
    })?;
    let n = batch.len() * batch.n();
    let out = NormalEquations {
        band: gpu.reals("band", batch.len() * batch.band_len())?,
        rhs: gpu.reals("rhs", n)?,
        flux_weight: gpu.reals("flux_weight", 2 * n)?,
    };
    let args = |items: &Range<usize>| patches.args(items, ccd.nx);
    let mut recording = Recording::new();
    let [spots, pixel, table] = patches.bound();
    let (band, weight) = (out.band.named("band"), out.flux_weight.named("flux_weight"));
    let (image, ivar) = (ccd.image.named("image"), ccd.ivar.named("ivar"));
    let rows = [spots, pixel, table, image, ivar, band, out.rhs.named("rhs"), weight];
    let kernel = gpu.kernel(&variant(spot), "rows")?;
    // Half of a row's spots overlap with half of its own: a product and a sum each.
    let operations = (batch.half_bandwidth + 1) * size / 2;
    for items in gpu.dispatches(n, operations as u64) {
        recording.dispatch(&kernel, items.len(), &args(&items), &rows)?;
    }
    let items = 0..batch.len();
    recording.dispatch(&gpu.kernel(&variant(spot), "prior")?, items.len(), &args(&items), &[table, band, weight])?;
    gpu.run(recording)?;
    Ok(out)
}

/// Expands K of a batch from band storage to all its elements, `[patch, n, n]`.
///
/// # Errors
/// [`GpuError::Length`] if the band is of another batch, [`GpuError::TooLarge`] if the batch exceeds a binding,
/// [`GpuError::OutOfMemory`] if the device is full.
pub fn full_matrix(batch: &Batch, band: &Reals) -> Result<Reals, GpuError> {
    let gpu = band.gpu();
    band.expect_len(batch.len() * batch.band_len())?;
    let rows = 0..batch.len() * batch.n();
    let full = gpu.reals("full", rows.len() * batch.n())?;
    let mut recording = Recording::new();
    let kernel = gpu.kernel(&variant(SPOT[0]), "full_rows")?;
    let bound = [band.named("band"), full.named("full")];
    recording.dispatch(&kernel, rows.len(), &Args::of_batch(batch, &rows), &bound)?;
    gpu.run(recording)?;
    Ok(full)
}
