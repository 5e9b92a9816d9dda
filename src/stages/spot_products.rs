//! Products of the derivatives of two spots, summed by weight over the pixels that they share.
//!
//! Derivatives by Hermite terms are profiles along x times profiles along y. So the products of 48 of them with 48 are summed
//! along x first, for each row, and then along y. That is an eighth of the work of summing them pixel by pixel.

use super::gram::gram;
use super::simd::Octet;
use super::spot_derivatives::{SpotDerivatives, column};
use crate::geometry::SpotShape;

/// Columns of the spot itself and of its derivatives by position and widths.
const MOVES: usize = 5;

/// A spot as products need it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SpotTable {
    /// The first five columns of every pixel, `[ny, nx]`.
    moves: Vec<[f64; MOVES]>,
    /// Profiles along x and y of orders 0 to the degree, `[n, degree + 1]`.
    profiles: [Vec<f64>; 2],
}

impl SpotTable {
    /// Evaluates a spot.
    pub fn new(evaluator: &mut SpotDerivatives, offset: [f64; 2], params: &[f64]) -> Self {
        let shape = *evaluator.shape();
        let mut moves = vec![[0.0; MOVES]; shape.size()];
        evaluator.moves(offset, params, &mut moves);
        Self { moves, profiles: evaluator.orders() }
    }

    /// Returns the sums of its columns, of which the spot is the first, by weight over pixels. Without `all` only those of
    /// the first five; the others are 0.
    pub fn sums(&self, shape: &SpotShape, shared: &Shared, all: bool) -> Vec<f64> {
        let [nx, ny] = [shape.degree_x + 1, shape.degree_y + 1];
        let mut sums = vec![0.0; SpotProducts::columns_of(shape)];
        let mut along = vec![0.0; shared.rows * nx];
        lit(shape.nx(), [self, self], shared, |row, _, [place, _], weight| {
            sums.iter_mut().zip(self.moves[place]).for_each(|(sum, d)| *sum += weight * d);
            if all {
                let orders = &self.profiles[0][place % shape.nx() * nx..][..nx];
                along[row * nx..][..nx].iter_mut().zip(orders).for_each(|(sum, x)| *sum += weight * x);
            }
        });
        if all {
            let first = shared.first[0] / shape.nx();
            for (along, y) in along.chunks_exact(nx).zip(self.profiles[1][first * ny..].chunks_exact(ny)) {
                for term in 1..nx * ny {
                    sums[column::SHAPE + 1 + term] += along[term / ny] * y[term % ny];
                }
            }
        }
        sums
    }
}

/// Pixels that two spots share.
#[derive(Clone, Debug)]
pub(crate) struct Shared<'a> {
    pub rows: usize,
    pub columns: usize,
    /// First place, `row * nx + column`, in either spot.
    pub first: [usize; 2],
    /// Weights from the first pixel on, and the distance of rows.
    pub weights: &'a [f64],
    pub stride: usize,
}

/// Which products are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The first five columns with each other.
    First,
    /// Also the first five columns with all.
    Edges,
    /// Every column with every other.
    All,
}

/// The evaluation of products, with the tables that it reuses.
#[derive(Clone, Debug)]
pub(crate) struct SpotProducts {
    shape: SpotShape,
    /// Products of the first five columns of the left spot with those of the right.
    pub moves: [[f64; 8]; 8],
    /// Products of the first five columns of one spot with all columns of the other: of the left and of the right spot.
    pub edges: [[Vec<f64>; MOVES]; 2],
    /// Products of Hermite terms, `[i, k]` by `[j, l]`. Orders along x and y are i and j of the left spot, k and l of the right.
    pub hermite: Vec<Octet>,
    scratch: [Vec<Octet>; 6],
}

/// Returns octets of so many numbers.
fn octets(count: usize) -> usize {
    count.div_ceil(8)
}

/// Makes an empty table of so many octets of a scratch; all 0.
fn cleared(table: &mut Vec<Octet>, octets: usize) -> &mut [f64] {
    table.clear();
    table.resize(octets, Octet::default());
    bytemuck::cast_slice_mut(table)
}

impl SpotProducts {
    /// Prepares products of spots of one shape.
    pub fn new(shape: &SpotShape) -> Self {
        let edge = || std::array::from_fn(|_| vec![0.0; Self::columns_of(shape)]);
        Self {
            shape: *shape,
            moves: [[0.0; 8]; 8],
            edges: [edge(), edge()],
            hermite: Vec::new(),
            scratch: std::array::from_fn(|_| Vec::new()),
        }
    }

    fn columns_of(shape: &SpotShape) -> usize {
        column::SHAPE + 1 + (shape.degree_x + 1) * (shape.degree_y + 1)
    }

    fn orders(&self) -> [usize; 2] {
        [self.shape.degree_x + 1, self.shape.degree_y + 1]
    }

    /// Octets of a row of `hermite`, and octets of its rows.
    pub fn hermite_octets(&self) -> [usize; 2] {
        self.orders().map(|n| octets(n * n))
    }

