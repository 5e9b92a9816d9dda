//! Model images on the GPU: one workgroup per strip of a patch.

use super::patch::Patches;
use super::shaders::STRIP_ROWS;
use super::{GpuError, Reals, Recording, Variant};

/// Invocations of a workgroup: a patch is about 70 columns wide, a bundle 190.
const THREADS: usize = 64;

/// Approximate number of fibres whose spots overlap at a pixel.
const OVERLAPPING: usize = 3;

pub(super) fn variants() -> Vec<Variant> {
    vec![variant()]
}

fn variant() -> Variant {
    Variant::new("model").set("THREADS", THREADS)
}

/// Returns how many words mark the spots that reach each strip of patches of up to `most_rows` rows and `nspec` fibres.
pub(crate) fn marks(patches: usize, most_rows: usize, nspec: usize) -> usize {
    4 * patches * most_rows.div_ceil(STRIP_ROWS) * nspec
}

/// The layout of the unknowns' flux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknowns {
    /// `[patch, nbin, nspec]`: each patch has its own unknowns.
    OfPatches,
    /// `[patch, bins of the bundle, nspec]`: patches are whole bundles, or their windows of bins.
    OfBundles,
}

/// Computes the model images A x of a batch, one after another, each `[ny, nx]` of its patch. Twin of
/// [`crate::stages::model::add_model`] on an empty image.
///
/// # Errors
/// [`GpuError::Length`] if x has another length, [`GpuError::TooLarge`] if the batch exceeds a binding,
/// [`GpuError::OutOfMemory`] if the device is full.
pub fn model(patches: &Patches, x: &Reals, unknowns: Unknowns) -> Result<Reals, GpuError> {
    let (gpu, batch) = (patches.gpu(), patches.batch);
    let of_patch = match unknowns {
        Unknowns::OfPatches => batch.n(),
        Unknowns::OfBundles => patches.spots.nbin * batch.nspec,
    };
    x.expect_len(batch.len() * of_patch)?;
    let reach = gpu.zeros::<u32>("reach", marks(batch.len(), patches.most_rows(), batch.nspec))?;
    let model = gpu.scratch_reals("model", patches.npix())?;
    let [spots, pixel, table] = patches.bound();
    let mut recording = Recording::new();
    let spots_of = 0..batch.len() * batch.n();
    let bound = [pixel, table, reach.named("marks")];
    let kernel = gpu.kernel(&variant(), "reaches")?;
    recording.dispatch(&kernel, spots_of.len().div_ceil(THREADS), &patches.args(&spots_of, 0), &bound)?;
    let bound = [spots, pixel, table, x.named("flux"), reach.named("reach"), model.named("model")];
    let kernel = gpu.kernel(&variant(), "images")?;
    // A column of a strip tests every fibre, and tries the spots of those that reach it.
    let tried = OVERLAPPING * (patches.spots.shape.ny() + STRIP_ROWS);
    let operations = 4 * patches.most_columns() * (batch.nspec + STRIP_ROWS * tried);
    for items in gpu.dispatches(batch.len() * patches.most_rows().div_ceil(STRIP_ROWS), operations as u64) {
        let mut args = patches.args(&items, 0);
        args.flux_patch = of_patch as u32;
        args.flux_bin = if unknowns == Unknowns::OfBundles { batch.nspec as u32 } else { 0 };
        recording.dispatch(&kernel, items.len(), &args, &bound)?;
    }
    gpu.run(recording)?;
    Ok(model)
}
