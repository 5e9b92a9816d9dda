//! The normal equations of traces and shapes, fluxes eliminated.
//!
//! No matrix of pixels by unknowns is formed. Of two spots that share pixels, the products of their local derivatives are
//! summed over these pixels, and then spread: over monomials for shapes, over Legendre polynomials for traces.

use super::exposure::Exposure;
use super::flux::{FluxMatrix, Solution};
use super::model::Model;
use super::placed::Placed;
use super::spot::Spot;
use crate::stages::gram::gram;
use crate::stages::simd::Octet;
use crate::stages::spot_derivatives::{SpotDerivatives, column};
use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2};
use std::collections::BTreeMap;

/// The reduced normal equations: matrix `[unknowns, unknowns]`, symmetric, and gradient.
#[derive(Clone, Debug)]
pub(super) struct Normal {
    pub matrix: Array2<f64>,
    pub gradient: Vec<f64>,
}

/// Products of the shapes of two lines' spots, by powers of z: `[powers, powers, terms, terms]`.
type LineProducts = BTreeMap<[usize; 2], Vec<f64>>;

impl Normal {
    /// Begins with zeros.
    pub fn new(unknowns: usize) -> Self {
        Self { matrix: Array2::zeros((unknowns, unknowns)), gradient: vec![0.0; unknowns] }
    }

