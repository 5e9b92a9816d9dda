//! Schur complements of all fibres of a bundle by a recursion over the fibres from both sides.
//!
//! `S_f = K_ff - A_f - B_f` is exact for a block-tridiagonal K, with `A_0 = 0`, `A_{f+1} = K_{f+1,f} (K_ff - A_f)^-1 K_{f,f+1}`,
//! and `B_f` likewise from the last fibre down. Of each inverse a band is formed. The terms are kept in a narrower band: their
//! outer elements lack the inverse beyond its band, and would cost a factor of ten to a hundred in accuracy. Lanes are eight
//! chunks of the bins, which overlap.

use super::bands::Bands;
use super::inverse::Columns;
use super::normal::BandedNormal;
use super::{BandFailure, scalar, with_half_bandwidth};
use crate::stages::simd::{Kernel, Octet, Simd, dispatch};
use rayon::prelude::*;

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

/// S_f and z_f of every fibre.
pub(crate) fn complements(normal: &BandedNormal, bands: Bands, overlap: usize) -> Result<Vec<Complement>, BandFailure> {
    with_half_bandwidth!(bands.inverse, B => complements_with::<B>(normal, bands.kept, overlap))
}

fn complements_with<const B: usize>(
    normal: &BandedNormal,
    kept: usize,
    overlap: usize,
) -> Result<Vec<Complement>, BandFailure> {
    let chunks = Chunks { n: normal.n, core: normal.n.div_ceil(8), overlap, kept };
    let last = normal.diagonal.len() - 1;
    let run = |from_below: bool| -> Result<Vec<Term<B>>, BandFailure> {
        let mut terms =
            vec![Term { band: vec![Band::ZERO; chunks.len()], reduced: vec![Octet::default(); chunks.len()] }];
        for step in 0..last {
            // From below: fibre f gives the term of f + 1; from above, fibre f gives that of f - 1.
            let (fibre, pair) = if from_below { (step, step) } else { (last - step, last - step - 1) };
            let term = terms.last().expect("one term to start with");
            terms.push(chunks.next_term(normal, fibre, (&normal.pairs[pair], from_below), term)?);
        }
        Ok(terms)
    };
    let (below, above) = rayon::join(|| run(true), || run(false));
    let (below, above) = (below?, above?);
    let of_fibre = |f: usize| chunks.complement(normal, f, &below[f], &above[last - f]);
    Ok((0..=last).into_par_iter().map(of_fibre).collect())
}

/// One column of a symmetric band: the diagonal and what is below it.
#[derive(Clone, Copy)]
struct Band<const B: usize> {
    diagonal: Octet,
    lower: [Octet; B],
}

impl<const B: usize> Band<B> {
    const ZERO: Self = Self { diagonal: Octet([0.0; 8]), lower: [Octet([0.0; 8]); B] };
}

/// The terms of S_f and y_f from the fibres on one side, in all chunks.
struct Term<const B: usize> {
    /// A_f or B_f.
    band: Vec<Band<B>>,
    /// Their part of y_f.
    reduced: Vec<Octet>,
}

/// Eight overlapping chunks of the bins, fixed by the grid alone.
struct Chunks {
    n: usize,
    core: usize,
    overlap: usize,
    /// Half bandwidth of the terms.
    kept: usize,
}

impl Chunks {
    /// Rows of a chunk.
    fn len(&self) -> usize {
        self.core + 2 * self.overlap
    }

    /// The bin of a row of a chunk, None beyond the grid.
    fn bin(&self, row: usize, lane: usize) -> Option<usize> {
        (lane * self.core + row).checked_sub(self.overlap).filter(|&bin| bin < self.n)
    }

