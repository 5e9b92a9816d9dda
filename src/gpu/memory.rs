//! Device memory: buffers and their leases, the plan, and the batch budget.
//!
//! It stands above the queue, because an allocation beyond the plan waits for submissions that free memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::GpuError;
use super::account::{Account, Lease};
use super::commands::Commands;
use super::content::Content;
use super::driver::{Driver, OpenOptions};
use super::held::Held;
use super::limits::{BatchBudget, default_memory, default_operations_per_dispatch};
use super::pool::Pool;
use super::queue::Queue;
use super::times::Times;
use super::touch::Touch;

/// Batches that fill less than this are as small as they get, bytes.
const SMALLEST: u64 = 4096;

/// Bytes from which on the host writes in memory that the device sees, in place of a copy that wgpu makes.
const LEAST_STAGED: usize = 1 << 20;

/// Arguments of dispatches in flight, and other small buffers, bytes.
pub(crate) const SLACK: u64 = 256 << 10;

pub(super) struct Memory {
    queue: Queue,
    account: Arc<Account>,
    pool: Arc<Pool>,
    commands: Mutex<Commands>,
    /// Times of stages; None unless stages are timed.
    times: Mutex<Option<Times>>,
    budget: BatchBudget,
}

impl Memory {
    pub fn new(queue: Queue) -> Self {
        let account = Arc::default();
        let memory = Self {
            queue,
            pool: Pool::new(&account),
            account,
            commands: Mutex::default(),
            times: Mutex::default(),
            budget: BatchBudget::default(),
        };
        memory.restore_budget();
        memory
    }

    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    pub fn driver(&self) -> &Driver {
        self.queue.driver()
    }

