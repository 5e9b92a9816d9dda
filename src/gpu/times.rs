//! Times of stages that are not taken yet.

use std::collections::BTreeMap;
use std::time::Duration;

use super::landing::Fetch;

/// Stages of a submission, and their ticks in flight to the host.
pub(super) type Ticks = (Vec<&'static str>, Fetch);

/// Times not yet taken.
#[derive(Debug, Default)]
pub(super) struct Times {
    pub fetched: Vec<Ticks>,
    pub waited: BTreeMap<&'static str, Duration>,
}

impl Times {
    pub fn add_ticks(&mut self, ticks: Ticks) {
        self.fetched.push(ticks);
    }

    /// Adds a time that the host measured.
    pub fn add_waited(&mut self, stage: &'static str, time: Duration) {
        *self.waited.entry(stage).or_default() += time;
    }
}
