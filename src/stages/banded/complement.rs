//! Schur complements of the fibres of a bundle by a recursion over the fibres from both sides.
//!
//! Eliminating a fibre k couples those that it overlaps: `A_ab += O_a M_k^-1 O_b^T` with `M_k = K_kk - A_kk`, `O_a = K_ak - A_ak`.
//! From either side a frontier of r fibres is carried along, exact if no fibre overlaps another more than r away. The two sides
//! meet on r fibres, of which all but one are eliminated: `S_f = K_ff - A_ff`. With r = 1 this is the usual recursion of a
//! block-tridiagonal K.
//!
//! No inverse is formed. With `M_k = L D L^T` the product is a Gram matrix, `Y_a^T D^-1 Y_b` with `Y_a = L^-1 O_a^T`. A column of Y
//! begins where that of O^T does, and is followed until its tail has decayed. Terms are kept in a band. A band of the inverse in
//! place of Y would have to be several times as wide. Lanes are eight chunks of the bins, which overlap.

use super::chunks::{Chunks, transpose_block};
use super::front::{Front, Term};
use super::gram::{Gram, Remain, Solve};
use super::inverse::Columns;
use super::normal::BandedNormal;
use super::{BandFailure, scalar, with_half_bandwidth};
use crate::stages::simd::{Octet, dispatch};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// One fibre when all others are eliminated: `S_f x_f = z_f`.
#[derive(Clone, Debug, PartialEq)]
pub struct Complement {
    /// Half bandwidth of S_f.
    pub band: usize,
    /// S_f in `[n, band + 1]`: element d of bin i is S_f[i + d, i].
    pub matrix: Vec<f64>,
    /// z_f, `[n]`.
    pub rhs: Vec<f64>,
}

impl Complement {
    /// Solves `S x = z` with the band of S.
    pub fn solve(&self, z: &[f64]) -> Vec<f64> {
        let mut columns = self.matrix.clone();
        scalar::factor(&mut columns, self.band);
        scalar::solve(&columns, self.band, z)
    }

    /// Returns the equations with S cut to a narrower band.
    pub(crate) fn cut(&self, band: usize) -> Self {
        let band = band.min(self.band);
        let columns = self.matrix.chunks_exact(self.band + 1);
        let matrix = columns.flat_map(|column| &column[..=band]).copied().collect();
        Self { band, matrix, rhs: self.rhs.clone() }
    }

    /// Returns `z - S x`: what x, which is exact, leaves in the banded equations.
    pub(crate) fn residual(&self, x: &[f64]) -> Vec<f64> {
        let (n, stride) = (x.len(), self.band + 1);
        let mut rest = self.rhs.clone();
        for i in 0..n {
            rest[i] -= self.matrix[i * stride] * x[i];
            for d in 1..=self.band.min(n - 1 - i) {
                let element = self.matrix[i * stride + d];
                rest[i] -= element * x[i + d];
                rest[i + d] -= element * x[i];
            }
        }
        rest
    }
}

/// How the recursion over fibres is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recursion {
    /// Half bandwidth of S_f and of its terms, at least that of K.
    pub kept: usize,
    /// Fibres of the frontier: the largest distance at which fibres overlap.
    pub frontier: usize,
    /// Bins by which chunks overlap.
    pub overlap: usize,
}

/// Forms S_f and z_f of the fibres `wanted` by eliminating all others of `among`. `rhs` is y of all fibres, less what fibres beyond
/// the frontier contribute.
pub(crate) fn complements(
    normal: &BandedNormal,
    rhs: &[Vec<f64>],
    recursion: Recursion,
    among: Range<usize>,
    wanted: Range<usize>,
) -> Result<Vec<Complement>, BandFailure> {
    with_half_bandwidth!(recursion.kept, B => complements_with::<B>(normal, rhs, recursion, among, wanted))
}

