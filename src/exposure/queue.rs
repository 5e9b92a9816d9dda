//! The work queue: hands frames out to groups of ranks and collects their outcomes.

use super::run_log::{Outcome, Status};
use super::schedule::longest_first;
use crate::base::cancel::CancelToken;
use crate::extract::{Progress, Request};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The answer to a group that asks for a frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Next {
    /// Index of a frame among all requests, and its request.
    Frame(usize, Box<Request>),
    /// Nothing yet: ask again when the group has nothing left to compute.
    Later,
    /// Nothing left.
    End,
}

/// The source of frames and the sink of outcomes, local or over MPI.
pub trait WorkQueue: Sync {
    /// Returns the next frame for `group`. `busy` is whether the group has frames left to compute.
    fn next(&self, group: usize, busy: bool) -> Next;
    /// Records the outcome of a frame.
    fn done(&self, outcome: Outcome);
}

/// The queue itself: frames left, frames in flight by group, outcomes.
pub struct LocalQueue<'a> {
    requests: &'a [Request],
    groups: usize,
    cancel: &'a CancelToken,
    progress: Progress<'a>,
    state: Mutex<State>,
}

struct State {
    left: VecDeque<usize>,
    /// Group of each frame in flight.
    in_flight: BTreeMap<usize, usize>,
    outcomes: Vec<Outcome>,
}

impl<'a> LocalQueue<'a> {
    /// Creates a queue of all frames for `groups` groups.
    pub fn new(requests: &'a [Request], groups: usize, cancel: &'a CancelToken, progress: Progress<'a>) -> Self {
        let left = longest_first(requests).into();
        let state = State { left, in_flight: BTreeMap::new(), outcomes: Vec::new() };
        Self { requests, groups, cancel, progress, state: Mutex::new(state) }
    }

    /// Returns the outcomes so far.
    pub fn outcomes(&self) -> Vec<Outcome> {
        self.state().outcomes.clone()
    }

    /// Lists the outputs that a group has in flight, for a message.
    #[cfg(feature = "mpi")]
    pub fn in_flight_of(&self, group: usize) -> String {
        let state = self.state();
        let frames = state.in_flight.iter().filter(|(_, of)| **of == group);
        frames.map(|(&frame, _)| self.requests[frame].output.display().to_string()).collect::<Vec<_>>().join(", ")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WorkQueue for LocalQueue<'_> {
    fn next(&self, group: usize, busy: bool) -> Next {
        let mut state = self.state();
        if self.cancel.is_cancelled() || state.left.is_empty() {
            return Next::End;
        }
        // The last frames go to groups that can begin at once.
        if busy && state.left.len() < self.groups {
            return Next::Later;
        }
        let frame = state.left.pop_front().expect("it is not empty");
        state.in_flight.insert(frame, group);
        Next::Frame(frame, Box::new(self.requests[frame].clone()))
    }

    fn done(&self, outcome: Outcome) {
        let mut state = self.state();
        let output = self.requests[outcome.frame].output.display();
        match &outcome.status {
            // A frame with bins was written, and is no success.
            Status::Failed(reason) if outcome.bins > 0 => tracing::error!("{output}: {reason}"),
            Status::Failed(reason) => tracing::error!("{output} is not made: {reason}"),
            Status::Skipped => tracing::info!("{output} is complete and left unchanged"),
            Status::Done | Status::Dropped => {}
        }
        state.in_flight.remove(&outcome.frame);
        state.outcomes.push(outcome);
        (self.progress)(state.outcomes.len(), self.requests.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_is_handed_out_once_and_the_last_ones_only_to_idle_groups() {
        let requests = vec![Request::new("a", "b", "c"); 4];
        let cancel = CancelToken::default();
        let queue = LocalQueue::new(&requests, 2, &cancel, &|_, _| {});
        let asked = [(0, false), (1, false), (0, true), (0, true), (1, true), (1, false), (0, false)];
        let frame_of = |next| match next {
            Next::Frame(frame, _) => frame.to_string(),
            other => format!("{other:?}"),
        };
        let answers = asked.map(|(group, busy)| frame_of(queue.next(group, busy)));
        assert_eq!(answers, ["0", "1", "2", "Later", "Later", "3", "End"]);
    }

    #[test]
    fn nothing_is_handed_out_after_cancellation() {
        let requests = vec![Request::new("a", "b", "c"); 2];
        let cancel = CancelToken::default();
        let queue = LocalQueue::new(&requests, 1, &cancel, &|_, _| {});
        assert!(matches!(queue.next(0, false), Next::Frame(0, _)));
        cancel.cancel(15);
        assert_eq!(queue.next(0, false), Next::End);
    }
}
