//! Partial Cholesky factorisation of a symmetric matrix under its skyline, in strips of eight rows.
//!
//! Strip I holds rows 8I..8I+8, from the first block column where one of them is not zero up to the diagonal. It is stored
//! column by column, one [`Octet`] per column. Strip by strip, tile (I, J) = A_IJ - sum_k L_Ik L_Jk^T needs no
//! transposition in this form: L_I's column is a load, L_J's entries are broadcasts. Zeros left of the skyline stay
//! zeros in L (George & Liu 1981, ch. 4), so bands, dense matrices and borders are all the same case.

use super::simd::{Kernel, Octet, Simd};

/// Rows of a strip, and columns of a tile.
pub(crate) const TILE: usize = 8;

/// A pivot that is not a positive finite number: `(row, pivot)`.
pub(crate) type BadPivot = (usize, f64);

/// A symmetric matrix under its skyline, lower triangle; after [`Factor`], its factor L.
#[derive(Clone, Debug, Default)]
pub(crate) struct Skyline {
    /// First block column of each strip.
    first: Vec<usize>,
    /// Column k of strip I is `columns[base[I] + k]`.
    base: Vec<usize>,
    columns: Vec<Octet>,
    /// 1 / L_ii, known for the factored rows.
    inverse_diagonal: Vec<f64>,
}

impl Skyline {
    /// Takes a new shape, all zeros. `first_columns[i]` is the first column of row i that may differ from zero;
    /// their number is a multiple of eight.
    pub(crate) fn reshape(&mut self, first_columns: &[usize]) {
        debug_assert!(first_columns.len().is_multiple_of(TILE));
        self.first.clear();
        self.base.clear();
        let mut used = 0;
        for (strip, rows) in first_columns.chunks_exact(TILE).enumerate() {
            let first = rows.iter().fold(strip, |least, &column| least.min(column / TILE));
            self.first.push(first);
            // Strip I is preceded by at least I tiles, so this cannot be negative.
            self.base.push(used - first * TILE);
            used += (strip + 1 - first) * TILE;
        }
        self.columns.clear();
        self.columns.resize(used, Octet::default());
        self.inverse_diagonal.clear();
        self.inverse_diagonal.resize(first_columns.len(), 0.0);
    }

    /// Number of strips.
    pub(crate) fn strips(&self) -> usize {
        self.first.len()
    }

    /// Element (row, column), on or left of the diagonal and under the skyline.
    #[inline(always)]
    pub(crate) fn at(&self, row: usize, column: usize) -> f64 {
        self.columns[self.base[row / TILE] + column].0[row % TILE]
    }

    /// See [`Skyline::at`].
    #[inline(always)]
    pub(crate) fn at_mut(&mut self, row: usize, column: usize) -> &mut f64 {
        &mut self.columns[self.base[row / TILE] + column].0[row % TILE]
    }

    /// Takes a matrix's own L as the factor, after its elements have been set; the first bad diagonal is the error.
    pub(crate) fn accept_as_factor(&mut self) -> Result<(), BadPivot> {
        for row in 0..self.inverse_diagonal.len() {
            let diagonal = self.at(row, row);
            if !is_pivot(diagonal) {
                return Err((row, diagonal));
            }
            self.inverse_diagonal[row] = 1.0 / diagonal;
        }
        Ok(())
    }

    /// Columns of strip I left of its diagonal tile, from column `first[I] * 8` on, and the diagonal tile.
    #[inline(always)]
    fn strip(&self, strip: usize) -> (&[Octet], &[Octet]) {
        let diagonal = self.base[strip] + strip * TILE;
        let start = self.base[strip] + self.first[strip] * TILE;
        (&self.columns[start..diagonal], &self.columns[diagonal..diagonal + TILE])
    }
}

#[inline(always)]
fn is_pivot(value: f64) -> bool {
    value > 0.0 && value.is_finite()
}

/// Factors the columns of the first `leading` strips, A = L L^T. The rest becomes the Schur complement of the leading
/// block; there is none if `leading` is the number of strips.
pub(crate) struct Factor<'a> {
    pub(crate) matrix: &'a mut Skyline,
    pub(crate) leading: usize,
}

impl Kernel for Factor<'_> {
    type Output = Result<(), BadPivot>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Self::Output {
        for strip in 0..self.matrix.strips() {
            factor_strip(simd, self.matrix, strip, self.leading)?;
        }
        Ok(())
    }
}