    /// Place in `hermite` of the product of terms `a` and `b`, which count the Hermite coefficients from GH-0-0.
    pub fn place(&self, a: usize, b: usize) -> usize {
        let ([nx, ny], width) = (self.orders(), 8 * self.hermite_octets()[1]);
        (a / ny * nx + b / ny) * width + a % ny * ny + b % ny
    }

    /// Computes the products of two spots.
    pub fn compute(&mut self, spots: [&SpotTable; 2], shared: &Shared, depth: Depth) {
        self.first_columns(spots, shared);
        if depth != Depth::First {
            self.edge(0, spots, shared);
            self.edge(1, spots, shared);
        }
        if depth == Depth::All {
            self.hermite(spots, shared);
        }
        for v in 0..MOVES {
            for w in 0..MOVES {
                self.edges[0][v][w] = self.moves[v][w];
                self.edges[1][v][w] = self.moves[w][v];
            }
        }
    }

    fn first_columns(&mut self, spots: [&SpotTable; 2], shared: &Shared) {
        let mut tables = [std::mem::take(&mut self.scratch[0]), std::mem::take(&mut self.scratch[1])];
        tables.iter_mut().for_each(Vec::clear);
        lit(self.shape.nx(), spots, shared, |_, _, [p, q], weight| {
            let octet = |moves: &[f64; MOVES], factor: f64| {
                let mut octet = Octet::default();
                octet.0.iter_mut().zip(moves).for_each(|(to, from)| *to = factor * from);
                octet
            };
            tables[0].push(octet(&spots[0].moves[p], weight));
            tables[1].push(octet(&spots[1].moves[q], 1.0));
        });
        let mut out = [Octet::default(); 8];
        gram([1, 1], &tables[0], &tables[1], &mut out);
        self.moves = out.map(|row| row.0);
        let [a, b] = tables;
        (self.scratch[0], self.scratch[1]) = (a, b);
    }

    fn hermite(&mut self, spots: [&SpotTable; 2], shared: &Shared) {
        let ([nx, ny], [wide, high], rows) = (self.orders(), self.hermite_octets(), octets(shared.rows));
        let [mut weights, mut along, mut by_row, mut across, ..] = std::mem::take(&mut self.scratch);
        let to = cleared(&mut weights, shared.columns * rows);
        lit(self.shape.nx(), spots, shared, |row, column, _, weight| to[column * 8 * rows + row] = weight);
        self.outer(&mut along, spots, 0, shared);
        self.outer(&mut across, spots, 1, shared);
        cleared(&mut by_row, 8 * rows * wide);
        gram([rows, wide], &weights, &along, &mut by_row);
        self.hermite.resize(8 * wide * high, Octet::default());
        gram([wide, high], &by_row[..shared.rows * wide], &across, &mut self.hermite);
        debug_assert!(nx * nx <= 8 * wide && ny * ny <= 8 * high);
        self.scratch = [weights, along, by_row, across, Vec::new(), Vec::new()];
    }

    /// Products of the profiles of two spots along an axis at the pixels that they share, `[pixel, left order, right order]`.
    fn outer(&self, table: &mut Vec<Octet>, spots: [&SpotTable; 2], axis: usize, shared: &Shared) {
        let (n, count) = (self.orders()[axis], if axis == 0 { shared.columns } else { shared.rows });
        let width = 8 * octets(n * n);
        let first = shared.first.map(|first| if axis == 0 { first % self.shape.nx() } else { first / self.shape.nx() });
        let [a, b] = [0, 1].map(|k| &spots[k].profiles[axis][first[k] * n..(first[k] + count) * n]);
        let to = cleared(table, count * width / 8);
        for ((to, a), b) in to.chunks_exact_mut(width.max(1)).zip(a.chunks_exact(n)).zip(b.chunks_exact(n)) {
            for (to, a) in to.chunks_exact_mut(n).zip(a) {
                to.iter_mut().zip(b).for_each(|(to, b)| *to = a * b);
            }
        }
    }

