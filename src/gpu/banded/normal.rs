//! Banded normal equations on the GPU: one workgroup per some spots.

use super::shape::{BLOCK, REACHES, Shape};
use crate::gpu::patch::{CcdBuffers, Patches};
use crate::gpu::shaders::COUPLING_STEP;
use crate::gpu::{Buffer, Gpu, GpuError, Reals, Recording, Variant};
use crate::stages::banded::Coupling;

/// Invocations of a workgroup: a spot has 187 pixels in DESI and 38 products with others.
const THREADS: usize = 64;

/// Spots per workgroup and their values in workgroup memory, one variant each; in f32 the largest leaves room for the sums in 16 KiB.
const SPOTS: [(usize, usize); 4] = [(4, 1024), (2, 1024), (1, 1024), (1, 4096 - 4 * THREADS)];

pub(in crate::gpu) fn variants() -> Vec<Variant> {
    REACHES.into_iter().flat_map(|reach| SPOTS.into_iter().map(move |spots| variant(reach, spots))).collect()
}

fn variant(reach: usize, (spots, values): (usize, usize)) -> Variant {
    let variant = Variant::new("banded_normal").set("THREADS", THREADS).set("SPOT", values).set("REACH", reach);
    variant.set("BINS", spots).set("LANES", THREADS / spots)
}

/// K and y of fibres on a device, see [`Shape::element`].
#[derive(Clone, Debug)]
pub struct Normal {
    /// K_ff, `[fibre]` matrices.
    pub own: Reals,
    /// K_{f,f-d}, `[distance d - 1, fibre]`, see [`Shape::pair_element`]; zeros where the bundle has no fibre f - d.
    pub pairs: Reals,
    /// y, flux weight, norm and part on good pixels of every spot, `[4, fibre, BLOCK nblock]`.
    pub sums: Reals,
    /// Bits of the couplings, `[bundle, 2]`.
    pub largest: Buffer<u32>,
}

impl Normal {
    /// Allocates the buffers.
    ///
    /// # Errors
    /// [`GpuError::TooLarge`] if one exceeds a binding, [`GpuError::OutOfMemory`] if the device is full.
    pub fn new(gpu: &Gpu, shape: &Shape) -> Result<Self, GpuError> {
        let of_layout = |label, len| gpu.reals_of_layout(label, len, shape.layout(("normal", 0)));
        Ok(Self {
            own: of_layout("k_own", shape.nfibre * shape.matrix_len())?,
            pairs: of_layout("k_pair", shape.distances * shape.pairs_len())?,
            sums: of_layout("spot_sums", 4 * shape.nfibre * BLOCK * shape.nblock())?,
            largest: gpu.zeros("largest", 2 * shape.nfibre.div_ceil(shape.bundle))?,
        })
    }

    /// Waits and returns the relative coupling of every bundle's fibres.
    ///
    /// # Errors
    /// [`GpuError::Lost`], [`GpuError::Hung`] or [`GpuError::Driver`] if the device failed.
    pub fn coupling(&self) -> Result<Vec<Coupling>, GpuError> {
        Ok(couplings(&self.largest.download()?))
    }
}

/// Returns the couplings in [`Normal::largest`].
pub(crate) fn couplings(largest: &[u32]) -> Vec<Coupling> {
    let value = |bits: u32| f64::from(f32::from_bits(bits));
    let of_bundle = |l: &[u32]| Coupling { neighbours: value(l[0]), beyond: value(l[1]) };
    largest.chunks_exact(2).map(of_bundle).collect()
}

/// Records the normal equations of the core bins of `patches`, made with their priors, and the coupling of their fibres. A patch is a
/// bundle with all its fibres. The spots must include the bins within K's reach of the core.
///
/// # Errors
/// [`GpuError::Limit`] if a spot exceeds workgroup memory.
pub fn record_products(
    recording: &mut Recording,
    patches: &Patches,
    ccd: &CcdBuffers,
    shape: &Shape,
    out: &Normal,
) -> Result<(), GpuError> {
    let gpu = out.own.gpu();
    recording.stage("banded_normal");
    let size = patches.spots.shape.size();
    let fits = |&(spots, values): &(usize, usize)| spots * size <= values;
    let of_group = SPOTS.into_iter().find(fits).ok_or_else(|| GpuError::Limit {
        what: "pixels of a spot in workgroup memory".to_string(),
        value: size as u64,
        limit: SPOTS[SPOTS.len() - 1].1 as u64,
    })?;
    let [spots, pixel, table] = patches.bound();
    let (image, ivar) = (ccd.image.named("image"), ccd.ivar.named("ivar"));
    let (k_own, k_pair) = (out.own.named("k_own"), out.pairs.named("k_pair"));
    let (sums, largest) = (out.sums.named("spot_sums"), out.largest.named("largest"));
    let (fibres, bins) = (patches.batch.len() * patches.batch.nspec, patches.core_bins().len());
    let (reach, variant) = (BLOCK * shape.blocks(), variant(shape.blocks(), of_group));
    let kernel = gpu.kernel(&variant, "rows")?;
    let bound = [spots, pixel, table, image, ivar, k_own, k_pair, sums];
    // Spots overlap in half of their rows or columns.
    let products = reach + 1 + shape.distances * (2 * reach + 1);
    for items in gpu.dispatches(fibres * bins, (products * size / 2) as u64) {
        let args = patches.args(&items, ccd.nx).with_distances(shape.distances);
        recording.dispatch(&kernel, items.len().div_ceil(of_group.0), &args, &bound)?;
    }
    let kernel = gpu.kernel(&variant, "couplings")?;
    let bound = [spots, pixel, table, sums, largest];
    let samples = fibres * bins.div_ceil(COUPLING_STEP) * (2 * reach + 1);
    for items in gpu.dispatches(samples, size as u64) {
        let args = patches.args(&items, 0).with_distances(shape.distances);
        recording.dispatch(&kernel, items.len().div_ceil(THREADS), &args, &bound)?;
    }
    Ok(())
}
