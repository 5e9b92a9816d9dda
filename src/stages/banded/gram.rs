//! Eliminating a fibre: the factor of its block, and products through it as Gram matrices.

use super::chunks::Chunks;
use super::front::Term;
use super::inverse::Columns;
use crate::stages::simd::{Kernel, Octet, Simd};

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
        let mut r = start;
        if S::PARTS == 1 {
            while r + 1 < end {
                self.rows::<S, B, 2>(simd, factor, (j, n, fill), coupling, r);
                r += 2;
            }
        }
        while r < end {
            self.rows::<S, B, 1>(simd, factor, (j, n, fill), coupling, r);
            r += 1;
        }
    }

    /// Rows `r .. r + R` of that.
    #[inline(always)]
    fn rows<S: Simd, const B: usize, const R: usize>(
        &mut self,
        simd: S,
        factor: &Columns<B>,
        (j, n, fill): (usize, usize, usize),
        coupling: &[Octet],
        r: usize,
    ) {
        let (width, row) = (2 * fill + 1, j + r - fill);
        let mut sums = [[[simd.splat(0.0); TOGETHER]; 2]; R];
        for q in 0..R {
            for c in 0..TOGETHER {
                if r + q >= c && r + q - c < width && j + c < n {
                    sums[q][0][c] = simd.load(&coupling[(j + c) * width + r + q - c]);
                }
            }
        }
        factor.forward_together(simd, row, B.saturating_sub(r), &mut self.y[r..], &mut sums);
        let scaled = j / TOGETHER % self.blocks * self.rows + r;
        for q in 0..R {
            let inverse = simd.load(&factor.column(row + q).diagonal);
            for c in 0..TOGETHER {
                simd.store(simd.mul(simd.load(&self.y[B + r + q][c]), inverse), &mut self.scaled[scaled + q][c]);
            }
        }
    }

    /// The newest columns of Y.
    #[inline(always)]
    fn newest<const B: usize>(&self) -> &[Rows] {
        &self.y[B..]
    }
}

/// `Y_a^T D^-1 Y_b` of a block of Y_a and one of Y_b whose first column is `before` columns before: `[column of a][column of b]`.
#[inline(always)]
fn products<S: Simd>(simd: S, y: &[Rows], scaled: &[Rows], before: usize) -> [[S::Lanes; TOGETHER]; TOGETHER] {
    let mut sums = [[simd.splat(0.0); TOGETHER]; TOGETHER];
    // Rows above the newer block's first and below the older one's last are zero in one of them.
    for (y, scaled) in y.iter().zip(&scaled[before.min(scaled.len())..]) {
        let mut lanes = [simd.splat(0.0); TOGETHER];
        for p in 0..TOGETHER {
            lanes[p] = simd.load(&scaled[p]);
        }
        for c in 0..TOGETHER {
            let value = simd.load(&y[c]);
            for p in 0..TOGETHER {
                sums[c][p] = simd.mul_add(value, lanes[p], sums[c][p]);
            }
        }
    }
    sums
}

#[inline(always)]
fn add<S: Simd>(simd: S, value: S::Lanes, to: &mut Octet) {
    simd.store(simd.add(simd.load(to), value), to);
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
                    let products = products(simd, blocks[a].newest::<B>(), blocks[a].scaled(i), j - i);
                    for c in 0..TOGETHER {
                        for p in 0..TOGETHER {
                            match (j + c).checked_sub(i + p) {
                                Some(d) if d <= kept && j + c < n => {
                                    add(simd, products[c][p], &mut own.band[(i + p) * (B + 1) + d]);
                                }
                                _ => {}
                            }
                        }
                    }
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
                        let left = products(simd, blocks[a].newest::<B>(), blocks[b].scaled(i), j - i);
                        add_cross(simd, &left, (j, i), (n, fill), false, cross);
                        if i < j {
                            let above = products(simd, blocks[b].newest::<B>(), blocks[a].scaled(i), j - i);
                            add_cross(simd, &above, (j, i), (n, fill), true, cross);
                        }
                    }
                }
            }
        }
    }
}

/// Adds rows from j on and columns from i on to a block `[row, 2 fill + 1]`, or the transposed to rows from i on.
#[inline(always)]
fn add_cross<S: Simd>(
    simd: S,
    products: &[[S::Lanes; TOGETHER]; TOGETHER],
    (j, i): (usize, usize),
    (n, fill): (usize, usize),
    transposed: bool,
    cross: &mut [Octet],
) {
    for c in 0..TOGETHER {
        for p in 0..TOGETHER {
            let (row, column) = if transposed { (i + p, j + c) } else { (j + c, i + p) };
            if row < n && column < n && row.abs_diff(column) <= fill {
                add(simd, products[c][p], &mut cross[row * (2 * fill + 1) + column + fill - row]);
            }
        }
    }
}
