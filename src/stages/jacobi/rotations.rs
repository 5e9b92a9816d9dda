//! One-sided Jacobi: columns are rotated in pairs until all are orthogonal (Hestenes 1958).

use super::super::simd::{Kernel, Octet, Simd};
use super::columns::Columns;
use super::sweeps::{MAX_SWEEPS, Sweeps};
use std::ops::Range;

/// Columns of a block. Two blocks stay in the first-level cache while all their pairs are rotated, and eight pairs
/// without a common column fill the lanes. Measured on five of DESI's S_f (n = 74): 8 sweeps and 5.3 ms, against 9
/// and 7.1 ms with rounds over the whole matrix. Blocks of 16 gain nothing.
const BLOCK: usize = 8;

/// Rotates pairs of columns until all are orthogonal.
pub(super) struct Rotate<'a> {
    pub(super) columns: &'a mut Columns,
    /// Squared lengths of the columns, `[n]`: output.
    pub(super) norms: &'a mut [f64],
}

impl Kernel for Rotate<'_> {
    type Output = Sweeps;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Sweeps {
        let n = self.columns.n;
        // Cosines below this are rounding error: that of a sum of n products grows as sqrt(n).
        let tolerance = 2.0 * (n as f64).sqrt() * f64::EPSILON;
        let blocks = n.div_ceil(BLOCK);
        let block = |i: usize| i * n / blocks..(i + 1) * n / blocks;
        let (mut sweeps, mut converged) = (0, false);
        while !converged && sweeps < MAX_SWEEPS {
            // Within a sweep lengths are carried along; a sweep that rotates nothing has tested against fresh ones.
            refresh_norms(simd, self.columns, self.norms);
            converged = true;
            for i in 0..blocks {
                for round in 1..BLOCK {
                    let pairs = within(block(i), round);
                    converged &= !orthogonalise(simd, self.columns, self.norms, pairs, tolerance);
                }
                for j in i + 1..blocks {
                    for round in 0..BLOCK {
                        let pairs = between(block(i), block(j), round);
                        converged &= !orthogonalise(simd, self.columns, self.norms, pairs, tolerance);
                    }
                }
            }
            sweeps += 1;
        }
        refresh_norms(simd, self.columns, self.norms);
        Sweeps { sweeps, converged }
    }
}

/// A round's pairs of columns, which have no column in common: their angles are found in lockstep.
#[derive(Clone, Copy, Default)]
struct Pairs {
    columns: [(usize, usize); BLOCK],
    /// Squared lengths of both; zeros where there are fewer pairs.
    norms: [[f64; BLOCK]; 2],
    /// Their scalar product.
    cross: [f64; BLOCK],
    tangent: [f64; BLOCK],
    sine: [f64; BLOCK],
    /// tan of half the angle.
    tau: [f64; BLOCK],
    /// Whether the columns are not orthogonal yet.
    wanted: [bool; BLOCK],
}

impl Pairs {
    #[inline(always)]
    fn find_angles(&mut self, tolerance: f64) {
        for i in 0..BLOCK {
            let (alpha, beta, gamma) = (self.norms[0][i], self.norms[1][i], self.cross[i]);
            // The smaller root t of t^2 + t (beta - alpha)/gamma - 1 = 0 (Golub & Van Loan 2013, 8.5.2).
            let difference = beta - alpha;
            let hypotenuse = (difference * difference + 4.0 * gamma * gamma).sqrt();
            let tangent = 2.0 * gamma / (difference + hypotenuse.copysign(difference));
            let secant = (1.0 + tangent * tangent).sqrt();
            self.tangent[i] = tangent;
            self.sine[i] = tangent / secant;
            self.tau[i] = tangent / (1.0 + secant);
            self.wanted[i] = gamma.abs() > tolerance * (alpha * beta).sqrt();
        }
    }
}

/// Pairs of a block of columns, all of them over the rounds 1..BLOCK: i with i xor round.
#[inline(always)]
fn within(block: Range<usize>, round: usize) -> impl Iterator<Item = (usize, usize)> {
    let (start, len) = (block.start, block.len());
    (0..len).filter(move |i| i ^ round > *i && i ^ round < len).map(move |i| (start + i, start + (i ^ round)))
}

