//! Levenberg-Marquardt rounds: which unknowns are free, steps, and when they end.

use super::FitOptions;
use super::bundle::{Accepted, Bundle};
use super::factored::Factored;
use super::flux::{Solution, solve};
use super::layout::Layout;
use super::normal::Normal;
use super::prior::Prior;
use ndarray::Array2;
use std::time::Instant;

/// Trials of a round, each with ten times the weight of the last that keeps the step short (Levenberg's parameter).
const TRIALS: usize = 10;
/// Levenberg's parameter at first and at least.
const LEVENBERG: [f64; 2] = [1e-4, 1e-9];
/// Farthest move of a spot in a step, pixels.
const FARTHEST: f64 = 2.0;
/// Narrowest width of a spot, pixels.
const NARROWEST: f64 = 0.3;

/// Which unknowns are free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freedom {
    /// An offset per fibre, and one width along either axis.
    Offsets,
    /// Traces of degree 2, and widths that change with fibre and wavelength.
    Widths,
    /// All.
    All,
}

impl Freedom {
    /// Returns the free unknowns in order.
    fn unknowns(self, layout: &Layout, options: &FitOptions) -> Vec<usize> {
        let mut free = Vec::new();
        for m in 0..layout.monomials {
            let terms = match self {
                Self::Offsets if m > 0 => 0,
                Self::Offsets | Self::Widths => 2,
                Self::All => layout.terms,
            };
            free.extend((0..terms).map(|term| layout.shape(term, m)));
        }
        let most = match self {
            Self::Offsets => 1,
            Self::Widths => 3,
            Self::All => usize::MAX,
        };
        for axis in 0..2 {
            for fibre in 0..layout.fibres {
                let at = layout.trace(axis, fibre);
                free.extend(at..at + layout.orders[axis].min(most));
            }
        }
        // The first exposure is where the traces are; the others are shifted.
        free.extend(layout.shift(1.min(layout.exposures), 0)..layout.shift(layout.exposures, 0));
        if self == Self::All && options.line_error > 0.0 {
            free.extend(layout.line(0)..layout.line(layout.lines));
        }
        free.sort_unstable();
        free
    }
}

/// The normal equations where the fit stands.
#[derive(Clone, Debug)]
pub(super) struct System {
    pub free: Vec<usize>,
    /// Of which the lower triangle counts.
    pub matrix: Array2<f64>,
    gradient: Vec<f64>,
}

