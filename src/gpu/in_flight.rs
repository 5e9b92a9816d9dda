//! What a device holds: the bytes of all buffers, and the submissions that are not done, with the buffers they use.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::fault_injection::{Fault, Touch};
use super::memory::MemoryUse;
use super::{Gpu, GpuError};
use crate::base::catch_panic::catch_panic;

/// The account of a device.
#[derive(Debug)]
pub(super) struct Ledger {
    alive: AtomicU64,
    peak: AtomicU64,
    /// What was asked for, and what is planned for.
    limit: AtomicU64,
    planned: AtomicU64,
    flight: Mutex<Flight>,
    /// The number of the last submission that is done, with all before it.
    done: AtomicU64,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            alive: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            limit: AtomicU64::new(u64::MAX),
            planned: AtomicU64::new(0),
            flight: Mutex::default(),
            done: AtomicU64::new(0),
        }
    }
}

/// Submissions that may not be done.
#[derive(Debug, Default)]
struct Flight {
    handed_over: u64,
    /// Number and index of each.
    submissions: VecDeque<(u64, wgpu::SubmissionIndex)>,
    /// What wgpu keeps of writes until the next submission is done.
    writes: Vec<Lease>,
}

/// Bytes on a device, until dropped.
#[derive(Debug)]
pub(super) struct Lease {
    ledger: Arc<Ledger>,
    bytes: u64,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.ledger.alive.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A buffer whose bytes are counted; clones are the same buffer.
#[derive(Clone, Debug)]
pub(super) struct Held(Arc<(wgpu::Buffer, Lease)>);

impl Deref for Held {
    type Target = wgpu::Buffer;

