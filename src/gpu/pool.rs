//! The pool: buffers that nobody holds, kept for the next of the same label and size, and bind groups of buffers.
//!
//! Frames of a stream make the same buffers one after another. A driver takes microseconds to milliseconds for each, and zeros its
//! memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::account::Account;
use super::content::Content;

/// Bind groups beyond which all are forgotten.
const MOST_GROUPS: usize = 4096;

/// A kernel's address, and the buffers that it binds.
type Key = (usize, Vec<wgpu::Buffer>);

/// Buffers that nobody holds, and bind groups.
#[derive(Debug)]
pub(super) struct Pool {
    account: Arc<Account>,
    state: Mutex<State>,
}

/// A buffer that nobody holds.
#[derive(Debug)]
struct Idle {
    label: String,
    content: Content,
    number: u64,
    buffer: wgpu::Buffer,
}

#[derive(Debug, Default)]
struct State {
    /// Buffers made so far.
    made: u64,
    /// From the first given back to the last.
    idle: Vec<Idle>,
    /// Buffers that must be zeroed before the next command runs.
    clears: Vec<wgpu::Buffer>,
    groups: HashMap<Key, wgpu::BindGroup>,
}

impl Pool {
    pub fn new(account: &Arc<Account>) -> Arc<Self> {
        Arc::new(Self { account: account.clone(), state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes back a buffer that nobody holds any more.
    pub fn give(&self, (label, content): (String, Content), number: u64, buffer: wgpu::Buffer) {
        let mut state = self.state();
        // It was to be zeros, and is what its holder before made it.
        let cleared = state.clears.contains(&buffer);
        state.clears.retain(|clear| *clear != buffer);
        let content = if cleared { Content::Any } else { content };
        state.idle.push(Idle { label, content, number, buffer });
        self.count(&state);
    }

    /// Returns the number of a new buffer.
    pub fn next_number(&self) -> u64 {
        let mut state = self.state();
        state.made += 1;
        state.made
    }

    /// Returns an idle buffer with its number and its content: one that holds the data that are wanted, else the first that was made.
    /// So equal frames bind equal buffers together.
    pub fn take(
        &self,
        label: &str,
        bytes: u64,
        usage: wgpu::BufferUsages,
        wanted: Content,
    ) -> Option<(u64, wgpu::Buffer, Content)> {
        let mut state = self.state();
        let fits = |idle: &Idle| {
            let Idle { label: known, buffer, .. } = idle;
            known == label && buffer.size() == bytes && buffer.usage() == usage
        };
        let fitting = state.idle.iter().enumerate().filter(|(_, idle)| fits(idle));
        let has_data = |idle: &Idle| matches!(wanted, Content::Data(_)) && idle.content == wanted;
        let (at, _) = fitting.min_by_key(|(_, idle)| (!has_data(idle), idle.number))?;
        let Idle { number, buffer, content, .. } = state.idle.remove(at);
        self.count(&state);
        Some((number, buffer, content))
    }

    /// Drops idle buffers, the first given back first, until they take no more than `bytes`.
    pub fn shrink(&self, bytes: u64) {
        let mut state = self.state();
        let mut all = self.account.idle();
        while all > bytes && !state.idle.is_empty() {
            let Idle { buffer, .. } = state.idle.remove(0);
            all -= buffer.size();
            state.groups.retain(|(_, bound), _| !bound.contains(&buffer));
        }
        self.count(&state);
    }

    fn count(&self, state: &State) {
        self.account.set_idle(state.idle.iter().map(|idle| idle.buffer.size()).sum());
    }

    /// Notes that a buffer must be zeros for the next command.
    pub fn clear(&self, buffer: &wgpu::Buffer) {
        self.state().clears.push(buffer.clone());
    }

    /// Notes that a buffer is written whole, before the next command.
    pub fn is_written(&self, buffer: &wgpu::Buffer) {
        self.state().clears.retain(|clear| clear != buffer);
    }

    /// Records the zeroing of buffers, before all other commands of an encoder.
    pub fn record_clears(&self, encoder: &mut wgpu::CommandEncoder) {
        for buffer in std::mem::take(&mut self.state().clears) {
            encoder.clear_buffer(&buffer, 0, None);
        }
    }

    /// Returns the bind group of a kernel with some buffers, made by `make` at first use.
    pub fn bind_group<E>(
        &self,
        kernel: usize,
        bound: Vec<wgpu::Buffer>,
        make: impl FnOnce() -> Result<wgpu::BindGroup, E>,
    ) -> Result<wgpu::BindGroup, E> {
        let key = (kernel, bound);
        if let Some(group) = self.state().groups.get(&key) {
            return Ok(group.clone());
        }
        let group = make()?;
        let mut state = self.state();
        if state.groups.len() >= MOST_GROUPS {
            state.groups.clear();
        }
        state.groups.insert(key, group.clone());
        Ok(group)
    }
}
