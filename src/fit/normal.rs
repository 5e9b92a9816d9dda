//! The normal equations of traces and shapes, fluxes eliminated.
//!
//! No matrix of pixels by unknowns is formed. Of two spots that share pixels, the products of their local derivatives are
//! summed over these pixels, and then spread: over monomials for shapes, over Legendre polynomials for traces.

use super::exposure::Exposure;
use super::flux::{FluxMatrix, Solution};
use super::model::Model;
use super::placed::Placed;
use super::region::Region;
use super::spot::Spot;
use crate::stages::gram::add_scaled;
use crate::stages::simd::Octet;
use crate::stages::spot_derivatives::{SpotDerivatives, column};
use crate::stages::spot_products::{Depth, Shared, SpotProducts, SpotTable};
use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, s};
use std::collections::BTreeMap;

/// Terms of a shape that are widths.
const WIDTHS: usize = 2;
/// Unknowns whose products are summed at once: of a symmetric matrix half is enough.
const BLOCK: usize = 128;

/// The reduced normal equations of free unknowns: matrix, symmetric, of which the lower triangle counts, and gradient.
#[derive(Clone, Debug)]
pub(super) struct Normal {
    free: Vec<usize>,
    pub matrix: Array2<f64>,
    pub gradient: Vec<f64>,
}

/// Products of the shapes of two lines' spots, by powers of z.
#[derive(Clone, Debug)]
struct LineProducts {
    /// Of Hermite terms, `[powers, powers]` tables as [`SpotProducts`] has them.
    hermite: Vec<Octet>,
    /// Of the widths of a spot of the one line and all terms of the other's, and the reverse, `[powers, powers, width, term]`.
    widths: [Vec<f64>; 2],
}

impl Normal {
    /// Begins with zeros.
    pub fn new(free: &[usize]) -> Self {
        let n = free.len();
        Self { free: free.to_vec(), matrix: Array2::zeros((n, n)), gradient: vec![0.0; n] }
    }

    /// Adds an exposure at its solution, which belongs to the model's own unknowns.
    pub fn add(&mut self, model: &Model, number: usize, exposure: &Exposure, solution: &Solution, weights: &[f64]) {
        let widths = (0..model.layout.monomials).map(|m| model.layout.shape(WIDTHS, m));
        let all = model.layout.terms > WIDTHS && widths.into_iter().any(|at| self.free.binary_search(&at).is_ok());
        let mut sums = Sums::new(model, number, exposure, &solution.placed, all);
        sums.all_pairs(weights, &solution.image);
        sums.reduce(self);
    }
}

/// Unknowns of the position of a spot: where, by which local derivative, with which weight.
type PositionRow = (usize, usize, f64);

struct Sums<'a> {
    model: &'a Model,
    exposure: &'a Exposure,
    placed: &'a Placed,
    /// Whether Hermite terms are free; else widths alone are terms.
    all: bool,
    rows: Vec<Vec<PositionRow>>,
    monomials: Vec<Vec<f64>>,
    /// Half of the matrix of traces and shapes: added to its transpose it is the whole.
    half: Array2<f64>,
    /// Fluxes by unknowns, `[spot, unknown]`.
    mixed: Array2<f64>,
    fluxes: FluxMatrix,
    gradient: Vec<f64>,
    flux_gradient: Vec<f64>,
}

