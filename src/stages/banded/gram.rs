//! Eliminating a fibre: the factor of its block, and products through it as Gram matrices.

use super::chunks::Chunks;
use super::front::Term;
use super::inverse::Columns;
use crate::stages::simd::{Arithmetic, Kernel, Octet, Simd};

/// M = K - A, to be factored.
pub(super) struct Remain<'a, const B: usize> {
    pub(super) columns: &'a mut Columns<B>,
    /// K of a fibre, `[row, half + 1]`.
    pub(super) rows: &'a [Octet],
    pub(super) half: usize,
    /// For which row and lane there is a bin; rows without are those of the identity.
    pub(super) chunks: &'a Chunks,
    /// A, `[row, B + 1]`; None is zero.
    pub(super) term: Option<&'a [Octet]>,
}

impl<const B: usize> Kernel for Remain<'_, B> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { columns, rows, half, chunks, term } = self;
        let n = chunks.len();
        for (row, elements) in rows.chunks_exact(half + 1).enumerate() {
            let column = columns.column_mut(row);
            column.diagonal = elements[0];
            for lane in 0..8 {
                if chunks.bin(row, lane).is_none() {
                    column.diagonal.0[lane] = 1.0;
                }
            }
            // The part that leaves the chunk is cut off.
            let inside = half.min(n - 1 - row);
            column.lower[..inside].copy_from_slice(&elements[1..=inside]);
            column.lower[inside..].fill(Octet::default());
        }
        let Some(term) = term else { return };
        for (row, term) in term.chunks_exact(B + 1).enumerate() {
            let column = columns.column_mut(row);
            subtract(simd, &term[0], &mut column.diagonal);
            for i in 0..B {
                subtract(simd, &term[1 + i], &mut column.lower[i]);
            }
        }
    }
}

#[inline(always)]
fn subtract<S: Simd>(simd: S, term: &Octet, from: &mut Octet) {
    simd.store(simd.neg_mul_add(simd.splat(1.0), simd.load(term), simd.load(from)), from);
}

/// v := M^-1 v.
pub(super) struct Solve<'a, const B: usize> {
    pub(super) columns: &'a Columns<B>,
    pub(super) v: &'a mut [Octet],
}

impl<const B: usize> Kernel for Solve<'_, B> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.columns.solve(simd, self.v);
    }
}

/// Adds `O_a M^-1 O_b^T` to A_ab and `O_a M^-1 y` to the part of y, for M = L D L^T.
pub(super) struct Gram<'a, const B: usize> {
    pub(super) factor: &'a Columns<B>,
    /// O_a, `[row, 2 fill + 1]`.
    pub(super) couplings: &'a [Vec<Octet>],
    /// M^-1 y.
    pub(super) solved: &'a [Octet],
    pub(super) fill: usize,
    pub(super) kept: usize,
    pub(super) tail: usize,
    pub(super) own: &'a mut [Term],
    /// A_ab for a > b, in the order of a front.
    pub(super) cross: &'a mut [Vec<Octet>],
}

/// Columns of Y that are followed together: each element of L then serves as many.
const TOGETHER: usize = 4;

/// Rows of four columns.
type Rows = [Octet; TOGETHER];

/// Columns of Y, four at a time.
struct Block {
    /// The newest columns, from row j - fill of the first on, below as many zeros as L is wide.
    y: Vec<Rows>,
    /// D^-1 Y of these and of those before, in a ring.
    scaled: Vec<Rows>,
    /// Rows of a block.
    rows: usize,
    /// Blocks in the ring.
    blocks: usize,
}

impl Block {
    fn new(half: usize, rows: usize, kept: usize) -> Self {
        let blocks = kept.div_ceil(TOGETHER) + 1;
        let zeros = |rows: usize| vec![[Octet::default(); TOGETHER]; rows];
        Self { y: zeros(half + rows), scaled: zeros(blocks * rows), rows, blocks }
    }

    /// D^-1 Y of the block whose first column is `j`.
    #[inline(always)]
    fn scaled(&self, j: usize) -> &[Rows] {
        &self.scaled[j / TOGETHER % self.blocks * self.rows..][..self.rows]
    }

