//! The work queue over messages.

use super::wire::{ANSWER, QUEUE, pause, receive, receive_any, send};
use crate::exposure::queue::{Next, WorkQueue};
use crate::exposure::run_log::{Outcome, RankFacts};
use serde::{Deserialize, Serialize};

/// A message to rank 0.
#[derive(Debug, Serialize, Deserialize)]
pub enum Message {
    /// The leader of a group asks for a frame: [`WorkQueue::next`].
    Next {
        /// Group.
        group: usize,
        /// Whether it has frames left to compute.
        busy: bool,
    },
    /// The outcome of a frame: [`WorkQueue::done`].
    Done(Outcome),
    /// A rank has nothing left to do.
    Finished(RankFacts),
    /// A rank has died.
    Died {
        /// Rank.
        rank: usize,
        /// Its machine.
        host: String,
    },
}

/// Serves the queue to all other ranks until each has finished, and returns their resources. `on_death` ends the job.
pub fn serve_queue(queue: &dyn WorkQueue, size: usize, on_death: &dyn Fn(usize, &str)) -> Vec<RankFacts> {
    let mut facts = Vec::new();
    while facts.len() + 1 < size {
        match receive_any(QUEUE) {
            Some((from, Message::Next { group, busy })) => send(from, ANSWER, &queue.next(group, busy)),
            Some((_, Message::Done(outcome))) => queue.done(outcome),
            Some((_, Message::Finished(of_rank))) => facts.push(of_rank),
            Some((_, Message::Died { rank, host })) => on_death(rank, &host),
            None => pause(),
        }
    }
    facts
}

/// The queue of rank 0, seen from another rank.
pub struct RemoteQueue;

impl WorkQueue for RemoteQueue {
    fn next(&self, group: usize, busy: bool) -> Next {
        send(0, QUEUE, &Message::Next { group, busy });
        receive(0, ANSWER)
    }

    fn done(&self, outcome: Outcome) {
        send(0, QUEUE, &Message::Done(outcome));
    }
}
