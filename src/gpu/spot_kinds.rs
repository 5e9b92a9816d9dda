//! The spots of every kind of PSF on the GPU: which kernel makes them, and what it holds.

use super::spot_grid::{self, GridImages};
use super::spot_images::{self, PowerImages};
use super::spots;
use super::traces::Traces;
use super::{Gpu, GpuError, Reals};
use crate::psf::{Remainder, SpotImages};
use crate::stages::spots::{SpotKind, SpotModel};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Images on a device, of the kinds that have any.
#[derive(Clone, Debug)]
pub enum SentImages {
    /// Of a grid, or one that serves everywhere.
    Grid(Arc<GridImages>),
    /// With powers of the position.
    Powers(Arc<PowerImages>),
}

/// Returns the bytes of the images of a PSF on a device, 0 for kinds without. None if no kernel of the device serves its spots.
pub fn bytes_served(gpu: &Gpu, model: &SpotModel) -> Option<u64> {
    let (values, pixels) = match model.kind() {
        SpotKind::Hermite => return spots::serves(gpu, model.shape(), None).then_some(0),
        SpotKind::TwoCores(degrees) => return spots::serves(gpu, model.shape(), Some(*degrees)).then_some(0),
        SpotKind::Grid(images) => (images.phases().len(), pixels(images)),
        SpotKind::Polynomial(images) => (images.parts().images.len(), Some(images.parts().ny * images.parts().nx)),
    };
    let bytes = gpu.real_bytes(values);
    let fits = bytes <= gpu.limits().binding_bytes && 8 * bytes <= gpu.memory();
    let fits_workgroup = pixels.is_none_or(|pixels| spot_images::room(pixels).is_some());
    (fits && fits_workgroup).then_some(bytes)
}

/// Returns the pixels of an image that a workgroup holds, to move it by a sinc.
fn pixels(images: &SpotImages) -> Option<usize> {
    let [rows, columns] = images.size();
    (images.parts().remainder == Remainder::Sinc).then_some(rows * columns)
}

/// Computes the spots of `bins` of all fibres, `[nfibre, bins, ny, nx]`; the twin of [`SpotModel::spots`]. Images stay on the device
/// as long as `held`.
///
/// # Errors
/// [`GpuError::Limit`] if spots of a kind that [`bytes_served`] refuses exceed workgroup memory. [`GpuError::TooLarge`] if the
/// spots or images exceed a binding; [`GpuError::OutOfMemory`] if the device is full.
pub fn spots(
    traces: &Traces,
    model: &SpotModel,
    held: &OnceLock<SentImages>,
    bins: Range<usize>,
) -> Result<Reals, GpuError> {
    let (gpu, shape) = (traces.offset.gpu(), model.shape());
    if held.get().is_none() {
        let sent = match model.kind() {
            SpotKind::Hermite => None,
            SpotKind::TwoCores(_) => None,
            SpotKind::Grid(images) => Some(SentImages::Grid(GridImages::of(gpu, images)?)),
            SpotKind::Polynomial(images) => Some(SentImages::Powers(PowerImages::of(gpu, images)?)),
        };
        // A faster thread has stored the same.
        sent.map(|sent| held.set(sent));
    }
    match (model.kind(), held.get()) {
        (SpotKind::Hermite, _) => spots::spots(traces, shape, bins),
        (SpotKind::TwoCores(degrees), _) => spots::spots_of_two_cores(traces, shape, *degrees, bins),
        (SpotKind::Grid(images), Some(SentImages::Grid(sent))) => match images.parts().remainder {
            Remainder::Linear => spot_grid::spots(traces, shape, (images, sent), bins),
            Remainder::Sinc => spot_images::spots_of_one_image(traces, shape, (images, sent), bins),
        },
        (SpotKind::Polynomial(images), Some(SentImages::Powers(sent))) => {
            spot_images::spots_of_powers(traces, shape, (images, sent), bins)
        }
        (SpotKind::Grid(_) | SpotKind::Polynomial(_), _) => unreachable!("images have been sent"),
    }
}
