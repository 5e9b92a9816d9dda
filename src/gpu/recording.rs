//! Recordings of dispatches.

use std::sync::Arc;

use super::GpuError;
use super::args::KernelArgs;
use super::commands::Dispatch;
use super::handle::Gpu;
use super::kernel::{Kernel, Named};

/// Dispatches in the order in which they run; each sees the output of those before it.
#[derive(Debug, Default)]
pub struct Recording {
    dispatches: Vec<Dispatch>,
    stage: Option<&'static str>,
}

impl Recording {
    /// Returns an empty recording.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts the time of later dispatches as this stage's, not as their shader's; see [`Gpu::take_times`].
    pub fn stage(&mut self, stage: &'static str) {
        self.stage = Some(stage);
    }

    /// Records a dispatch of `workgroups` workgroups with the uniform `args` (`&()` if the kernel has none) and its
    /// buffers, each under its name in the shader.
    ///
    /// # Errors
    /// [`GpuError::Binding`] if a buffer is missing, unknown or of another kind, or if a member of `args` differs from the
    /// shader's. [`GpuError::Limit`] beyond the square of the workgroups per dimension.
    pub fn dispatch<A: KernelArgs>(
        &mut self,
        kernel: &Arc<Kernel>,
        workgroups: usize,
        args: &A,
        bound: &[Named<'_>],
    ) -> Result<(), GpuError> {
        kernel.check_args(size_of::<A>(), A::MEMBERS)?;
        let buffers = kernel.bind(bound)?;
        let grid = kernel.grid(workgroups)?;
        if workgroups > 0 {
            let args = bytemuck::bytes_of(args).to_vec();
            let stage = self.stage.unwrap_or(kernel.shader);
            self.dispatches.push(Dispatch { stage, kernel: kernel.clone(), grid, args, buffers });
        }
        Ok(())
    }
}

impl Gpu {
    /// Runs a recording after those before it. Returns at once; commands are submitted once there are enough, or somebody waits,
    /// as in [`super::Buffer::download`].
    ///
    /// # Errors
    /// [`GpuError::OutOfMemory`], [`GpuError::Lost`], [`GpuError::Hung`] or [`GpuError::Driver`] if the device failed.
    pub fn run(&self, recording: Recording) -> Result<(), GpuError> {
        self.device_memory().run(recording.dispatches)
    }

    /// Submits all commands so far.
    ///
    /// # Errors
    /// As of [`Gpu::run`].
    pub(crate) fn flush(&self) -> Result<(), GpuError> {
        self.device_memory().flush()
    }
}
