//! Recordings of dispatches, and their submission.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Instant;

use super::GpuError;
use super::args::KernelArgs;
use super::handle::Gpu;
use super::held::Held;
use super::kernel::{Kernel, Named};
use super::timestamps::{Stamps, Timing};
use super::touch::Touch;

/// Dispatches per submission: enough to keep the queue fed, few enough that a submission stays well under the two
/// seconds after which Windows resets a GPU.
const DISPATCHES_PER_SUBMISSION: usize = 16;

/// Bytes from the arguments of a dispatch to those of the next: the largest alignment of a uniform that WebGPU allows for.
const ARGUMENTS: usize = 256;

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
        let mut slots = self.device_memory().commands();
        let arguments = self.write_arguments(&mut slots, passes)?;
        let mut encoder = self.driver().device().create_command_encoder(&Default::default());
        self.device_memory().pool().record_clears(&mut encoder);
        let mut used = vec![arguments.clone()];
        let mut slot = 0;
        for (k, dispatches) in passes.iter().enumerate() {
            let timestamp_writes = stamps.map(|stamps| stamps.of_pass(k));
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes });
            for dispatch in *dispatches {
                let group = self.bind_group(dispatch, &arguments)?;
                let offset = (ARGUMENTS * slot) as u32;
                let offsets = if dispatch.kernel.args_number().is_some() { &[offset][..] } else { &[] };
                pass.set_pipeline(&dispatch.kernel.pipeline);
                pass.set_bind_group(0, &group, offsets);
                pass.dispatch_workgroups(dispatch.grid[0], dispatch.grid[1], 1);
                used.extend(dispatch.buffers.iter().map(|(_, buffer)| buffer.clone()));
                slot += 1;
            }
        }
        if let Some(stamps) = stamps {
            stamps.resolve(&mut encoder);
            used.extend(stamps.held());
        }
        self.queue().submit(&passes[0][0].kernel.name, Some(encoder.finish()), used)?;
        Ok(())
    }

    /// Writes the arguments of all dispatches of a submission, one after another. All submissions share the buffer, as a write
    /// waits for the submissions before it.
    fn write_arguments(&self, slots: &mut Option<Held>, passes: &[&[Dispatch]]) -> Result<Held, GpuError> {
        let buffer = match slots {
            Some(buffer) => buffer.clone(),
            None => {
                let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
                let bytes = (ARGUMENTS * DISPATCHES_PER_SUBMISSION) as u64;
                slots.insert(self.device_memory().create_uncounted("args", bytes, usage)?).clone()
            }
        };
        let mut bytes = Vec::with_capacity(ARGUMENTS * DISPATCHES_PER_SUBMISSION);
        for (slot, dispatch) in passes.iter().copied().flatten().enumerate() {
            bytes.resize(ARGUMENTS * slot, 0);
            bytes.extend(&dispatch.args);
        }
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        self.device_memory().write("args", &buffer, &bytes)?;
        Ok(buffer)
    }

    /// Binds a dispatch's buffers.
    fn bind_group(&self, dispatch: &Dispatch, arguments: &Held) -> Result<wgpu::BindGroup, GpuError> {
        let kernel = &dispatch.kernel;
        self.driver().touch(Touch::BindGroup, &kernel.name);
        let bound = dispatch.buffers.iter().map(|(_, buffer)| (**buffer).clone()).collect();
        let make = || {
            let mut entries: Vec<wgpu::BindGroupEntry<'_>> = (dispatch.buffers.iter())
                .map(|(number, buffer)| wgpu::BindGroupEntry { binding: *number, resource: buffer.as_entire_binding() })
                .collect();
            if let Some(binding) = kernel.args_number() {
                let size = NonZeroU64::new((dispatch.args.len() as u64).next_multiple_of(4));
                let slice = wgpu::BufferBinding { buffer: arguments, offset: 0, size };
                entries.push(wgpu::BindGroupEntry { binding, resource: wgpu::BindingResource::Buffer(slice) });
            }
            let group = self.driver().device().create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(&kernel.name),
                layout: &kernel.layout,
                entries: &entries,
            });
            self.driver().check(&kernel.name)?;
            self.driver().traffic().add_bind_group();
            Ok(group)
        };
        let group = self.device_memory().pool().bind_group(Arc::as_ptr(kernel) as usize, bound, make)?;
        self.driver().check(&kernel.name)?;
        Ok(group)
    }
}
