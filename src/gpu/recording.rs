//! Recordings of dispatches, and their submission.

use std::sync::Arc;
use std::time::Instant;

use super::GpuError;
use super::account::Held;
use super::args::KernelArgs;
use super::handle::Gpu;
use super::kernel::{Kernel, Named};
use super::timestamps::{Stamps, Timing};
use super::touch::Touch;

/// Dispatches per submission: enough to keep the queue fed, few enough that a submission stays well under the two
/// seconds after which Windows resets a GPU.
const DISPATCHES_PER_SUBMISSION: usize = 16;

/// Dispatches in the order in which they run; each sees the output of those before it.
#[derive(Debug, Default)]
pub struct Recording {
    dispatches: Vec<Dispatch>,
    stage: Option<&'static str>,
}

#[derive(Debug)]
struct Dispatch {
    stage: &'static str,
    kernel: Arc<Kernel>,
    grid: [u32; 2],
    args: Vec<u8>,
    buffers: Vec<(u32, Held)>,
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

    /// Records a dispatch of `workgroups` workgroups with the uniform `args` (`&()` if the kernel has none) and the buffers
    /// it uses, each under its name in the shader.
    ///
    /// # Errors
    /// [`GpuError::Binding`] if a buffer is missing, unknown or of another kind, or if a member of `args` differs from the
    /// shader's; [`GpuError::Limit`] beyond the square of the workgroups per dimension.
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
    /// Submits a recording. Returns at once; [`super::Buffer::download`] waits.
    ///
    /// # Errors
    /// [`GpuError::OutOfMemory`], [`GpuError::Lost`], [`GpuError::Hung`] or [`GpuError::Driver`] if the device failed.
    pub fn run(&self, recording: Recording) -> Result<(), GpuError> {
        for dispatches in recording.dispatches.chunks(DISPATCHES_PER_SUBMISSION) {
            let passes: Vec<&[Dispatch]> = dispatches.chunk_by(|a, b| a.stage == b.stage).collect();
            match self.timing() {
                Timing::None => self.submit(&passes, None)?,
                Timing::Stamps => {
                    let stages = passes.iter().map(|pass| pass[0].stage).collect();
                    let stamps = Stamps::new(self.device_memory(), stages)?;
                    self.submit(&passes, Some(&stamps))?;
                    let ticks = stamps.fetch(self.device_memory())?;
                    self.times().get_or_insert_default().add_ticks(ticks);
                }
                Timing::Waiting => {
                    for pass in passes {
                        let start = Instant::now();
                        self.submit(&[pass], None)?;
                        self.wait()?;
                        self.times().get_or_insert_default().add_waited(pass[0].stage, start.elapsed());
                    }
                }
            }
        }
        Ok(())
    }

    fn timing(&self) -> Timing {
        match self.times().as_ref() {
            None => Timing::None,
            Some(_) if self.has_timestamps() => Timing::Stamps,
            Some(_) => Timing::Waiting,
        }
    }

    fn submit(&self, passes: &[&[Dispatch]], stamps: Option<&Stamps>) -> Result<(), GpuError> {
        let mut encoder = self.driver().device().create_command_encoder(&Default::default());
        let mut used = Vec::new();
        for (k, dispatches) in passes.iter().enumerate() {
            let timestamp_writes = stamps.map(|stamps| stamps.of_pass(k));
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes });
            for dispatch in *dispatches {
                let group = self.bind_group(dispatch, &mut used)?;
                pass.set_pipeline(&dispatch.kernel.pipeline);
                pass.set_bind_group(0, &group, &[]);
                pass.dispatch_workgroups(dispatch.grid[0], dispatch.grid[1], 1);
            }
        }
        if let Some(stamps) = stamps {
            stamps.resolve(&mut encoder);
            used.extend(stamps.held());
        }
        self.queue().submit(&passes[0][0].kernel.name, Some(encoder.finish()), used)?;
        Ok(())
    }

    /// Binds a dispatch's buffers and adds them to those that the submission uses.
    fn bind_group(&self, dispatch: &Dispatch, used: &mut Vec<Held>) -> Result<wgpu::BindGroup, GpuError> {
        let kernel = &dispatch.kernel;
        let mut bound = dispatch.buffers.clone();
        if let Some(number) = kernel.args_number() {
            let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
            let args = self.device_memory().create("args", (dispatch.args.len() as u64).next_multiple_of(4), usage)?;
            self.device_memory().write("args", &args, &dispatch.args)?;
            bound.push((number, args));
        }
        let entries: Vec<wgpu::BindGroupEntry<'_>> = (bound.iter())
            .map(|(number, buffer)| wgpu::BindGroupEntry { binding: *number, resource: buffer.as_entire_binding() })
            .collect();
        self.driver().touch(Touch::BindGroup, &kernel.name);
        let group = self.driver().device().create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&kernel.name),
            layout: &kernel.layout,
            entries: &entries,
        });
        self.driver().check(&kernel.name)?;
        self.driver().traffic().add_bind_group();
        used.extend(bound.into_iter().map(|(_, buffer)| buffer));
        Ok(group)
    }
}