impl<'a> Sums<'a> {
    fn new(model: &'a Model, number: usize, exposure: &'a Exposure, placed: &'a Placed, all: bool) -> Self {
        let (n, spots) = (model.layout.len(), placed.spots.len());
        let rows = |spot: &Spot| {
            let line = &model.lines[spot.line];
            let mut rows = Vec::new();
            for (axis, local) in [column::X, column::Y].into_iter().enumerate() {
                let at = model.layout.trace(axis, spot.fibre);
                rows.extend(line.trace[axis].iter().enumerate().map(|(j, p)| (at + j, local, *p)));
                rows.push((model.layout.shift(number, axis), local, 1.0));
            }
            rows.extend(line.listed.map(|l| (model.layout.line(l), column::Y, 1.0)));
            rows
        };
        Self {
            model,
            exposure,
            placed,
            all,
            rows: placed.spots.iter().map(rows).collect(),
            monomials: placed
                .spots
                .iter()
                .map(|spot| model.monomials_at(spot.fibre, &model.lines[spot.line]).collect())
                .collect(),
            half: Array2::zeros((n, n)),
            mixed: Array2::zeros((spots, n)),
            fluxes: FluxMatrix::new(placed),
            gradient: vec![0.0; n],
            flux_gradient: vec![0.0; spots],
        }
    }

    /// Free terms of a shape.
    fn terms(&self) -> usize {
        if self.all { self.model.layout.terms } else { WIDTHS }
    }

    fn all_pairs(&mut self, weights: &[f64], image: &[f64]) {
        let (model, placed, region) = (self.model, self.placed, &self.exposure.region);
        let mut evaluator = SpotDerivatives::new(&model.spot, true);
        let mut products = SpotProducts::new(&model.spot);
        let pull: Vec<f64> =
            weights.iter().zip(&region.data).zip(image).map(|((w, data), image)| w * (data - image)).collect();
        let mut last_use: Vec<usize> = (0..placed.spots.len()).collect();
        for (n, before) in placed.before.iter().enumerate() {
            before.iter().for_each(|&m| last_use[m] = n);
        }
        let mut tables: Vec<SpotTable> = vec![SpotTable::default(); placed.spots.len()];
        let mut oldest = 0;
        for own in &placed.lines {
            let mut of_lines = BTreeMap::new();
            for n in own.clone() {
                let spot = &placed.spots[n];
                tables[n] = SpotTable::new(&mut evaluator, spot.offset, &spot.shape);
                let local = tables[n].sums(&model.spot, &shared(model, region, [spot, spot], &pull), self.all);
                self.add_gradient(n, &local);
                for &m in placed.before[n].iter().chain([&n]) {
                    let depth = match (self.all, self.moving(n) != 0.0 && self.moving(m) != 0.0) {
                        (true, true) => Depth::All,
                        (true, false) => Depth::Edges,
                        _ => Depth::First,
                    };
                    let pixels = shared(model, region, [spot, &placed.spots[m]], weights);
                    products.compute([&tables[n], &tables[m]], &pixels, depth);
                    self.add_pair([n, m], &products, &mut of_lines);
                }
            }
            self.add_lines(&of_lines, &products);
            while oldest < own.end && last_use[oldest] < own.end {
                tables[oldest] = SpotTable::default();
                oldest += 1;
            }
        }
    }

    fn moving(&self, n: usize) -> f64 {
        self.exposure.moving(&self.placed.spots[n])
    }

    fn add_gradient(&mut self, n: usize, local: &[f64]) {
        self.flux_gradient[n] = local[column::VALUE];
        let flux = self.moving(n);
        if flux == 0.0 {
            return;
        }
        let (terms, free) = (self.model.layout.terms, self.terms());
        for (m, value) in self.monomials[n].iter().enumerate() {
            let to = &mut self.gradient[m * terms..][..free];
            to.iter_mut().zip(&local[column::SHAPE..]).for_each(|(to, d)| *to += flux * value * d);
        }
        for &(unknown, column, weight) in &self.rows[n] {
            self.gradient[unknown] += flux * weight * local[column];
        }
    }

