//! Decorrelation on the GPU: one workgroup per spectrum.

use super::args::kernel_args;
use super::{GpuError, Reals, Recording, Variant};
use std::ops::Range;

/// Invocations of a workgroup: a patch has 74 bins.
const THREADS: usize = 64;

/// Modes that fit in workgroup memory, one variant each: four numbers per mode, in f32 16 KiB at most.
const MODES: [usize; 3] = [128, 512, 1024];

/// Sizes that the patches of one batch share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Patches.
    pub npatch: usize,
    /// Fibres per patch.
    pub nspec: usize,
    /// Bins per patch.
    pub nbin: usize,
    /// Fibres to decorrelate, counted from a patch's first.
    pub core: Range<usize>,
    /// Diagonals of R to each side.
    pub half: usize,
}

/// Decorrelated spectra on a device; a spectrum is one core fibre of one patch.
#[derive(Clone, Debug)]
pub struct Decorrelated {
    /// R x, electron per bin, `[spectrum, nbin]`.
    pub flux: Reals,
    /// s^2, `[spectrum, nbin]`.
    pub ivar: Reals,
    /// Noise of a bin of x over that of a bin alone, `[spectrum, nbin]`.
    pub gain: Reals,
    /// Rows of R within `half` of the diagonal, `[spectrum, nbin, 2 half + 1]`.
    pub resolution: Reals,
}

kernel_args! {
    struct Args {
        count: u32,
        first: u32,
        nspec: u32,
        nbin: u32,
        ncore: u32,
        core: u32,
        n: u32,
        half: u32,
    }
}

pub(super) fn variants() -> Vec<Variant> {
    MODES.into_iter().map(variant).collect()
}

fn variant(modes: usize) -> Variant {
    Variant::new("decorrelate").set("THREADS", THREADS).set("MODES", modes)
}

/// Decorrelates the core fibres of a batch; the twin of [`crate::stages::decorrelate::decorrelate`].
///
/// `values` `[matrix, n]` ascend, and `vectors` `[matrix, n, n]` has one vector per row. With n = nbin there is one matrix per
/// spectrum. With n = nspec nbin there is one per patch, its unknowns bin by bin. `x` is the deconvolved flux,
/// `[patch, nbin, nspec]`.
///
/// # Errors
/// [`GpuError::Length`] if shapes do not fit, [`GpuError::Limit`] if n exceeds 1024, [`GpuError::OutOfMemory`] if the device is
/// full.
pub fn decorrelate(
    shape: &Shape,
    n: usize,
    values: &Reals,
    vectors: &Reals,
    x: &Reals,
) -> Result<Decorrelated, GpuError> {
    let gpu = values.gpu();
    let Shape { npatch, nspec, nbin, half, .. } = *shape;
    let count = npatch * shape.core.len();
    let matrices = if n == nbin { count } else { npatch };
    if n != nbin && n != nspec * nbin {
        return Err(GpuError::Length { what: "modes".to_string(), expected: nspec * nbin, found: n });
    }
    values.expect_len(matrices * n)?;
    vectors.expect_len(matrices * n * n)?;
    x.expect_len(npatch * nspec * nbin)?;
    let modes = MODES.into_iter().find(|&m| m >= n).ok_or_else(|| GpuError::Limit {
        what: "number of unknowns decorrelated together".to_string(),
        value: n as u64,
        limit: MODES[MODES.len() - 1] as u64,
    })?;
    let out = Decorrelated {
        flux: gpu.reals("flux", count * nbin)?,
        ivar: gpu.reals("ivar", count * nbin)?,
        gain: gpu.reals("gain", count * nbin)?,
        resolution: gpu.reals("resolution", count * nbin * (2 * half + 1))?,
    };
    let args = |items: &Range<usize>| Args {
        count: items.len() as u32,
        first: items.start as u32,
        nspec: nspec as u32,
        nbin: nbin as u32,
        ncore: shape.core.len() as u32,
        core: shape.core.start as u32,
        n: n as u32,
        half: half as u32,
    };
    let bound = [
        values.named("values"),
        vectors.named("vectors"),
        x.named("x"),
        out.flux.named("flux"),
        out.ivar.named("ivar"),
        out.gain.named("gain"),
        out.resolution.named("resolution"),
    ];
    let mut recording = Recording::new();
    let kernel = gpu.kernel(&variant(modes), "spectra")?;
    let operations = 4 * n * (n + nbin) + 3 * n * nbin * (2 * half + 1);
    for items in gpu.dispatches(count, operations as u64) {
        recording.dispatch(&kernel, items.len(), &args(&items), &bound)?;
    }
    gpu.run(recording)?;
    Ok(out)
}
