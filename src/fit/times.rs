//! Where the time of a fit goes.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Time of the parts of a fit, summed over bundles and so over threads.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct FitTimes {
    /// The rigid shift from the start.
    pub coarse: Duration,
    /// Normal equations.
    pub normal: Duration,
    /// Steps: fluxes and chi2 of each trial.
    pub steps: Duration,
    /// Unlisted lines, rejected pixels, lines and spots that lose trust.
    pub lines: Duration,
    /// Errors and the record.
    pub record: Duration,
}

impl FitTimes {
    /// Returns the parts with their names.
    pub fn parts(&self) -> [(&'static str, Duration); 5] {
        [
            ("coarse_shift", self.coarse),
            ("normal_equations", self.normal),
            ("steps", self.steps),
            ("lines_and_pixels", self.lines),
            ("errors", self.record),
        ]
    }

    /// Adds the times of another bundle.
    pub(super) fn add(&mut self, other: &Self) {
        self.coarse += other.coarse;
        self.normal += other.normal;
        self.steps += other.steps;
        self.lines += other.lines;
        self.record += other.record;
    }
}
