//! Commands in the order in which they run, until they are submitted together.

use std::sync::Arc;

use super::held::Held;
use super::kernel::Kernel;
use super::landing::Landing;

/// Commands that are not submitted yet.
#[derive(Default)]
pub(super) struct Commands {
    /// Arguments of the dispatches of a submission, one after another. All submissions share the buffer, as a write waits for the
    /// submissions before it.
    pub arguments: Option<Held>,
    pub work: Vec<Work>,
    /// Dispatches among them.
    pub dispatches: usize,
}

impl Commands {
    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        self.work.is_empty()
    }

    /// Whether any of them uses a buffer.
    pub fn use_of(&self, buffer: &wgpu::Buffer) -> bool {
        self.work.iter().any(|work| match work {
            Work::Dispatch(dispatch) => dispatch.buffers.iter().any(|(_, bound)| **bound == *buffer),
            Work::Copy(copy) => *copy.from == *buffer || *copy.to == *buffer,
        })
    }
}

/// A command.
pub(super) enum Work {
    Dispatch(Dispatch),
    Copy(Copy),
}

/// A kernel with all that it takes.
#[derive(Debug)]
pub(super) struct Dispatch {
    pub stage: &'static str,
    pub kernel: Arc<Kernel>,
    pub grid: [u32; 2],
    pub args: Vec<u8>,
    pub buffers: Vec<(u32, Held)>,
}

/// A copy of all of a buffer, perhaps to be read by the host once it is done.
pub(super) struct Copy {
    pub label: String,
    pub from: Held,
    pub to: Held,
    pub landing: Option<Arc<Landing>>,
}

impl Work {
    /// The name of what it does, for errors.
    pub fn name(&self) -> &str {
        match self {
            Self::Dispatch(dispatch) => &dispatch.kernel.name,
            Self::Copy(copy) => &copy.label,
        }
    }

    /// The stage of a dispatch.
    pub fn stage(&self) -> Option<&'static str> {
        match self {
            Self::Dispatch(dispatch) => Some(dispatch.stage),
            Self::Copy(_) => None,
        }
    }
}
