//! Fluxes at given traces and shapes: a linear problem whose matrix is sparse.

use super::exposure::Exposure;
use super::factored::Factored;
use super::model::Model;
use super::placed::Placed;
use super::region::Region;
use super::spot::Spot;
use crate::stages::skyline::{BadPivot, Skyline, TILE};
use crate::stages::spot_derivatives::SpotDerivatives;

/// Relative to the largest and to its own diagonal: spots without weight get flux 0.
const REGULAR: [f64; 2] = [1e-9, 1e-12];

/// The fluxes of an exposure and the image that they make.
#[derive(Clone, Debug)]
pub(super) struct Solution {
    pub placed: Placed,
    pub flux: Vec<f64>,
    /// Sum of a spot's squares by weight.
    pub power: Vec<f64>,
    pub image: Vec<f64>,
}

impl Solution {
    /// Returns chi2 over the pixels of `pixels`.
    pub fn chi2(&self, region: &Region, weights: &[f64], pixels: &[usize]) -> f64 {
        pixels.iter().map(|&i| weights[i] * (region.data[i] - self.image[i]).powi(2)).sum()
    }

    /// Gives fluxes and model to the exposure.
    pub fn give_to(self, exposure: &mut Exposure) {
        for (spot, (flux, power)) in self.placed.spots.iter().zip(self.flux.iter().zip(&self.power)) {
            let state = &mut exposure.spots[spot.index];
            (state.flux, state.sn) = (*flux, flux * power.max(0.0).sqrt());
        }
        exposure.region.model = self.image;
    }

    /// Returns the pixels of all windows, ascending.
    pub fn pixels(&self, region: &Region) -> Vec<usize> {
        let mut inside = vec![false; region.data.len()];
        for spot in &self.placed.spots {
            for row in spot.window.rows.clone() {
                inside[row * region.nx..][spot.window.columns.clone()].fill(true);
            }
        }
        (0..inside.len()).filter(|&i| inside[i]).collect()
    }
}

/// Solves for the fluxes of an exposure under the unknowns `theta`.
pub(super) fn solve(model: &Model, theta: &[f64], number: usize, exposure: &Exposure, weights: &[f64]) -> Solution {
    let placed = Placed::new(model, theta, number, exposure);
    let (region, size, nx) = (&exposure.region, model.spot.size(), model.spot.nx());
    let mut values = vec![0.0; placed.spots.len() * size];
    let mut evaluator = SpotDerivatives::new(&model.spot, true);
    for (spot, values) in placed.spots.iter().zip(values.chunks_exact_mut(size)) {
        evaluator.value(spot.offset, &spot.shape, values);
    }
    let of = |n: usize| &values[n * size..][..size];
    let mut matrix = FluxMatrix::new(&placed);
    let mut flux = vec![0.0; placed.spots.len()];
    let mut weighted = vec![0.0; size];
    for (n, spot) in placed.spots.iter().enumerate() {
        for row in spot.window.rows.clone() {
            let columns = &spot.window.columns;
            let (at, places) = (row * region.nx, spot.window.in_spot(nx, row, columns));
            for (place, column) in places.zip(columns.clone()) {
                weighted[place] = weights[at + column] * of(n)[place];
                flux[n] += weighted[place] * region.data[at + column];
            }
        }
        for &m in placed.before[n].iter().chain([&n]) {
            matrix.add(n, m, product(nx, spot, &weighted, &placed.spots[m], of(m)));
        }
    }
    let power = matrix.diagonal();
    // Regularised, every pivot is positive; a spot that is not finite has no window.
    match matrix.factor() {
        Ok(factor) => flux = factor.solve(&flux),
        Err(_) => flux.fill(0.0),
    }
    let mut image = vec![0.0; region.data.len()];
    for ((spot, flux), values) in placed.spots.iter().zip(&flux).zip(values.chunks_exact(size)) {
        for row in spot.window.rows.clone() {
            let columns = &spot.window.columns;
            let from = &values[spot.window.in_spot(nx, row, columns)];
            let to = &mut image[row * region.nx..][columns.clone()];
            to.iter_mut().zip(from).for_each(|(to, from)| *to += flux * from);
        }
    }
    Solution { placed, flux, power, image }
}

/// Sum of the products of two spots over the pixels that they share.
fn product(nx: usize, spot: &Spot, values: &[f64], other: &Spot, others: &[f64]) -> f64 {
    let shared = spot.window.overlap(&other.window);
    let row = |row: usize| -> f64 {
        let own = &values[spot.window.in_spot(nx, row, &shared.columns)];
        let theirs = &others[other.window.in_spot(nx, row, &shared.columns)];
        own.iter().zip(theirs).map(|(a, b)| a * b).sum()
    };
    if shared.is_empty() { 0.0 } else { shared.rows.clone().map(row).sum() }
}

/// The matrix of the fluxes, `S^T W S`.
#[derive(Debug)]
pub(super) struct FluxMatrix {
    skyline: Skyline,
    spots: usize,
}

impl FluxMatrix {
    /// Begins the matrix of placed spots.
    pub fn new(placed: &Placed) -> Self {
        let spots = placed.spots.len();
        let first = |n: usize| placed.before.get(n).and_then(|before| before.first()).copied().unwrap_or(n);
        let firsts: Vec<usize> = (0..spots.next_multiple_of(TILE)).map(first).collect();
        let mut skyline = Skyline::default();
        skyline.reshape(&firsts);
        Self { skyline, spots }
    }

    /// Adds to the element of spot n and a spot m that is not after it.
    pub fn add(&mut self, n: usize, m: usize, value: f64) {
        *self.skyline.at_mut(n, m) += value;
    }

    fn diagonal(&self) -> Vec<f64> {
        (0..self.spots).map(|n| self.skyline.at(n, n)).collect()
    }

    /// Regularises and factors the matrix.
    pub fn factor(mut self) -> Result<Factored, BadPivot> {
        let diagonal = self.diagonal();
        let most = diagonal.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        for (n, own) in diagonal.into_iter().enumerate() {
            self.add(n, n, REGULAR[0] * most + REGULAR[1] * own);
        }
        (self.spots..self.spots.next_multiple_of(TILE)).for_each(|n| *self.skyline.at_mut(n, n) = 1.0);
        Factored::new(self.skyline)
    }
}
