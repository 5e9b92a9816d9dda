//! The root of S_f by poles on the GPU, and the spectra it makes.

use super::complement::Complements;
use super::inverse::{Inverses, Poles, Systems, record_inverses};
use super::normal::Normal;
use super::shape::{BLOCK, COLUMN, RECORD, Records, Shape, record, variant};
use crate::gpu::{Buffer, Gpu, GpuError, Reals, Recording, Variant};

pub(super) fn variants() -> Vec<Variant> {
    ["banded_root", "banded_residual"].map(variant).to_vec()
}

/// Spectra of all fibres on a device, and what they are made of.
#[derive(Clone, Debug)]
pub struct Spectra {
    /// Decorrelated flux in electron a bin and its ivar, each `[fibre, nbin]`, then R's rows `[fibre, nbin, 2 half + 1]`.
    pub spectra: Reals,
    /// x in electron a bin, `[bundle, nbin, fibre of the bundle]`.
    pub x: Reals,
    /// Of every fibre the bits of the largest `|y - K x|_i / sqrt(K_ii)`.
    pub worst: Buffer<u32>,
    of_fibres: Reals,
    root: Reals,
    vectors: Reals,
    inverses: Inverses,
    most: usize,
}

impl Spectra {
    /// Fibres whose inverses are made at a time: they take at most half of the memory, the bundles take the other.
    pub(super) fn most(gpu: &Gpu, shape: &Shape, npole: usize) -> usize {
        let bytes = gpu.real_bytes(shape.record_len(Records::Inverse(npole)));
        gpu.batch("inverses of one fibre", &[bytes; 2]).unwrap_or(1).min(shape.nfibre)
    }

    /// Room for the spectra; the inverses of as many fibres at a time as memory allows, with `poles`.
    ///
    /// # Errors
    /// [`GpuError::TooLarge`] where they are beyond a binding; what the driver reports.
    pub fn new(gpu: &Gpu, shape: &Shape, poles: &Poles) -> Result<Self, GpuError> {
        let bins = shape.nfibre * shape.nbin;
        let most = Self::most(gpu, shape, poles.npole);
        Ok(Self {
            spectra: gpu.reals("spectra", bins * (2 * shape.half + 3))?,
            x: gpu.reals("x", bins)?,
            worst: gpu.zeros("worst", shape.nfibre)?,
            of_fibres: gpu.reals("x", shape.nfibre * BLOCK * shape.nblock())?,
            root: gpu.reals("root", shape.nfibre * shape.matrix_len())?,
            vectors: gpu.reals("vectors", 3 * shape.nfibre * BLOCK * shape.nblock())?,
            inverses: Inverses::new(gpu, shape, Records::Inverse(poles.npole), most, shape.nfibre)?,
            most,
        })
    }
}

/// Records the spectra of all fibres from their complements, whose scratch it uses. The last of the poles must be (0, 0). First x = S^-1 z and the z that the
/// fibres' x give one another, which makes good for too narrow bands of S, too few neighbours, and chunks that meet.
///
/// # Errors
/// What the driver reports.
pub fn record_spectra(
    recording: &mut Recording,
    shape: &Shape,
    normal: &Normal,
    s: &Complements,
    poles: &Poles,
    out: &Spectra,
) -> Result<(), GpuError> {
    let gpu = s.matrices.gpu();
    let (blocks, all) = (shape.nfibre * shape.nblock(), 0..shape.nfibre);
    recording.stage("cholesky");
    let systems = Systems { matrices: &s.matrices, rhs: &s.reduced, bounds: &s.bounds };
    record_inverses(recording, shape, systems, all.clone(), (&s.none, Records::Inverse(1)), &s.inverses)?;
    let args = shape.args(all.clone(), Records::Inverse(1));
    let x = out.of_fibres.named("x");
    let bound = [s.inverses.records.named("records"), x];
    record(recording, gpu, ("banded_residual", "solutions"), args, (blocks, RECORD), &bound)?;
    let (own, pairs, rhs) = (normal.own.named("own"), normal.pairs.named("pairs"), normal.sums.named("rhs"));
    let (complement, reduced) = (s.matrices.named("complement"), s.reduced.named("reduced"));
    let bound = [own, pairs, rhs, x, complement, reduced, out.worst.named("worst")];
    record(recording, gpu, ("banded_residual", "residuals"), args, (blocks, 8 * COLUMN), &bound)?;

    recording.stage("decorrelate");
    let kind = Records::Inverse(poles.npole);
    let (root, vectors) = (out.root.named("root"), out.vectors.named("vectors"));
    for first in all.clone().step_by(out.most) {
        let fibres = first..(first + out.most).min(shape.nfibre);
        record_inverses(recording, shape, systems, fibres.clone(), (poles, kind), &out.inverses)?;
        let (bounds, records) = (s.bounds.named("bounds"), out.inverses.records.named("records"));
        let bound = [bounds, poles.buffer.named("poles"), records, root, vectors];
        let work = (fibres.len() * shape.nblock(), 2 * poles.npole * RECORD);
        record(recording, gpu, ("banded_root", "sums"), shape.args(fibres, kind), work, &bound)?;
    }
    let bound = [complement, root, vectors, out.spectra.named("spectra"), out.x.named("deconvolved")];
    let args = shape.args(all, kind);
    record(recording, gpu, ("banded_root", "spectra_of_fibres"), args, (blocks, 8 * COLUMN), &bound)
}
