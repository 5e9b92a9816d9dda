//! Schur complements of fibres within their patches on the GPU: one thread per four bins or per 4 x 4 tile.

use super::args::kernel_args;
use super::buffer::{expect_len, keep};
use super::cholesky::{self, Place};
use super::{Buffer, Gpu, GpuError, Reals, Recording, Variant};
use crate::stages::cholesky::{Layout, NonPositivePivot, Status};
use crate::stages::schur::Block;

/// Invocations of a workgroup. They share nothing, so that any number would do.
const THREADS: usize = 64;

kernel_args! {
    struct Args {
        count: u32,
        nspec: u32,
        nbin: u32,
        half_band: u32,
        pitch: u32,
        origin: u32,
        size: u32,
        others_half: u32,
    }
}

/// Returns every variant that this file dispatches.
pub(super) fn variants() -> Vec<Variant> {
    vec![Variant::new("schur").set("THREADS", THREADS)]
}

/// Schur complements on a device.
#[derive(Clone, Debug)]
pub struct Complements {
    /// S_f `[blocks, nbin, nbin]`, exactly symmetric.
    pub matrices: Reals,
    /// Status `[blocks]`: [`cholesky::ALL_POSITIVE`], or the unknown with the first pivot that is not positive, counted
    /// wavelength-major without the block's fibre. S_f is meaningless then.
    pub status: Buffer<u32>,
}

/// Records S_f of each block. `matrices` is a batch of K in `layout`, with n = nspec nbin unknowns ordered
/// wavelength-major, i = bin nspec + fibre. All blocks must fit in one batch, see [`block_bytes`].
///
/// # Errors
/// [`GpuError::Length`] and [`GpuError::Limit`] if shapes do not fit together.
pub fn record_schur(
    recording: &mut Recording,
    layout: Layout,
    matrices: &Reals,
    nspec: usize,
    blocks: &[Block],
) -> Result<Complements, GpuError> {
    let gpu = matrices.gpu();
    let nbin = check(layout, matrices.len(), nspec, blocks)?;
    let (place, others) = (Place::of(layout), (nspec - 1) * nbin);
    let others_half = others_half_bandwidth(place.half_band as usize, nspec, nbin);
    let out = gpu.reals("complements", blocks.len() * nbin * nbin)?;
    let band = gpu.reals("others", blocks.len() * others * (others_half + 1))?;
    let coupling = gpu.reals("coupling", blocks.len() * others * nbin.next_multiple_of(4))?;
    let chosen: Vec<u32> = blocks.iter().flat_map(|block| [block.patch as u32, block.fibre as u32]).collect();
    let chosen = gpu.upload("blocks", &chosen)?;
    let args = Args {
        count: blocks.len() as u32,
        nspec: nspec as u32,
        nbin: nbin as u32,
        half_band: place.half_band,
        pitch: place.pitch,
        origin: place.origin,
        size: layout.len() as u32,
        others_half: others_half as u32,
    };
    let kernel = |entry| gpu.kernel(&variants()[0], entry);
    let (k, f) = (matrices.named("matrices"), chosen.named("blocks"));
    let (o, y) = (band.named("others"), coupling.named("coupling"));
    let quads = nbin.div_ceil(4);
    let status = if others > 0 {
        recording.dispatch(&kernel("gather")?, blocks.len(), &args, &[k, f, o, y])?;
        let status = cholesky::record_factor(recording, Layout::band(others, others_half), &band)?;
        recording.dispatch(&kernel("border")?, (blocks.len() * quads).div_ceil(THREADS), &args, &[f, o, y])?;
        status
    } else {
        gpu.upload("status", &vec![cholesky::ALL_POSITIVE; blocks.len()])?
    };
    let tiles = (blocks.len() * quads * quads).div_ceil(THREADS);
    recording.dispatch(&kernel("complement")?, tiles, &args, &[k, f, y, out.named("complements")])?;
    Ok(Complements { matrices: out, status })
}

/// Returns the bytes per block in each buffer of [`record_schur`], for [`Gpu::batch`].
pub fn block_bytes(gpu: &Gpu, layout: Layout, nspec: usize) -> Vec<u64> {
    let nbin = layout.n() / nspec.max(1);
    let others = nspec.saturating_sub(1) * nbin;
    let others_half = others_half_bandwidth(Place::of(layout).half_band as usize, nspec, nbin);
    let elements = [nbin * nbin, others * (others_half + 1), others * nbin.next_multiple_of(4), others];
    elements.map(|count| gpu.real_bytes(count)).to_vec()
}

