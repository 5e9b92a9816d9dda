//! Buffers in flight to the host: how far each has come.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use super::GpuError;
use super::driver::Driver;
use super::held::Held;
use super::queue::Ticket;
use super::touch::Touch;

/// How far a buffer that the host is to read has come.
pub(super) struct Landing(Mutex<State>);

pub(super) enum State {
    /// Its copy is not submitted.
    Recorded,
    /// It is mapped once this submission is done.
    Mapping(Ticket, mpsc::Receiver<Result<(), wgpu::BufferAsyncError>>),
    /// Nobody reads it, or it is not mapped.
    Left,
}

impl fmt::Debug for Landing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Landing")
    }
}

impl Landing {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to map a buffer whose copy is part of the submission `ticket`.
    pub fn map(&self, driver: &Driver, label: &str, staging: &wgpu::Buffer, ticket: Ticket) -> Result<(), GpuError> {
        let mut state = self.state();
        if !matches!(*state, State::Recorded) {
            return Ok(());
        }
        let (sender, mapped) = mpsc::channel();
        driver.touch(Touch::Map, label);
        // A send fails only if the fetch was dropped.
        staging.map_async(wgpu::MapMode::Read, .., move |result| drop(sender.send(result)));
        *state = State::Mapping(ticket, mapped);
        drop(state);
        driver.check(label)
    }
}

/// A copy of a buffer in flight to the host.
#[derive(Debug)]
pub(super) struct Fetch {
    pub label: String,
    pub staging: Held,
    pub landing: Arc<Landing>,
}

impl Fetch {
    /// Prepares to fetch what some command copies to `staging`.
    pub fn of(label: &str, staging: Held) -> (Self, Arc<Landing>) {
        let landing = Arc::new(Landing(Mutex::new(State::Recorded)));
        (Self { label: label.to_string(), staging, landing: landing.clone() }, landing)
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        let mut state = self.landing.state();
        // The next fetch takes its buffer.
        if let State::Mapping(_, mapped) = &*state
            && !matches!(mapped.try_recv(), Ok(Err(_)))
        {
            self.staging.unmap();
        }
        *state = State::Left;
    }
}