#[inline(always)]
fn factor_strip<S: Simd>(simd: S, matrix: &mut Skyline, strip: usize, leading: usize) -> Result<(), BadPivot> {
    let Skyline { first, base, columns, inverse_diagonal } = matrix;
    let start = first[strip] * TILE;
    let (before, own) = columns.split_at_mut(base[strip] + start);
    for tile in first[strip]..=strip {
        let (from, to) = (start.max(first[tile] * TILE), tile.min(leading) * TILE);
        let (left, right) = own.split_at_mut(tile * TILE - start);
        let target: &mut [Octet; TILE] = right.first_chunk_mut().expect("a strip is made of whole tiles");
        if from < to {
            let rows = &left[from - start..to - start];
            let others = if tile == strip { rows } else { &before[base[tile] + from..base[tile] + to] };
            subtract_product(simd, target, rows, others);
        }
        if tile < leading {
            let inverse = &mut inverse_diagonal[tile * TILE..][..TILE];
            if tile < strip {
                solve_tile(simd, target, &before[base[tile] + tile * TILE..][..TILE], inverse);
            } else {
                factor_tile(simd, target, inverse).map_err(|(row, pivot)| (tile * TILE + row, pivot))?;
            }
        }
    }
    Ok(())
}

/// target[c] -= sum_k rows[k] * others[k][c].
#[inline(always)]
fn subtract_product<S: Simd>(simd: S, target: &mut [Octet; TILE], rows: &[Octet], others: &[Octet]) {
    if S::TILE_COLUMNS == TILE {
        subtract_columns::<S, 0, 8>(simd, target, rows, others);
    } else {
        subtract_columns::<S, 0, 4>(simd, target, rows, others);
        subtract_columns::<S, 4, 4>(simd, target, rows, others);
    }
}

/// The columns FROM..FROM+COUNT of [`subtract_product`], accumulated in registers.
#[inline(always)]
fn subtract_columns<S: Simd, const FROM: usize, const COUNT: usize>(
    simd: S,
    target: &mut [Octet; TILE],
    rows: &[Octet],
    others: &[Octet],
) {
    let mut sums = [simd.splat(0.0); COUNT];
    for c in 0..COUNT {
        sums[c] = simd.load(&target[FROM + c]);
    }
    for (row, other) in rows.iter().zip(others) {
        let row = simd.load(row);
        for c in 0..COUNT {
            sums[c] = simd.neg_mul_add(row, simd.splat(other.0[FROM + c]), sums[c]);
        }
    }
    for c in 0..COUNT {
        simd.store(sums[c], &mut target[FROM + c]);
    }
}

/// target := target L^-T, L the lower triangle of `diagonal`.
#[inline(always)]
fn solve_tile<S: Simd>(simd: S, target: &mut [Octet; TILE], diagonal: &[Octet], inverse: &[f64]) {
    for c in 0..TILE {
        let mut column = simd.load(&target[c]);
        for k in 0..c {
            column = simd.neg_mul_add(simd.load(&target[k]), simd.splat(diagonal[k].0[c]), column);
        }
        simd.store(simd.mul(column, simd.splat(inverse[c])), &mut target[c]);
    }
}

/// Cholesky factor of one diagonal tile, zeros above its diagonal.
#[inline(always)]
fn factor_tile<S: Simd>(simd: S, target: &mut [Octet; TILE], inverse: &mut [f64]) -> Result<(), BadPivot> {
    for c in 0..TILE {
        let pivot = target[c].0[c];
        if !is_pivot(pivot) {
            return Err((c, pivot));
        }
        let diagonal = pivot.sqrt();
        inverse[c] = 1.0 / diagonal;
        for row in 0..c {
            target[c].0[row] = 0.0;
        }
        let scaled = simd.mul(simd.load(&target[c]), simd.splat(inverse[c]));
        simd.store(scaled, &mut target[c]);
        target[c].0[c] = diagonal;
        for later in c + 1..TILE {
            let product = simd.splat(target[c].0[later]);
            let column = simd.neg_mul_add(scaled, product, simd.load(&target[later]));
            simd.store(column, &mut target[later]);
        }
    }
    Ok(())
}

/// x := L^-1 x, with x in strips.
pub(crate) struct Forward<'a> {
    pub(crate) factor: &'a Skyline,
    pub(crate) x: &'a mut [Octet],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for strip in 0..self.factor.strips() {
            let (left, diagonal) = self.factor.strip(strip);
            let (known, rest) = self.x.split_at_mut(strip);
            let known = known[self.factor.first[strip]..].iter();
            // Four sums, because one would wait for each multiply-add to finish.
            let mut sums = [simd.load(&rest[0]), simd.splat(0.0), simd.splat(0.0), simd.splat(0.0)];
            for (tile, x) in left.chunks_exact(TILE).zip(known) {
                for k in 0..TILE {
                    sums[k % 4] = simd.neg_mul_add(simd.load(&tile[k]), simd.splat(x.0[k]), sums[k % 4]);
                }
            }
            let sum = simd.add(simd.add(sums[0], sums[1]), simd.add(sums[2], sums[3]));
            simd.store(sum, &mut rest[0]);
            for c in 0..TILE {
                let value = rest[0].0[c] * self.factor.inverse_diagonal[strip * TILE + c];
                for row in c + 1..TILE {
                    rest[0].0[row] -= diagonal[c].0[row] * value;
                }
                rest[0].0[c] = value;
            }
        }
    }
}

/// Octets of a row that [`ForwardRows`] takes at a time: their sums stay in registers, the rows above in the cache.
const ROW_BLOCK: usize = 4;