    /// Columns from `j` on of `Y = L^-1 O^T` from as many rows of O, and those of D^-1 Y.
    #[inline(always)]
    fn advance<S: Simd, const B: usize>(
        &mut self,
        simd: S,
        factor: &Columns<B>,
        (j, n, fill): (usize, usize, usize),
        coupling: &[Octet],
    ) {
        let rows = self.rows;
        // Rows above the first of the matrix and below the last are zero.
        let (start, end) = (fill.saturating_sub(j).min(rows), (n + fill - j).min(rows));
        let first = j / TOGETHER % self.blocks * rows;
        for r in (0..start).chain(end..rows) {
            self.y[B + r] = [Octet::default(); TOGETHER];
            self.scaled[first + r] = [Octet::default(); TOGETHER];
        }
        for k in 0..S::PARTS {
            let (part, mut r) = (simd.part(k), start);
            while S::PARTS == 1 && r + 1 < end {
                self.rows::<_, B, 2>(part, factor, (j, n, fill), coupling, r);
                r += 2;
            }
            while r < end {
                self.rows::<_, B, 1>(part, factor, (j, n, fill), coupling, r);
                r += 1;
            }
        }
    }

    /// Rows `r .. r + R` of that.
    #[inline(always)]
    fn rows<P: Arithmetic, const B: usize, const R: usize>(
        &mut self,
        part: P,
        factor: &Columns<B>,
        (j, n, fill): (usize, usize, usize),
        coupling: &[Octet],
        r: usize,
    ) {
        let (width, row) = (2 * fill + 1, j + r - fill);
        let mut sums = [[[part.splat(0.0); TOGETHER]; 2]; R];
        for q in 0..R {
            for c in 0..TOGETHER {
                if r + q >= c && r + q - c < width && j + c < n {
                    sums[q][0][c] = part.load(&coupling[(j + c) * width + r + q - c]);
                }
            }
        }
        factor.forward_together(part, row, B.saturating_sub(r), &mut self.y[r..], &mut sums);
        let scaled = j / TOGETHER % self.blocks * self.rows + r;
        for q in 0..R {
            let inverse = part.load(&factor.column(row + q).diagonal);
            for c in 0..TOGETHER {
                part.store(part.mul(part.load(&self.y[B + r + q][c]), inverse), &mut self.scaled[scaled + q][c]);
            }
        }
    }

    /// The newest columns of Y.
    #[inline(always)]
    fn newest<const B: usize>(&self) -> &[Rows] {
        &self.y[B..]
    }
}

/// Runs code for columns `$first..$first + $C` of four in part `$part`: all at once, or, as parts have fewer registers, two at a time.
macro_rules! in_parts {
    ($S:ident, $simd:ident, $part:ident, $first:ident, $C:ident => $body:block) => {
        if $S::PARTS == 1 {
            const $C: usize = TOGETHER;
            let ($part, $first) = ($simd.part(0), 0);
            $body
        } else {
            const $C: usize = TOGETHER / 2;
            for k in 0..$S::PARTS {
                let $part = $simd.part(k);
                for $first in (0..TOGETHER).step_by($C) $body
            }
        }
    };
}

/// `Y_a^T D^-1 Y_b` of two blocks, `[column of a][column of b]`: C columns of Y_a from `first` on, all of Y_b. The block of Y_b
/// begins `before` columns before that of Y_a.
#[inline(always)]
fn products<P: Arithmetic, const C: usize>(
    part: P,
    first: usize,
    y: &[Rows],
    scaled: &[Rows],
    before: usize,
) -> [[P::Lanes; TOGETHER]; C] {
    let mut sums = [[part.splat(0.0); TOGETHER]; C];
    // Rows above the newer block's first and below the older one's last are zero in one of them.
    for (y, scaled) in y.iter().zip(&scaled[before.min(scaled.len())..]) {
        let mut lanes = [part.splat(0.0); TOGETHER];
        for p in 0..TOGETHER {
            lanes[p] = part.load(&scaled[p]);
        }
        for c in 0..C {
            let value = part.load(&y[first + c]);
            for p in 0..TOGETHER {
                sums[c][p] = part.mul_add(value, lanes[p], sums[c][p]);
            }
        }
    }
    sums
}

