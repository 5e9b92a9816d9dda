//! A fitted bundle, and the series that it gives its fibres.

use super::bundle::Bundle;
use super::{BundleFit, FitTimes};
use serde::{Deserialize, Serialize};

/// A bundle that was fitted, by this process or another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FittedBundle {
    /// Its number in the plan.
    pub(super) number: usize,
    pub(super) record: BundleFit,
    /// None keeps the start's.
    pub(super) series: Option<Series>,
    pub(super) times: FitTimes,
}

/// Coefficients of a bundle's own fibres: traces along x and y, then the shape terms, `[fibre][coefficient]`.
pub(super) type Series = Vec<Vec<Vec<f64>>>;

impl Bundle<'_> {
    /// Returns the Legendre series of the own fibres: a fibre's place is a number, so that they are exact.
    pub(super) fn series(&self) -> Series {
        let layout = &self.model.layout;
        let trace = |axis: usize| {
            let of = |f: usize| self.model.theta[layout.trace(axis, f)..][..layout.orders[axis]].to_vec();
            self.model.own.clone().map(of).collect()
        };
        let degrees = self.model.monomials.iter().map(|m| m.1 + 1).max().unwrap_or(1);
        let shape = |term: usize| {
            let of = |f: usize| {
                let mut coeff = vec![0.0; degrees];
                for (m, &(a, b)) in self.model.monomials.iter().enumerate() {
                    coeff[b] += self.model.theta[layout.shape(term, m)] * self.model.z[f].powi(a as i32);
                }
                coeff
            };
            self.model.own.clone().map(of).collect()
        };
        [trace(0), trace(1)].into_iter().chain((0..layout.terms).map(shape)).collect()
    }
}