fn complements_with<const B: usize>(
    normal: &BandedNormal,
    rhs: &[Vec<f64>],
    recursion: Recursion,
    among: Range<usize>,
    wanted: Range<usize>,
) -> Result<Vec<Complement>, BandFailure> {
    let nfibre = among.len();
    let frontier = recursion.frontier.clamp(1, nfibre.saturating_sub(1).max(1));
    let elimination = Elimination::new(normal, rhs, recursion, frontier);
    // The first fibre of every frontier on which both sides meet.
    let first = |k: usize| (k * frontier).min(nfibre - frontier);
    let meetings: Vec<usize> = (0..nfibre.div_ceil(frontier)).collect();
    let of = |k: usize| among.start + k * frontier..among.end.min(among.start + (k + 1) * frontier);
    let meetings: Vec<usize> = meetings.into_iter().filter(|&k| of(k).any(|fibre| wanted.contains(&fibre))).collect();
    // Fronts at the steps that are needed, counted from either end.
    let run = |at: &(dyn Fn(usize) -> usize + Sync), needed: Vec<usize>| {
        let mut front = Front::new((0..frontier).map(at));
        let mut fronts = Vec::with_capacity(needed.len());
        let mut work = Work::<B>::new(elimination.chunks.len());
        for step in 0..needed.last().map_or(0, |last| last + 1) {
            if step > 0 {
                front = elimination.without(&front.with(at(step + frontier - 1)), 0, &mut work)?;
            }
            if needed.binary_search(&step).is_ok() {
                fronts.push(front.clone());
            }
        }
        Ok::<_, BandFailure>(fronts)
    };
    let from_above = |&k: &usize| nfibre - frontier - first(k);
    let (below, above) = rayon::join(
        || run(&|f| among.start + f, meetings.iter().map(|&k| first(k)).collect()),
        || run(&|f| among.end - 1 - f, meetings.iter().rev().map(from_above).collect()),
    );
    let (below, mut above) = (below?, above?);
    above.reverse();
    let meet = |((k, below), above): ((usize, Front), Front)| -> Result<Vec<Complement>, BandFailure> {
        let front = below.joined(&above, elimination.fill);
        let own = of(k).filter(|fibre| wanted.contains(fibre));
        own.map(|fibre| Ok(elimination.complement::<B>(&elimination.alone::<B>(front.clone(), fibre)?))).collect()
    };
    let fronts = meetings.into_par_iter().zip(below).zip(above);
    let found = fronts.map(meet).collect::<Result<Vec<_>, _>>()?;
    Ok(found.into_iter().flatten().collect())
}

/// Elimination of fibres one after another.
struct Elimination<'a> {
    normal: &'a BandedNormal,
    rhs: &'a [Vec<f64>],
    chunks: Chunks,
    /// Half bandwidth of the terms of one fibre.
    kept: usize,
    /// Half bandwidth of the terms between two fibres.
    fill: usize,
    /// Rows by which columns of Y are followed beyond those of O^T.
    tail: usize,
    /// The largest distance at which fibres count as overlapping.
    frontier: usize,
}

/// Room to eliminate one fibre.
struct Work<const B: usize> {
    /// M, then its factor.
    columns: Columns<B>,
    /// y, then M^-1 y, between B zeros at each end.
    solved: Vec<Octet>,
    /// Rows of K.
    rows: Vec<Octet>,
    /// `K_ak - A_ak` of the other members of the front.
    couplings: Vec<Vec<Octet>>,
}

impl<const B: usize> Work<B> {
    fn new(n: usize) -> Self {
        let solved = vec![Octet::default(); n + 2 * B];
        Self { columns: Columns::new(n), solved, rows: vec![], couplings: vec![] }
    }
}

impl<'a> Elimination<'a> {
    fn new(normal: &'a BandedNormal, rhs: &'a [Vec<f64>], recursion: Recursion, frontier: usize) -> Self {
        let Recursion { kept, overlap, .. } = recursion;
        // Between fibres r > 1 apart a narrower band serves.
        let fill = if frontier > 1 { normal.half.max(2 * kept / 3) } else { normal.half };
        let tail = kept.max(overlap / 2);
        Self { normal, rhs, chunks: Chunks::new(normal.n, overlap), kept, fill, tail, frontier }
    }

    /// Makes `to` the rows of `K_ak - A_ak`, `[row, 2 fill + 1]`, for members a and k of a front.
    fn couple(&self, front: &Front, a: usize, k: usize, room: &mut Vec<Octet>, to: &mut Vec<Octet>) {
        let (one, other) = (front.fibres[a], front.fibres[k]);
        let pair = self.normal.pair(one, other).filter(|_| one.abs_diff(other) <= self.frontier);
        match pair {
            Some((pair, true)) => self.chunks.block(pair, self.normal.half, self.fill, to),
            Some((pair, false)) => {
                self.chunks.block(pair, self.normal.half, self.fill, room);
                transpose_block(room, self.fill, to);
            }
            None => {
                to.clear();
                to.resize(self.chunks.len() * (2 * self.fill + 1), Octet::default());
            }
        }
        if let Some(term) = front.cross_rows(a, k, self.fill) {
            to.iter_mut().zip(&term).for_each(|(to, term)| to.0.iter_mut().zip(term.0).for_each(|(o, t)| *o -= t));
        }
    }

