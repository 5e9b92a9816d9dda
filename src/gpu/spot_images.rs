//! Spots of one image, or of images with powers of the position, on the GPU, moved by a sinc: one workgroup per spot.

use super::args::kernel_args;
use super::sent::{OnDevice, Sent};
use super::spot_grid::{GridImages, start};
use super::traces::Traces;
use super::{Buffer, Gpu, GpuError, Reals, Recording, Variant};
use crate::geometry::SpotShape;
use crate::psf::{PolynomialImages, SpotImages, SpotNorm};
use std::ops::Range;
use std::sync::Arc;

/// Invocations of a workgroup: an image of BOSS has 1681 pixels. At least the 42 taps of both axes.
const THREADS: usize = 64;

/// Values of workgroup memory for an image, one variant each; in f32 twice the largest nearly fills WebGPU's 16 KiB.
const PIXELS: [usize; 4] = [256, 512, 1024, 1920];

/// Operations per pixel: two sincs of 21 taps.
const OPERATIONS: u64 = 84;

kernel_args! {
    #[derive(Default)]
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
        terms: u32,
        groups: u32,
        total: u32,
    }
}

pub(super) fn variants() -> Vec<Variant> {
    PIXELS.into_iter().map(variant).collect()
}

fn variant(pixels: usize) -> Variant {
    Variant::new("spot_images").set("THREADS", THREADS).set("PIXELS", pixels)
}

/// Returns the workgroup memory for an image of so many pixels, in values; none if it has too many.
pub(super) fn room(pixels: usize) -> Option<usize> {
    PIXELS.into_iter().find(|&most| most >= pixels)
}

/// Images with powers of the position on a device.
#[derive(Clone, Debug)]
pub struct PowerImages {
    powers: Buffer<u32>,
    images: Reals,
}

/// Images with powers that are on a device.
static SENT: Sent<PolynomialImages, PowerImages> = Sent::new();

impl OnDevice for PowerImages {
    fn reals(&self) -> &Reals {
        &self.images
    }
}

impl PowerImages {
    /// Returns the images on a device, sent unless they are there.
    ///
    /// # Errors
    /// [`GpuError::TooLarge`] if they exceed a binding, [`GpuError::OutOfMemory`] if the device is full.
    pub fn of(gpu: &Gpu, images: &Arc<PolynomialImages>) -> Result<Arc<Self>, GpuError> {
        let parts = images.parts();
        let powers: Vec<u32> = parts.powers.iter().flatten().map(|&power| power as u32).collect();
        SENT.of(gpu, images, || {
            Ok(Self { powers: gpu.upload("powers", &powers)?, images: gpu.upload_reals("images", &parts.images)? })
        })
    }
}

/// Computes the spots of `bins` of all fibres by one image, `[nfibre, bins, ny, nx]`; the twin of
/// [`SpotModel::spots`](crate::stages::spots::SpotModel::spots) of a MONOSPOT.
///
/// A displacement within rounding of a whole sample may count as the sample before.
///
/// # Errors
/// [`GpuError::Limit`] if the image exceeds workgroup memory; [`GpuError::TooLarge`] if the spots exceed a binding;
/// [`GpuError::OutOfMemory`] if the device is full.
pub fn spots_of_one_image(
    traces: &Traces,
    shape: &SpotShape,
    (images, sent): (&SpotImages, &GridImages),
    bins: Range<usize>,
) -> Result<Reals, GpuError> {
    let (parts, [rows, columns]) = (images.parts(), images.size());
    let first = |axis: usize, half: usize| (start(images, axis).0 + half as f64) as u32;
    let args = Args {
        rows: rows as u32,
        columns: columns as u32,
        oversampling: parts.oversampling as u32,
        first_x: first(1, shape.half_x),
        first_y: first(0, shape.half_y),
        total: (parts.norm == SpotNorm::Total).into(),
        ..Args::default()
    };
    let bound = [("places", Bound::Reals(&sent.places)), ("images", Bound::Reals(&sent.images))];
    run("spots_of_one_image", traces, shape, args, &bound, bins)
}

/// Computes the spots of `bins` of all fibres by images with powers of the position, `[nfibre, bins, ny, nx]`. Twin of
/// [`SpotModel::spots`](crate::stages::spots::SpotModel::spots) of a PCA-PIX PSF.
///
/// # Errors
/// [`GpuError::Limit`] if an image exceeds workgroup memory; [`GpuError::TooLarge`] if the spots exceed a binding;
/// [`GpuError::OutOfMemory`] if the device is full.
pub fn spots_of_powers(
    traces: &Traces,
    shape: &SpotShape,
    (images, sent): (&PolynomialImages, &PowerImages),
    bins: Range<usize>,
) -> Result<Reals, GpuError> {
    let parts = images.parts();
    traces.shape.expect_len(3 * traces.nfibre * traces.nbin)?;
    let args = Args {
        rows: parts.ny as u32,
        columns: parts.nx as u32,
        terms: parts.powers.len() as u32,
        groups: images.groups() as u32,
        ..Args::default()
    };
    let bound = [
        ("shape", Bound::Reals(&traces.shape)),
        ("powers", Bound::Words(&sent.powers)),
        ("images", Bound::Reals(&sent.images)),
    ];
    run("spots_of_powers", traces, shape, args, &bound, bins)
}

/// An input of one of the kernels.
enum Bound<'a> {
    Reals(&'a Reals),
    Words(&'a Buffer<u32>),
}

/// Runs a kernel over the spots of `bins`.
fn run(
    kernel: &'static str,
    traces: &Traces,
    shape: &SpotShape,
    args: Args,
    inputs: &[(&str, Bound<'_>)],
    bins: Range<usize>,
) -> Result<Reals, GpuError> {
    let gpu = traces.offset.gpu();
    let stride = traces.nfibre * traces.nbin;
    traces.offset.expect_len(2 * stride)?;
    let pixels = (args.rows * args.columns) as usize;
    let room = room(pixels).ok_or_else(|| GpuError::Limit {
        what: "pixels of an image in workgroup memory".to_string(),
        value: pixels as u64,
        limit: PIXELS[PIXELS.len() - 1] as u64,
    })?;
    let count = traces.nfibre * bins.len();
    let spots = gpu.scratch_reals("spots", count * shape.size())?;
    let of_items = |items: &Range<usize>| Args {
        count: items.len() as u32,
        first_spot: items.start as u32,
        nbin: traces.nbin as u32,
        first_bin: bins.start as u32,
        take: bins.len() as u32,
        stride: stride as u32,
        half_x: shape.half_x as u32,
        half_y: shape.half_y as u32,
        ..args
    };
    let mut recording = Recording::new();
    let kernel = gpu.kernel(&variant(room), kernel)?;
    let mut bound = vec![traces.offset.named("offset"), spots.named("spots")];
    bound.extend(inputs.iter().map(|(name, input)| match input {
        Bound::Reals(reals) => reals.named(name),
        Bound::Words(words) => words.named(name),
    }));
    let operations = (OPERATIONS + 2 * u64::from(args.terms)) * pixels as u64;
    for items in gpu.dispatches(count, operations) {
        recording.dispatch(&kernel, items.len(), &of_items(&items), &bound)?;
    }
    gpu.run(recording)?;
    Ok(spots)
}