impl<const B: usize> Kernel for Gram<'_, B> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { factor, couplings, solved, fill, kept, tail, own, cross } = self;
        let (n, width) = (solved.len(), 2 * fill + 1);
        let rows = width + tail + TOGETHER - 1;
        let mut blocks: Vec<Block> = couplings.iter().map(|_| Block::new(B, rows, kept)).collect();
        for j in (0..n).step_by(TOGETHER) {
            for (coupling, block) in couplings.iter().zip(&mut blocks) {
                block.advance(simd, factor, (j, n, fill), coupling);
            }
            for (a, own) in own.iter_mut().enumerate() {
                for i in (j.saturating_sub(kept) / TOGETHER * TOGETHER..=j).step_by(TOGETHER) {
                    let (newest, scaled) = (blocks[a].newest::<B>(), blocks[a].scaled(i));
                    in_parts!(S, simd, part, first, C => {
                        let products = products::<_, C>(part, first, newest, scaled, j - i);
                        for c in 0..C {
                            let j = j + first + c;
                            for p in 0..TOGETHER {
                                match j.checked_sub(i + p) {
                                    Some(d) if d <= kept && j < n => {
                                        part.add_to(products[c][p], &mut own.band[(i + p) * (B + 1) + d]);
                                    }
                                    _ => {}
                                }
                            }
                        }
                    });
                }
                for j in j..(j + TOGETHER).min(n) {
                    let coupling = &couplings[a][j * width..][..width];
                    let mut sum = simd.load(&own.reduced[j]);
                    for i in j.saturating_sub(fill)..=(j + fill).min(n - 1) {
                        sum = simd.mul_add(simd.load(&coupling[i + fill - j]), simd.load(&solved[i]), sum);
                    }
                    simd.store(sum, &mut own.reduced[j]);
                }
                for b in 0..a {
                    let cross = &mut cross[a * (a - 1) / 2 + b];
                    for i in (j.saturating_sub(fill) / TOGETHER * TOGETHER..=j).step_by(TOGETHER) {
                        let (left, right) = (&blocks[a], &blocks[b]);
                        in_parts!(S, simd, part, first, C => {
                            let (newest, at) = (left.newest::<B>(), (j + first, i));
                            let products = products::<_, C>(part, first, newest, right.scaled(i), j - i);
                            add_cross(part, &products, at, (n, fill), false, cross);
                        });
                        if i < j {
                            in_parts!(S, simd, part, first, C => {
                                let (newest, at) = (right.newest::<B>(), (j + first, i));
                                let products = products::<_, C>(part, first, newest, left.scaled(i), j - i);
                                add_cross(part, &products, at, (n, fill), true, cross);
                            });
                        }
                    }
                }
            }
        }
    }
}

