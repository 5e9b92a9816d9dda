//! Counters of what goes through a device: objects made, submissions, bytes to and from it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Objects made for a device and bytes moved during one piece of work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Traffic {
    /// Buffers created.
    pub buffers: u64,
    /// Bind groups created.
    pub bind_groups: u64,
    /// Submissions.
    pub submissions: u64,
    /// Bytes written to the device.
    pub bytes_up: u64,
    /// Bytes copied to the host.
    pub bytes_down: u64,
}

impl Traffic {
    /// Returns the counters with their names.
    pub fn named(&self) -> [(&'static str, u64); 5] {
        [
            ("buffers", self.buffers),
            ("bind groups", self.bind_groups),
            ("submissions", self.submissions),
            ("bytes up", self.bytes_up),
            ("bytes down", self.bytes_down),
        ]
    }
}

/// The counters of a device.
#[derive(Debug, Default)]
pub(super) struct Counters {
    buffers: AtomicU64,
    bind_groups: AtomicU64,
    submissions: AtomicU64,
    bytes_up: AtomicU64,
    bytes_down: AtomicU64,
}

impl Counters {
    /// Starts a piece of work.
    pub fn begin(&self) {
        for counter in [&self.buffers, &self.bind_groups, &self.submissions, &self.bytes_up, &self.bytes_down] {
            counter.store(0, Ordering::Relaxed);
        }
    }

    pub fn read(&self) -> Traffic {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            buffers: of(&self.buffers),
            bind_groups: of(&self.bind_groups),
            submissions: of(&self.submissions),
            bytes_up: of(&self.bytes_up),
            bytes_down: of(&self.bytes_down),
        }
    }

    pub fn add_buffer(&self) {
        self.buffers.fetch_add(1, Ordering::Relaxed);
    }

    pub fn add_bind_group(&self) {
        self.bind_groups.fetch_add(1, Ordering::Relaxed);
    }

    pub fn add_submission(&self) {
        self.submissions.fetch_add(1, Ordering::Relaxed);
    }

    pub fn add_upload(&self, bytes: usize) {
        self.bytes_up.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub fn add_download(&self, bytes: u64) {
        self.bytes_down.fetch_add(bytes, Ordering::Relaxed);
    }
}
