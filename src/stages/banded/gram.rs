//! Eliminating a fibre: the factor of its block, and products through it as Gram matrices.

use super::front::{Band, Term};
use super::inverse::Columns;
use crate::stages::simd::{Kernel, Octet, Simd};

/// D - A, to be factored, from D.
pub(super) struct Subtract<'a, const B: usize> {
    pub(super) columns: &'a mut Columns<B>,
    pub(super) term: &'a [Band<B>],
}

impl<const B: usize> Kernel for Subtract<'_, B> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let subtract = |from: &mut Octet, a: &Octet| {
            simd.store(simd.neg_mul_add(simd.splat(1.0), simd.load(a), simd.load(from)), from);
        };
        for (j, term) in self.term.iter().enumerate() {
            let column = self.columns.column_mut(j);
            subtract(&mut column.diagonal, &term.diagonal);
            for i in 0..B {
                subtract(&mut column.lower[i], &term.lower[i]);
            }
        }
    }
}

/// v := (D - A)^-1 v.
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
    pub(super) own: &'a mut [Term<B>],
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
        let width = 2 * fill + 1;
        let first = j / TOGETHER % self.blocks * self.rows;
        let scaled = &mut self.scaled[first..first + self.rows];
        for r in 0..self.rows {
            let Some(row) = (j + r).checked_sub(fill).filter(|&row| row < n) else {
                (self.y[B + r], scaled[r]) = ([Octet::default(); TOGETHER], [Octet::default(); TOGETHER]);
                continue;
            };
            let mut sums = [[simd.splat(0.0); TOGETHER]; 2];
            for c in 0..TOGETHER {
                if r >= c && r - c < width && j + c < n {
                    sums[0][c] = simd.load(&coupling[(j + c) * width + r - c]);
                }
            }
            factor.forward_together(simd, row, B.saturating_sub(r), &self.y[r..], &mut sums);
            let inverse = simd.load(&factor.column(row).diagonal);
            for c in 0..TOGETHER {
                let value = simd.add(sums[0][c], sums[1][c]);
                simd.store(value, &mut self.y[B + r][c]);
                simd.store(simd.mul(value, inverse), &mut scaled[r][c]);
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
                                Some(0) if j + c < n => add(simd, products[c][p], &mut own.band[i + p].diagonal),
                                Some(d) if (1..=kept).contains(&d) && j + c < n => {
                                    add(simd, products[c][p], &mut own.band[i + p].lower[d - 1]);
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
