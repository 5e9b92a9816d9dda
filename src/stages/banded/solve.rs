//! The deconvolved flux x = K^-1 y of a bundle: conjugate gradients, preconditioned by one banded factor per fibre.
//!
//! Lanes are fibres. The iteration stops by its error in sigma. With e = x - x_exact, M the preconditioner and lambda the
//! smallest eigenvalue of M^-1 K, `e^T K e <= r^T M^-1 r / lambda`. It bounds the squared error of every decorrelated flux:
//! `(Q_f e_f)_i^2 <= e_f^T S_f e_f <= e^T K e`. The last step holds as S_f minimises e^T K e over the other fibres. lambda
//! is 1 less the coupling of neighbours; the steps of the iteration give it.

use super::interleave::{Interleave, interleave_part};
use super::inverse::Columns;
use super::normal::BandedNormal;
use super::{BandFailure, with_half_bandwidth};
use crate::stages::simd::{Kernel, Octet, Simd, dispatch};
use rayon::prelude::*;

/// Beyond this the iteration has met numbers it cannot handle. It takes 5 to 15 in a DESI frame, and some hundred beside a masked
/// quarter of the CCD where fibres are 2 sigma apart.
const MAX_ITERATIONS: usize = 2000;

/// x of every fibre, `[fibre][bin]`, and how many iterations it took.
pub(crate) fn solve(normal: &BandedNormal, tolerance: f64) -> Result<(Vec<Vec<f64>>, usize), BandFailure> {
    with_half_bandwidth!(normal.half, B => solve_with::<B>(normal, tolerance))
}

fn solve_with<const B: usize>(normal: &BandedNormal, tolerance: f64) -> Result<(Vec<Vec<f64>>, usize), BandFailure> {
    let groups: Vec<Group> = (0..normal.diagonal.len()).step_by(8).map(|first| Group { normal, first }).collect();
    let factor = |group: &Group| {
        let mut columns = dispatch(Load::<B> { group });
        columns.factor(normal.n);
        match columns.bad_pivot(normal.n) {
            Some((bin, lane)) => Err(BandFailure::Pivot { what: "K", fibre: group.first + lane, bin }),
            None => Ok(columns),
        }
    };
    let factors = groups.par_iter().map(factor).collect::<Result<Vec<_>, _>>()?;
    let mut r: Vec<Vector> = normal.rhs.chunks(8).map(|rhs| dispatch(Interleave(rhs))).collect();
    let mut x: Vec<Vector> = r.iter().map(|v| vec![Octet::default(); v.len()]).collect();
    let mut z = x.clone();
    let precondition = |r: &[Vector], z: &mut [Vector]| {
        factors.par_iter().zip(r).zip(z).for_each(|((factor, r), z)| dispatch(Solve { factor, r, z }));
    };
    precondition(&r, &mut z);
    let mut p = z.clone();
    let mut rz = dot(&r, &z);
    let mut lanczos = Lanczos::default();
    for iteration in 0..MAX_ITERATIONS {
        let enough = tolerance * tolerance;
        if lanczos.is_above(rz / enough) {
            let of_fibre = |f: usize| x[f / 8].iter().map(|o| o.0[f % 8]).collect();
            return Ok(((0..normal.diagonal.len()).map(of_fibre).collect(), iteration));
        }
        let q = multiply(&groups, &p);
        let step = rz / dot(&p, &q);
        axpy(&mut x, step, &p);
        axpy(&mut r, -step, &q);
        precondition(&r, &mut z);
        let next = dot(&r, &z);
        let direction = next / rz;
        p.par_iter_mut().zip(&z).for_each(|(p, z)| {
            p.iter_mut().zip(z).for_each(|(p, z)| p.0.iter_mut().zip(z.0).for_each(|(p, z)| *p = z + direction * *p));
        });
        rz = next;
        lanczos.push(step, direction);
        if !rz.is_finite() {
            return Err(BandFailure::NotConverged { error: f64::INFINITY, iterations: iteration + 1 });
        }
    }
    Err(BandFailure::NotConverged { error: rz.sqrt(), iterations: MAX_ITERATIONS })
}

/// The tridiagonal matrix that the steps of conjugate gradients make of M^-1 K (Golub & Van Loan, section 10.2).
#[derive(Default)]
struct Lanczos {
    /// Step and next direction of every iteration, alpha and beta.
    steps: Vec<(f64, f64)>,
}

impl Lanczos {
    fn push(&mut self, step: f64, direction: f64) {
        self.steps.push((step, direction));
    }