    /// Adds an exposure at its solution, which belongs to the model's own unknowns.
    pub fn add(&mut self, model: &Model, number: usize, exposure: &Exposure, solution: &Solution, weights: &[f64]) {
        let mut sums = Sums::new(model, number, exposure, &solution.placed);
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
    fn new(model: &'a Model, number: usize, exposure: &'a Exposure, placed: &'a Placed) -> Self {
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

    fn all_pairs(&mut self, weights: &[f64], image: &[f64]) {
        let (model, placed, region) = (self.model, self.placed, &self.exposure.region);
        let mut evaluator = SpotDerivatives::new(&model.spot, true);
        let (octets, nx) = (evaluator.octets(), model.spot.nx());
        let mut last_use: Vec<usize> = (0..placed.spots.len()).collect();
        for (n, before) in placed.before.iter().enumerate() {
            before.iter().for_each(|&m| last_use[m] = n);
        }
        let mut tables: Vec<Vec<Octet>> = vec![Vec::new(); placed.spots.len()];
        let (mut left, mut right) = (Vec::new(), Vec::new());
        let mut product = vec![Octet::default(); 8 * octets * octets];
        let mut oldest = 0;
        for own in &placed.lines {
            let mut of_lines = LineProducts::new();
            for n in own.clone() {
                let spot = &placed.spots[n];
                let mut table = vec![Octet::default(); model.spot.size() * octets];
                evaluator.all(spot.offset, &spot.shape, &mut table);
                let mut local = vec![0.0; 8 * octets];
                for row in spot.window.rows.clone() {
                    let (columns, at) = (&spot.window.columns, row * region.nx);
                    for (place, column) in spot.window.in_spot(nx, row, columns).zip(columns.clone()) {
                        let pixel = at + column;
                        let pull = weights[pixel] * (region.data[pixel] - image[pixel]);
                        let of: &[f64] = bytemuck::cast_slice(&table[place * octets..(place + 1) * octets]);
                        local.iter_mut().zip(of).for_each(|(sum, d)| *sum += pull * d);
                    }
                }
                self.add_gradient(n, &local);
                tables[n] = table;
                for &m in placed.before[n].iter().chain([&n]) {
                    let other = &placed.spots[m];
                    let shared = spot.window.overlap(&other.window);
                    left.clear();
                    right.clear();
                    for row in shared.rows.clone() {
                        let own = spot.window.in_spot(nx, row, &shared.columns);
                        let theirs = other.window.in_spot(nx, row, &shared.columns);
                        let weights = &weights[row * region.nx..][shared.columns.clone()];
                        for ((a, b), w) in own.zip(theirs).zip(weights) {
                            if *w > 0.0 {
                                let scaled = |o: &Octet| Octet(o.0.map(|v| v * w));
                                left.extend(tables[n][a * octets..(a + 1) * octets].iter().map(scaled));
                                right.extend_from_slice(&tables[m][b * octets..(b + 1) * octets]);
                            }
                        }
                    }
                    gram(octets, &left, &right, &mut product);
                    self.add_pair([n, m], bytemuck::cast_slice(&product), 8 * octets, &mut of_lines);
                }
            }
            self.add_lines(&of_lines);
            while oldest < own.end && last_use[oldest] < own.end {
                tables[oldest] = Vec::new();
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
        let terms = self.model.layout.terms;
        for (m, value) in self.monomials[n].iter().enumerate() {
            let to = &mut self.gradient[m * terms..(m + 1) * terms];
            to.iter_mut().zip(&local[column::SHAPE..]).for_each(|(to, d)| *to += flux * value * d);
        }
        for &(unknown, column, weight) in &self.rows[n] {
            self.gradient[unknown] += flux * weight * local[column];
        }
    }

    /// Adds the products of spot n and a spot m not after it, `[columns of n, columns of m]`.
    fn add_pair(&mut self, [n, m]: [usize; 2], product: &[f64], stride: usize, of_lines: &mut LineProducts) {
        let terms = self.model.layout.terms;
        let at = |a: usize, b: usize| product[a * stride + b];
        self.fluxes.add(n, m, at(column::VALUE, column::VALUE));
        let (flux_n, flux_m) = (self.moving(n), self.moving(m));
        let mut flux_row = |spot: usize, other: usize, moving: f64, local: &dyn Fn(usize) -> f64| {
            if moving == 0.0 {
                return;
            }
            let mut to = self.mixed.row_mut(spot);
            let to = to.as_slice_mut().expect("rows are contiguous");
            for (k, value) in self.monomials[other].iter().enumerate() {
                let factor = moving * value;
                let to = &mut to[k * terms..(k + 1) * terms];
                to.iter_mut().enumerate().for_each(|(t, to)| *to += factor * local(column::SHAPE + t));
            }
            for &(unknown, column, weight) in &self.rows[other] {
                to[unknown] += moving * weight * local(column);
            }
        };
        flux_row(n, m, flux_m, &|b| at(column::VALUE, b));
        if n != m {
            flux_row(m, n, flux_n, &|a| at(a, column::VALUE));
        }
        let light = flux_n * flux_m * if n == m { 0.5 } else { 1.0 };
        if light == 0.0 {
            return;
        }
        self.add_positions([n, m], light, &at);
        let [spot, other] = [n, m].map(|k| &self.placed.spots[k]);
        let powers = self.model.powers();
        let sums =
            of_lines.entry([spot.line, other.line]).or_insert_with(|| vec![0.0; powers * powers * terms * terms]);
        let [zn, zm] = [spot, other].map(|s| self.model.z[s.fibre]);
        for (power, sums) in sums.chunks_exact_mut(terms * terms).enumerate() {
            let factor = light * zn.powi((power / powers) as i32) * zm.powi((power % powers) as i32);
            for (a, sums) in sums.chunks_exact_mut(terms).enumerate() {
                let from = &product[(column::SHAPE + a) * stride + column::SHAPE..][..terms];
                sums.iter_mut().zip(from).for_each(|(sum, p)| *sum += factor * p);
            }
        }
    }

    /// Adds products of positions with positions and with shapes.
    fn add_positions(&mut self, [n, m]: [usize; 2], light: f64, at: &dyn Fn(usize, usize) -> f64) {
        let terms = self.model.layout.terms;
        for &(unknown, a, weight) in &self.rows[n] {
            for &(other, b, other_weight) in &self.rows[m] {
                self.half[[unknown, other]] += light * weight * other_weight * at(a, b);
            }
        }
        let shapes_of = |from: &dyn Fn(usize) -> f64| -> Vec<f64> { (0..terms).map(from).collect() };
        let [by_x, by_y] = [column::X, column::Y].map(|a| shapes_of(&|t| at(a, column::SHAPE + t)));
        let [of_x, of_y] = [column::X, column::Y].map(|b| shapes_of(&|t| at(column::SHAPE + t, b)));
        for (spot, other, x, y) in [(n, m, &by_x, &by_y), (m, n, &of_x, &of_y)] {
            for &(unknown, local, weight) in &self.rows[spot] {
                let products = if local == column::X { x } else { y };
                let mut row = self.half.row_mut(unknown);
                let row = row.as_slice_mut().expect("rows are contiguous");
                for (k, value) in self.monomials[other].iter().enumerate() {
                    let factor = light * weight * value;
                    let to = &mut row[k * terms..(k + 1) * terms];
                    to.iter_mut().zip(products).for_each(|(to, p)| *to += factor * p);
                }
            }
        }
    }

    /// Spreads the products of shapes over the monomials.
    fn add_lines(&mut self, of_lines: &LineProducts) {
        let (terms, powers) = (self.model.layout.terms, self.model.powers());
        for ([line, other], sums) in of_lines {
            let [own, theirs] = [line, other].map(|l| &self.model.lines[*l].shape);
            for (k, &(a, b)) in self.model.monomials.iter().enumerate() {
                for (l, &(c, d)) in self.model.monomials.iter().enumerate() {
                    let factor = own[b] * theirs[d];
                    let sums = &sums[(powers * a + c) * terms * terms..][..terms * terms];
                    for (t, sums) in sums.chunks_exact(terms).enumerate() {
                        let mut row = self.half.row_mut(k * terms + t);
                        let to = &mut row.as_slice_mut().expect("rows are contiguous")[l * terms..(l + 1) * terms];
                        to.iter_mut().zip(sums).for_each(|(to, sum)| *to += factor * sum);
                    }
                }
            }
        }
    }

    /// Eliminates the fluxes and adds what is left.
    fn reduce(self, normal: &mut Normal) {
        normal.matrix += &self.half;
        normal.matrix += &self.half.t();
        normal.gradient.iter_mut().zip(&self.gradient).for_each(|(to, g)| *to += g);
        // Without a factor no spot has weight: nothing is to be eliminated.
        let Ok(factor) = self.fluxes.factor() else { return };
        let (strips, n) = (factor.strips(), self.model.layout.len());
        if strips == 0 {
            return;
        }
        let mut columns = vec![Octet::default(); (n + 1) * strips];
        for (column, out) in columns.chunks_exact_mut(strips).enumerate() {
            let out: &mut [f64] = bytemuck::cast_slice_mut(out);
            if column == n {
                out[..self.flux_gradient.len()].copy_from_slice(&self.flux_gradient);
            } else {
                out.iter_mut().zip(self.mixed.column(column)).for_each(|(to, from)| *to = *from);
            }
        }
        factor.forward(&mut columns);
        let all: &[f64] = bytemuck::cast_slice(&columns);
        let (mixed, gradient) = all.split_at(n * 8 * strips);
        let mixed = ArrayView2::from_shape((n, 8 * strips), mixed).expect("all columns are as long");
        general_mat_mul(-1.0, &mixed, &mixed.t(), 1.0, &mut normal.matrix);
        for (row, to) in mixed.rows().into_iter().zip(&mut normal.gradient) {
            *to -= row.iter().zip(gradient).map(|(a, b)| a * b).sum::<f64>();
        }
    }
}