/// X := L^-1 X, X with rows of `width` octets, 8 per strip: many right-hand sides at once.
pub(crate) struct ForwardRows<'a> {
    pub(crate) factor: &'a Skyline,
    pub(crate) rows: &'a mut [Octet],
    pub(crate) width: usize,
}

impl Kernel for ForwardRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let whole = self.width / ROW_BLOCK * ROW_BLOCK;
        for begin in (0..whole).step_by(ROW_BLOCK) {
            self.block::<S, ROW_BLOCK>(simd, begin);
        }
        for begin in whole..self.width {
            self.block::<S, 1>(simd, begin);
        }
    }
}

impl ForwardRows<'_> {
    #[inline(always)]
    fn block<S: Simd, const N: usize>(&mut self, simd: S, begin: usize) {
        let Skyline { first, base, columns, inverse_diagonal } = self.factor;
        for row in 0..TILE * first.len() {
            let (strip, lane) = (row / TILE, row % TILE);
            let (above, own) = self.rows.split_at_mut(row * self.width);
            let own = &mut own[begin..begin + N];
            let mut sums = [simd.splat(0.0); N];
            for k in 0..N {
                sums[k] = simd.load(&own[k]);
            }
            for column in first[strip] * TILE..row {
                let factor = simd.splat(columns[base[strip] + column].0[lane]);
                let other = &above[column * self.width + begin..][..N];
                for k in 0..N {
                    sums[k] = simd.neg_mul_add(factor, simd.load(&other[k]), sums[k]);
                }
            }
            let inverse = simd.splat(inverse_diagonal[row]);
            for k in 0..N {
                simd.store(simd.mul(sums[k], inverse), &mut own[k]);
            }
        }
    }
}

/// x := L^-T x, with x in strips.
pub(crate) struct Backward<'a> {
    pub(crate) factor: &'a Skyline,
    pub(crate) x: &'a mut [Octet],
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for strip in (0..self.factor.strips()).rev() {
            let (left, diagonal) = self.factor.strip(strip);
            let (before, rest) = self.x.split_at_mut(strip);
            for c in (0..TILE).rev() {
                let mut value = rest[0].0[c];
                for row in c + 1..TILE {
                    value -= diagonal[c].0[row] * rest[0].0[row];
                }
                rest[0].0[c] = value * self.factor.inverse_diagonal[strip * TILE + c];
            }
            let known = simd.load(&rest[0]);
            let before = before[self.factor.first[strip]..].iter_mut();
            for (tile, x) in left.chunks_exact(TILE).zip(before) {
                for k in 0..TILE {
                    x.0[k] -= simd.sum(simd.mul(simd.load(&tile[k]), known));
                }
            }
        }
    }
}

/// Both substitutions: `L^T \ (L \ x)`.
pub(crate) struct Both<'a> {
    pub(crate) factor: &'a Skyline,
    pub(crate) x: &'a mut [Octet],
}

impl Kernel for Both<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        Forward { factor: self.factor, x: self.x }.run(simd);
        Backward { factor: self.factor, x: self.x }.run(simd);
    }
}

#[cfg(test)]
mod tests {
    use super::super::simd::{assert_same_bits, on_each};
    use super::*;

    /// Factors its own copy and solves for ones.
    #[derive(Clone)]
    struct FactorAndSolve(Skyline);

    impl Kernel for FactorAndSolve {
        type Output = Vec<f64>;

        #[inline(always)]
        fn run<S: Simd>(mut self, simd: S) -> Vec<f64> {
            let leading = self.0.strips();
            Factor { matrix: &mut self.0, leading }.run(simd).unwrap();
            let mut x = vec![Octet([1.0; 8]); leading];
            Forward { factor: &self.0, x: &mut x }.run(simd);
            Backward { factor: &self.0, x: &mut x }.run(simd);
            x.iter().flat_map(|octet| octet.0).collect()
        }
    }

    #[test]
    fn every_instruction_set_solves_alike() {
        let n = 40;
        let element = |i: usize, j: usize| {
            if i == j { 4.0 } else { 1.0 / (1 + i * j % 7 + i - j) as f64 }
        };
        let first: Vec<usize> = (0..n).map(|i: usize| i.saturating_sub(3 + i % 11)).collect();
        let mut matrix = Skyline::default();
        matrix.reshape(&first);
        for i in 0..n {
            for j in first[i]..=i {
                *matrix.at_mut(i, j) = element(i, j);
            }
        }
        let solutions = on_each(&FactorAndSolve(matrix));
        for x in &solutions {
            for i in 0..n {
                let under = |i: usize, j: usize| if j >= first[i] { element(i, j) } else { 0.0 };
                let product: f64 = (0..n).map(|j| under(i.max(j), i.min(j)) * x[j]).sum();
                assert!((product - 1.0).abs() < 1e-13, "row {i}: {product}");
            }
        }
        assert_same_bits(&solutions);
    }
}