impl Bundle<'_> {
    /// Solves for the fluxes of all exposures under `theta`.
    pub(super) fn solutions(&self, theta: &[f64]) -> Vec<Solution> {
        let exposures = self.exposures.iter().enumerate();
        exposures.map(|(e, exposure)| solve(&self.model, theta, e, exposure, &exposure.region.weights())).collect()
    }

    /// Takes at most `most` rounds, until chi2 falls by less than `tolerance`; computes weights anew after each.
    pub(super) fn rounds(&mut self, most: usize, freedom: Freedom, tolerance: f64) {
        let (begin, normal) = (Instant::now(), self.times.normal);
        self.take_rounds(most, freedom, tolerance);
        self.times.steps += begin.elapsed().saturating_sub(self.times.normal - normal);
    }

    fn take_rounds(&mut self, most: usize, freedom: Freedom, tolerance: f64) {
        let free = freedom.unknowns(&self.model.layout, self.options);
        let (mut levenberg, mut free_steps) = (LEVENBERG[0], false);
        for _ in 0..most {
            if self.cancel.is_cancelled() {
                return;
            }
            let prior = Prior::new(&self.model, self.options);
            let weights: Vec<Vec<f64>> = self.exposures.iter().map(|exposure| exposure.region.weights()).collect();
            let solutions = self.solutions(&self.model.theta);
            let pixels: Vec<Vec<usize>> =
                solutions.iter().zip(&self.exposures).map(|(s, exposure)| s.pixels(&exposure.region)).collect();
            let total = |solutions: &[Solution], theta: &[f64]| -> f64 {
                let of = |e: usize| solutions[e].chi2(&self.exposures[e].region, &weights[e], &pixels[e]);
                (0..solutions.len()).map(of).sum::<f64>() + prior.chi2(theta)
            };
            let before = total(&solutions, &self.model.theta);
            self.exposures.iter_mut().zip(solutions.iter().cloned()).for_each(|(e, solution)| solution.give_to(e));
            let begin = Instant::now();
            let curvature = self.curvature(&free, &solutions, &weights, &prior);
            self.times.normal += begin.elapsed();
            let mut accepted = None;
            for _ in 0..TRIALS {
                let step = curvature.step(levenberg);
                if let Some(theta) = step.and_then(|step| self.moved(&free, &step)) {
                    let trial = self.solutions(&theta);
                    let after = {
                        let of = |e: usize| trial[e].chi2(&self.exposures[e].region, &weights[e], &pixels[e]);
                        (0..trial.len()).map(of).sum::<f64>() + prior.chi2(&theta)
                    };
                    if after <= before + 1e-6 {
                        levenberg = (levenberg / 10.0).max(LEVENBERG[1]);
                        accepted = Some((theta, trial, after));
                        break;
                    }
                }
                levenberg = levenberg.max(1e-6) * 10.0;
            }
            let Some((theta, solutions, after)) = accepted else { return };
            self.note(&weights, &pixels, free.len(), after - prior.chi2(&theta));
            self.model.theta = theta;
            self.exposures.iter_mut().zip(solutions).for_each(|(e, solution)| solution.give_to(e));
            self.renew_variance();
            tracing::debug!(
                "fibres {} to {}, {freedom:?}: chi2 {after:.1} of {before:.1}, levenberg {levenberg:.0e}",
                self.first_fibre(),
                self.last_fibre()
            );
            if before - after < tolerance {
                // Under Levenberg's weight unknowns that nearly trade places, a bright line's displacement and the traces,
                // hardly move: a small gain means an end only without it.
                if freedom != Freedom::All || free_steps || levenberg <= 10.0 * LEVENBERG[1] {
                    return;
                }
                (free_steps, levenberg) = (true, LEVENBERG[1]);
            }
        }
    }

    fn note(&mut self, weights: &[Vec<f64>], pixels: &[Vec<usize>], free: usize, chi2: f64) {
        let good = |(w, p): (&Vec<f64>, &Vec<usize>)| p.iter().filter(|&&i| w[i] > 0.0).count();
        let good: usize = weights.iter().zip(pixels).map(good).sum();
        let spots = self.exposures.iter().flat_map(|e| &e.spots).filter(|spot| spot.used).count();
        let unknowns = free + spots;
        let freedom = (good as f64 - unknowns as f64).max(1.0);
        self.accepted = Some(Accepted { chi2, freedom, unknowns, pixels: good });
    }

    /// Returns the normal equations of the free unknowns with the priors.
    fn curvature(&self, free: &[usize], solutions: &[Solution], weights: &[Vec<f64>], prior: &Prior) -> System {
        let mut normal = Normal::new(free);
        for (e, exposure) in self.exposures.iter().enumerate() {
            normal.add(&self.model, e, exposure, &solutions[e], &weights[e]);
        }
        for (k, &unknown) in free.iter().enumerate() {
            normal.matrix[[k, k]] += prior.weight[unknown];
            normal.gradient[k] += prior.pull(&self.model.theta, unknown);
        }
        System { free: free.to_vec(), matrix: normal.matrix, gradient: normal.gradient }
    }

    /// Returns the normal matrix of all unknowns where the fit stands.
    pub(super) fn final_curvature(&self) -> System {
        let free = Freedom::All.unknowns(&self.model.layout, self.options);
        let prior = Prior::new(&self.model, self.options);
        let weights: Vec<Vec<f64>> = self.exposures.iter().map(|exposure| exposure.region.weights()).collect();
        let solutions = self.solutions(&self.model.theta);
        self.curvature(&free, &solutions, &weights, &prior)
    }

    /// Returns the unknowns after a step, if spots stay near and keep a width.
    fn moved(&self, free: &[usize], step: &[f64]) -> Option<Vec<f64>> {
        let mut theta = self.model.theta.clone();
        free.iter().zip(step.iter()).for_each(|(&i, step)| theta[i] += step);
        for (e, exposure) in self.exposures.iter().enumerate() {
            for (l, line) in self.model.lines.iter().enumerate() {
                for fibre in 0..self.model.fibres.len() {
                    if !exposure.spots[exposure.index(l, fibre)].used {
                        continue;
                    }
                    let [old, new] = [&self.model.theta, &theta].map(|theta| self.model.at(theta, e, fibre, line));
                    let shape = self.model.spot_at(&theta, e, fibre, line).shape;
                    let near = (0..2).all(|a| (new[a] - old[a]).abs() < FARTHEST);
                    if !near || !shape[..2].iter().all(|sigma| *sigma > NARROWEST) {
                        return None;
                    }
                }
            }
        }
        Some(theta)
    }
}

impl System {
    /// Returns the damped step; None where the matrix is not positive.
    fn step(&self, levenberg: f64) -> Option<Vec<f64>> {
        let n = self.gradient.len();
        let scale: Vec<f64> =
            (0..n).map(|i| self.matrix[[i, i]].sqrt()).map(|d| if d > 0.0 { d } else { 1.0 }).collect();
        let of = |i: usize, j: usize| {
            let own = if i == j { levenberg } else { 0.0 };
            self.matrix[[i, j]] / (scale[i] * scale[j]) + own
        };
        let factor = Factored::dense(n, of).ok()?;
        let scaled: Vec<f64> = self.gradient.iter().zip(&scale).map(|(g, s)| g / s).collect();
        Some(factor.solve(&scaled).iter().zip(&scale).map(|(step, s)| step / s).collect())
    }
}