    /// Whether all its eigenvalues are above a number below 1, that of fibres without neighbours: the pivots of the matrix less
    /// the number are positive.
    fn is_above(&self, number: f64) -> bool {
        let mut before = 1.0;
        let mut last = (f64::INFINITY, 0.0);
        number < 1.0
            && self.steps.iter().all(|&(step, direction)| {
                let of_last = last.1 / last.0;
                let coupling = last.1.max(0.0).sqrt() / last.0;
                let pivot = 1.0 / step + of_last - number - coupling * coupling / before;
                (before, last) = (pivot, (step, direction));
                pivot > 0.0
            })
    }
}

/// One value per bin for each of eight fibres.
type Vector = Vec<Octet>;

fn dot(a: &[Vector], b: &[Vector]) -> f64 {
    let of_group = |(a, b): (&Vector, &Vector)| -> [f64; 8] {
        let mut sums = [0.0; 8];
        a.iter().zip(b).for_each(|(a, b)| (0..8).for_each(|k| sums[k] += a.0[k] * b.0[k]));
        sums
    };
    a.iter().zip(b).map(of_group).map(|sums| sums.iter().sum::<f64>()).sum()
}

fn axpy(x: &mut [Vector], a: f64, y: &[Vector]) {
    x.par_iter_mut().zip(y).for_each(|(x, y)| {
        x.iter_mut().zip(y).for_each(|(x, y)| x.0.iter_mut().zip(y.0).for_each(|(x, y)| *x += a * y));
    });
}

/// Bins whose blocks of K are made lanes at a time: 0.4 MB of them in a DESI frame. The lanes of all bins would take as much memory
/// as K again.
const BINS: usize = 256;

/// The blocks of up to eight fibres, one per lane.
struct Group<'a> {
    normal: &'a BandedNormal,
    first: usize,
}

impl<'a> Group<'a> {
    /// K_ff of its fibres.
    fn diagonal(&self) -> &'a [Vec<f64>] {
        self.of(&self.normal.diagonal)
    }

    /// Returns the part of its fibres.
    fn of(&self, all: &'a [Vec<f64>]) -> &'a [Vec<f64>] {
        let last = all.len().min(self.first + 8);
        &all[self.first.min(last)..last]
    }
}

/// K p.
fn multiply(groups: &[Group], p: &[Vector]) -> Vec<Vector> {
    // p of the fibres `apart` above, on the lanes of the fibres below.
    let above = |g: usize, apart: usize| -> Vector {
        let at = |lane: usize| (g + (lane + apart) / 8, (lane + apart) % 8);
        let value = |k: usize, (g, lane): (usize, usize)| p.get(g).map_or(0.0, |v| v[k].0[lane]);
        (0..p[g].len()).map(|k| Octet(std::array::from_fn(|lane| value(k, at(lane))))).collect()
    };
    let products = |(g, group): (usize, &Group)| {
        let above: Vec<Vector> = (1..=group.normal.pairs.len()).map(|apart| above(g, apart)).collect();
        dispatch(Multiply { group, p: &p[g], above: &above })
    };
    let products: Vec<(Vector, Vec<Vector>)> = groups.par_iter().enumerate().map(products).collect();
    let (mut own, up): (Vec<Vector>, Vec<Vec<Vector>>) = products.into_iter().unzip();
    for (g, up) in up.iter().enumerate() {
        for (up, apart) in up.iter().zip(1..) {
            for lane in 0..8 {
                let (to, at) = (g + (lane + apart) / 8, (lane + apart) % 8);
                let Some(to) = own.get_mut(to) else { break };
                to.iter_mut().zip(up).for_each(|(to, up)| to.0[at] += up.0[lane]);
            }
        }
    }
    own
}

/// `K_ff p_f + sum_d K_{f+d,f}^T p_{f+d}`, and `K_{f+d,f} p_f` for the fibre d above at d - 1.
struct Multiply<'a> {
    group: &'a Group<'a>,
    p: &'a [Octet],
    above: &'a [Vector],
}

