//! Spectra as files want them on the GPU: one thread per bin of a fibre.

use super::args::kernel_args;
use super::{Gpu, GpuError, Reals, Recording, Variant};
use crate::stages::finish::FinishShape;
use std::ops::Range;

/// Invocations of a workgroup.
const THREADS: usize = 64;

kernel_args! {
    struct Args {
        count: u32,
        first: u32,
        nfibre: u32,
        bundle: u32,
        nbin: u32,
        core_first: u32,
        ncore: u32,
        take_first: u32,
        take: u32,
        goodness_bins: u32,
        goodness_first: u32,
        r_half: u32,
        with_x: u32,
    }
}

pub(super) fn variants() -> Vec<Variant> {
    vec![variant()]
}

fn variant() -> Variant {
    Variant::new("finish").set("THREADS", THREADS)
}

/// Allocates the finished spectra of a group, `[fibre]` of [`FinishShape::finished_len`] values.
///
/// # Errors
/// [`GpuError::TooLarge`] if they exceed a binding, [`GpuError::OutOfMemory`] if the device is full.
pub fn finished(gpu: &Gpu, shape: &FinishShape) -> Result<Reals, GpuError> {
    gpu.scratch_reals("finished", shape.nfibre * shape.finished_len())
}

/// Writes some bins, counted from the grid's first, of all fibres; the twin of [`crate::stages::finish::finish`].
///
/// # Errors
/// [`GpuError::Length`] if an array has another length, [`GpuError::OutOfMemory`] if the device is full.
pub fn finish(
    shape: &FinishShape,
    bins: Range<usize>,
    spectra: &Reals,
    x: &Reals,
    (goodness, goodness_bins, goodness_first): (&Reals, usize, usize),
    finished: &Reals,
) -> Result<(), GpuError> {
    let gpu = finished.gpu();
    spectra.expect_len(shape.nfibre * shape.nbin * (2 * shape.half + 4))?;
    x.expect_len(shape.nfibre * shape.nbin)?;
    goodness.expect_len(3 * shape.nfibre * goodness_bins)?;
    finished.expect_len(shape.nfibre * shape.finished_len())?;
    let args = Args {
        count: 0,
        first: 0,
        nfibre: shape.nfibre as u32,
        bundle: shape.bundle as u32,
        nbin: shape.nbin as u32,
        core_first: shape.core_first as u32,
        ncore: shape.ncore as u32,
        take_first: bins.start as u32,
        take: bins.len() as u32,
        goodness_bins: goodness_bins as u32,
        goodness_first: goodness_first as u32,
        r_half: shape.half as u32,
        with_x: u32::from(shape.with_x),
    };
    let kernel = gpu.kernel(&variant(), "columns")?;
    let bound =
        [spectra.named("spectra"), x.named("deconvolved"), goodness.named("goodness"), finished.named("finished")];
    let mut recording = Recording::new();
    for items in gpu.dispatches(shape.nfibre * bins.len(), 2 * (2 * shape.half + 8) as u64) {
        let args = Args { count: items.len() as u32, first: items.start as u32, ..args };
        recording.dispatch(&kernel, items.len().div_ceil(THREADS), &args, &bound)?;
    }
    gpu.run(recording)
}