/// Adds rows from j on and columns from i on to a block `[row, 2 fill + 1]`, or the transposed to rows from i on.
#[inline(always)]
fn add_cross<P: Arithmetic, const C: usize>(
    part: P,
    products: &[[P::Lanes; TOGETHER]; C],
    (j, i): (usize, usize),
    (n, fill): (usize, usize),
    transposed: bool,
    cross: &mut [Octet],
) {
    for c in 0..C {
        for p in 0..TOGETHER {
            let (row, column) = if transposed { (i + p, j + c) } else { (j + c, i + p) };
            if row < n && column < n && row.abs_diff(column) <= fill {
                part.add_to(products[c][p], &mut cross[row * (2 * fill + 1) + column + fill - row]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::simd::{assert_same_bits, on_each};
    use nalgebra::{DMatrix, DVector};

    const B: usize = 12;
    const FILL: usize = 5;
    const KEPT: usize = 9;

    /// Two fibres coupled to one of N bins that is eliminated.
    #[derive(Clone)]
    struct Two {
        n: usize,
    }

    impl Two {
        fn matrix(&self, row: usize, column: usize, lane: usize) -> f64 {
            let [low, high] = [row.min(column), row.max(column)];
            let value = || ((7 * low + 3 * (high - low) + 5 * lane) as f64).sin();
            if low == high { 40.0 } else { if high - low <= B { value() } else { 0.0 } }
        }

        fn coupling(&self, fibre: usize, row: usize, column: usize, lane: usize) -> f64 {
            let inside = row.abs_diff(column) <= FILL && column < self.n;
            if inside { ((11 * row + 2 * column + 3 * lane + 40 * fibre) as f64).cos() } else { 0.0 }
        }

        fn solved(&self, row: usize, lane: usize) -> f64 {
            (0.3 * row as f64 + lane as f64).sin()
        }
    }

    impl Kernel for Two {
        /// Band of the first and of the second fibre, then their cross block; then the parts of y.
        type Output = [Vec<Octet>; 5];

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Self::Output {
            let n = self.n;
            let octet = |value: &dyn Fn(usize) -> f64| Octet(std::array::from_fn(value));
            let mut factor = Columns::<B>::new(n);
            for j in 0..n {
                let diagonal = simd.load(&octet(&|lane| self.matrix(j, j, lane)));
                let below = |i: usize| {
                    let row = j + 1 + i;
                    octet(&|lane| if row < n { self.matrix(row, j, lane) } else { 0.0 })
                };
                factor.set(simd, j, diagonal, |i| simd.load(&below(i)));
            }
            factor.factor(n);
            let rows = |fibre: usize| -> Vec<Octet> {
                let places = (0..n).flat_map(|row| (0..2 * FILL + 1).map(move |d| (row, (row + d).checked_sub(FILL))));
                let value = |(row, column): (usize, Option<usize>)| {
                    octet(&|lane| column.map_or(0.0, |column| self.coupling(fibre, row, column, lane)))
                };
                places.map(value).collect()
            };
            let solved: Vec<Octet> = (0..n).map(|row| octet(&|lane| self.solved(row, lane))).collect();
            let zeros = |width: usize| vec![Octet::default(); n * width];
            let term = || Term { band: zeros(B + 1), reduced: zeros(1) };
            let (mut own, mut cross) = ([term(), term()], [zeros(2 * FILL + 1)]);
            Gram {
                factor: &factor,
                couplings: &[rows(0), rows(1)],
                solved: &solved,
                fill: FILL,
                kept: KEPT,
                tail: n,
                own: &mut own,
                cross: &mut cross,
            }
            .run(simd);
            let ([first, second], [cross]) = (own, cross);
            [first.band, second.band, cross, first.reduced, second.reduced]
        }
    }

    #[test]
    fn every_instruction_set_gives_the_products_of_dense_algebra() {
        for n in [6, 39] {
            let two = Two { n };
            let found = on_each(&two);
            assert_same_bits(&found);
            for lane in 0..8 {
                let inverse = DMatrix::from_fn(n, n, |i, j| two.matrix(i, j, lane)).try_inverse().unwrap();
                let o = [0, 1].map(|fibre| DMatrix::from_fn(n, n, |i, j| two.coupling(fibre, i, j, lane)));
                let solved = DVector::from_fn(n, |i, _| two.solved(i, lane));
                let product = |a: usize, b: usize| &o[a] * &inverse * o[b].transpose();
                let (own, cross) = ([product(0, 0), product(1, 1)], product(1, 0));
                for [first, second, between, reduced_first, reduced_second] in &found {
                    let close = |octet: &Octet, expected: f64| {
                        assert!((octet.0[lane] - expected).abs() < 1e-13, "{n} bins: {} {expected}", octet.0[lane]);
                    };
                    for (fibre, (band, reduced)) in
                        [(first, reduced_first), (second, reduced_second)].iter().enumerate()
                    {
                        let y = &o[fibre] * &solved;
                        for i in 0..n {
                            close(&reduced[i], y[i]);
                            for d in (0..=KEPT).filter(|d| i + d < n) {
                                close(&band[i * (B + 1) + d], own[fibre][(i + d, i)]);
                            }
                        }
                    }
                    for (i, d) in (0..n).flat_map(|i| (0..=2 * FILL).map(move |d| (i, d))) {
                        let column = (i + d).checked_sub(FILL).filter(|column| *column < n);
                        close(&between[i * (2 * FILL + 1) + d], column.map_or(0.0, |column| cross[(i, column)]));
                    }
                }
            }
        }
    }
}
