//! What a recursion over fibres neglects whose frontier is narrower than their overlap, told before it is run.

use super::normal::BandedNormal;
use super::scalar;
use rayon::prelude::*;
use std::ops::Range;

/// Widest frontier that there is code for.
const WIDEST: usize = 3;

/// Returns the frontier for fibres that overlap up to `reach` apart: exact as far as there is code for it.
pub(super) fn of_reach(reach: usize) -> usize {
    reach.clamp(1, WIDEST)
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

/// Estimates for the fibres `wanted` how far flux is off because S_f lacks the couplings beyond the frontier, sigma.
///
/// With E, e the couplings beyond it, U those within and G = K_RR^-1 of the other fibres in two steps of block Jacobi, `S_f x_f` lacks
/// `t = -e^T w - U^T G (e x_f - E w)`, `w = G U x_f`. The error is the larger of `|t_i| / 2 sqrt(K_ii)` and `sqrt|t_i (K_ff^-1 t)_i| / 2`.
pub(super) fn neglected(
    normal: &BandedNormal,
    x: &[Vec<f64>],
    frontier: usize,
    wanted: Range<usize>,
    counts: &(dyn Fn(usize, usize) -> bool + Sync),
) -> Vec<f64> {
    let reach = normal.pairs.len();
    if reach <= frontier {
        return vec![0.0; wanted.len()];
    }
    let factors: Vec<Vec<f64>> = normal.diagonal.par_iter().map(|k| factored(k, normal.half)).collect();
    wanted
        .into_par_iter()
        .map(|fibre| Neglected { normal, factors: &factors, frontier, fibre }.error(x, counts))
        .collect()
}

fn factored(columns: &[f64], half: usize) -> Vec<f64> {
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
    for (i, to) in to.iter_mut().enumerate() {
        let near = i.saturating_sub(half)..(i + half + 1).min(n);
        let element = |j: usize| if as_is { pair[i * width + j + half - i] } else { pair[j * width + i + half - j] };
        *to += factor * near.map(|j| element(j) * v[j]).sum::<f64>();
    }
}

/// Vectors of some fibres around one.
type Around = Vec<(usize, Vec<f64>)>;

struct Neglected<'a> {
    normal: &'a BandedNormal,
    factors: &'a [Vec<f64>],
    frontier: usize,
    fibre: usize,
}

impl Neglected<'_> {
    fn error(&self, x: &[Vec<f64>], counts: &(dyn Fn(usize, usize) -> bool + Sync)) -> f64 {
        let (normal, fibre) = (self.normal, self.fibre);
        let own: Around = vec![(fibre, x[fibre].clone())];
        let w = self.others_solved(&self.product(&own, true));
        let mut beyond = self.product(&own, false);
        self.subtract(&mut beyond, &self.product(&w, false));
        let lost = self.others_solved(&beyond);
        let mut t = vec![0.0; normal.n];
        for (from, near) in [(&w, false), (&lost, true)] {
            let all = self.product(from, near);
            let of_fibre = all.iter().find(|(other, _)| *other == fibre);
            of_fibre.into_iter().for_each(|(_, v)| t.iter_mut().zip(v).for_each(|(t, v)| *t -= v));
        }
        let solved = scalar::solve(&self.factors[fibre], normal.half, &t);
        let k = |i: usize| normal.diagonal[fibre][i * (normal.half + 1)];
        let of_bin = |i: usize| 0.5 * (t[i].abs() / k(i).sqrt()).max((t[i] * solved[i]).abs().sqrt());
        (0..normal.n).filter(|&i| counts(fibre, i)).map(of_bin).fold(0.0, f64::max)
    }

    /// Returns the product with the blocks within the frontier, or with those beyond it.
    fn product(&self, from: &Around, near: bool) -> Around {
        let (normal, reach) = (self.normal, self.normal.pairs.len());
        let apart = if near { 1..self.frontier + 1 } else { self.frontier + 1..reach + 1 };
        let mut out = Around::new();
        for (fibre, v) in from {
            for other in others(normal, *fibre, apart.clone()) {
                let at = out.iter().position(|(known, _)| *known == other).unwrap_or_else(|| {
                    out.push((other, vec![0.0; normal.n]));
                    out.len() - 1
                });
                add_product(normal, (other, *fibre), 1.0, v, &mut out[at].1);
            }
        }
        out
    }

    fn subtract(&self, from: &mut Around, what: &Around) {
        for (fibre, v) in what {
            match from.iter_mut().find(|(known, _)| known == fibre) {
                Some((_, own)) => own.iter_mut().zip(v).for_each(|(own, v)| *own -= v),
                None => from.push((*fibre, v.iter().map(|v| -v).collect())),
            }
        }
    }

    /// Returns K_RR^-1 v of the other fibres, in two steps of block Jacobi.
    fn others_solved(&self, v: &Around) -> Around {
        let once = |v: &Around| -> Around {
            let others = v.iter().filter(|(fibre, _)| *fibre != self.fibre);
            others.map(|(f, v)| (*f, scalar::solve(&self.factors[*f], self.normal.half, v))).collect()
        };
        let mut rest = v.clone();
        self.subtract(&mut rest, &self.product(&once(v), true));
        once(&rest)
    }
}
