//! Where the traces lie at all: the rigid shift that puts the expected spots on light.

use super::bundle::Bundle;
use super::region::Region;

/// Step of the search, pixels.
const STEP: f64 = 0.5;

impl Bundle<'_> {
    /// Shifts the traces of each exposure to where the sum of log(1 + signal / noise) over all spots is largest. The
    /// logarithm keeps a few bright lines from deciding. Shifts of further exposures count from the first.
    pub(super) fn shift_coarsely(&mut self) {
        let model = &self.model;
        let found: Vec<[f64; 2]> = self
            .exposures
            .iter()
            .map(|exposure| {
                let own = model.own.clone().flat_map(|fibre| {
                    let lines = model.lines.iter().filter(move |line| line.is_on(fibre));
                    lines.map(move |line| model.at(&model.theta, 0, fibre, line))
                });
                best_shift(&exposure.region, &own.collect::<Vec<_>>(), self.options.reach)
            })
            .collect();
        let layout = self.model.layout;
        for axis in 0..2 {
            for fibre in 0..layout.fibres {
                let at = layout.trace(axis, fibre);
                self.model.theta[at] += found[0][axis];
                self.model.start[at] += found[0][axis];
            }
            for (e, shift) in found.iter().enumerate().skip(1) {
                self.model.theta[layout.shift(e, axis)] = shift[axis] - found[0][axis];
            }
        }
        self.coarse = found;
    }
}

/// Returns the shift that puts the most places on light, within `reach`; of equals the smallest.
fn best_shift(region: &Region, spots: &[[f64; 2]], reach: [f64; 2]) -> [f64; 2] {
    LogLight::new(region).best_shift(spots, reach)
}

/// The light of a region as log(1 + signal / noise).
pub(crate) struct LogLight<'a> {
    region: &'a Region,
    smooth: Vec<f64>,
}

impl<'a> LogLight<'a> {
    /// Takes the logarithm of the smoothed light.
    pub fn new(region: &'a Region) -> Self {
        let smooth = region.smoothed();
        let smooth = smooth.iter().zip(&region.read).map(|(s, read)| (s.max(0.0) / read.sqrt()).ln_1p()).collect();
        Self { region, smooth }
    }

    /// Returns the light at a place; None beyond the region.
    fn at(&self, x: f64, y: f64) -> Option<f64> {
        let region = self.region;
        let (x, y) = (x - f64::from(region.x0), y);
        let (i, j) = (x.floor(), y.floor());
        if !(i >= 0.0 && j >= 0.0 && i + 1.0 < region.nx as f64 && j + 1.0 < region.ny as f64) {
            return None;
        }
        let (u, v, corner) = (x - i, y - j, j as usize * region.nx + i as usize);
        let row = |from: usize| (1.0 - u) * self.smooth[from] + u * self.smooth[from + 1];
        Some((1.0 - v) * row(corner) + v * row(corner + region.nx))
    }

    /// Returns the shift that puts the most places on light, within `reach`; of equals the smallest.
    pub fn best_shift(&self, spots: &[[f64; 2]], reach: [f64; 2]) -> [f64; 2] {
        let steps = reach.map(|reach| (reach.max(0.0) / STEP).round() as i32);
        let mut best = (f64::MIN, [0.0; 2]);
        for a in -steps[0]..=steps[0] {
            for b in -steps[1]..=steps[1] {
                let shift = [a, b].map(|n| f64::from(n) * STEP);
                let sum: f64 = spots.iter().map(|[x, y]| self.at(x + shift[0], y + shift[1]).unwrap_or(0.0)).sum();
                // Of equals the smallest.
                let nearer = |best: [f64; 2]| shift[0].hypot(shift[1]) < best[0].hypot(best[1]);
                if sum > best.0 || (sum == best.0 && nearer(best.1)) {
                    best = (sum, shift);
                }
            }
        }
        best.1
    }

    /// Returns how far the light at a shift is above that of places by chance, in standard deviations of the latter: those of
    /// shifts along y that are `apart` to `far` pixels from it.
    pub fn significance(&self, spots: &[[f64; 2]], shift: [f64; 2], [apart, far]: [f64; 2]) -> f64 {
        let mean = |dy: f64| {
            let lit = spots.iter().filter_map(|[x, y]| self.at(x + shift[0], y + shift[1] + dy));
            let (sum, count) = lit.fold((0.0, 0usize), |(sum, count), light| (sum + light, count + 1));
            sum / count as f64
        };
        let count = ((far - apart) / STEP) as usize;
        let aside = (0..=count).flat_map(|k| [1.0, -1.0].map(|sign| sign * (apart + STEP * k as f64)));
        let chance: Vec<f64> = aside.map(mean).filter(|mean| mean.is_finite()).collect();
        let middle = chance.iter().sum::<f64>() / chance.len() as f64;
        let variance = chance.iter().map(|c| (c - middle).powi(2)).sum::<f64>() / chance.len() as f64;
        (mean(0.0) - middle) / variance.sqrt()
    }
}