    /// K_ff: rows beyond the grid are those of the identity.
    fn columns<const B: usize>(&self, diagonal: &[f64], half: usize) -> Vec<Band<B>> {
        let mut out = vec![Band::ZERO; self.len()];
        for (row, column) in out.iter_mut().enumerate() {
            for lane in 0..8 {
                match self.bin(row, lane) {
                    Some(bin) => {
                        column.diagonal.0[lane] = diagonal[bin * (half + 1)];
                        let below = &diagonal[bin * (half + 1) + 1..(bin + 1) * (half + 1)];
                        // The part that leaves the chunk is cut off.
                        let inside = half.min(self.len() - 1 - row);
                        column.lower.iter_mut().zip(&below[..inside]).for_each(|(c, v)| c.0[lane] = *v);
                    }
                    None => column.diagonal.0[lane] = 1.0,
                }
            }
        }
        out
    }

    /// The block that leads from a fibre to the next, `[row, 2 half + 1]`: row i of K_{f+1,f}, or of its transpose.
    fn pair(&self, pair: &[f64], half: usize, as_is: bool) -> Vec<Octet> {
        let width = 2 * half + 1;
        let mut out = vec![Octet::default(); self.len() * width];
        for lane in 0..8 {
            for row in 0..self.len() {
                let Some(bin) = self.bin(row, lane) else { continue };
                for d in 0..width {
                    let inside = |at: usize, d: usize| (at + d).checked_sub(half);
                    // Both ends of an element lie on the chunk and on the grid.
                    let Some(other) = inside(bin, d).filter(|&other| other < self.n) else { continue };
                    if inside(row, d).is_none_or(|row| row >= self.len()) {
                        continue;
                    }
                    let from = if as_is { bin * width + d } else { other * width + width - 1 - d };
                    out[row * width + d].0[lane] = pair[from];
                }
            }
        }
        out
    }

    /// The term of the fibre that follows `fibre`, to which `pair` leads (as it is, or transposed).
    fn next_term<const B: usize>(
        &self,
        normal: &BandedNormal,
        fibre: usize,
        pair: (&[f64], bool),
        term: &Term<B>,
    ) -> Result<Term<B>, BandFailure> {
        let diagonal = self.columns::<B>(&normal.diagonal[fibre], normal.half);
        let pair = self.pair(pair.0, normal.half, pair.1);
        let mut columns = dispatch(Difference { diagonal: &diagonal, term: &term.band });
        columns.factor(self.len());
        if let Some((row, lane)) = columns.bad_pivot(self.len()) {
            let bin = self.bin(row, lane).unwrap_or(0);
            return Err(BandFailure::Pivot { what: "K less its neighbours' part", fibre, bin });
        }
        let mut reduced = vec![Octet::default(); self.len() + 2 * B];
        for (row, (out, part)) in reduced[B..].iter_mut().zip(&term.reduced).enumerate() {
            let y = |lane: usize| self.bin(row, lane).map_or(0.0, |bin| normal.rhs[fibre][bin]) - part.0[lane];
            *out = Octet(std::array::from_fn(y));
        }
        dispatch(Solve { columns: &columns, v: &mut reduced });
        columns.invert(self.len());
        let solved = &reduced[B..B + self.len()];
        Ok(dispatch(Through {
            inverse: &columns,
            solved,
            n: self.len(),
            pair: &pair,
            half: normal.half,
            kept: self.kept,
        }))
    }

    /// S_f and z_f on the chunks' cores.
    fn complement<const B: usize>(
        &self,
        normal: &BandedNormal,
        fibre: usize,
        below: &Term<B>,
        above: &Term<B>,
    ) -> Complement {
        let (half, kept) = (normal.half, self.kept);
        let mut matrix = vec![0.0; self.n * (kept + 1)];
        let mut rhs = normal.rhs[fibre].clone();
        for (bin, column) in matrix.chunks_exact_mut(kept + 1).enumerate() {
            let (lane, row) = (bin / self.core, bin % self.core + self.overlap);
            rhs[bin] -= below.reduced[row].0[lane] + above.reduced[row].0[lane];
            let (below, above) = (&below.band[row], &above.band[row]);
            column[..=half].copy_from_slice(&normal.diagonal[fibre][bin * (half + 1)..(bin + 1) * (half + 1)]);
            column[0] -= below.diagonal.0[lane] + above.diagonal.0[lane];
            for (d, value) in column[1..].iter_mut().enumerate().take(self.n - 1 - bin) {
                *value -= below.lower[d].0[lane] + above.lower[d].0[lane];
            }
        }
        Complement { band: kept, matrix, rhs }
    }
}

