//! Q = S^1/2 of a block of a fibre's bins by poles, without eigenvectors: Q 1, Q x and the diagonals of Q that R needs.
//!
//! `Q ~ sum_k w_k S (S + sigma_k)^-1`. Lanes are poles: S is broadcast. Blocks overlap, and their factors stay in cache. The
//! poles of a block depend on its own spectrum.

use super::complement::Complement;
use super::inverse::Columns;
use super::poles::Root;
use super::with_half_bandwidth;
use crate::stages::simd::{Kernel, Octet, Simd, dispatch};
use std::ops::Range;

/// Bins of a block without its overlap: a block's factors of 8 poles take 0.4 MB.
const BLOCK: usize = 320;

/// Right-hand sides that are solved for: 1, S x and z - S x.
const SIDES: usize = 3;

/// Most poles of a block, in eights: enough for a condition number of 1e16 to 1e-9.
const MOST_OCTETS: usize = 6;

/// How far rounding may take the sum of R's row from 1. With a regularisation of some hundreds, bins at a CCD's end have
/// less than 1e-16 of the information that the prior gives others. f64 has too few digits for such a row.
const ROUNDING: f64 = 3e-8;

/// The smallest magnitude of a sum of Q's row that f64 resolves, relative to the weights of all poles times the root of the
/// largest eigenvalue.
pub const RESOLVED: f64 = f64::EPSILON / ROUNDING;

/// Approximations of the square root on ever longer intervals, each with 8 to 48 poles.
#[derive(Debug)]
pub(crate) struct Roots {
    /// `[interval][octets - 1]`, intervals from the shortest to the longest.
    of_interval: Vec<Vec<Root>>,
}

impl Roots {
    /// Intervals down to `floor`, relative to the largest eigenvalue.
    pub(crate) fn new(floor: f64) -> Self {
        let ratio = |k: usize| floor.powf((k + 1) as f64 / 8.0);
        let interval = |k: usize| (1..=MOST_OCTETS).map(|octets| Root::new(ratio(k), 8 * octets)).collect();
        Self { of_interval: (0..8).map(interval).collect() }
    }

    /// The lower ends of the intervals, one per lane.
    fn ratios(&self) -> Octet {
        Octet(std::array::from_fn(|k| self.of_interval[k][0].ratio))
    }

    /// The fewest poles that serve interval k to `error`, or the most there are.
    fn fewest(&self, k: usize, error: f64) -> &Root {
        let roots = &self.of_interval[k];
        roots.iter().find(|root| root.error <= error).unwrap_or(&roots[roots.len() - 1])
    }
}

/// How exact the root is to be.
#[derive(Debug)]
pub(crate) struct Accuracy {
    pub(crate) roots: &'static Roots,
    /// Sigma.
    pub(crate) tolerance: f64,
    /// Bins that a block overlaps its neighbours by.
    pub(crate) overlap: usize,
}

/// Q of the core of a block.
#[derive(Clone, Debug)]
pub(super) struct BlockRoot {
    /// The bins.
    pub core: Range<usize>,
    /// s = Q 1, `[bins of the core]`; infinite where rounding leaves nothing of the row.
    pub row_sums: Vec<f64>,
    /// Q x of the band, likewise.
    pub qx: Vec<f64>,
    /// Effect of the rest of S to first order, likewise.
    pub correction: Vec<f64>,
    /// Estimate of how far flux is off but for the block's ends, sigma, likewise.
    pub truncation_error: Vec<f64>,
    /// Diagonals of Q, `[bins of the core, half + 1]`: element d of bin i is Q[i + d, i].
    pub diagonals: Vec<f64>,
    /// The corrected Q x of the bin after the core, as far as this block knows it.
    pub next: Option<f64>,
    /// Poles taken, eight at a time.
    pub octets: usize,
}

impl BlockRoot {
    /// Returns how far this block and the next are off each other at the next one's first bin, which both know, sigma. Each misses
    /// what lies beyond its overlap.
    pub(super) fn seam(&self, next: &Self) -> f64 {
        (self.next.unwrap_or(f64::NAN) - next.qx[0] - next.correction[0]).abs()
    }
}

