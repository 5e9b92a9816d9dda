//! The desk where frames are handed out and accounted for.

use super::run_log::{Outcome, Status};
use super::schedule::longest_first;
use crate::base::cancel::CancelToken;
use crate::extract::Request;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The answer to a group that asks for a frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Next {
    /// This one, and its index of all requests.
    Frame(usize, Box<Request>),
    /// Nothing ahead of time: ask again when nothing else is left to compute.
    Later,
    /// There is none left.
    End,
}

/// Where a group gets frames and says what became of them.
pub trait WorkQueue: Sync {
    /// The next frame for `group`; `busy` where it has others to compute yet.
    fn next(&self, group: usize, busy: bool) -> Next;
    /// What became of a frame.
    fn done(&self, outcome: Outcome);
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Frames of which it is known what became of them.
    pub settled: usize,
    /// Those among them that failed.
    pub failed: usize,
    /// Those among them that were whole already.
    pub skipped: usize,
    /// All frames.
    pub total: usize,
}

/// The desk itself: what is left, who has what, what was done.
pub struct Table<'a> {
    requests: &'a [Request],
    groups: usize,
    stop: &'a CancelToken,
    progress: &'a (dyn Fn(&Progress) + Sync),
    state: Mutex<State>,
}

struct State {
    left: VecDeque<usize>,
    in_work: BTreeMap<usize, usize>,
    outcomes: Vec<Outcome>,
    progress: Progress,
}

impl<'a> Table<'a> {
    /// All frames, for `groups` groups.
    pub fn new(
        requests: &'a [Request],
        groups: usize,
        stop: &'a CancelToken,
        progress: &'a (dyn Fn(&Progress) + Sync),
    ) -> Self {
        let start = Progress { settled: 0, failed: 0, skipped: 0, total: requests.len() };
        let left = longest_first(requests).into();
        let state = State { left, in_work: BTreeMap::new(), outcomes: Vec::new(), progress: start };
        Self { requests, groups, stop, progress, state: Mutex::new(state) }
    }

    /// What became of the frames so far.
    pub fn outcomes(&self) -> Vec<Outcome> {
        self.state().outcomes.clone()
    }

    /// The frames that a group has in hand, in words.
    #[cfg(feature = "mpi")]
    pub fn held_by(&self, group: usize) -> String {
        let state = self.state();
        let frames = state.in_work.iter().filter(|(_, of)| **of == group);
        frames.map(|(&frame, _)| self.requests[frame].output.display().to_string()).collect::<Vec<_>>().join(", ")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WorkQueue for Table<'_> {
    fn next(&self, group: usize, busy: bool) -> Next {
        let mut state = self.state();
        if self.stop.is_cancelled() || state.left.is_empty() {
            return Next::End;
        }
        // The last frames are for those who can begin at once.
        if busy && state.left.len() < self.groups {
            return Next::Later;
        }
        let frame = state.left.pop_front().expect("it is not empty");
        state.in_work.insert(frame, group);
        Next::Frame(frame, Box::new(self.requests[frame].clone()))
    }

    fn done(&self, outcome: Outcome) {
        let mut state = self.state();
        let output = self.requests[outcome.frame].output.display();
        match &outcome.status {
            Status::Failed(reason) => tracing::error!("{output} is not made: {reason}"),
            Status::Skipped => tracing::info!("{output} is whole, and left as it is"),
            Status::Done | Status::Dropped => {}
        }
        state.in_work.remove(&outcome.frame);
        state.progress.settled += 1;
        state.progress.failed += usize::from(matches!(outcome.status, Status::Failed(_)));
        state.progress.skipped += usize::from(outcome.status == Status::Skipped);
        state.outcomes.push(outcome);
        (self.progress)(&state.progress);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_is_handed_out_once_and_the_last_ones_not_ahead_of_time() {
        let requests = vec![Request::new("a", "b", "c"); 4];
        let (stop, progress) = (CancelToken::default(), |_: &Progress| {});
        let desk = Table::new(&requests, 2, &stop, &progress);
        let asked = [(0, false), (1, false), (0, true), (0, true), (1, true), (1, false), (0, false)];
        let frame_of = |next| match next {
            Next::Frame(frame, _) => frame.to_string(),
            other => format!("{other:?}"),
        };
        let answers = asked.map(|(group, busy)| frame_of(desk.next(group, busy)));
        assert_eq!(answers, ["0", "1", "2", "Later", "Later", "3", "End"]);
    }

    #[test]
    fn nothing_is_handed_out_once_an_end_was_asked_for() {
        let requests = vec![Request::new("a", "b", "c"); 2];
        let (stop, progress) = (CancelToken::default(), |_: &Progress| {});
        let desk = Table::new(&requests, 1, &stop, &progress);
        assert!(matches!(desk.next(0, false), Next::Frame(0, _)));
        stop.cancel(15);
        assert_eq!(desk.next(0, false), Next::End);
    }
}
