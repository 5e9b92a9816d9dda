//! This process's part in an MPI job.

use super::abort::{abort, rank_died, report};
use super::frame_group::{FrameGroup, serve};
use super::node::Node;
use super::remote_queue::{Message, RemoteQueue, serve_queue};
use super::wire::{END, QUEUE, READY, receive, send, world};
use crate::backend::Engine;
use crate::base::catch_panic::is_catching;
use crate::base::process::{host, now};
use crate::error_chain;
use crate::exposure::in_flight;
use crate::exposure::pipeline::{Pipeline, Settings};
use crate::exposure::queue::LocalQueue;
use crate::exposure::run::launched;
use crate::exposure::run_log::{GroupRank, RankFacts, RunLog};
use crate::extract::{Progress, Request};
use mpi::Threading;
use mpi::environment::Universe;
use mpi::traits::Communicator;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// An MPI job that cannot be joined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MpiError {
    /// The process has already joined.
    #[error("MPI cannot be started twice in a process")]
    Twice,
    /// The library lacks MPI_THREAD_MULTIPLE. Reading, computing and writing threads all send messages.
    #[error(
        "this MPI library does not let several threads of a process send messages (MPI_THREAD_MULTIPLE): use one that does"
    )]
    Threads,
    /// Several processes were launched, but MPI sees one.
    #[error(
        "{0} processes were launched, but MPI knows only this one: launch with the MPI library that spextral is built with"
    )]
    Launcher(usize),
    /// The computing threads cannot be started.
    #[error("cannot start threads: {0}")]
    Pool(#[from] rayon::ThreadPoolBuildError),
}

/// This process's part in an MPI job.
pub struct MpiJob {
    pub(super) rank: usize,
    pub(super) size: usize,
    pub(super) node: Node,
    /// Finalizes MPI when dropped, therefore last.
    _universe: Universe,
}

impl MpiJob {
    /// Joins the job that this process was launched for, and takes its share of the machine's cores. From then on a panic
    /// ends the whole job. None for a process that was launched alone.
    ///
    /// # Errors
    /// [`MpiError`] if MPI was started before, lacks MPI_THREAD_MULTIPLE, is not the launcher's, or no threads start.
    pub fn join() -> Result<Option<Self>, MpiError> {
        let Some(launched) = launched().filter(|&ranks| ranks > 1) else {
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
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if is_catching() {
                return;
            }
            report(rank, &format!("a panic while {}", in_flight::describe()));
            hook(panic);
            abort();
        }));
        let node = Node::discover();
        node.share_cores()?;
        Ok(Some(Self { rank, size, node, _universe: universe }))
    }

    /// Returns the rank of this process.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Returns the number of ranks.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Returns its rank among those of its machine.
    pub fn local_rank(&self) -> usize {
        self.node.local_rank()
    }

    /// Returns `ready` if all ranks are ready. Otherwise an error on rank 0 and None elsewhere.
    ///
    /// # Errors
    /// On rank 0: the reason of the first rank that is not ready.
    pub fn agree<T>(&self, ready: Result<T, Box<dyn Error>>) -> Result<Option<T>, String> {
        let describe = |error: &dyn Error| format!("rank {} on {}: {}", self.rank, host(), error_chain(error));
        let own = ready.as_ref().err().map(|error| describe(error.as_ref()));
        let reason = if self.rank == 0 {
            // All answers are collected first, because every rank waits for the result.
            let others: Vec<Option<String>> = (1..self.size).map(|rank| receive(rank, READY)).collect();
            let reason = own.into_iter().chain(others.into_iter().flatten()).next();
            (1..self.size).for_each(|rank| send(rank, READY, &reason));
            reason
        } else {
            send(0, READY, &own);
            receive(0, READY)
        };
        match reason {
            Some(reason) if self.rank == 0 => Err(reason),
            Some(_) => Ok(None),
            None => Ok(ready.ok()),
        }
    }

    /// Extracts all frames with all ranks. Returns the log on rank 0, whose `requests` alone count.
    pub fn run(
        &self,
        requests: &[Request],
        ranks_per_frame: usize,
        settings: &Settings,
        engine: Engine,
        progress: Progress,
    ) -> Option<RunLog> {
        let begin = now();
        let group_size = ranks_per_frame.clamp(1, self.size);
        let (group, leader) = (self.rank / group_size, self.rank - self.rank % group_size);
        let groups = self.size.div_ceil(group_size);
        let engine = engine.with_cancel(settings.cancel.clone());
        let facts = || RankFacts::of_this_process(self.rank, &engine);
        let group = GroupRank { group, rank: self.rank };
        let members = self.rank + 1..(leader + group_size).min(self.size);
        let over = AtomicBool::new(false);
        if self.rank == 0 {
            let queue = LocalQueue::new(requests, groups, &settings.cancel, progress);
            let in_flight = |rank: usize| queue.in_flight_of(rank / group_size);
            let on_death = |rank: usize, host: &str| rank_died(0, rank, host, &in_flight(rank));
            return thread::scope(|scope| {
                scope.spawn(|| self.node.watch(0, &over, &in_flight));
                let server = scope.spawn(|| serve_queue(&queue, self.size, &on_death));
                let extractor = FrameGroup::new(&engine, members);
                Pipeline::new(&queue, &extractor, settings, group).run();
                extractor.dismiss();
                let mut ranks = server.join().expect("a panic has ended the job");
                over.store(true, Ordering::Relaxed);
                (1..self.size).for_each(|rank| send(rank, END, &()));
                ranks.push(facts());
                ranks.sort_by_key(|facts| facts.rank);
                Some(RunLog::new(requests, queue.outcomes(), ranks, groups, begin))
            });
        }
        thread::scope(|scope| {
            scope.spawn(|| self.node.watch(self.rank, &over, &|_| String::new()));
            if self.rank == leader {
                let extractor = FrameGroup::new(&engine, members);
                Pipeline::new(&RemoteQueue, &extractor, settings, group).run();
                extractor.dismiss();
            } else {
                serve(leader, &engine);
            }
            send(0, QUEUE, &Message::Finished(facts()));
            receive::<()>(0, END);
            over.store(true, Ordering::Relaxed);
        });
        None
    }
}
