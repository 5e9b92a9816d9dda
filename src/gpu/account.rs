//! Accounting of a device's memory: bytes of all buffers alive, their peak, and the plan.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Device memory during one piece of work, bytes of all buffers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MemoryUse {
    /// The most that the plan takes at a time.
    pub planned: u64,
    /// The peak.
    pub peak: u64,
}

#[derive(Debug)]
pub(super) struct Account {
    alive: AtomicU64,
    /// Bytes of buffers that nobody holds; see [`super::pool`].
    idle: AtomicU64,
    peak: AtomicU64,
    limit: AtomicU64,
    planned: AtomicU64,
}

impl Default for Account {
    fn default() -> Self {
        let [alive, idle, peak, planned] = Default::default();
        Self { alive, idle, peak, planned, limit: AtomicU64::new(u64::MAX) }
    }
}

impl Account {
    /// Starts a piece of work within `limit` bytes, without a plan.
    pub fn begin(&self, limit: u64) {
        self.limit.store(limit, Ordering::Relaxed);
        self.planned.store(0, Ordering::Relaxed);
        self.peak.store(self.alive(), Ordering::Relaxed);
    }

    /// Bytes of all buffers in use, including transfers and what unfinished submissions use.
    pub fn alive(&self) -> u64 {
        self.alive.load(Ordering::Relaxed)
    }

    /// Bytes of buffers that nobody holds.
    pub fn idle(&self) -> u64 {
        self.idle.load(Ordering::Relaxed)
    }

    pub fn set_idle(&self, bytes: u64) {
        self.idle.store(bytes, Ordering::Relaxed);
    }

    pub fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Raises the plan to `bytes` at a time.
    pub fn plan(&self, bytes: u64) {
        self.planned.fetch_max(bytes, Ordering::Relaxed);
    }

    pub fn used(&self) -> MemoryUse {
        MemoryUse { planned: self.planned.load(Ordering::Relaxed), peak: self.peak.load(Ordering::Relaxed) }
    }

    /// Returns how many bytes should be alive at a time, and how many may. Neither is bounded before there is a plan.
    pub fn most(&self) -> [u64; 2] {
        match self.planned.load(Ordering::Relaxed) {
            0 => [u64::MAX; 2],
            planned => [planned, self.limit()],
        }
    }

    /// Counts `bytes` if no more than `most` are alive or idle then.
    pub fn lease(self: &Arc<Self>, bytes: u64, most: u64) -> Option<Lease> {
        let idle = self.idle();
        let more = |alive: u64| alive.checked_add(bytes).filter(|sum| sum.saturating_add(idle) <= most);
        let before = self.alive.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        self.peak.fetch_max(before + bytes + idle, Ordering::Relaxed);
        Some(Lease { account: self.clone(), bytes })
    }
}

/// Bytes counted as alive until dropped.
#[derive(Debug)]
pub(super) struct Lease {
    account: Arc<Account>,
    bytes: u64,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.account.alive.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