    /// Returns a front without one of its members, which is eliminated.
    fn without<const B: usize>(&self, front: &Front, k: usize, work: &mut Work<B>) -> Result<Front, BandFailure> {
        let (fibre, n) = (front.fibres[k], self.chunks.len());
        let Work { columns, solved, rows, couplings } = work;
        let own = front.own[k].as_deref();
        self.chunks.rows(&self.normal.diagonal[fibre], self.normal.half + 1, rows);
        let term = own.map(|own| &own.band[..]);
        dispatch(Remain { columns, rows, half: self.normal.half, chunks: &self.chunks, term });
        columns.factor(n);
        if let Some((row, lane)) = columns.bad_pivot(n) {
            let bin = self.chunks.bin(row, lane).unwrap_or(0);
            return Err(BandFailure::Pivot { what: "K less its neighbours' part", fibre, bin });
        }
        self.chunks.rows(&self.rhs[fibre], 1, rows);
        for (row, (out, y)) in solved[B..B + n].iter_mut().zip(&*rows).enumerate() {
            let part = own.map_or(Octet::default(), |own| own.reduced[row]);
            *out = Octet(std::array::from_fn(|lane| y.0[lane] - part.0[lane]));
        }
        dispatch(Solve { columns, v: solved });
        let left: Vec<usize> = (0..front.fibres.len()).filter(|&a| a != k).collect();
        couplings.resize(left.len(), vec![]);
        for (&a, coupling) in left.iter().zip(&mut *couplings) {
            self.couple(front, a, k, rows, coupling);
        }
        let zeros = |width: usize| vec![Octet::default(); n * width];
        let zero = || Term { band: zeros(B + 1), reduced: zeros(1) };
        let terms = left.iter().map(|&a| front.own[a].as_deref().cloned().unwrap_or_else(zero));
        let mut own: Vec<Term> = terms.collect();
        let pairs = left.iter().enumerate().flat_map(|(i, &a)| left[..i].iter().map(move |&b| (a, b)));
        let nothing = || zeros(2 * self.fill + 1);
        let cross = pairs.map(|(a, b)| front.cross_rows(a, b, self.fill).unwrap_or_else(nothing));
        let mut cross: Vec<Vec<Octet>> = cross.collect();
        dispatch(Gram {
            factor: columns,
            couplings,
            solved: &solved[B..B + n],
            fill: self.fill,
            kept: self.kept,
            tail: self.tail,
            own: &mut own,
            cross: &mut cross,
        });
        Ok(Front {
            fibres: left.iter().map(|&a| front.fibres[a]).collect(),
            own: own.into_iter().map(|own| Some(Arc::new(own))).collect(),
            cross: cross.into_iter().map(|cross| Some(Arc::new(cross))).collect(),
        })
    }

    /// Returns a front with nothing but one fibre.
    fn alone<const B: usize>(&self, mut front: Front, fibre: usize) -> Result<Front, BandFailure> {
        if front.fibres.len() > 1 {
            let mut work = Work::<B>::new(self.chunks.len());
            while front.fibres.len() > 1 {
                let other = front.fibres.iter().position(|&f| f != fibre).expect("fibres differ");
                front = self.without(&front, other, &mut work)?;
            }
        }
        Ok(front)
    }

    /// S_f and z_f on the chunks' cores, for a front of one fibre.
    fn complement<const B: usize>(&self, front: &Front) -> Complement {
        let (fibre, half, kept, n) = (front.fibres[0], self.normal.half, self.kept, self.normal.n);
        let mut matrix = vec![0.0; n * (kept + 1)];
        for (column, from) in matrix.chunks_exact_mut(kept + 1).zip(self.normal.diagonal[fibre].chunks_exact(half + 1))
        {
            column[..=half].copy_from_slice(from);
        }
        let mut rhs = self.rhs[fibre].clone();
        if let Some(own) = &front.own[0] {
            self.chunks.subtract(&own.band, B + 1, kept + 1, &mut matrix);
            self.chunks.subtract(&own.reduced, 1, 1, &mut rhs);
        }
        Complement { band: kept, matrix, rhs }
    }
}

#[cfg(test)]
mod tests {
    use super::super::solve::solve;
    use super::*;
    use nalgebra::{DMatrix, DVector};
    use proptest::prelude::*;