    /// Adds the products of spot n and a spot m not after it.
    fn add_pair(
        &mut self,
        [n, m]: [usize; 2],
        products: &SpotProducts,
        of_lines: &mut BTreeMap<[usize; 2], LineProducts>,
    ) {
        let (terms, free) = (self.model.layout.terms, self.terms());
        self.fluxes.add(n, m, products.moves[column::VALUE][column::VALUE]);
        let (flux_n, flux_m) = (self.moving(n), self.moving(m));
        let mut flux_row = |spot: usize, other: usize, moving: f64, local: &[f64]| {
            if moving == 0.0 {
                return;
            }
            let mut to = self.mixed.row_mut(spot);
            let to = to.as_slice_mut().expect("rows are contiguous");
            for (k, value) in self.monomials[other].iter().enumerate() {
                let factor = moving * value;
                let to = &mut to[k * terms..][..free];
                to.iter_mut().zip(&local[column::SHAPE..]).for_each(|(to, d)| *to += factor * d);
            }
            for &(unknown, column, weight) in &self.rows[other] {
                to[unknown] += moving * weight * local[column];
            }
        };
        flux_row(n, m, flux_m, &products.edges[0][column::VALUE]);
        if n != m {
            flux_row(m, n, flux_n, &products.edges[1][column::VALUE]);
        }
        let light = flux_n * flux_m * if n == m { 0.5 } else { 1.0 };
        if light == 0.0 {
            return;
        }
        self.add_positions([n, m], light, products);
        let [spot, other] = [n, m].map(|k| &self.placed.spots[k]);
        let powers = self.model.powers();
        let count = products.hermite.len();
        let sums = of_lines.entry([spot.line, other.line]).or_insert_with(|| LineProducts {
            hermite: vec![Octet::default(); if self.all { powers * powers * count } else { 0 }],
            widths: [0; 2].map(|_| vec![0.0; powers * powers * WIDTHS * free]),
        });
        let [zn, zm] = [spot, other].map(|s| self.model.z[s.fibre]);
        for power in 0..powers * powers {
            let factor = light * zn.powi((power / powers) as i32) * zm.powi((power % powers) as i32);
            if self.all {
                add_scaled(factor, &products.hermite, &mut sums.hermite[power * count..(power + 1) * count]);
            }
            for (sums, edges) in sums.widths.iter_mut().zip(&products.edges) {
                let sums = sums[power * WIDTHS * free..][..WIDTHS * free].chunks_exact_mut(free);
                for (sums, edge) in sums.zip(&edges[column::SHAPE..]) {
                    sums.iter_mut().zip(&edge[column::SHAPE..]).for_each(|(sum, d)| *sum += factor * d);
                }
            }
        }
    }

    /// Adds products of positions with positions and with shapes.
    fn add_positions(&mut self, [n, m]: [usize; 2], light: f64, products: &SpotProducts) {
        let (terms, free) = (self.model.layout.terms, self.terms());
        for &(unknown, a, weight) in &self.rows[n] {
            for &(other, b, other_weight) in &self.rows[m] {
                self.half[[unknown, other]] += light * weight * other_weight * products.moves[a][b];
            }
        }
        for (side, [spot, other]) in [[n, m], [m, n]].into_iter().enumerate() {
            for &(unknown, local, weight) in &self.rows[spot] {
                let from = &products.edges[side][local][column::SHAPE..][..free];
                let mut row = self.half.row_mut(unknown);
                let row = row.as_slice_mut().expect("rows are contiguous");
                for (k, value) in self.monomials[other].iter().enumerate() {
                    let factor = light * weight * value;
                    let to = &mut row[k * terms..][..free];
                    to.iter_mut().zip(from).for_each(|(to, p)| *to += factor * p);
                }
            }
        }
    }

