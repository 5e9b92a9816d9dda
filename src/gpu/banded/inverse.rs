//! Bands of inverses on the GPU: one thread per matrix, chunk and pole.

use super::shape::{Args, BLOCK, REACHES, Shape, record, variant};
use crate::gpu::{Buffer, Gpu, GpuError, Named, Reals, Recording, Variant};
use crate::stages::banded::Root;
use std::ops::Range;

/// Floating-point operations of one column of three blocks, factorisation and inversion; they grow with the blocks' square.
const OPERATIONS: usize = 3800;

pub(in crate::gpu) fn variants() -> Vec<Variant> {
    let wide = REACHES[1..].iter().map(|&reach| variant("banded_inverse_wide", reach));
    wide.chain([variant("banded_inverse", REACHES[0])]).collect()
}

/// Poles and weights of the square root on a device, `[quads taken - 1, npole]`. A last pole of 0 follows those of the quads, for the
/// inverse itself. Its weight is the error of the root if that is beyond the error asked for, else 0.
#[derive(Clone, Debug)]
pub struct Poles {
    pub(super) buffer: Reals,
    /// Least eigenvalue, relative to the largest bound, that so many quads serve.
    ends: Reals,
    pub(super) npole: usize,
}

impl Poles {
    /// Uploads the poles of the square root, and that of the inverse itself.
    ///
    /// # Errors
    /// [`GpuError::OutOfMemory`] if the device is full.
    pub fn new(gpu: &Gpu, of_root: &RootPoles) -> Result<Self, GpuError> {
        let npole = of_root.most() + 1;
        let set = |(poles, beyond): (&Vec<[f64; 2]>, &f64)| {
            let mut set = poles.clone();
            set.resize(npole, [0.0, *beyond]);
            set
        };
        let values: Vec<f64> = of_root.sets.iter().zip(&of_root.beyond).flat_map(set).flatten().collect();
        let buffer = gpu.upload_reals("poles", &values)?;
        Ok(Self { buffer, ends: gpu.upload_reals("ends", &of_root.ends)?, npole })
    }
}

/// Poles of a quad: a chunk takes poles by the quad.
pub(super) const QUAD: usize = 4;

/// Lower end of the shortest interval, relative to its upper.
const SHORTEST: f64 = 0.5;

/// Poles and weights of the square root, by the number of quads that a spectrum takes.
#[derive(Clone, Debug, PartialEq)]
pub struct RootPoles {
    /// Poles and weights, `[quads - 1][4 quads]`.
    sets: Vec<Vec<[f64; 2]>>,
    /// Least eigenvalue, relative to the largest, that so many quads serve, `[quads - 1]`; 1 where they serve none.
    ends: Vec<f64>,
    /// Error of the root, relative to it, where it exceeds that asked for, `[quads - 1]`; else 0.
    beyond: Vec<f64>,
}

impl RootPoles {
    /// Makes those of up to `most` poles, a multiple of four, which serve eigenvalues down to `floor` of the largest, whatever their
    /// error. Fewer serve as far as theirs is at most `error`, relative to the root.
    pub fn new(floor: f64, most: usize, error: f64) -> Self {
        let serves = |end: f64, count: usize| Root::new(end, count).error <= error;
        let end = |count: usize| {
            if count == most {
                return floor;
            }
            // Logarithms of an end that does not serve, and of one that does.
            let (mut low, mut high) = (floor.ln(), SHORTEST.ln());
            if !serves(SHORTEST, count) {
                return 1.0;
            }
            for _ in 0..20 {
                let middle = 0.5 * (low + high);
                *if serves(middle.exp(), count) { &mut high } else { &mut low } = middle;
            }
            high.exp()
        };
        let counts = || (QUAD..=most).step_by(QUAD);
        let ends: Vec<f64> = counts().map(end).collect();
        let roots: Vec<Root> = counts().zip(&ends).map(|(count, end)| Root::new(end.min(SHORTEST), count)).collect();
        let poles = |root: &Root| root.poles.iter().zip(&root.weights).map(|(p, w)| [*p, *w]).collect();
        let beyond = |root: &Root| if root.error > error { root.error } else { 0.0 };
        Self { sets: roots.iter().map(poles).collect(), ends, beyond: roots.iter().map(beyond).collect() }
    }

