//! The bundles of a fit over all ranks: each fits its own of the same inputs, and rank 0 collects them.

use super::abort::rank_died;
use super::job::MpiJob;
use super::remote_queue::Message;
use super::wire::{BUNDLE, END, QUEUE, pause, receive, receive_any, send};
use crate::base::cancel::CancelToken;
use crate::exposure::in_flight::InFlight;
use crate::exposure::run_log::Phase;
use crate::fit::{FitInputs, FittedBundle, collect};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

impl MpiJob {
    /// Fits the bundles of `output` with all ranks, which have the same inputs. Returns them on rank 0, in any order.
    pub fn fit(
        &self,
        inputs: &FitInputs,
        output: &Path,
        cancel: &CancelToken,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Option<Vec<FittedBundle>> {
        // Neighbours cost alike, and a lamp may light one half only: ranks take turns.
        let is_own = |number: usize| number % self.size == self.rank;
        let over = AtomicBool::new(false);
        let _in_flight = InFlight::new(Phase::Compute, output);
        if self.rank == 0 {
            let fitted = Mutex::new(Vec::new());
            let done = collect(&fitted, inputs.bundles(), progress);
            let name = output.display().to_string();
            thread::scope(|scope| {
                scope.spawn(|| self.node.watch(0, &over, &|_| name.clone()));
                let others = scope.spawn(|| listen(self.size, &done, &|rank, host| rank_died(0, rank, host, &name)));
                inputs.fit(&is_own, cancel, &done);
                others.join().expect("a panic has ended the job");
                over.store(true, Ordering::Relaxed);
                (1..self.size).for_each(|rank| send(rank, END, &()));
            });
            drop(done);
            return Some(fitted.into_inner().unwrap_or_else(PoisonError::into_inner));
        }
        thread::scope(|scope| {
            scope.spawn(|| self.node.watch(self.rank, &over, &|_| String::new()));
            inputs.fit(&is_own, cancel, &|bundle| send(0, BUNDLE, &Some(bundle)));
            send(0, BUNDLE, &None::<FittedBundle>);
            receive::<()>(0, END);
            over.store(true, Ordering::Relaxed);
        });
        None
    }
}

/// Passes on the bundles of all other ranks until each has fitted its own. `on_death` ends the job.
fn listen(size: usize, done: &(dyn Fn(FittedBundle) + Sync), on_death: &dyn Fn(usize, &str)) {
    let mut finished = 0;
    while finished + 1 < size {
        match receive_any::<Option<FittedBundle>>(BUNDLE) {
            Some((_, Some(bundle))) => done(bundle),
            Some((_, None)) => finished += 1,
            None => match receive_any(QUEUE) {
                Some((_, Message::Died { rank, host })) => on_death(rank, &host),
                _ => pause(),
            },
        }
    }
}
