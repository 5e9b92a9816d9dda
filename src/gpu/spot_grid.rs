//! Spots of images on a grid on the GPU, moved by bilinear weights: one workgroup per spot.

use super::args::kernel_args;
use super::sent::{OnDevice, Sent};
use super::traces::Traces;
use super::{Buffer, Gpu, GpuError, Reals, Recording, Variant};
use crate::geometry::SpotShape;
use crate::psf::{SpotImages, SpotNorm};
use std::ops::Range;
use std::sync::Arc;

/// Invocations of a workgroup: a spot of DESI's grid has 289 pixels.
const THREADS: usize = 64;

/// Images of a spot: two positions, two wavelengths of each, two displacements along either axis.
const TERMS: usize = 16;

kernel_args! {
    struct Args {
        count: u32,
        first_spot: u32,
        nbin: u32,
        first_bin: u32,
        take: u32,
        stride: u32,
        half_x: u32,
        half_y: u32,
        rows: u32,
        columns: u32,
        oversampling: u32,
        first_x: u32,
        first_y: u32,
        positions: u32,
        breaks: u32,
        total: u32,
    }
}

pub(super) fn variants() -> Vec<Variant> {
    vec![variant()]
}

fn variant() -> Variant {
    Variant::new("spot_grid").set("THREADS", THREADS).set("TERMS", TERMS)
}

/// Images of a grid on a device.
#[derive(Clone, Debug)]
pub struct GridImages {
    pub(super) places: Reals,
    index: Buffer<u32>,
    pub(super) images: Reals,
}

/// Images of a grid that are on a device.
static SENT: Sent<SpotImages, GridImages> = Sent::new();

impl OnDevice for GridImages {
    fn reals(&self) -> &Reals {
        &self.images
    }
}

impl GridImages {
    /// Returns the images of a grid on a device, sent unless they are there.
    ///
    /// # Errors
    /// [`GpuError::TooLarge`] if they exceed a binding, [`GpuError::OutOfMemory`] if the device is full.
    pub fn of(gpu: &Gpu, images: &Arc<SpotImages>) -> Result<Arc<Self>, GpuError> {
        SENT.of(gpu, images, || Self::upload(gpu, images))
    }

    /// Sends the images of a grid to a device.
    fn upload(gpu: &Gpu, images: &SpotImages) -> Result<Self, GpuError> {
        let parts = images.parts();
        let mut places = [1, 0].map(|axis| start(images, axis).1).to_vec();
        places.extend_from_slice(&parts.positions);
        places.extend(parts.breaks.iter().map(|(_, from)| *from));
        places.extend(parts.waves.iter().flatten());
        let mut index: Vec<u32> = images.first().iter().map(|&first| first as u32).collect();
        index.push(parts.count() as u32);
        index.extend(parts.breaks.iter().map(|(first, _)| *first as u32));
        Ok(Self {
            places: gpu.upload_reals("places", &places)?,
            index: gpu.upload("index", &index)?,
            images: gpu.upload_reals("images", images.phases())?,
        })
    }
}

/// Returns the first pixel of an image from its trace's, where that is at a pixel's centre, and the rest in 0..1.
pub(super) fn start(images: &SpotImages, axis: usize) -> (f64, f64) {
    let parts = images.parts();
    let start = 0.5 - (parts.centre[axis] + 0.5) / parts.oversampling as f64;
    (start.floor(), start - start.floor())
}

/// Computes the spots of `bins` of all fibres, `[nfibre, bins, ny, nx]`; the twin of
/// [`SpotModel::spots`](crate::stages::spots::SpotModel::spots) of a grid.
///
/// # Errors
/// [`GpuError::TooLarge`] if the spots exceed a binding, [`GpuError::OutOfMemory`] if the device is full.
pub fn spots(
    traces: &Traces,
    shape: &SpotShape,
    (images, sent): (&SpotImages, &GridImages),
    bins: Range<usize>,
) -> Result<Reals, GpuError> {
    let gpu = traces.offset.gpu();
    let stride = traces.nfibre * traces.nbin;
    traces.offset.expect_len(2 * stride)?;
    traces.shape.expect_len(2 * stride)?;
    let count = traces.nfibre * bins.len();
    let spots = gpu.scratch_reals("spots", count * shape.size())?;
    let (parts, [rows, columns]) = (images.parts(), images.size());
    let first = |axis: usize, half: usize| (start(images, axis).0 + half as f64) as u32;
    let args = |items: &Range<usize>| Args {
        count: items.len() as u32,
        first_spot: items.start as u32,
        nbin: traces.nbin as u32,
        first_bin: bins.start as u32,
        take: bins.len() as u32,
        stride: stride as u32,
        half_x: shape.half_x as u32,
        half_y: shape.half_y as u32,
        rows: rows as u32,
        columns: columns as u32,
        oversampling: parts.oversampling as u32,
        first_x: first(1, shape.half_x),
        first_y: first(0, shape.half_y),
        positions: parts.positions.len() as u32,
        breaks: parts.breaks.len() as u32,
        total: (parts.norm == SpotNorm::Total).into(),
    };
    let mut recording = Recording::new();
    let kernel = gpu.kernel(&variant(), "spots_of_grid")?;
    let bound = [
        traces.offset.named("offset"),
        traces.shape.named("shape"),
        sent.places.named("places"),
        sent.index.named("index"),
        sent.images.named("images"),
        spots.named("spots"),
    ];
    for items in gpu.dispatches(count, (2 * TERMS * shape.size()) as u64) {
        recording.dispatch(&kernel, items.len(), &args(&items), &bound)?;
    }
    gpu.run(recording)?;
    Ok(spots)
}