    /// Computes the products of the first five columns of one spot with the Hermite terms of the other.
    fn edge(&mut self, side: usize, spots: [&SpotTable; 2], shared: &Shared) {
        let (own, other, first) = (spots[side], spots[1 - side], shared.first[1 - side]);
        let [nx, ny] = self.orders();
        let ([wide, high], moves) = ([octets(nx), octets(ny)], octets(MOVES * shared.rows));
        let [mut weighted, mut along, mut by_row, mut across, mut sums, _] = std::mem::take(&mut self.scratch);
        let to = cleared(&mut weighted, shared.columns * moves);
        lit(self.shape.nx(), spots, shared, |row, column, places, weight| {
            let to = &mut to[column * 8 * moves + MOVES * row..][..MOVES];
            to.iter_mut().zip(own.moves[places[side]]).for_each(|(to, from)| *to = weight * from);
        });
        let at = [first % self.shape.nx(), first / self.shape.nx()];
        padded(&mut along, &other.profiles[0][at[0] * nx..(at[0] + shared.columns) * nx], nx);
        padded(&mut across, &other.profiles[1][at[1] * ny..(at[1] + shared.rows) * ny], ny);
        cleared(&mut by_row, 8 * moves * wide);
        gram([moves, wide], &weighted, &along, &mut by_row);
        cleared(&mut sums, 8 * MOVES * wide * high);
        gram([MOVES * wide, high], &by_row[..MOVES * shared.rows * wide], &across, &mut sums);
        let from: &[f64] = bytemuck::cast_slice(&sums);
        for (v, edge) in self.edges[side].iter_mut().enumerate() {
            // GH-0-0, which belongs to the flux, has no column.
            for term in 1..nx * ny {
                edge[column::SHAPE + 1 + term] = from[((8 * wide * v) + term / ny) * 8 * high + term % ny];
            }
        }
        self.scratch = [weighted, along, by_row, across, sums, Vec::new()];
    }
}

/// Calls with row, column, places in either spot and weight of all pixels in which both spots are positive.
fn lit(nx: usize, spots: [&SpotTable; 2], shared: &Shared, mut with: impl FnMut(usize, usize, [usize; 2], f64)) {
    for row in 0..shared.rows {
        let weights = &shared.weights[row * shared.stride..][..shared.columns];
        for (column, &weight) in weights.iter().enumerate() {
            let places = shared.first.map(|first| first + row * nx + column);
            if weight != 0.0 && (0..2).all(|k| spots[k].moves[places[k]][0] > 0.0) {
                with(row, column, places, weight);
            }
        }
    }
}

/// Copies a table with rows of `n` numbers to one with rows of whole octets.
fn padded(table: &mut Vec<Octet>, from: &[f64], n: usize) {
    let width = 8 * octets(n);
    let to = cleared(table, from.len() / n * width / 8);
    to.chunks_exact_mut(width).zip(from.chunks_exact(n)).for_each(|(to, from)| to[..n].copy_from_slice(from));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_the_sums_over_pixels() {
        let shape = SpotShape { half_x: 6, half_y: 5, degree_x: 4, degree_y: 3, tails: false };
        let mut evaluator = SpotDerivatives::new(&shape, true);
        let params = |s: f64| -> Vec<f64> {
            let gh = (0..20).map(|k| if k == 0 { 1.0 } else { 0.05 * (s * f64::from(k)).sin() });
            [1.1, 0.9].into_iter().chain(gh).collect()
        };
        let spots = [([0.3, -0.2], params(1.7)), ([-0.1, 0.4], params(0.6))];
        let tables = [0, 1].map(|k| SpotTable::new(&mut evaluator, spots[k].0, &spots[k].1));
        let wide = evaluator.octets();
        let dense = [0, 1].map(|k| {
            let mut all = vec![Octet::default(); shape.size() * wide];
            evaluator.all(spots[k].0, &spots[k].1, &mut all);
            bytemuck::cast_slice::<_, f64>(&all).to_vec()
        });
        // The right spot is two columns right of and a row above the left.
        let weights: Vec<f64> =
            (0..40 * 12).map(|k| if k % 11 == 0 { 0.0 } else { 1.0 + 0.5 * (k as f64).sin() }).collect();
        let nx = shape.nx();
        let shared = Shared { rows: 10, columns: 11, first: [nx + 2, 0], weights: &weights[3..], stride: 40 };
        let mut products = SpotProducts::new(&shape);
        products.compute([&tables[0], &tables[1]], &shared, Depth::All);
        let columns = evaluator.columns();
        let sum = |a: usize, b: usize| -> f64 {
            let mut sum = 0.0;
            for row in 0..10 {
                for column in 0..11 {
                    let [p, q] = [(row + 1) * nx + column + 2, row * nx + column];
                    let weight = weights[3 + row * 40 + column];
                    sum += weight * dense[0][p * 8 * wide + a] * dense[1][q * 8 * wide + b];
                }
            }
            sum
        };
        let hermite: &[f64] = bytemuck::cast_slice(&products.hermite);
        assert!(tables.iter().any(|t| t.moves.iter().any(|m| m[0] == 0.0)), "no pixel is clipped");
        for a in 0..columns {
            for b in 0..columns {
                let got = match (a, b) {
                    (0..MOVES, _) => products.edges[0][a][b],
                    (_, 0..MOVES) => products.edges[1][b][a],
                    _ => hermite[products.place(a - column::SHAPE - 1, b - column::SHAPE - 1)],
                };
                let want = sum(a, b);
                assert!((got - want).abs() < 1e-12, "{a}, {b}: {got} {want}");
            }
        }
        let whole = products.edges.clone();
        products.compute([&tables[0], &tables[1]], &shared, Depth::First);
        assert!((0..2).all(|side| (0..MOVES).all(|v| products.edges[side][v][..MOVES] == whole[side][v][..MOVES])));
    }
}
