//! Buffers in use: their bytes are counted, and the last user gives them back to the pool.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::account::Lease;
use super::content::Content;
use super::pool::Pool;

/// A buffer whose bytes are counted; clones share the buffer. It goes back to the pool when the last of them is dropped.
#[derive(Clone, Debug)]
pub(super) struct Held(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    buffer: wgpu::Buffer,
    label: String,
    content: Mutex<Content>,
    number: u64,
    /// Present until dropped.
    lease: Option<Lease>,
    pool: Weak<Pool>,
}

impl Held {
    /// Holds a buffer, which has a number in its pool.
    pub fn new(
        (number, buffer): (u64, wgpu::Buffer),
        (label, content): (&str, Content),
        lease: Lease,
        pool: &Arc<Pool>,
    ) -> Self {
        let (label, content, pool) = (label.to_string(), Mutex::new(content), Arc::downgrade(pool));
        Self(Arc::new(Inner { buffer, label, content, number, lease: Some(lease), pool }))
    }

    /// Notes what it holds for good.
    pub fn set_content(&self, content: Content) {
        *self.0.content.lock().unwrap_or_else(PoisonError::into_inner) = content;
    }

    /// Whether it holds `content` for good.
    pub fn has_content(&self, content: Content) -> bool {
        *self.0.content.lock().unwrap_or_else(PoisonError::into_inner) == content
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        drop(self.lease.take());
        if let Some(pool) = self.pool.upgrade() {
            let content = *self.content.get_mut().unwrap_or_else(PoisonError::into_inner);
            pool.give((std::mem::take(&mut self.label), content), self.number, self.buffer.clone());
        }
    }
}

impl Deref for Held {
    type Target = wgpu::Buffer;

    fn deref(&self) -> &wgpu::Buffer {
        &self.0.buffer
    }
}