impl Kernel for Multiply<'_> {
    type Output = (Vector, Vec<Vector>);

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> (Vector, Vec<Vector>) {
        let Self { group, p, above } = self;
        let BandedNormal { n, half, pairs: all_pairs, .. } = group.normal;
        let (n, half, width) = (*n, *half, 2 * half + 1);
        let mut own = vec![Octet::default(); n];
        let mut up = vec![own.clone(); above.len()];
        let (mut diagonal, mut pairs) = (vec![], vec![vec![]; above.len()]);
        for first in (0..n).step_by(BINS) {
            let bins = first..(first + BINS).min(n);
            let around = first.saturating_sub(half)..(bins.end + half).min(n);
            let part = |width: usize| around.start * width..around.end * width;
            interleave_part(simd, group.diagonal(), part(half + 1), &mut diagonal);
            for apart in 0..above.len() {
                interleave_part(simd, group.of(&all_pairs[apart]), part(width), &mut pairs[apart]);
            }
            for i in bins {
                let row = i - around.start;
                let column = &diagonal[row * (half + 1)..][..half + 1];
                let (low, high) = (i.saturating_sub(half), (i + half).min(n - 1));
                let mut sums = [simd.mul(simd.load(&column[0]), simd.load(&p[i])), simd.splat(0.0)];
                for j in i + 1..=high {
                    sums[0] = simd.mul_add(simd.load(&column[j - i]), simd.load(&p[j]), sums[0]);
                }
                for j in low..i {
                    let element = simd.load(&diagonal[(j - around.start) * (half + 1) + i - j]);
                    sums[1] = simd.mul_add(element, simd.load(&p[j]), sums[1]);
                }
                for apart in 0..above.len() {
                    let (pairs, above) = (&pairs[apart], &above[apart]);
                    let pair = &pairs[row * width..][..width];
                    let mut up_sum = simd.splat(0.0);
                    for j in low..=high {
                        up_sum = simd.mul_add(simd.load(&pair[j + half - i]), simd.load(&p[j]), up_sum);
                        let element = simd.load(&pairs[(j - around.start) * width + i + half - j]);
                        sums[j % 2] = simd.mul_add(element, simd.load(&above[j]), sums[j % 2]);
                    }
                    simd.store(up_sum, &mut up[apart][i]);
                }
                simd.store(simd.add(sums[0], sums[1]), &mut own[i]);
            }
        }
        (own, up)
    }
}

/// The K_ff of a group, to be factored.
struct Load<'a, const B: usize> {
    group: &'a Group<'a>,
}

impl<const B: usize> Kernel for Load<'_, B> {
    type Output = Columns<B>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Self::Output {
        let BandedNormal { n, half, .. } = *self.group.normal;
        let fibres = self.group.diagonal();
        let (mut columns, mut rows) = (Columns::<B>::new(n), vec![]);
        for first in (0..n).step_by(BINS) {
            let bins = first..(first + BINS).min(n);
            interleave_part(simd, fibres, bins.start * (half + 1)..bins.end * (half + 1), &mut rows);
            for (row, j) in rows.chunks_exact(half + 1).zip(bins) {
                let column = columns.column_mut(j);
                column.diagonal = row[0];
                column.diagonal.0[fibres.len()..].fill(1.0);
                column.lower[..half].copy_from_slice(&row[1..]);
            }
        }
        columns
    }
}

/// z = M^-1 r.
struct Solve<'a, const B: usize> {
    factor: &'a Columns<B>,
    r: &'a [Octet],
    z: &'a mut Vector,
}

impl<const B: usize> Kernel for Solve<'_, B> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let n = self.r.len();
        let mut work = vec![Octet::default(); n + 2 * B];
        work[B..n + B].copy_from_slice(self.r);
        self.factor.solve(simd, &mut work);
        self.z.copy_from_slice(&work[B..n + B]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_within_the_tolerance_however_neighbours_are_coupled() {
        // Two fibres whose bins are coupled by 0 to 0.99 of the diagonal, each bin by itself.
        let n = 200;
        let coupling = |i: usize| 1.0 - 10f64.powf(-2.0 * i as f64 / n as f64);
        let rhs = |f: usize| (0..n).map(|i| 5.0 * ((3 * i + 7 * f) as f64).sin()).collect::<Vec<f64>>();
        let normal = BandedNormal {
            n,
            half: 0,
            diagonal: vec![vec![1.0; n]; 2],
            pairs: vec![vec![(0..n).map(coupling).collect()]],
            rhs: vec![rhs(0), rhs(1)],
        };
        for tolerance in [1e-1, 1e-3, 1e-6] {
            let (x, _) = solve(&normal, tolerance).unwrap();
            let energy = |i: usize| {
                let c = coupling(i);
                let exact = |f: usize| (normal.rhs[f][i] - c * normal.rhs[1 - f][i]) / (1.0 - c * c);
                let e = [0, 1].map(|f| x[f][i] - exact(f));
                e[0] * e[0] + e[1] * e[1] + 2.0 * c * e[0] * e[1]
            };
            let error = (0..n).map(energy).sum::<f64>().sqrt();
            assert!(error <= 1.1 * tolerance, "{error:e} for a tolerance of {tolerance:e}");
        }
    }
}
