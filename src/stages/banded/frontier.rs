//! Terms that a recursion over fibres lacks whose frontier is narrower than their overlap: estimated before it is run, and made up
//! for.

use super::normal::BandedNormal;
use super::scalar;
use rayon::prelude::*;
use std::ops::Range;

/// Widest frontier that there is code for.
const WIDEST: usize = 3;

/// Returns the frontiers for fibres that overlap up to `reach` apart, from the narrowest. One as wide as the overlap lacks nothing.
pub(super) fn candidates(reach: usize) -> Range<usize> {
    1..reach.clamp(1, WIDEST) + 1
}

/// The part that S_f of a fibre lacks.
#[derive(Clone, Debug, Default)]
pub(super) struct Neglected {
    /// Term to be added to S_f x_f; empty where nothing is neglected.
    pub t: Vec<f64>,
    /// Change of flux by bin, sigma, 0 at bins that do not count; empty where nothing is neglected.
    pub effect: Vec<f64>,
}

/// Returns y of all fibres less what fibres beyond the frontier contribute, whose x is known.
pub(super) fn near_rhs(normal: &BandedNormal, x: &[Vec<f64>], frontier: usize) -> Vec<Vec<f64>> {
    if normal.pairs.len() <= frontier {
        return normal.rhs.clone();
    }
    let of = |fibre: usize| {
        let mut rhs = normal.rhs[fibre].clone();
        for other in others(normal, fibre, frontier + 1..normal.pairs.len() + 1) {
            add_product(normal, (fibre, other), -1.0, &x[other], &mut rhs);
        }
        rhs
    };
    (0..normal.rhs.len()).into_par_iter().map(of).collect()
}

/// Estimates for the fibres `wanted` what S_f lacks beyond the frontier.
///
/// E, e are the couplings beyond it, U those within, and G = K_RR^-1 of the other fibres in two steps of block Jacobi. S_f x_f
/// lacks `t = -e^T w - U^T G (e x_f - E w)`, `w = G U x_f`. Flux changes by the larger of `|t_i| / 2 sqrt(K_ii)` and
/// `sqrt|t_i (K_ff^-1 t)_i| / 2`; that was 0.1 to 10 times the error.
pub(super) fn neglected(
    normal: &BandedNormal,
    x: &[Vec<f64>],
    frontier: usize,
    wanted: Range<usize>,
    counts: &(dyn Fn(usize, usize) -> bool + Sync),
) -> Vec<Neglected> {
    if normal.pairs.len() <= frontier {
        return vec![Neglected::default(); wanted.len()];
    }
    let factors: Vec<Vec<f64>> = normal.diagonal.par_iter().map(|k| factored(k, normal.half)).collect();
    let of = |fibre| Around { normal, factors: &factors, frontier, fibre }.neglected(x, counts);
    wanted.into_par_iter().map(of).collect()
}

/// Returns the larger of two numbers, or the one that is none.
pub(super) fn larger(a: f64, b: f64) -> f64 {
    if b <= a || a.is_nan() { a } else { b }
}

/// Returns the factor of a symmetric band, by [`scalar::factor`].
pub(super) fn factored(columns: &[f64], half: usize) -> Vec<f64> {
    let mut columns = columns.to_vec();
    scalar::factor(&mut columns, half);
    columns
}

/// Fibres at some distances from a fibre.
fn others(normal: &BandedNormal, fibre: usize, apart: Range<usize>) -> impl Iterator<Item = usize> {
    let n = normal.rhs.len();
    apart.flat_map(move |d| [fibre.checked_sub(d), Some(fibre + d)]).flatten().filter(move |&other| other < n)
}

