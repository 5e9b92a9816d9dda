//! The desk over messages.

use super::wire::{ANSWER, DESK, pause, receive, receive_any, send};
use crate::exposure::queue::{Next, WorkQueue};
use crate::exposure::run_log::{Outcome, RankFacts};
use serde::{Deserialize, Serialize};

/// What a rank says to rank 0.
#[derive(Debug, Serialize, Deserialize)]
pub enum Word {
    /// A group's leader wants a frame.
    Ask {
        /// Its group.
        group: usize,
        /// Whether it has others to compute yet.
        busy: bool,
    },
    /// What became of a frame.
    Done(Outcome),
    /// A rank has nothing more to do.
    Farewell(RankFacts),
    /// A rank is gone.
    Dead {
        /// The rank.
        rank: usize,
        /// Its machine.
        host: String,
    },
}

/// Serves the desk to all other ranks until each has taken its leave; what they have used. `died` ends the job.
pub fn clerk(desk: &dyn WorkQueue, size: usize, died: &dyn Fn(usize, &str)) -> Vec<RankFacts> {
    let mut facts = Vec::new();
    while facts.len() + 1 < size {
        match receive_any(DESK) {
            Some((from, Word::Ask { group, busy })) => send(from, ANSWER, &desk.next(group, busy)),
            Some((_, Word::Done(outcome))) => desk.done(outcome),
            Some((_, Word::Farewell(of_rank))) => facts.push(of_rank),
            Some((_, Word::Dead { rank, host })) => died(rank, &host),
            None => pause(),
        }
    }
    facts
}

/// The desk as other ranks see it.
pub struct Remote;

impl WorkQueue for Remote {
    fn next(&self, group: usize, busy: bool) -> Next {
        send(0, DESK, &Word::Ask { group, busy });
        receive(0, ANSWER)
    }

    fn done(&self, outcome: Outcome) {
        send(0, DESK, &Word::Done(outcome));
    }
}