/// Pairs of a column of one and a column of a later block, all of them over the rounds 0..BLOCK.
#[inline(always)]
fn between(first: Range<usize>, second: Range<usize>, round: usize) -> impl Iterator<Item = (usize, usize)> {
    first.enumerate().map(move |(i, p)| (p, second.start + (i ^ round))).filter(move |(_, q)| *q < second.end)
}

/// Rotates the columns of each pair onto a right angle; false if all of them are there already.
#[inline(always)]
fn orthogonalise<S: Simd>(
    simd: S,
    columns: &mut Columns,
    norms: &mut [f64],
    pairs: impl Iterator<Item = (usize, usize)>,
    tolerance: f64,
) -> bool {
    let mut round = Pairs::default();
    for (i, (p, q)) in pairs.enumerate() {
        round.columns[i] = (p, q);
        round.norms[0][i] = norms[p];
        round.norms[1][i] = norms[q];
        round.cross[i] = dot(simd, columns.column(p), columns.column(q));
    }
    round.find_angles(tolerance);
    rotate(simd, columns, norms, &round)
}

/// See [`orthogonalise`].
#[inline(always)]
fn rotate<S: Simd>(simd: S, columns: &mut Columns, norms: &mut [f64], pairs: &Pairs) -> bool {
    for i in 0..BLOCK {
        if !pairs.wanted[i] {
            continue;
        }
        let (p, q) = pairs.columns[i];
        let moved = pairs.tangent[i] * pairs.cross[i];
        norms[p] = pairs.norms[0][i] - moved;
        norms[q] = pairs.norms[1][i] + moved;
        // x - s (y + tau x) in place of c x - s y: small angles make small errors (Rutishauser 1966).
        let (s, tau) = (simd.splat(pairs.sine[i]), simd.splat(pairs.tau[i]));
        let (a, b) = columns.pair(p, q);
        for (a, b) in a.as_chunks_mut::<2>().0.iter_mut().zip(b.as_chunks_mut::<2>().0) {
            for k in 0..2 {
                let (x, y) = (simd.load(&a[k]), simd.load(&b[k]));
                simd.store(simd.neg_mul_add(s, simd.mul_add(tau, x, y), x), &mut a[k]);
                simd.store(simd.mul_add(s, simd.neg_mul_add(tau, y, x), y), &mut b[k]);
            }
        }
    }
    pairs.wanted.contains(&true)
}

#[inline(always)]
fn dot<S: Simd>(simd: S, a: &[Octet], b: &[Octet]) -> f64 {
    let (mut even, mut odd) = (simd.splat(0.0), simd.splat(0.0));
    for (a, b) in a.as_chunks::<2>().0.iter().zip(b.as_chunks::<2>().0) {
        even = simd.mul_add(simd.load(&a[0]), simd.load(&b[0]), even);
        odd = simd.mul_add(simd.load(&a[1]), simd.load(&b[1]), odd);
    }
    simd.sum(simd.add(even, odd))
}

#[inline(always)]
fn refresh_norms<S: Simd>(simd: S, columns: &Columns, norms: &mut [f64]) {
    for (k, norm) in norms.iter_mut().enumerate() {
        *norm = dot(simd, columns.column(k), columns.column(k));
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::simd::{assert_same_bits, on_each};
    use super::*;

    /// Rotates its own copy; the sorted eigenvalues.
    #[derive(Clone)]
    struct Eigenvalues(Columns);

    impl Kernel for Eigenvalues {
        type Output = Vec<f64>;

        #[inline(always)]
        fn run<S: Simd>(mut self, simd: S) -> Vec<f64> {
            let mut norms = vec![0.0; self.0.n];
            assert!(Rotate { columns: &mut self.0, norms: &mut norms }.run(simd).converged);
            norms.sort_by(f64::total_cmp);
            norms
        }
    }

    #[test]
    fn every_instruction_set_finds_the_same_eigenvalues() {
        let n = 19;
        let mut columns = Columns::new(n);
        for k in 0..n {
            for row in 0..n {
                *columns.at_mut(row, k) = if row < k { 0.0 } else { ((row * k + row + 1) as f64).sin() };
            }
        }
        let found = on_each(&Eigenvalues(columns));
        for values in &found {
            for (value, portable) in values.iter().zip(&found[0]) {
                assert!((value - portable).abs() <= 1e-13 * found[0][n - 1], "{value} {portable}");
            }
        }
        assert_same_bits(&found);
    }
}