    pub fn account(&self) -> &Account {
        &self.account
    }

    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Locks the commands, until they are submitted where they are: zeroing of buffers and arguments precede the commands of one
    /// submission.
    pub fn commands(&self) -> MutexGuard<'_, Commands> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the times of stages.
    pub fn times(&self) -> MutexGuard<'_, Option<Times>> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn budget(&self) -> &BatchBudget {
        &self.budget
    }

    /// Sets the budget to that of a device just opened.
    pub fn restore_budget(&self) {
        let OpenOptions { memory, operations_per_dispatch: operations, .. } = self.driver().options();
        self.budget.set_memory(memory.unwrap_or_else(|| default_memory(self.driver().kind())));
        let default = || default_operations_per_dispatch(self.driver().kind());
        self.budget.set_operations(operations.unwrap_or_else(default));
    }

    /// Counts bytes, waiting for room within the plan. If nothing more is freed they may pass the plan, not the limit.
    fn lease(&self, what: &str, bytes: u64) -> Result<Lease, GpuError> {
        loop {
            let [should, may] = self.account.most();
            let all = self.account.most_with_idle();
            self.pool.shrink(all.saturating_sub(self.account.alive()).saturating_sub(bytes));
            if let Some(lease) = self.account.lease(bytes, should) {
                return Ok(lease);
            }
            // Commands hold the buffers that they use. Where they are being submitted, others must be done first.
            let submitted = match self.commands.try_lock() {
                Ok(mut commands) if !commands.is_empty() => {
                    self.submit_all(&mut commands)?;
                    true
                }
                _ => false,
            };
            match self.queue.oldest_ticket() {
                Some(ticket) => self.queue.wait_for(ticket)?,
                None if submitted => {}
                None if self.queue.has_unsent_writes() => self.queue.wait_for_all()?,
                None => {
                    let device = self.driver().name().to_string();
                    let full = || GpuError::OutOfMemory { device, what: what.to_string() };
                    return self.account.lease(bytes, may).ok_or_else(full);
                }
            }
        }
    }

    /// Creates a buffer, or takes an idle one.
    pub fn create(
        &self,
        label: &str,
        bytes: u64,
        usage: wgpu::BufferUsages,
        content: Content,
    ) -> Result<Held, GpuError> {
        self.driver().touch(Touch::Buffer, label);
        // Data are there only once they are written.
        let at_first = if matches!(content, Content::Data(_)) { Content::Any } else { content };
        if let Some((number, buffer, before)) = self.pool.take(label, bytes, usage, content) {
            let held = Held::new((number, buffer), (label, at_first), self.lease(label, bytes)?, &self.pool);
            self.driver().check(label)?;
            match content {
                Content::Any => {}
                Content::Data(_) if before == content => held.set_content(content),
                Content::Data(_) => {}
                Content::Layout(_) if before == content => {}
                Content::Layout(_) | Content::Zeros => self.pool.clear(&held),
            }
            return Ok(held);
        }
        let lease = self.lease(label, bytes)?;
        let descriptor = wgpu::BufferDescriptor { label: Some(label), size: bytes, usage, mapped_at_creation: false };
        let buffer = self.driver().device().create_buffer(&descriptor);
        self.driver().check(label).inspect_err(|_| self.pool.shrink(0))?;
        self.driver().traffic().add_buffer();
        Ok(Held::new((self.pool.next_number(), buffer), (label, at_first), lease, &self.pool))
    }

    /// Creates a small buffer that lives as long as the device and counts as none of a frame's.
    pub fn create_uncounted(&self, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> Result<Held, GpuError> {
        self.driver().touch(Touch::Buffer, label);
        let descriptor = wgpu::BufferDescriptor { label: Some(label), size: bytes, usage, mapped_at_creation: false };
        let buffer = self.driver().device().create_buffer(&descriptor);
        self.driver().check(label)?;
        self.driver().traffic().add_buffer();
        let lease = self.account.lease(0, u64::MAX).expect("no bytes are within any limit");
        Ok(Held::new((self.pool.next_number(), buffer), (label, Content::Any), lease, &self.pool))
    }

    /// Overwrites all of a buffer, after the commands before.
    pub fn write(&self, label: &str, buffer: &Held, bytes: &[u8]) -> Result<(), GpuError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.pool.is_written(buffer);
        if bytes.len() >= LEAST_STAGED && bytes.len() as u64 == buffer.size() {
            return self.write_staged(label, buffer, bytes);
        }
        if self.commands().use_of(buffer) {
            self.flush()?;
        }
        self.write_before_commands(label, buffer, bytes)
    }

    /// Overwrites all of a buffer by data that stay there.
    pub fn write_for_good(&self, label: &str, buffer: &Held, content: Content, bytes: &[u8]) -> Result<(), GpuError> {
        if self.commands().use_of(buffer) {
            self.flush()?;
        }
        // Not by a command, which an error elsewhere may drop.
        self.write_before_commands(label, buffer, bytes)?;
        buffer.set_content(content);
        Ok(())
    }

    /// Overwrites all of a buffer before all commands that are not submitted.
    pub fn write_before_commands(&self, label: &str, buffer: &Held, bytes: &[u8]) -> Result<(), GpuError> {
        let lease = self.lease(label, bytes.len() as u64)?;
        self.queue.write(label, buffer, bytes, lease)
    }

    /// Submits all commands, and what was written, and waits for all submissions.
    pub fn wait(&self) -> Result<(), GpuError> {
        self.flush()?;
        self.queue.wait_for_all()
    }

    /// Starts a piece of work within `limit` bytes.
    pub fn begin(&self, limit: Option<u64>) {
        self.budget.set_memory(self.budget.memory());
        self.account.begin(limit.unwrap_or(u64::MAX));
        if limit.is_some() {
            self.pool.shrink(0);
        }
        self.driver().traffic().begin();
    }

    /// Cuts work into parts that fit, and plans for them. `cut` returns the bytes alive at a time and the parts; batches fill
    /// half as much until the bytes are within the limit.
    pub fn fit<T>(&self, cut: impl Fn() -> (u64, T)) -> Result<T, GpuError> {
        let limit = self.account.limit();
        self.budget.fill(self.budget.memory());
        loop {
            let (bytes, parts) = cut();
            if bytes <= limit {
                self.account.plan(bytes);
                self.pool.shrink(self.account.most_with_idle().saturating_sub(self.account.alive()));
                return Ok(parts);
            }
            if self.budget.filled() <= SMALLEST {
                let device = self.driver().name().to_string();
                return Err(GpuError::LittleMemory { device, limit, least: bytes.div_ceil(1024), optional: false });
            }
            self.budget.fill(self.budget.filled() / 2);
        }
    }
}
