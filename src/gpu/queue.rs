//! The queue: submissions in flight, with all that they use, and waiting for them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::GpuError;
use super::account::Lease;
use super::driver::Driver;
use super::touch::Touch;

/// The number of a submission, from 1.
pub(super) type Ticket = u64;

pub(super) struct Queue {
    driver: Driver,
    flight: Mutex<Flight>,
    /// The last submission that is done, and with it all before.
    done: Arc<AtomicU64>,
}

/// Submissions that may not be done.
#[derive(Default)]
struct Flight {
    submitted: Ticket,
    submissions: VecDeque<(Ticket, wgpu::SubmissionIndex)>,
    /// wgpu's copies of written bytes, alive until the next submission is done.
    writes: Vec<Lease>,
}

impl Queue {
    pub fn new(driver: Driver) -> Self {
        Self { driver, flight: Mutex::default(), done: Arc::default() }
    }

    pub fn driver(&self) -> &Driver {
        &self.driver
    }

    fn flight(&self) -> MutexGuard<'_, Flight> {
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Overwrites the beginning of a buffer before later submissions run. `lease` counts the copy that wgpu makes.
    pub fn write(&self, label: &str, buffer: &wgpu::Buffer, bytes: &[u8], lease: Lease) -> Result<(), GpuError> {
        self.driver.touch(Touch::Write, label);
        self.driver.queue().write_buffer(buffer, 0, bytes);
        self.driver.traffic().add_upload(bytes.len());
        self.flight().writes.push(lease);
        self.driver.check(label)
    }

    /// Whether anything was written since the last submission.
    pub fn has_unsent_writes(&self) -> bool {
        !self.flight().writes.is_empty()
    }

    /// Submits commands; what they use stays alive until they are done.
    pub fn submit(
        &self,
        what: &str,
        commands: Option<wgpu::CommandBuffer>,
        used: impl Send + 'static,
    ) -> Result<Ticket, GpuError> {
        self.driver.touch(Touch::Submit, what);
        self.driver.traffic().add_submission();
        let ticket = {
            // Submitted under the lock, so that tickets are in the order of submissions.
            let mut flight = self.flight();
            let index = self.driver.queue().submit(commands);
            flight.submitted += 1;
            let ticket = flight.submitted;
            flight.submissions.push_back((ticket, index));
            let (writes, done) = (std::mem::take(&mut flight.writes), self.done.clone());
            drop(flight);
            self.driver.queue().on_submitted_work_done(move || {
                drop((used, writes));
                done.fetch_max(ticket, Ordering::Release);
            });
            ticket
        };
        self.driver.check(what)?;
        Ok(ticket)
    }

    /// Returns the oldest submission up to `last` that is not done.
    fn oldest(&self, last: Ticket) -> Option<(Ticket, wgpu::SubmissionIndex)> {
        let mut flight = self.flight();
        let done = self.done.load(Ordering::Acquire);
        while flight.submissions.front().is_some_and(|(ticket, _)| *ticket <= done) {
            flight.submissions.pop_front();
        }
        flight.submissions.front().filter(|(ticket, _)| *ticket <= last).cloned()
    }

    /// Returns the ticket of the oldest submission in flight.
    pub fn oldest_ticket(&self) -> Option<Ticket> {
        self.oldest(Ticket::MAX).map(|(ticket, _)| ticket)
    }

    /// Submits what was written and waits for all submissions.
    pub fn wait_for_all(&self) -> Result<(), GpuError> {
        if self.has_unsent_writes() {
            self.submit("writing", None, ())?;
        }
        self.wait_for(Ticket::MAX)
    }

    /// Waits for a submission and all before it. Each of them may take the device's patience.
    pub fn wait_for(&self, last: Ticket) -> Result<(), GpuError> {
        let what = "waiting for the device";
        let mut late = None;
        let mut fault = self.driver.touch(Touch::Wait, "");
        self.driver.check(what)?;
        loop {
            let oldest = self.oldest(last);
            let poll = match &oldest {
                None => wgpu::PollType::Poll,
                Some((_, index)) => {
                    let (submission_index, timeout) = (Some(index.clone()), Some(self.driver.patience()));
                    wgpu::PollType::Wait { submission_index, timeout }
                }
            };
            self.driver.poll(poll, fault.take())?;
            self.driver.check(what)?;
            let Some((ticket, _)) = oldest else { return Ok(()) };
            if self.done.load(Ordering::Acquire) < ticket {
                // Another thread polled it and has yet to run its callback.
                let since = *late.get_or_insert_with(Instant::now);
                if since.elapsed() > self.driver.patience() {
                    return Err(self.driver.declare_hung());
                }
                thread::sleep(Duration::from_micros(50));
            } else {
                late = None;
            }
        }
    }
}