/// D - A, to be factored.
struct Difference<'a, const B: usize> {
    diagonal: &'a [Band<B>],
    term: &'a [Band<B>],
}

impl<const B: usize> Kernel for Difference<'_, B> {
    type Output = Columns<B>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Columns<B> {
        let mut columns = Columns::<B>::new(self.diagonal.len());
        let minus = |d: &Octet, a: &Octet| simd.neg_mul_add(simd.splat(1.0), simd.load(a), simd.load(d));
        for (j, (d, a)) in self.diagonal.iter().zip(self.term).enumerate() {
            columns.set(simd, j, minus(&d.diagonal, &a.diagonal), |i| minus(&d.lower[i], &a.lower[i]));
        }
        columns
    }
}

/// v := (D - A)^-1 v.
struct Solve<'a, const B: usize> {
    columns: &'a Columns<B>,
    v: &'a mut [Octet],
}

impl<const B: usize> Kernel for Solve<'_, B> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.columns.solve(simd, [self.v]);
    }
}

/// `O Z O^T` within the band, and O v.
struct Through<'a, const B: usize> {
    inverse: &'a Columns<B>,
    solved: &'a [Octet],
    n: usize,
    pair: &'a [Octet],
    half: usize,
    kept: usize,
}

impl<const B: usize> Kernel for Through<'_, B> {
    type Output = Term<B>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Term<B> {
        let mut out = Term { band: vec![Band::ZERO; self.n], reduced: vec![Octet::default(); self.n] };
        let mut row = vec![Octet::default(); self.kept + 2 * self.half + 1];
        for i in 0..self.n {
            self.left_product(simd, self.inverse, i, &mut row);
            self.right_product(simd, &row, i, &mut out.band[i]);
            self.vector_product(simd, i, &mut out.reduced[i]);
        }
        out
    }
}

