//! The root of S_f by poles on the GPU, and the spectra it makes.

use super::complement::{Complements, record_elimination};
use super::inverse::{Inverses, Poles, Systems, record_inverses};
use super::normal::Normal;
use super::shape::{Args, BLOCK, Records, SIDES, Shape, record, variants as of_reaches};
use crate::gpu::{Buffer, Gpu, GpuError, Precision, Reals, Recording, Variant};

pub(super) fn variants() -> Vec<Variant> {
    ["banded_root", "banded_residual"].into_iter().flat_map(of_reaches).collect()
}

/// Spectra of all fibres on a device, and what they are made of.
#[derive(Clone, Debug)]
pub struct Spectra {
    /// Decorrelated flux in electron a bin, its ivar and an estimate of what the bands cost it in sigma, each `[fibre, nbin]`,
    /// then R's rows `[fibre, nbin, 2 half + 1]`.
    pub spectra: Reals,
    /// x in electron a bin, `[bundle, nbin, fibre of the bundle]`.
    pub x: Reals,
    /// Of every fibre the bits of the largest `|y - K x|_i / sqrt(K_ii)`.
    pub worst: Buffer<u32>,
    /// Where rounds before the last write the same; nobody reads it.
    before: Buffer<u32>,
    /// What the elimination of the other fibres makes of what x leaves, `[fibre, BLOCK nblock]`.
    eliminated: Reals,
    /// What x leaves of y, at last the z_f that the fibres' x give one another; what the recursion's differ from them,
    /// `[2, fibre, BLOCK nblock]`.
    given: Reals,
    of_fibres: Reals,
    root: Reals,
    vectors: Reals,
    inverses: Inverses,
    most: usize,
}

impl Spectra {
    /// Fibres whose inverses are made at a time: they take at most half of the memory, the bundles take the other.
    pub(super) fn most(gpu: &Gpu, shape: &Shape, npole: usize) -> usize {
        let bytes = gpu.real_bytes(shape.record_len(Records::Narrow(npole)));
        gpu.batch("inverses of one fibre", &[bytes; 2]).unwrap_or(1).min(shape.nfibre)
    }

    /// Room for the spectra; the inverses of as many fibres at a time as memory allows, with `poles`.
    ///
    /// # Errors
    /// [`GpuError::TooLarge`] where they are beyond a binding; what the driver reports.
    pub fn new(gpu: &Gpu, shape: &Shape, poles: &Poles) -> Result<Self, GpuError> {
        let (bins, vector) = (shape.nfibre * shape.nbin, shape.nfibre * BLOCK * shape.nblock());
        let most = Self::most(gpu, shape, poles.npole);
        Ok(Self {
            spectra: gpu.reals("spectra", bins * (2 * shape.half + 4))?,
            x: gpu.reals("x", bins)?,
            worst: gpu.zeros("worst", shape.nfibre)?,
            before: gpu.zeros("before", shape.nfibre)?,
            eliminated: gpu.reals("eliminated", vector)?,
            given: gpu.reals("given", 2 * vector)?,
            of_fibres: gpu.reals("x", vector)?,
            root: gpu.reals("root", shape.nfibre * shape.matrix_len())?,
            vectors: gpu.reals("vectors", (SIDES + 1) * vector)?,
            inverses: Inverses::new(gpu, shape, Records::Narrow(poles.npole), most, shape.nfibre)?,
            most,
        })
    }
}

/// How x is made exact, once S^-1 z is there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rounds {
    /// So many times in all, further ones adding each fibre's S^-1 (y - K x): they converge where fibres are told apart.
    OfFibres(usize),
    /// Likewise, but for what x leaves the other fibres are eliminated to so many neighbours, as for y.
    OfBundles(usize, usize),
}

/// Records the spectra of all fibres from their complements, whose scratch it uses. The last of the poles must be (0, 0). First x,
/// in so many rounds, and the z that the fibres' x give one another, which makes good for too narrow bands of S, too few
/// neighbours, and chunks that meet.
///
/// # Errors
/// What the driver reports.
pub fn record_spectra(
    recording: &mut Recording,
    shape: &Shape,
    normal: &Normal,
    s: &Complements,
    (poles, how): (&Poles, Rounds),
    out: &Spectra,
) -> Result<(), GpuError> {
    let gpu = s.matrices.gpu();
    let (blocks, all) = (shape.nfibre * shape.nblock(), 0..shape.nfibre);
    recording.stage("cholesky");
    let of = |rhs, lost| Systems { matrices: &s.matrices, rhs, lost, bounds: &s.bounds };
    let lost = BLOCK * blocks;
    let (complement, x) = (s.matrices.named("complement"), out.of_fibres.named("x"));
    let (Rounds::OfFibres(rounds) | Rounds::OfBundles(rounds, _)) = how;
    for round in 1..=rounds {
        let systems = match how {
            _ if round == 1 => of(&s.reduced, 0),
            Rounds::OfFibres(_) => of(&out.given, lost),
            Rounds::OfBundles(_, depth) => {
                record_elimination(recording, shape, normal, depth, (&out.given, &out.eliminated), s)?;
                of(&out.eliminated, 0)
            }
        };
        record_inverses(recording, shape, systems, all.clone(), (&s.none, Records::Narrow(1)), &s.inverses)?;
        let args = shape.args(all.clone(), Records::Narrow(1));
        let args = Args { round: round as u32, rounds: rounds as u32, ..args };
        let bound = [s.inverses.records.named("records"), x];
        record(recording, gpu, shape, ("banded_residual", "solutions"), args, (blocks, shape.column()), &bound)?;
        let (own, pairs, rhs) = (normal.own.named("own"), normal.pairs.named("pairs"), normal.sums.named("rhs"));
        let (reduced, given) = (s.reduced.named("reduced"), out.given.named("given"));
        let worst = if round == rounds { &out.worst } else { &out.before };
        let bound = [own, pairs, rhs, x, complement, reduced, given, worst.named("worst")];
        record(recording, gpu, shape, ("banded_residual", "residuals"), args, (blocks, 8 * shape.column()), &bound)?;
    }

    recording.stage("decorrelate");
    let kind = Records::Narrow(poles.npole);
    let (root, vectors) = (out.root.named("root"), out.vectors.named("vectors"));
    for first in all.clone().step_by(out.most) {
        let fibres = first..(first + out.most).min(shape.nfibre);
        record_inverses(recording, shape, of(&out.given, lost), fibres.clone(), (poles, kind), &out.inverses)?;
        let (bounds, records) = (s.bounds.named("bounds"), out.inverses.records.named("records"));
        let bound = [bounds, poles.buffer.named("poles"), records, root, vectors];
        let work = (fibres.len() * shape.nblock(), 2 * poles.npole * shape.column());
        record(recording, gpu, shape, ("banded_root", "sums"), shape.args(fibres, kind), work, &bound)?;
    }
    let (bounds, poles) = (s.bounds.named("bounds"), poles.buffer.named("poles"));
    let bound = [complement, bounds, poles, root, vectors, out.spectra.named("spectra"), out.x.named("deconvolved")];
    let args = Args { is_fine: u32::from(gpu.precision() == Precision::F64), ..shape.args(all, kind) };
    record(recording, gpu, shape, ("banded_root", "spectra_of_fibres"), args, (blocks, 8 * shape.column()), &bound)
}