/// Returns the cores of the blocks of n bins.
pub(super) fn cores(n: usize) -> impl Iterator<Item = Range<usize>> {
    let core = n.div_ceil(n.div_ceil(BLOCK).max(1)).max(1);
    (0..n).step_by(core).map(move |first| first..(first + core).min(n))
}

/// Returns Q of some blocks, with `half` diagonals to each side, at most as many as there is code for. `rest` is z - S x.
///
/// The true S is the band S' plus a rest E. Because x solves the true equations, E x is the residual z - S' x. To
/// first order it changes Q x by `S^-1/2 E x / 2` (where the two commute), in sigma. That is the correction; after it, its
/// size is mostly 1.2 to 5 times the error.
pub(super) fn block_roots(
    s: &Complement,
    (x, rest): (&[f64], &[f64]),
    cores: &[Range<usize>],
    half: usize,
    accuracy: &Accuracy,
) -> Vec<BlockRoot> {
    with_half_bandwidth!(s.band.max(half), B => block_roots_with::<B>(s, (x, rest), cores, half, accuracy))
}

fn block_roots_with<const B: usize>(
    s: &Complement,
    (x, rest): (&[f64], &[f64]),
    cores: &[Range<usize>],
    half: usize,
    accuracy: &Accuracy,
) -> Vec<BlockRoot> {
    let around =
        |core: &Range<usize>| core.start.saturating_sub(accuracy.overlap)..(core.end + accuracy.overlap).min(x.len());
    // All blocks take the same room.
    let longest = cores.iter().map(|core| around(core).len()).max().unwrap_or(0);
    let (mut work, mut columns) = (Work::<B>::new(longest, half), vec![0.0; longest * (B + 1)]);
    let of_block = |core: &Range<usize>| {
        let around = around(core);
        let n = around.len();
        let rows = s.matrix.chunks_exact(s.band + 1).skip(around.start);
        for (column, from) in columns.chunks_exact_mut(B + 1).take(n).zip(rows) {
            column[..=s.band].copy_from_slice(from);
        }
        let (x, rest) = (&x[around.clone()], &rest[around.clone()]);
        let block = Block::<B> { s: &columns[..n * (B + 1)], x, rest, half };
        block.root(&mut work, core.start - around.start, core.clone(), accuracy)
    };
    cores.iter().map(of_block).collect()
}

/// One block of a fibre's bins.
struct Block<'a, const B: usize> {
    /// `[bins, B + 1]`, element d of bin i is S[i + d, i].
    s: &'a [f64],
    x: &'a [f64],
    /// z - S x.
    rest: &'a [f64],
    half: usize,
}

/// A block's factor and sums over poles.
struct Work<const B: usize> {
    columns: Columns<B>,
    /// The right-hand sides, between B zeros at each end.
    sides: Vec<[Octet; SIDES]>,
    /// Sums over octets of poles: `w (S + sigma)^-1` times the right-hand sides, `w sigma` times the diagonals of the inverse.
    sums: Vec<Octet>,
    width: usize,
}

impl<const B: usize> Work<B> {
    fn new(n: usize, half: usize) -> Self {
        let zeros = |len: usize| vec![Octet::default(); len];
        Self {
            columns: Columns::new(n),
            sides: vec![[Octet::default(); SIDES]; n + 2 * B],
            sums: zeros(n * (SIDES + half + 1)),
            width: SIDES + half + 1,
        }
    }

    /// Sets the right-hand sides.
    fn fill_sides(&mut self, sides: &[[f64; SIDES]]) {
        let n = sides.len();
        for (to, side) in self.sides[B..n + B].iter_mut().zip(sides) {
            *to = side.map(|value| Octet([value; 8]));
        }
        self.sides[n + B..n + 2 * B].fill([Octet::default(); SIDES]);
    }
}