/// Computes S_f of each block on the host, `[blocks, nbin, nbin]`; the twin of [`crate::stages::schur::schur`]. Batches of any size
/// go through the device in parts that fit. The S_f of a block with a bad status stays as it was.
///
/// # Errors
/// [`GpuError::Length`] and [`GpuError::Limit`] if shapes do not fit together, and those of a device that failed.
pub fn schur(
    gpu: &Gpu,
    layout: Layout,
    matrices: &[f64],
    nspec: usize,
    blocks: &[Block],
    out: &mut [f64],
) -> Result<Vec<Status>, GpuError> {
    let nbin = check(layout, matrices.len(), nspec, blocks)?;
    let square = nbin * nbin;
    expect_len("out", blocks.len() * square, out.len())?;
    let mut bytes = block_bytes(gpu, layout, nspec);
    bytes.push(gpu.real_bytes(layout.len()));
    let part = gpu.batch("blocks", &bytes)?;
    let mut statuses = Vec::with_capacity(blocks.len());
    for (blocks, out) in blocks.chunks(part).zip(out.chunks_mut((part * square).max(1))) {
        // Only the patches of these blocks are uploaded, so that a part never has more patches than blocks.
        let mut patches: Vec<usize> = blocks.iter().map(|block| block.patch).collect();
        patches.sort_unstable();
        patches.dedup();
        let elements = |&patch: &usize| &matrices[patch * layout.len()..(patch + 1) * layout.len()];
        let host: Vec<f64> = patches.iter().flat_map(elements).copied().collect();
        let local = |block: &Block| Block { patch: patches.partition_point(|&p| p < block.patch), ..*block };
        let local: Vec<Block> = blocks.iter().map(local).collect();
        let mut recording = Recording::new();
        let found = record_schur(&mut recording, layout, &gpu.upload_reals("matrices", &host)?, nspec, &local)?;
        gpu.run(recording)?;
        let parts = blocks.iter().zip(found.status.download()?);
        let judged: Vec<Status> = parts.map(|(block, status)| judge(block, nspec, status)).collect();
        keep(&judged, out, &found.matrices.download()?, square);
        statuses.extend(judged);
    }
    Ok(statuses)
}

/// Converts the shader's status of one block. The pivot itself stays on the device and is reported as NaN.
fn judge(block: &Block, nspec: usize, status: u32) -> Status {
    if status == cholesky::ALL_POSITIVE {
        return Ok(());
    }
    let (bin, rest) = (status as usize / (nspec - 1), status as usize % (nspec - 1));
    let index = bin * nspec + rest + usize::from(rest >= block.fibre);
    Err(NonPositivePivot { matrix: block.patch, index, pivot: f64::NAN })
}

/// Returns the largest distance of two coupled unknowns, counted without those of one fibre, for any choice of that fibre.
fn others_half_bandwidth(half_band: usize, nspec: usize, nbin: usize) -> usize {
    let mut widest = 0;
    for fibre in 0..nspec {
        for from in (0..nspec).filter(|&s| s != fibre) {
            for to in (0..nspec).filter(|&s| s != fibre) {
                // Bins that `to` may lie above `from`: bins nspec + to - from <= half_band.
                let Some(reach) = (half_band + from).checked_sub(to) else {
                    continue;
                };
                let bins = (reach / nspec).min(nbin - 1);
                let place = |s: usize| s - usize::from(s > fibre);
                let distance = (bins * (nspec - 1) + place(to)).saturating_sub(place(from));
                widest = widest.max(distance);
            }
        }
    }
    widest
}

/// Checks shapes and indices; returns the number of bins.
fn check(layout: Layout, len: usize, nspec: usize, blocks: &[Block]) -> Result<usize, GpuError> {
    if nspec == 0 || layout.n() == 0 || !layout.n().is_multiple_of(nspec) {
        return Err(GpuError::Length { what: "fibres of a patch".to_string(), expected: layout.n(), found: nspec });
    }
    let batch = len / layout.len();
    expect_len("matrices", batch * layout.len(), len)?;
    for block in blocks {
        for (what, value, limit) in [("patch", block.patch, batch), ("fibre", block.fibre, nspec)] {
            if value >= limit {
                let what = format!("index of a {what}");
                return Err(GpuError::Limit { what, value: value as u64, limit: limit as u64 - 1 });
            }
        }
    }
    Ok(layout.n() / nspec)
}