/// Adds a factor times K_fg v.
fn add_product(normal: &BandedNormal, (f, g): (usize, usize), factor: f64, v: &[f64], to: &mut [f64]) {
    let Some((pair, as_is)) = normal.pair(f, g) else { return };
    let (n, half, width) = (normal.n, normal.half, 2 * normal.half + 1);
    for (i, row) in pair.chunks_exact(width).enumerate() {
        let (low, high) = (i.saturating_sub(half), (i + half + 1).min(n));
        let row = &row[low + half - i..][..high - low];
        if as_is {
            let mut sums = [0.0; 4];
            row.iter().zip(&v[low..high]).enumerate().for_each(|(k, (k_ij, v))| sums[k % 4] += k_ij * v);
            to[i] += factor * sums.iter().sum::<f64>();
        } else {
            let scaled = factor * v[i];
            to[low..high].iter_mut().zip(row).for_each(|(to, k_ij)| *to += k_ij * scaled);
        }
    }
}

/// Vectors of some fibres.
type Vectors = Vec<(usize, Vec<f64>)>;

/// A fibre among the others.
struct Around<'a> {
    normal: &'a BandedNormal,
    factors: &'a [Vec<f64>],
    frontier: usize,
    fibre: usize,
}

impl Around<'_> {
    fn neglected(&self, x: &[Vec<f64>], counts: &(dyn Fn(usize, usize) -> bool + Sync)) -> Neglected {
        let (normal, fibre, reach) = (self.normal, self.fibre, self.normal.pairs.len());
        let own: Vectors = vec![(fibre, x[fibre].clone())];
        let w = self.solved(&self.product(&own, true, reach), reach);
        let mut beyond = self.product(&own, false, reach);
        subtract(&mut beyond, &self.product(&w, false, reach));
        let lost = self.solved(&beyond, self.frontier);
        let mut t = vec![0.0; normal.n];
        for (from, near) in [(&w, false), (&lost, true)] {
            for (_, v) in self.product(from, near, 0) {
                t.iter_mut().zip(v).for_each(|(t, v)| *t -= v);
            }
        }
        let solved = scalar::solve(&self.factors[fibre], normal.half, &t);
        let k = |i: usize| normal.diagonal[fibre][i * (normal.half + 1)];
        let of_bin = |i: usize| 0.5 * (t[i].abs() / k(i).sqrt()).max((t[i] * solved[i]).abs().sqrt());
        let effect = (0..normal.n).map(|i| if counts(fibre, i) { of_bin(i) } else { 0.0 }).collect();
        Neglected { t, effect }
    }

    /// Returns the product with the blocks within the frontier, or with those beyond it, for fibres up to `most` from this one.
    fn product(&self, from: &Vectors, near: bool, most: usize) -> Vectors {
        let (normal, reach) = (self.normal, self.normal.pairs.len());
        let apart = if near { 1..self.frontier + 1 } else { self.frontier + 1..reach + 1 };
        let mut out = Vectors::new();
        for (fibre, v) in from {
            for other in others(normal, *fibre, apart.clone()).filter(|other| other.abs_diff(self.fibre) <= most) {
                let at = out.iter().position(|(known, _)| *known == other).unwrap_or_else(|| {
                    out.push((other, vec![0.0; normal.n]));
                    out.len() - 1
                });
                add_product(normal, (other, *fibre), 1.0, v, &mut out[at].1);
            }
        }
        out
    }

    /// Returns K_RR^-1 v of the other fibres up to `most` from this one, in two steps of block Jacobi.
    fn solved(&self, v: &Vectors, most: usize) -> Vectors {
        let once = |v: &Vectors, most: usize| -> Vectors {
            let others = v.iter().filter(|(fibre, _)| (1..=most).contains(&fibre.abs_diff(self.fibre)));
            others.map(|(f, v)| (*f, scalar::solve(&self.factors[*f], self.normal.half, v))).collect()
        };
        let mut rest: Vectors = v.clone();
        subtract(&mut rest, &self.product(&once(v, usize::MAX), true, most));
        once(&rest, most)
    }
}

fn subtract(from: &mut Vectors, what: &Vectors) {
    for (fibre, v) in what {
        match from.iter_mut().find(|(known, _)| known == fibre) {
            Some((_, own)) => own.iter_mut().zip(v).for_each(|(own, v)| *own -= v),
            None => from.push((*fibre, v.iter().map(|v| -v).collect())),
        }
    }
}