impl<const B: usize> Block<'_, B> {
    fn len(&self) -> usize {
        self.x.len()
    }

    /// Returns Q of the bins `core`, rows from `skipped` on.
    fn root(&self, work: &mut Work<B>, skipped: usize, core: Range<usize>, accuracy: &Accuracy) -> BlockRoot {
        let n = self.len();
        let largest = self.largest_eigenvalue();
        let shift = Octet(accuracy.roots.ratios().0.map(|r| -r * largest));
        dispatch(Shifted { block: self, columns: &mut work.columns, shift });
        work.columns.factor(n);
        // The shortest interval that holds the whole spectrum.
        let interval = work.columns.positive(n).iter().position(|&p| p);
        let (error, signal) = (accuracy.tolerance, self.signal());
        let root = accuracy.roots.fewest(interval.unwrap_or(7), error / signal);
        add_poles(self, work, root, largest);
        let mut out = self.collect(work, root, largest, skipped, core);
        let of_poles = if root.error * signal > error { root.error * signal } else { 0.0 };
        let beyond = interval.is_none().then(|| self.beyond_intervals(work, root.ratio * largest));
        for (k, told) in (skipped..).zip(&mut out.truncation_error) {
            *told += of_poles + beyond.as_ref().map_or(0.0, |lost| lost[k]);
        }
        out
    }

    fn columns(&self) -> impl Iterator<Item = &[f64]> {
        self.s.chunks_exact(B + 1)
    }

    /// Returns row k of S times a vector, of the block's bins alone.
    fn row_times(&self, k: usize, v: &[f64]) -> f64 {
        let below = (1..=B).take_while(|d| k + d < v.len()).map(|d| self.at(k, d) * v[k + d]);
        let above = (1..=B.min(k)).map(|d| self.at(k - d, d) * v[k - d]);
        self.at(k, 0) * v[k] + below.sum::<f64>() + above.sum::<f64>()
    }

    /// Returns the right-hand sides 1, S x and z - S x. S x is of the block's bins alone: x beyond them has no part in its Q x.
    fn sides(&self) -> Vec<[f64; SIDES]> {
        self.rest.iter().enumerate().map(|(k, rest)| [1.0, self.row_times(k, self.x), *rest]).collect()
    }

    /// S[i + d, i].
    fn at(&self, i: usize, d: usize) -> f64 {
        self.s[i * (B + 1) + d]
    }

    /// Gershgorin's bound.
    fn largest_eigenvalue(&self) -> f64 {
        let mut sums = vec![0.0; self.len()];
        for (i, column) in self.columns().enumerate() {
            sums[i] += column[0].abs();
            for d in 1..=B.min(self.len() - 1 - i) {
                sums[i] += column[d].abs();
                sums[i + d] += column[d].abs();
            }
        }
        sums.into_iter().fold(f64::MIN_POSITIVE, f64::max)
    }

    /// The largest signal to noise, by which a relative error of the root is multiplied; at least 100, for ivar and R of dark
    /// fibres.
    fn signal(&self) -> f64 {
        self.columns().zip(self.x).map(|(s, x)| x.abs() * s[0].max(0.0).sqrt()).fold(100.0, f64::max)
    }

    /// Estimates how far flux is off because eigenvalues lie below `tau`, the lower end of all intervals, sigma:
    /// `sqrt(tau) |tau (S + tau)^-1 x|`. It was 8 to 11 times the error that a clip there makes. Infinite if S + tau is not
    /// positive definite either.
    fn beyond_intervals(&self, work: &mut Work<B>, tau: f64) -> Vec<f64> {
        let n = self.len();
        dispatch(Shifted { block: self, columns: &mut work.columns, shift: Octet([tau; 8]) });
        work.columns.factor(n);
        if work.columns.bad_pivot(n).is_some() {
            return vec![f64::INFINITY; n];
        }
        let sides: Vec<_> = self.x.iter().map(|x| [0.0, *x, 0.0]).collect();
        work.fill_sides(&sides);
        dispatch(Solve { columns: &work.columns, sides: &mut work.sides[..n + 2 * B] });
        work.sides[B..n + B].iter().map(|v| tau.sqrt() * (tau * v[1].0[0]).abs()).collect()
    }

    /// Adds up the poles: rows from `skipped` on become the bins of the core.
    ///
    /// Q x is `S^-1/2 (S x)`. As `S (S^-1/2 x)` it would lose 1e-7 sigma to rounding beside masked bins, where x is large.
    fn collect(&self, work: &Work<B>, root: &Root, largest: f64, skipped: usize, core: Range<usize>) -> BlockRoot {
        let sum = |k: usize, what: usize| work.sums[k * work.width + what].0.iter().sum::<f64>();
        let scale = largest.sqrt();
        let all: f64 = root.weights.iter().sum();
        // Of the diagonal, a difference of terms of this size.
        let rounding = f64::EPSILON * all * scale;
        let v: Vec<f64> = (0..self.len()).map(|k| sum(k, 0)).collect();
        let row_sum = |k: usize| {
            let sum = self.row_times(k, &v);
            if sum.abs() * ROUNDING < rounding { f64::INFINITY } else { sum }
        };
        let rows = skipped..skipped + core.len();
        let row_sums = rows.clone().map(row_sum).collect();
        let qx = rows.clone().map(|k| sum(k, 1)).collect();
        let correction: Vec<f64> = rows.clone().map(|k| 0.5 * sum(k, 2)).collect();
        let diagonal = |(k, d): (usize, usize)| (if d == 0 { all * scale } else { 0.0 }) - sum(k, SIDES + d);
        let diagonals = rows.clone().flat_map(|k| (0..=self.half).map(move |d| (k, d))).map(diagonal).collect();
        let next = (rows.end < self.len()).then(|| sum(rows.end, 1) + 0.5 * sum(rows.end, 2));
        let truncation_error = correction.iter().map(|c| c.abs()).collect();
        BlockRoot { core, row_sums, qx, correction, truncation_error, diagonals, next, octets: root.octets().len() }
    }
}