    /// The most poles.
    pub fn most(&self) -> usize {
        QUAD * self.sets.len()
    }
}

/// Distance of matrices from singular ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Health {
    /// Fibre and bin of a pivot that is not positive.
    pub bad_pivot: Option<(usize, usize)>,
    /// The smallest pivot over its diagonal element: up to a factor the inverse of the condition.
    pub least_pivot: f64,
}

impl Health {
    /// Returns the initial values, which the device lowers.
    pub(super) fn all_well(matrices: usize) -> Vec<u32> {
        [u32::MAX, 1f32.to_bits()].repeat(matrices)
    }

    /// Converts the device's values, `[matrix, 2]`; matrices repeat the same `nfibre` fibres.
    pub fn of(found: &[u32], nfibre: usize) -> Self {
        let bad = |(matrix, f): (usize, &[u32])| (f[0] != u32::MAX).then_some((matrix % nfibre, BLOCK * f[0] as usize));
        let least = found.chunks_exact(2).map(|f| f64::from(f32::from_bits(f[1]))).fold(1.0, f64::min);
        Self { bad_pivot: found.chunks_exact(2).enumerate().find_map(bad), least_pivot: least }
    }
}

/// Matrices, two right-hand sides each besides 1, and bounds of their eigenvalues.
#[derive(Clone, Copy, Debug)]
pub(super) struct Systems<'a> {
    pub matrices: &'a Reals,
    pub rhs: &'a Reals,
    /// First value of the second right-hand side in `rhs`, a multiple of four.
    pub lost: usize,
    pub bounds: &'a Reals,
}

/// Buffers for the inverses.
#[derive(Clone, Debug)]
pub(super) struct Inverses {
    pub records: Reals,
    pub health: Buffer<u32>,
}

impl Inverses {
    /// Allocates `most` matrices at a time, and the health of `all`.
    pub fn new(gpu: &Gpu, shape: &Shape, npole: usize, most: usize, all: usize) -> Result<Self, GpuError> {
        let records =
            gpu.reals_of_layout("inverses", most * shape.record_len(npole), shape.layout(("inverse", npole)))?;
        Ok(Self { records, health: gpu.upload("health", &Health::all_well(all))? })
    }
}

/// Records the inverses of `matrices` at every pole that each chunk takes. `taken` are their quads, `[fibre, nchunk]`.
pub(super) fn record_inverses(
    recording: &mut Recording,
    shape: &Shape,
    systems: Systems,
    matrices: Range<usize>,
    poles: &Poles,
    (out, taken): (&Inverses, &Buffer<u32>),
) -> Result<(), GpuError> {
    let (count, args) = (matrices.len(), shape.args(matrices, poles.npole));
    let (inverses, quads) = (out.records.named("inverses"), taken.named("quads_taken"));
    let of_matrices = [systems.matrices.named("matrices"), systems.rhs.named("rhs"), systems.bounds.named("bounds")];
    let bound = [&of_matrices[..], &[inverses, poles.ends.named("ends"), quads]].concat();
    // At most one factorisation per number of quads but the last.
    let operations = OPERATIONS / 2 * (poles.npole / QUAD).saturating_sub(1).max(1);
    record_chunks(recording, shape, ("choose_quads", operations), systems, (args, count), &bound)?;
    let of_poles = [poles.buffer.named("poles"), inverses, out.health.named("health"), quads];
    let bound = [&of_matrices[..], &of_poles].concat();
    record_chunks(recording, shape, ("invert_chunks", OPERATIONS), systems, (args, count * poles.npole), &bound)
}