    /// Spreads the products of shapes over the monomials.
    fn add_lines(&mut self, of_lines: &BTreeMap<[usize; 2], LineProducts>, products: &SpotProducts) {
        let (terms, free, powers) = (self.model.layout.terms, self.terms(), self.model.powers());
        let mut table = vec![0.0; powers * powers * free * free];
        for ([line, other], sums) in of_lines {
            for (power, table) in table.chunks_exact_mut(free * free).enumerate() {
                let hermite: &[f64] = bytemuck::cast_slice(&sums.hermite);
                let hermite = &hermite[power * hermite.len() / (powers * powers)..];
                let widths = [0, 1].map(|side| &sums.widths[side][power * WIDTHS * free..][..WIDTHS * free]);
                for a in 0..free {
                    for b in 0..free {
                        table[a * free + b] = match (a, b) {
                            (0..WIDTHS, _) => widths[0][a * free + b],
                            (_, 0..WIDTHS) => widths[1][b * free + a],
                            // Terms follow the widths, GH-0-0 is none of them.
                            _ => hermite[products.place(a + 1 - WIDTHS, b + 1 - WIDTHS)],
                        };
                    }
                }
            }
            let [own, theirs] = [line, other].map(|l| &self.model.lines[*l].shape);
            for (k, &(a, b)) in self.model.monomials.iter().enumerate() {
                for (l, &(c, d)) in self.model.monomials.iter().enumerate() {
                    let factor = own[b] * theirs[d];
                    let from = &table[(powers * a + c) * free * free..][..free * free];
                    for (t, from) in from.chunks_exact(free).enumerate() {
                        let mut row = self.half.row_mut(k * terms + t);
                        let to = &mut row.as_slice_mut().expect("rows are contiguous")[l * terms..][..free];
                        to.iter_mut().zip(from).for_each(|(to, sum)| *to += factor * sum);
                    }
                }
            }
        }
    }

    /// Eliminates the fluxes and adds what is left.
    fn reduce(self, normal: &mut Normal) {
        let (free, n) = (&normal.free, normal.free.len());
        for (i, &row) in free.iter().enumerate() {
            for (j, &column) in free.iter().enumerate().take(i + 1) {
                normal.matrix[[i, j]] += self.half[[row, column]] + self.half[[column, row]];
            }
            normal.gradient[i] += self.gradient[row];
        }
        // Without a factor no spot has weight: nothing is to be eliminated.
        let Ok(factor) = self.fluxes.factor() else { return };
        // The gradient by fluxes is one more column.
        let width = (n + 1).div_ceil(8);
        let mut rows = vec![Octet::default(); factor.rows() * width];
        let out: &mut [f64] = bytemuck::cast_slice_mut(&mut rows);
        for ((out, from), gradient) in out.chunks_exact_mut(8 * width).zip(self.mixed.rows()).zip(&self.flux_gradient) {
            out.iter_mut().zip(free).for_each(|(out, &unknown)| *out = from[unknown]);
            out[n] = *gradient;
        }
        factor.forward(&mut rows, width);
        let all: &[f64] = bytemuck::cast_slice(&rows);
        let all = ArrayView2::from_shape((factor.rows(), 8 * width), all).expect("all rows are as long");
        for begin in (0..n).step_by(BLOCK) {
            let end = (begin + BLOCK).min(n);
            let (own, others) = (all.slice(s![.., begin..end]), all.slice(s![.., ..end]));
            general_mat_mul(-1.0, &own.t(), &others, 1.0, &mut normal.matrix.slice_mut(s![begin..end, ..end]));
        }
        let eliminated = all.t().dot(&all.column(n));
        normal.gradient.iter_mut().zip(&eliminated).for_each(|(to, g)| *to -= g);
    }
}

/// Returns the pixels that two spots share, with these weights.
fn shared<'a>(model: &Model, region: &Region, spots: [&Spot; 2], weights: &'a [f64]) -> Shared<'a> {
    let window = spots[0].window.overlap(&spots[1].window);
    let empty = window.is_empty();
    let [rows, columns] = [&window.rows, &window.columns].map(|range| if empty { 0 } else { range.len() });
    let place = |spot: &Spot| spot.window.in_spot(model.spot.nx(), window.rows.start, &window.columns).start;
    Shared {
        rows,
        columns,
        first: if empty { [0; 2] } else { spots.map(place) },
        weights: if empty { &[] } else { &weights[window.rows.start * region.nx + window.columns.start..] },
        stride: region.nx,
    }
}
