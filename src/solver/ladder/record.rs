//! The record of what became of all bundles.

use super::{Attempt, Excess, Level, Method, Step};
use crate::solver::Unserved;
use serde::{Deserialize, Serialize};

/// A move down the ladder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fallback {
    /// First and last fibre of the bundle or patch, rows of the PSF; None for all bundles.
    pub fibres: Option<[usize; 2]>,
    /// The rung that did not serve.
    pub from: Attempt,
    /// Why.
    pub reason: String,
    /// The next step.
    pub step: Step,
}

impl Fallback {
    /// A move of all bundles.
    pub(super) fn of_all(from: Attempt, why: &Unserved, step: Step) -> Self {
        Self { fibres: None, from, reason: why.to_string(), step }
    }
}

/// The outcome of all bundles: the one record behind summary, header and log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// All moves, in their order by bundle.
    pub fallbacks: Vec<Fallback>,
    /// Bundles solved in bands.
    pub banded: usize,
    /// Patches solved, or left without result.
    pub patches: usize,
    /// First fibre of each bundle solved in patches, a row of the PSF.
    pub in_patches: Vec<usize>,
    /// Bundles and patches whose results are in f32; the others' are in f64.
    pub in_f32: usize,
    /// Bundles and patches that the CPU was given because the device's precision or limits did not serve.
    pub redone: usize,
    /// The largest estimated error of flux of the bundles in bands, sigma, mostly masked bins left out; None without such bundles.
    pub flux_error: Option<f64>,
    /// Where it is above the tolerance.
    pub above_tolerance: Vec<Excess>,
    /// The smallest part of the information on a fibre that its neighbours leave, the median over bins; None if not measured.
    pub information: Option<f64>,
    /// Noise of a deconvolved bin over that of a bin alone where the step is too fine, else None. The largest f64 where it has no
    /// bound.
    pub noise_gain: Option<f64>,
    /// Patches without result: their bins have ivar 0.
    pub failed: usize,
    /// Reason of a retry of the whole frame, or of its fallback to the CPU.
    pub retried: Option<String>,
}

impl Record {
    /// Records that a caller of [`super::or_cpu_for_all`] moved all bundles to the CPU.
    pub fn note_cpu_for_all(&mut self, reason: String) {
        let method = if self.banded > 0 { Method::Banded } else { Method::Patches };
        let from = Attempt { method, level: Level::First };
        self.fallbacks.insert(0, Fallback { fibres: None, from, reason: reason.clone(), step: Step::CpuForAll });
        self.retried = Some(reason);
    }

    /// Records the estimated errors of bundles in bands.
    pub(super) fn note_error(&mut self, error: Option<f64>, above: Vec<Excess>) {
        self.flux_error = self.flux_error.into_iter().chain(error).reduce(f64::max);
        self.above_tolerance.extend(above);
    }

    /// Records the part of the information that neighbours leave.
    pub(super) fn note_information(&mut self, information: Option<f64>) {
        self.information = self.information.into_iter().chain(information).reduce(f64::min);
    }

    /// Appends the record of the bundles that come next.
    pub fn join(&mut self, more: Self) {
        self.fallbacks.extend(more.fallbacks);
        self.banded += more.banded;
        self.patches += more.patches;
        self.in_patches.extend(more.in_patches);
        self.in_f32 += more.in_f32;
        self.redone += more.redone;
        self.failed += more.failed;
        self.note_error(more.flux_error, more.above_tolerance);
        self.note_information(more.information);
        self.noise_gain = self.noise_gain.or(more.noise_gain);
        self.retried = match (self.retried.take(), more.retried) {
            (Some(why), Some(more)) => Some(format!("{why}; {more}")),
            (why, more) => why.or(more),
        };
    }
}