impl<const B: usize> Through<'_, B> {
    /// `(O Z)[i, c]` for c from i - half to i + half + kept; `row[0]` is c = i - half.
    #[inline(always)]
    fn left_product<S: Simd>(&self, simd: S, inverse: &Columns<B>, i: usize, row: &mut [Octet]) {
        let (half, n) = (self.half, self.n);
        let (low, high) = (i.saturating_sub(half), (i + half).min(n - 1));
        let of = &self.pair[i * (2 * half + 1)..][..2 * half + 1];
        for (k, out) in row.iter_mut().enumerate() {
            let mut sum = simd.splat(0.0);
            if let Some(c) = (i + k).checked_sub(half).filter(|&c| c < n) {
                let column = inverse.column(c);
                for a in low.max(c.saturating_sub(B))..c.min(high + 1) {
                    let z = &inverse.column(a).lower[c - a - 1];
                    sum = simd.mul_add(simd.load(&of[a + half - i]), simd.load(z), sum);
                }
                if (low..=high).contains(&c) {
                    sum = simd.mul_add(simd.load(&of[c + half - i]), simd.load(&column.diagonal), sum);
                }
                for a in c + 1..=high.min(c + B) {
                    let z = &column.lower[a - c - 1];
                    sum = simd.mul_add(simd.load(&of[a + half - i]), simd.load(z), sum);
                }
            }
            simd.store(sum, out);
        }
    }

    /// Column i of `(O Z) O^T`: elements (i, i + d).
    #[inline(always)]
    fn right_product<S: Simd>(&self, simd: S, row: &[Octet], i: usize, out: &mut Band<B>) {
        let (width, n) = (2 * self.half + 1, self.n);
        for d in 0..=self.kept.min(n - 1 - i) {
            let other = &self.pair[(i + d) * width..][..width];
            let mut sum = simd.splat(0.0);
            for (t, o) in row[d..d + width].iter().zip(other) {
                sum = simd.mul_add(simd.load(t), simd.load(o), sum);
            }
            simd.store(sum, if d == 0 { &mut out.diagonal } else { &mut out.lower[d - 1] });
        }
    }

    /// Element i of O v.
    #[inline(always)]
    fn vector_product<S: Simd>(&self, simd: S, i: usize, out: &mut Octet) {
        let (half, width) = (self.half, 2 * self.half + 1);
        let mut sum = simd.splat(0.0);
        for a in i.saturating_sub(half)..=(i + half).min(self.n - 1) {
            sum = simd.mul_add(simd.load(&self.pair[i * width + a + half - i]), simd.load(&self.solved[a]), sum);
        }
        simd.store(sum, out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::solve::solve;
    use super::*;
    use nalgebra::{DMatrix, DVector};
    use proptest::prelude::*;

    /// The normal equations of `nfibre` fibres on n bins, dense (fibre by fibre) and in bands: G^T G + 1 of a random G.
    fn bundle(nfibre: usize, n: usize, half: usize, seed: &[f64]) -> (DMatrix<f64>, DVector<f64>, BandedNormal) {
        let size = nfibre * n;
        let reach = half / 2;
        let near = |i: usize, j: usize| (i % n).abs_diff(j % n) <= reach && (i / n == j / n || i / n == j / n + 1);
        let random = |i: usize, j: usize| seed[(31 * i + 17 * j) % seed.len()];
        // Rows of pixels each see one fibre and the one below it.
        let g = DMatrix::from_fn(size, size, |i, j| match (near(i, j), i / n == j / n) {
            (true, true) => random(i, j),
            (true, false) => 0.3 * random(i, j),
            _ => 0.0,
        });
        let k = g.transpose() * &g + DMatrix::identity(size, size);
        let rhs = DVector::from_fn(size, |i, _| 10.0 * random(i, i));
        let mut normal = BandedNormal { n, half, diagonal: vec![], pairs: vec![], rhs: vec![] };
        let element = |f: usize, i: usize, g: usize, j: Option<usize>| {
            j.filter(|&j| j < n).map_or(0.0, |j| k[(f * n + i, g * n + j)])
        };
        for f in 0..nfibre {
            let diagonal = |p: usize| element(f, p / (half + 1), f, Some(p / (half + 1) + p % (half + 1)));
            normal.diagonal.push((0..n * (half + 1)).map(diagonal).collect());
            normal.rhs.push(rhs.as_slice()[f * n..(f + 1) * n].to_vec());
            if f > 0 {
                let width = 2 * half + 1;
                let pair = |p: usize| element(f, p / width, f - 1, (p / width + p % width).checked_sub(half));
                normal.pairs.push((0..n * width).map(pair).collect());
            }
        }
        (k, rhs, normal)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn complements_and_x_are_those_of_dense_algebra(
            nfibre in 1usize..10, n in 1usize..50, half in 0usize..5, seed in prop::collection::vec(-1.0f64..1.0, 64)
        ) {
            let half = 2 * half;
            let (k, rhs, normal) = bundle(nfibre, n, half, &seed);
            // Bands and overlaps that hold everything.
            let ours = complements(&normal, Bands { inverse: 48, kept: 48 }, n).unwrap();
            let inverse = k.clone().try_inverse().unwrap();
            let x = &inverse * &rhs;
            for (f, s) in ours.iter().enumerate() {
                let exact = inverse.view((f * n, f * n), (n, n)).into_owned().try_inverse().unwrap();
                let reduced = &exact * x.rows(f * n, n);
                for i in 0..n {
                    prop_assert!((s.rhs[i] - reduced[i]).abs() < 1e-9 * rhs.amax().max(1.0), "fibre {} bin {}", f, i);
                    for d in (0..=48).filter(|d| i + d < n) {
                        prop_assert!((s.matrix[i * 49 + d] - exact[(i + d, i)]).abs() < 1e-10 * exact.amax());
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
}
