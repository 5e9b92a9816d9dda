//! Square roots and spectra on the GPU, from the bands of inverses at all poles.

use super::complement::Complements;
use super::inverse::{Inverses, Poles, Systems, record_inverses};
use super::shape::{Args, BLOCK, SIDES, Shape, record, variants as of_reaches};
use super::solve::Solution;
use crate::gpu::{Buffer, Gpu, GpuError, Precision, Reals, Recording, Variant};

pub(in crate::gpu) fn variants() -> Vec<Variant> {
    of_reaches("banded_root").collect()
}

/// Spectra of all fibres on a device, and what they are made of.
#[derive(Clone, Debug)]
pub struct Roots {
    /// Decorrelated flux in electron per bin, its ivar and an estimate of the truncation error of flux in sigma, each
    /// `[fibre, nbin]`. Then R's rows `[fibre, nbin, 2 half + 1]`.
    pub spectra: Reals,
    /// x = S^-1 z in electron per bin, `[bundle, nbin, fibre of the bundle]`.
    pub x: Reals,
    root: Reals,
    vectors: Reals,
    inverses: Inverses,
    /// Quads of poles that each chunk takes, `[fibre, nchunk]`.
    quads_taken: Buffer<u32>,
    most: usize,
}

impl Roots {
    /// Returns how many fibres' inverses are made at a time: they take at most half of the memory, the bundles take the other.
    pub(super) fn most(gpu: &Gpu, shape: &Shape, npole: usize) -> usize {
        let bytes = gpu.real_bytes(shape.record_len(npole));
        gpu.batch("inverses of one fibre", &[bytes; 2]).unwrap_or(1).min(shape.nfibre)
    }

    /// Allocates the buffers; the inverses of as many fibres at a time as memory allows, with `poles`.
    ///
    /// # Errors
    /// [`GpuError::TooLarge`] if one is beyond a binding, [`GpuError::OutOfMemory`] if memory is short.
    pub fn new(gpu: &Gpu, shape: &Shape, poles: &Poles) -> Result<Self, GpuError> {
        let (bins, vector) = (shape.nfibre * shape.nbin, shape.nfibre * BLOCK * shape.nblock());
        let most = Self::most(gpu, shape, poles.npole);
        let of_layout = |label, len| gpu.reals_of_layout(label, len, shape.layout(("root", 0)));
        Ok(Self {
            spectra: of_layout("spectra", bins * (2 * shape.half + 4))?,
            x: of_layout("x", bins)?,
            root: of_layout("root", shape.nfibre * shape.matrix_len())?,
            vectors: of_layout("vectors", (SIDES + 1) * vector)?,
            inverses: Inverses::new(gpu, shape, poles.npole, most, shape.nfibre)?,
            quads_taken: gpu.scratch("quads_taken", shape.nfibre * shape.chunks(poles.npole)[0])?,
            most,
        })
    }
}

/// Records the spectra of all fibres from their complements and the exact z_f. The last of the poles must be (0, 0).
///
/// # Errors
/// [`GpuError`] if a kernel cannot be compiled or bound.
pub fn record_root(
    recording: &mut Recording,
    shape: &Shape,
    s: &Complements,
    solution: &Solution,
    poles: &Poles,
    out: &Roots,
) -> Result<(), GpuError> {
    let gpu = s.matrices.gpu();
    let (blocks, all) = (shape.nfibre * shape.nblock(), 0..shape.nfibre);
    recording.stage("banded_root");
    let (root, vectors) = (out.root.named("root"), out.vectors.named("vectors"));
    let quads = out.quads_taken.named("quads_taken");
    let complement = s.matrices.named("complement");
    for first in all.clone().step_by(out.most) {
        let fibres = first..(first + out.most).min(shape.nfibre);
        let systems =
            Systems { matrices: &s.matrices, rhs: &solution.z_exact, lost: BLOCK * blocks, bounds: &s.bounds };
        let inverses = (&out.inverses, &out.quads_taken);
        record_inverses(recording, shape, systems, fibres.clone(), poles, inverses)?;
        let (bounds, inverses) = (s.bounds.named("bounds"), out.inverses.records.named("inverses"));
        let bound = [bounds, poles.buffer.named("poles"), inverses, root, vectors, quads];
        let work = (fibres.len() * shape.nblock(), 2 * poles.npole * shape.column());
        let args = shape.args(fibres, poles.npole);
        record(recording, gpu, shape, ("banded_root", "pole_sums"), args, work, &bound)?;
    }
    let (bounds, npole, poles) = (s.bounds.named("bounds"), poles.npole, poles.buffer.named("poles"));
    let (spectra, x) = (out.spectra.named("spectra"), out.x.named("deconvolved"));
    let bound = [complement, bounds, poles, root, vectors, spectra, x, quads];
    let args = Args { is_f64: u32::from(gpu.precision() == Precision::F64), ..shape.args(all, npole) };
    record(recording, gpu, shape, ("banded_root", "spectra_of_fibres"), args, (blocks, 8 * shape.column()), &bound)
}