    /// The normal equations of `nfibre` fibres on n bins, dense (fibre by fibre) and in bands: G^T G + 1 of a random G. Fibres
    /// overlap up to `far` apart.
    fn bundle([nfibre, n, half, far]: [usize; 4], seed: &[f64]) -> (DMatrix<f64>, DVector<f64>, BandedNormal) {
        let size = nfibre * n;
        let reach = half / 2;
        let near = |i: usize, j: usize| {
            (i % n).abs_diff(j % n) <= reach && (i / n).checked_sub(j / n).is_some_and(|apart| apart <= far)
        };
        let random = |i: usize, j: usize| seed[(31 * i + 17 * j) % seed.len()];
        // Rows of pixels each see one fibre and those below it.
        let g = DMatrix::from_fn(size, size, |i, j| match (near(i, j), i / n == j / n) {
            (true, true) => random(i, j),
            (true, false) => 0.3 * random(i, j),
            _ => 0.0,
        });
        let k = g.transpose() * &g + DMatrix::identity(size, size);
        let rhs = DVector::from_fn(size, |i, _| 10.0 * random(i, i));
        let mut normal = BandedNormal { n, half, diagonal: vec![], pairs: vec![vec![]; far], rhs: vec![] };
        let element = |f: usize, i: usize, g: usize, j: Option<usize>| {
            j.filter(|&j| j < n).map_or(0.0, |j| k[(f * n + i, g * n + j)])
        };
        for f in 0..nfibre {
            let diagonal = |p: usize| element(f, p / (half + 1), f, Some(p / (half + 1) + p % (half + 1)));
            normal.diagonal.push((0..n * (half + 1)).map(diagonal).collect());
            normal.rhs.push(rhs.as_slice()[f * n..(f + 1) * n].to_vec());
            let width = 2 * half + 1;
            for apart in 1..=far.min(f) {
                let pair = |p: usize| element(f, p / width, f - apart, (p / width + p % width).checked_sub(half));
                normal.pairs[apart - 1].push((0..n * width).map(pair).collect());
            }
        }
        (k, rhs, normal)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn complements_and_x_are_those_of_dense_algebra(
            nfibre in 1usize..10, n in 1usize..40, half in 0usize..5, far in 1usize..4,
            seed in prop::collection::vec(-1.0f64..1.0, 64)
        ) {
            let half = 2 * half;
            let (k, rhs, normal) = bundle([nfibre, n, half, far], &seed);
            // Bands and overlaps that hold everything.
            let recursion = Recursion { kept: 64, frontier: far, overlap: n };
            let ours = complements(&normal, &normal.rhs, recursion, 0..nfibre, 0..nfibre).unwrap();
            let some = nfibre / 3..(nfibre / 3 + 2).min(nfibre);
            prop_assert!(complements(&normal, &normal.rhs, recursion, 0..nfibre, some.clone()).unwrap() == ours[some]);
            let inverse = k.clone().try_inverse().unwrap();
            let x = &inverse * &rhs;
            for (f, s) in ours.iter().enumerate() {
                let exact = inverse.view((f * n, f * n), (n, n)).into_owned().try_inverse().unwrap();
                let reduced = &exact * x.rows(f * n, n);
                for i in 0..n {
                    prop_assert!((s.rhs[i] - reduced[i]).abs() < 1e-9 * rhs.amax().max(1.0), "fibre {} bin {}", f, i);
                    for d in (0..=64).filter(|d| i + d < n) {
                        prop_assert!((s.matrix[i * 65 + d] - exact[(i + d, i)]).abs() < 1e-10 * exact.amax());
                    }
                }
                let rest = s.residual(&x.as_slice()[f * n..(f + 1) * n]);
                prop_assert!(rest.iter().all(|r| r.abs() < 1e-9 * rhs.amax().max(1.0)));
            }
            let (ours, _) = solve(&normal, 1e-9).unwrap();
            let error = (0..nfibre * n).map(|i| (ours[i / n][i % n] - x[i]).abs()).fold(0.0, f64::max);
            prop_assert!(error < 1e-7, "x {:e}", error);
        }
    }

    #[test]
    fn around_some_bins_a_cut_of_the_equations_has_the_complements_of_all_bins() {
        let seed: Vec<f64> = (0..61).map(|k| 0.15 * ((k * k) as f64).sin()).collect();
        let (_, _, normal) = bundle([5, 150, 4, 2], &seed);
        let recursion = Recursion { kept: 12, frontier: 2, overlap: 25 };
        let whole = complements(&normal, &normal.rhs, recursion, 0..5, 1..4).unwrap();
        let (fibres, bins, margin) = (0..5, 30..130, 35);
        let cut = normal.cut(&fibres, &bins);
        let part = complements(&cut, &cut.rhs, recursion, fibres, 1..4).unwrap();
        for (whole, part) in whole.iter().zip(&part) {
            let off = |bin: usize| {
                let columns = [(whole, bin), (part, bin - bins.start)];
                let [all, some] = columns.map(|(s, at)| &s.matrix[at * (s.band + 1)..(at + 1) * (s.band + 1)]);
                let band = all.iter().zip(some).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                band.max((whole.rhs[bin] - part.rhs[bin - bins.start]).abs())
            };
            assert!((bins.start + margin..bins.end - margin).all(|bin| off(bin) < 1e-8), "away from the ends");
            assert!(off(bins.start) > 1e-4, "the end of a cut shows");
        }
    }
}