    fn deref(&self) -> &wgpu::Buffer {
        &self.0.0
    }
}

/// A submission's number, counted from 1.
pub(super) type Ticket = u64;

impl Ledger {
    fn flight(&self) -> MutexGuard<'_, Flight> {
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins anew, within `limit` bytes; nothing is planned yet.
    pub(super) fn begin(&self, limit: u64) {
        self.limit.store(limit, Ordering::Relaxed);
        self.planned.store(0, Ordering::Relaxed);
        self.peak.store(self.alive.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Plans for `bytes` at a time, if not for more already.
    pub(super) fn plan(&self, bytes: u64) {
        self.planned.fetch_max(bytes, Ordering::Relaxed);
    }

    pub(super) fn used(&self) -> MemoryUse {
        MemoryUse { planned: self.planned.load(Ordering::Relaxed), peak: self.peak.load(Ordering::Relaxed) }
    }

    /// How many bytes should be alive at a time at most, and how many may; what the plan is made from comes before it.
    fn most(&self) -> [u64; 2] {
        match self.planned.load(Ordering::Relaxed) {
            0 => [u64::MAX; 2],
            planned => [planned, self.limit()],
        }
    }

    /// Counts `bytes` if no more than `most` are alive then.
    fn lease(self: &Arc<Self>, bytes: u64, most: u64) -> Option<Lease> {
        let more = |alive: u64| alive.checked_add(bytes).filter(|sum| *sum <= most);
        let before = self.alive.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        self.peak.fetch_max(before + bytes, Ordering::Relaxed);
        Some(Lease { ledger: self.clone(), bytes })
    }

    /// The oldest submission that is not done, up to `last`.
    fn oldest(&self, last: Ticket) -> Option<(Ticket, wgpu::SubmissionIndex)> {
        let mut flight = self.flight();
        let done = self.done.load(Ordering::Acquire);
        while flight.submissions.front().is_some_and(|(ticket, _)| *ticket <= done) {
            flight.submissions.pop_front();
        }
        flight.submissions.front().filter(|(ticket, _)| *ticket <= last).cloned()
    }
}

impl Gpu {
    /// Bytes of all buffers of the device: those in use, what is on its way to or from the host, and what submissions not
    /// yet done use.
    pub fn bytes_alive(&self) -> u64 {
        self.ledger().alive.load(Ordering::Relaxed)
    }

    /// Counts bytes, waiting for room within the plan; beyond it, but not beyond the limit, where nothing more is freed.
    fn lease(&self, what: &str, bytes: u64) -> Result<Lease, GpuError> {
        loop {
            let [should, may] = self.ledger().most();
            if let Some(lease) = self.ledger().lease(bytes, should) {
                return Ok(lease);
            }
            match self.ledger().oldest(Ticket::MAX) {
                Some((ticket, _)) => self.wait_for(ticket)?,
                None if self.ledger().flight().writes.is_empty() => {
                    let full = || GpuError::OutOfMemory { device: self.name().to_string(), what: what.to_string() };
                    return self.ledger().lease(bytes, may).ok_or_else(full);
                }
                None => self.wait()?,
            }
        }
    }

    /// A new buffer, zeros.
    pub(super) fn create(&self, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> Result<Held, GpuError> {
        let lease = self.lease(label, bytes)?;
        self.touch(Touch::Buffer, label);
        let descriptor = wgpu::BufferDescriptor { label: Some(label), size: bytes, usage, mapped_at_creation: false };
        let buffer = self.device().create_buffer(&descriptor);
        self.check(label)?;
        Ok(Held(Arc::new((buffer, lease))))
    }

    /// Overwrites the beginning of a buffer, before anything handed over later runs.
    pub(super) fn write(&self, label: &str, buffer: &Held, bytes: &[u8]) -> Result<(), GpuError> {
        if bytes.is_empty() {
            return Ok(());
        }
        // wgpu copies them to memory that the device sees.
        let lease = self.lease(label, bytes.len() as u64)?;
        self.touch(Touch::Write, label);
        self.queue().write_buffer(buffer, 0, bytes);
        self.ledger().flight().writes.push(lease);
        self.check(label)
    }

    /// Hands commands over, with the buffers that they use.
    pub(super) fn hand_over(
        &self,
        what: &str,
        commands: Option<wgpu::CommandBuffer>,
        held: Vec<Held>,
    ) -> Result<Ticket, GpuError> {
        self.touch(Touch::Submit, what);
        let ticket = {
            // One at a time: numbers are in the order in which submissions are done.
            let mut flight = self.ledger().flight();
            let index = self.queue().submit(commands);
            flight.handed_over += 1;
            let ticket = flight.handed_over;
            flight.submissions.push_back((ticket, index));
            let (writes, ledger) = (std::mem::take(&mut flight.writes), self.ledger().clone());
            drop(flight);
            self.queue().on_submitted_work_done(move || {
                drop((held, writes));
                ledger.done.fetch_max(ticket, Ordering::Release);
            });
            ticket
        };
        self.check(what)?;
        Ok(ticket)
    }

    /// Blocks until all that was handed over has run.
    pub(crate) fn wait(&self) -> Result<(), GpuError> {
        let unsent = !self.ledger().flight().writes.is_empty();
        if unsent {
            self.hand_over("writing", None, Vec::new())?;
        }
        self.wait_for(Ticket::MAX)
    }

    /// Blocks until a submission, and all before it, have run. Each of them may take as long as the device's patience.
    pub(super) fn wait_for(&self, last: Ticket) -> Result<(), GpuError> {
        let what = "waiting for the device";
        let mut late = None;
        let mut fault = self.touch(Touch::Wait, "");
        self.check(what)?;
        loop {
            let oldest = self.ledger().oldest(last);
            let poll = match &oldest {
                None => wgpu::PollType::Poll,
                Some((_, index)) => {
                    let (submission_index, timeout) = (Some(index.clone()), Some(self.patience()));
                    wgpu::PollType::Wait { submission_index, timeout }
                }
            };
            self.poll(poll, fault.take())?;
            self.check(what)?;
            let Some((ticket, _)) = oldest else { return Ok(()) };
            if self.ledger().done.load(Ordering::Acquire) < ticket {
                // Another thread has yet to say so.
                let since = *late.get_or_insert_with(Instant::now);
                if since.elapsed() > self.patience() {
                    return Err(self.hangs());
                }
                thread::sleep(Duration::from_micros(50));
            } else {
                late = None;
            }
        }
    }

    /// Polls the device, or fails so; wgpu 30 panics where it is lost meanwhile.
    pub(super) fn poll(&self, how: wgpu::PollType, fault: Option<Fault>) -> Result<(), GpuError> {
        let polled = catch_panic(|| match fault {
            Some(Fault::Panic) => panic!("the device is lost, as told"),
            Some(Fault::Hang) => Err(wgpu::PollError::Timeout),
            _ => self.device().poll(how),
        });
        match polled {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(wgpu::PollError::Timeout)) => Err(self.hangs()),
            // The submission was refused: why is said already, or is but a consequence, see `check`.
            Ok(Err(error)) => {
                drop(self.reports(error.to_string()));
                self.check("handing over")
            }
            Err(panic) => Err(self.is_lost(panic)),
        }
    }
}
