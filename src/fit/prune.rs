//! Lines and spots that do not fit: blends, wrong wavelengths, cosmic rays on a core.

use super::bundle::Bundle;
use super::placed::Placed;
use super::spot::Spot;
use crate::base::median::median;
use crate::stages::simd::Octet;
use crate::stages::spot_derivatives::{SpotDerivatives, column};
use nalgebra::{Matrix3, Vector3};

/// Displacement by which a line or spot is off: in its sigma, and at least in pixels.
const SIGMA: f64 = 6.0;
const FLOOR: f64 = 0.02;
/// Misfit beyond the noise, as a fraction of the profile.
const MISFIT: f64 = 0.05;
/// Lines that a pass takes: a bad line distorts the fit of its neighbours.
const MOST: usize = 3;

/// How a spot alone departs from the model.
#[derive(Clone, Debug)]
pub(super) struct Departure {
    /// Its exposure and its number there.
    pub at: [usize; 2],
    pub line: usize,
    /// Displacement along x and y, pixels, and the errors.
    pub moved: [f64; 2],
    pub errors: [f64; 2],
    /// chi2 and number of its pixels.
    pub chi2: f64,
    pub pixels: usize,
    /// Sum of the squares of its model by weight.
    pub power: f64,
}

impl Bundle<'_> {
    /// Returns the departures of the spots that `wanted` names, by exposure and spot.
    pub(super) fn departures(&self, wanted: impl Fn(usize, &Spot) -> bool) -> Vec<Departure> {
        let mut evaluator = SpotDerivatives::new(&self.model.spot, true);
        let mut table = vec![Octet::default(); self.model.spot.size() * evaluator.octets()];
        let mut departures = Vec::new();
        for (e, exposure) in self.exposures.iter().enumerate() {
            let placed = Placed::new(&self.model, &self.model.theta, e, exposure);
            for spot in placed.spots.iter().filter(|spot| wanted(e, spot)) {
                evaluator.all(spot.offset, &spot.shape, &mut table);
                departures.push(self.departure(e, spot, &table, evaluator.octets()));
            }
        }
        departures
    }

    /// Fits displacement and flux of one spot to the residual.
    fn departure(&self, e: usize, spot: &Spot, table: &[Octet], octets: usize) -> Departure {
        let (exposure, region) = (&self.exposures[e], &self.exposures[e].region);
        let flux = exposure.spots[spot.index].flux;
        let (mut normal, mut right) = (Matrix3::<f64>::zeros(), Vector3::<f64>::zeros());
        let (mut chi2, mut pixels, mut power) = (0.0, 0, 0.0);
        for row in spot.window.rows.clone() {
            let columns = &spot.window.columns;
            let places = spot.window.in_spot(self.model.spot.nx(), row, columns);
            for (place, column) in places.zip(columns.clone()) {
                let pixel = row * region.nx + column;
                let weight = region.weight(pixel);
                if weight == 0.0 {
                    continue;
                }
                let of: &[f64] = bytemuck::cast_slice(&table[place * octets..(place + 1) * octets]);
                let d = Vector3::new(of[column::X], of[column::Y], of[column::VALUE]) * flux;
                let residual = region.data[pixel] - region.model[pixel];
                normal += weight * d * d.transpose();
                right += weight * residual * d;
                chi2 += weight * residual * residual;
                power += weight * d[2] * d[2];
                pixels += 1;
            }
        }
        (0..3).for_each(|k| normal[(k, k)] *= 1.0 + 1e-9);
        let inverse = normal.try_inverse().unwrap_or_else(Matrix3::zeros);
        let step = inverse * right;
        // A spot that nothing holds is not displaced.
        let error = |k: usize| if inverse[(k, k)] > 0.0 { inverse[(k, k)].sqrt() } else { f64::INFINITY };
        let (moved, errors) = ([step[0], step[1]], [error(0), error(1)]);
        Departure { at: [e, spot.index], line: spot.line, moved, errors, chi2, pixels, power }
    }

    /// Takes trust from the worst lines and from spots that are displaced; found lines take their places. Returns how many
    /// lines lost it.
    pub(super) fn prune(&mut self) -> usize {
        let solutions = self.solutions(&self.model.theta);
        self.exposures.iter_mut().zip(solutions).for_each(|(e, solution)| solution.give_to(e));
        let departures = self.departures(|e, spot| {
            let found = self.model.lines[spot.line].listed.is_none();
            self.exposures[e].spots[spot.index].trusted || (found && self.model.live[spot.fibre])
        });
        let mut bad: Vec<(f64, usize, String)> = Vec::new();
        for l in 0..self.model.lines.len() {
            let line = &self.model.lines[l];
            // A line at a place per fibre is judged once, by all of them; few fibres may have it.
            let is_same =
                |other: usize| other == l || (line.only.is_some() && self.model.lines[other].listed == line.listed);
            let of: Vec<&Departure> = departures.iter().filter(|d| is_same(d.line)).collect();
            if of.len() < if line.only.is_some() { 1 } else { 3 } || (0..l).any(is_same) {
                continue;
            }
            let Some(listed) = line.listed else {
                self.move_line(l, median(of.iter().map(|d| d.moved[1]).collect()));
                continue;
            };
            let weight: f64 = of.iter().map(|d| d.errors[1].powi(-2)).sum();
            let dy = of.iter().map(|d| d.moved[1] * d.errors[1].powi(-2)).sum::<f64>() / weight;
            let own = self.model.theta[self.model.layout.line(listed)];
            let pixels: usize = of.iter().map(|d| d.pixels).sum();
            let excess = of.iter().map(|d| d.chi2).sum::<f64>() - pixels as f64;
            let misfit = (excess.max(0.0) / of.iter().map(|d| d.power).sum::<f64>()).sqrt();
            let reason = if dy.abs() > (SIGMA / weight.sqrt()).max(FLOOR) {
                format!("displaced by {dy:.3} pixels")
            } else if self.options.line_error > 0.0 && own.abs() > 4.0 * self.options.line_error {
                format!("its wavelength is off by {own:.3} pixels")
            } else if excess > 8.0 * (2.0 * pixels as f64).sqrt() && misfit > MISFIT {
                format!("does not fit by {:.0} % of its profile", 100.0 * misfit)
            } else {
                continue;
            };
            bad.push((excess, l, reason));
        }
        bad.sort_by(|a, b| b.0.total_cmp(&a.0));
        bad.truncate(MOST);
        let count = bad.len();
        for (_, l, reason) in bad {
            let listed = self.model.lines[l].listed;
            let same = self.model.lines.iter_mut().filter(|line| line.listed == listed);
            same.for_each(|line| line.lost = Some(reason.clone()));
        }
        for d in &departures {
            let off = (0..2).any(|a| d.moved[a].abs() > (SIGMA * d.errors[a]).max(2.0 * FLOOR));
            let spot = &mut self.exposures[d.at[0]].spots[d.at[1]];
            if off && spot.trusted {
                spot.lost = Some("displaced alone");
            }
        }
        self.distrust();
        self.renew_variance();
        count
    }
}
