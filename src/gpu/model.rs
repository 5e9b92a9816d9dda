//! Model images on the GPU: one workgroup a row of a patch.

use super::patch::Patches;
use super::{Buffer, GpuError, Recording, Variant};

/// Invocations of a workgroup: a patch is about 70 columns wide.
const THREADS: usize = 64;

pub(super) fn variants() -> Vec<Variant> {
    vec![variant()]
}

fn variant() -> Variant {
    Variant::new("model").set("THREADS", THREADS)
}

/// Model images A x of a batch, one after another, each `[ny, nx]` of its patch, as
/// [`crate::stages::model::add_model`] on an empty image; `x` is `[patch, n]`.
///
/// # Errors
/// [`GpuError::Length`] where x has another length, [`GpuError::TooLarge`] where the batch is beyond a binding; what
/// the driver reports.
pub fn model(patches: &Patches, x: &Buffer<f32>) -> Result<Buffer<f32>, GpuError> {
    let (gpu, batch) = (patches.gpu(), patches.batch);
    x.expect_len(batch.len() * batch.n())?;
    let reach = gpu.zeros::<u32>("reach", 2 * patches.rows())?;
    let model = gpu.zeros("model", patches.npix())?;
    let [spots, pixel, table] = patches.bound();
    let mut recording = Recording::new();
    let items = 0..batch.len();
    let bound = [pixel, table, reach.named("reach")];
    recording.dispatch(&gpu.kernel(&variant(), "reaches")?, items.len(), &patches.args(&items, 0), &bound)?;
    let bound = [spots, pixel, table, x.named("flux"), reach.named("reach"), model.named("model")];
    let kernel = gpu.kernel(&variant(), "images")?;
    // A pixel tries the spots that reach its row, about as many a fibre as a spot has rows.
    let operations = 8 * patches.most_columns() * batch.nspec * patches.spots.shape.ny();
    for items in gpu.dispatches(batch.len() * patches.most_rows(), operations as u64) {
        recording.dispatch(&kernel, items.len(), &patches.args(&items, 0), &bound)?;
    }
    gpu.run(recording)?;
    Ok(model)
}
