//! Weak priors on unknowns that trade places.

use super::FitOptions;
use super::model::Model;
use crate::base::median::median;

/// Size of Hermite terms, and of the two that move a spot's centre, which the trace owns.
const HERMITE: f64 = 0.1;
const CENTRE: f64 = 0.01;
/// Shift of an exposure from the first, pixels.
const SHIFT: f64 = 3.0;

/// Gaussian priors: mean and 1 / sigma^2 of every unknown, 0 where there is none.
#[derive(Clone, Debug)]
pub(super) struct Prior {
    mean: Vec<f64>,
    pub weight: Vec<f64>,
}

impl Prior {
    /// Builds the priors; a trace departs from the start by what the bundle's median fibre does.
    pub fn new(model: &Model, options: &FitOptions) -> Self {
        let layout = &model.layout;
        let (mut mean, mut weight) = (vec![0.0; layout.len()], vec![0.0; layout.len()]);
        let inverse = |sigma: f64| if sigma > 0.0 { sigma.powi(-2) } else { 0.0 };
        let width = model.spot.degree_y + 1;
        for m in 0..layout.monomials {
            for term in 2..layout.terms {
                let (i, j) = ((term - 1) / width, (term - 1) % width);
                let sigma = if i + j == 1 { CENTRE } else { HERMITE };
                weight[layout.shape(term, m)] = inverse(sigma);
            }
        }
        for axis in 0..2 {
            for j in 0..layout.orders[axis] {
                let correction = |f: usize| {
                    let at = layout.trace(axis, f) + j;
                    model.theta[at] - model.start[at]
                };
                let live: Vec<f64> = (0..layout.fibres).filter(|&f| model.live[f]).map(correction).collect();
                let common = if live.is_empty() { 0.0 } else { median(live) };
                for f in 0..layout.fibres {
                    let at = layout.trace(axis, f) + j;
                    (mean[at], weight[at]) = (model.start[at] + common, inverse(options.trace_error));
                }
            }
            (0..layout.exposures).for_each(|e| weight[layout.shift(e, axis)] = inverse(SHIFT));
        }
        (0..layout.lines).for_each(|l| weight[layout.line(l)] = inverse(options.line_error));
        Self { mean, weight }
    }

    /// Returns the sum of squares.
    pub fn chi2(&self, theta: &[f64]) -> f64 {
        theta.iter().zip(self.mean.iter().zip(&self.weight)).map(|(t, (m, w))| w * (t - m).powi(2)).sum()
    }

    /// Returns half of the negative gradient of the sum of squares by an unknown.
    pub fn pull(&self, theta: &[f64], unknown: usize) -> f64 {
        self.weight[unknown] * (self.mean[unknown] - theta[unknown])
    }
}