/// S + shift, one shift a lane, to be factored.
struct Shifted<'a, 'b, const B: usize> {
    block: &'a Block<'b, B>,
    columns: &'a mut Columns<B>,
    shift: Octet,
}

impl<const B: usize> Kernel for Shifted<'_, '_, B> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let shift = simd.load(&self.shift);
        for (j, column) in self.block.columns().enumerate() {
            let inside = self.block.len() - 1 - j;
            let below = |i: usize| simd.splat(if i < inside { column[i + 1] } else { 0.0 });
            self.columns.set(simd, j, simd.add(simd.splat(column[0]), shift), below);
        }
    }
}

/// Solves for all right-hand sides.
struct Solve<'a, const B: usize> {
    columns: &'a Columns<B>,
    sides: &'a mut [[Octet; SIDES]],
}

impl<const B: usize> Kernel for Solve<'_, B> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.columns.solve_together(simd, self.sides);
    }
}

/// Adds eight poles to the sums.
struct Add<'a, const B: usize> {
    work: &'a mut Work<B>,
    n: usize,
    weight: Octet,
    weight_of_band: Octet,
}

impl<const B: usize> Kernel for Add<'_, B> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Work { columns, sides, sums, width } = self.work;
        let (weight, of_band) = (simd.load(&self.weight), simd.load(&self.weight_of_band));
        for (j, sums) in sums.chunks_exact_mut(*width).enumerate().take(self.n) {
            for (side, sum) in sides[j + B].iter().zip(&mut *sums) {
                add(simd, weight, side, sum);
            }
            let column = columns.column(j);
            add(simd, of_band, &column.diagonal, &mut sums[SIDES]);
            for (value, sum) in column.lower[..*width - SIDES - 1].iter().zip(&mut sums[SIDES + 1..]) {
                add(simd, of_band, value, sum);
            }
        }
    }
}

#[inline(always)]
fn add<S: Simd>(simd: S, weight: S::Lanes, value: &Octet, sum: &mut Octet) {
    simd.store(simd.mul_add(weight, simd.load(value), simd.load(sum)), sum);
}

/// The sums over all poles.
fn add_poles<const B: usize>(block: &Block<B>, work: &mut Work<B>, root: &Root, largest: f64) {
    let n = block.len();
    work.columns.truncate(n);
    work.sums.fill(Octet::default());
    let sides = block.sides();
    for (sigma, weight) in root.octets() {
        let shift = Octet(sigma.0.map(|s| s * largest));
        // Of w S (S + sigma)^-1 = w - w sigma (S + sigma)^-1, where w scales with sqrt(largest).
        let weight = Octet(weight.0.map(|w| w * largest.sqrt()));
        let weight_of_band = Octet(std::array::from_fn(|k| weight.0[k] * shift.0[k]));
        dispatch(Shifted { block, columns: &mut work.columns, shift });
        work.columns.factor(n);
        work.fill_sides(&sides);
        dispatch(Solve { columns: &work.columns, sides: &mut work.sides[..n + 2 * B] });
        work.columns.invert(n);
        dispatch(Add { work, n, weight, weight_of_band });
    }
}