/// Records the factors of `count` matrices, and the solutions for their first right-hand side. Without poles `args` name those of
/// all slots, of which a turn takes some.
pub(super) fn record_factors(
    recording: &mut Recording,
    shape: &Shape,
    systems: Systems,
    (args, count): (Args, usize),
    out: &Inverses,
) -> Result<(), GpuError> {
    let (inverses, health) = (out.records.named("inverses"), out.health.named("health"));
    let bound = [systems.matrices.named("matrices"), systems.rhs.named("rhs"), inverses, health];
    record_chunks(recording, shape, ("factor_chunks", OPERATIONS / 2), systems, (args, count), &bound)
}

/// Records the solutions of all fibres for other first right-hand sides, with the factors of [`record_factors`]. Bundles whose
/// residuals have converged before this round are left out.
pub(super) fn record_solutions(
    recording: &mut Recording,
    shape: &Shape,
    systems: Systems,
    (args, largest_residuals): (Args, &Buffer<u32>),
    out: &Inverses,
) -> Result<(), GpuError> {
    let residuals = largest_residuals.named("largest_residuals");
    let bound = [systems.rhs.named("rhs"), out.records.named("inverses"), residuals];
    record_chunks(recording, shape, ("solve_chunks", OPERATIONS / 10), systems, (args, shape.nfibre), &bound)
}

/// Records one thread per chunk of `count` matrices, or matrices at their poles.
fn record_chunks(
    recording: &mut Recording,
    shape: &Shape,
    (entry, operations): (&'static str, usize),
    systems: Systems,
    (args, count): (Args, usize),
    bound: &[Named],
) -> Result<(), GpuError> {
    let args = Args { lost_rhs: (systems.lost / BLOCK) as u32, ..args };
    let shader = if shape.is_narrow() { "banded_inverse" } else { "banded_inverse_wide" };
    let operations = operations * shape.blocks().pow(2) / REACHES[0].pow(2);
    let [nchunk, longest] = shape.chunks(args.npole as usize);
    let work = (count * nchunk, operations * longest);
    record(recording, systems.matrices.gpu(), shape, (shader, entry), args, work, bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_poles_serve_shorter_intervals_with_the_same_error() {
        let (floor, most, error) = (1e-10, 24, 1e-7);
        let all = RootPoles::new(floor, most, error);
        assert_eq!((all.most(), all.ends[5]), (most, floor));
        assert!(all.ends.windows(2).all(|pair| pair[0] > 5.0 * pair[1]), "{:?}", all.ends);
        for (poles, end) in all.sets.iter().zip(&all.ends) {
            // From the end of the interval to 1.
            for k in 0..=1000 {
                let z = end.powf(f64::from(k) / 1000.0);
                let root: f64 = poles.iter().map(|[sigma, weight]| weight * z / (z + sigma)).sum();
                assert!((root / z.sqrt() - 1.0).abs() < 1.1 * error, "{} poles at {z:e}", poles.len());
            }
            let beyond = 0.01 * end;
            let root: f64 = poles.iter().map(|[sigma, weight]| weight * beyond / (beyond + sigma)).sum();
            assert!((root / beyond.sqrt() - 1.0).abs() > error, "{} poles serve farther", poles.len());
        }
        assert_eq!(all.beyond, [0.0; 6]);
    }

    #[test]
    fn an_error_that_no_poles_keep_to_is_known_of_the_last_and_no_end_is_promised_that_does_not_serve() {
        let poles = RootPoles::new(1e-16, 48, 1e-12);
        assert_eq!(poles.ends[0], 1.0, "4 poles are off by 5e-11 on the shortest interval");
        assert!(poles.ends[1] < 1.0 && poles.ends[11] == 1e-16);
        assert!(poles.beyond[1..11].iter().all(|beyond| *beyond == 0.0), "{:?}", poles.beyond);
        assert!((1e-11..1e-9).contains(&poles.beyond[11]), "{:?}", poles.beyond);
    }
}
