//! Frames over the ranks of an MPI job (cargo feature `mpi`).
//!
//! Ranks form groups of `--ranks-per-frame`; the first rank of a group leads it: it reads and writes, and shares the
//! bundles of a frame out to the others. Rank 0 keeps the desk besides. Everything is sent from point to point and waited
//! for by asking now and then: nobody spins on a core that computes, and nobody stands at a barrier.
//!
//! | file | what it does |
//! |---|---|
//! | `wire` | messages and their tags |
//! | `clerk` | the desk over messages: rank 0's end and the others' |
//! | `crew` | a frame over the ranks of a group |
//! | `node` | what the ranks of one machine share: cores, GPUs, and an eye on each other |

mod frame_group;
mod node;
mod remote_queue;
mod wire;

use super::in_flight;
use super::pipeline::Pipeline;
use super::queue::{Progress, Table};
use super::run_log::{RankFacts, RunLog};
use super::{GroupRank, Settings};
use crate::backend::Engine;
use crate::base::catch_panic::is_catching;
use crate::base::process::{host, now};
use crate::error_chain;
use crate::extract::Request;
use frame_group::{FrameGroup, serve};
use mpi::Threading;
use mpi::environment::Universe;
use mpi::traits::Communicator;
use node::Node;
use remote_queue::{Remote, Word, clerk};
use std::error::Error;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use wire::{BYE, DESK, READY, receive, send, world};

/// Time for a launcher to pass on why a job ends.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// An MPI job that cannot be joined.
#[derive(Debug, thiserror::Error)]
pub enum MpiError {
    /// It is joined already.
    #[error("MPI cannot be started twice in a process")]
    Twice,
    /// Reading, computing and writing threads all send messages.
    #[error(
        "this MPI library does not let several threads of a process send messages (MPI_THREAD_MULTIPLE): use one that does"
    )]
    Threads,
    /// Each process is alone although several were launched.
    #[error(
        "{0} processes were launched, but MPI knows only this one: launch with the MPI library that spextral is built with"
    )]
    Launcher(usize),
    /// The threads that compute.
    #[error("cannot start threads: {0}")]
    Pool(#[from] rayon::ThreadPoolBuildError),
}

/// This process's part in an MPI job.
pub struct Job {
    rank: usize,
    size: usize,
    node: Node,
    /// Ends MPI when dropped, so last.
    _universe: Universe,
}

impl Job {
    /// Joins the job that this process was launched for, and takes its share of the machine's cores; None where it was
    /// launched alone. From then on a panic ends the whole job.
    ///
    /// # Errors
    /// [`MpiError`].
    pub fn join() -> Result<Option<Self>, MpiError> {
        let Some(launched) = super::launched().filter(|&ranks| ranks > 1) else {
            return Ok(None);
        };
        let (universe, threading) = mpi::initialize_with_threading(Threading::Multiple).ok_or(MpiError::Twice)?;
        if threading != Threading::Multiple {
            return Err(MpiError::Threads);
        }
        let (rank, size) = (world().rank() as usize, world().size() as usize);
        if size < 2 {
            return Err(MpiError::Launcher(launched));
        }
        let known = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if is_catching() {
                return;
            }
            say(rank, &format!("a panic while {}", in_flight::words()));
            known(panic);
            abort();
        }));
        let node = Node::meet();
        node.share_cores()?;
        Ok(Some(Self { rank, size, node, _universe: universe }))
    }

    /// This rank.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// This rank among those of its machine.
    pub fn local_rank(&self) -> usize {
        self.node.local_rank()
    }

    /// What this rank needs to begin, where all ranks have what they need; None on a rank that rank 0 speaks for.
    ///
    /// # Errors
    /// On rank 0: why the first rank that has it not cannot begin.
    pub fn agree<T>(&self, ready: Result<T, Box<dyn Error>>) -> Result<Option<T>, String> {
        let words = |error: &dyn Error| format!("rank {} on {}: {}", self.rank, host(), error_chain(error));
        let own = ready.as_ref().err().map(|error| words(error.as_ref()));
        let why = if self.rank == 0 {
            // All are heard: each waits for its answer.
            let others: Vec<Option<String>> = (1..self.size).map(|rank| receive(rank, READY)).collect();
            let why = own.into_iter().chain(others.into_iter().flatten()).next();
            (1..self.size).for_each(|rank| send(rank, READY, &why));
            why
        } else {
            send(0, READY, &own);
            receive(0, READY)
        };
        match why {
            Some(why) if self.rank == 0 => Err(why),
            Some(_) => Ok(None),
            None => Ok(ready.ok()),
        }
    }

    /// Does all frames with all ranks; what was done, on rank 0. The `requests` of other ranks do not count.
    pub fn run(
        &self,
        requests: &[Request],
        ranks_per_frame: usize,
        settings: &Settings,
        engine: Engine,
        progress: &(dyn Fn(&Progress) + Sync),
    ) -> Option<RunLog> {
        let begin = now();
        let of_group = ranks_per_frame.clamp(1, self.size);
        let (group, leader) = (self.rank / of_group, self.rank - self.rank % of_group);
        let groups = self.size.div_ceil(of_group);
        let engine = engine.with_cancel(settings.stop.clone());
        let facts = || RankFacts::of_this_process(self.rank, &engine);
        let place = GroupRank { group, rank: self.rank };
        let members = self.rank + 1..(leader + of_group).min(self.size);
        let over = AtomicBool::new(false);
        if self.rank == 0 {
            let desk = Table::new(requests, groups, &settings.stop, progress);
            let held = |rank: usize| desk.held_by(rank / of_group);
            return thread::scope(|scope| {
                scope.spawn(|| self.node.watch(0, &over, &held));
                let clerk =
                    scope.spawn(|| clerk(&desk, self.size, &|rank, host: &str| died(0, rank, host, &held(rank))));
                let crew = FrameGroup::new(&engine, members);
                Pipeline::new(&desk, &crew, settings, place).run();
                crew.dismiss();
                let mut ranks = clerk.join().expect("a panic has ended the job");
                over.store(true, Ordering::Relaxed);
                (1..self.size).for_each(|rank| send(rank, BYE, &()));
                ranks.push(facts());
                ranks.sort_by_key(|facts| facts.rank);
                Some(RunLog::new(requests, desk.outcomes(), ranks, groups, begin))
            });
        }
        thread::scope(|scope| {
            scope.spawn(|| self.node.watch(self.rank, &over, &|_| String::new()));
            if self.rank == leader {
                let crew = FrameGroup::new(&engine, members);
                Pipeline::new(&Remote, &crew, settings, place).run();
                crew.dismiss();
            } else {
                serve(leader, &engine);
            }
            send(0, DESK, &Word::Farewell(facts()));
            receive::<()>(0, BYE);
            over.store(true, Ordering::Relaxed);
        });
        None
    }
}

/// Ends the whole job, and says why.
fn fail(rank: usize, why: &str) -> ! {
    say(rank, why);
    abort()
}

fn say(rank: usize, why: &str) {
    // Nobody reads it where it cannot be written.
    let _ = writeln!(io::stderr(), "error: rank {rank} on {}: {why}; the job ends", host());
}

fn abort() -> ! {
    // Launchers drop what they have not yet passed on.
    thread::sleep(LAST_WORDS);
    world().abort(1)
}

/// Ends the whole job because another rank is gone.
fn died(rank: usize, other: usize, host: &str, held: &str) -> ! {
    let with = if held.is_empty() { String::new() } else { format!(" with {held} in hand") };
    fail(rank, &format!("rank {other} on {host} has died{with}"))
}
