//! Collecting commands, and their submission.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Instant;

use super::GpuError;
use super::commands::{Commands, Copy, Dispatch, Work};
use super::held::Held;
use super::memory::Memory;
use super::queue::Ticket;
use super::timestamps::{Stamps, Timing};
use super::touch::Touch;

/// Dispatches per submission: enough to keep the queue fed. They are so few that a submission stays well under the two
/// seconds after which Windows resets a GPU.
const DISPATCHES: usize = 16;

/// Dispatches per submission on devices whose dispatches may have [`FAST`] operations, more than all of a frame together.
const DISPATCHES_OF_FAST: usize = 64;
const FAST: u64 = 10_000_000_000;

/// Bytes from the arguments of a dispatch to those of the next: the largest alignment of a uniform that WebGPU allows for.
const ARGUMENTS: usize = 256;

impl Memory {
    /// Adds dispatches.
    pub fn run(&self, dispatches: Vec<Dispatch>) -> Result<(), GpuError> {
        let mut commands = self.commands();
        for dispatch in dispatches {
            commands.work.push(Work::Dispatch(dispatch));
            commands.dispatches += 1;
            if commands.dispatches == self.most_dispatches() {
                self.submit_all(&mut commands)?;
            }
        }
        // Stages that are waited for are waited for here.
        if self.timing() == Timing::Waiting { self.submit_all(&mut commands) } else { Ok(()) }
    }

    /// Adds a copy of all of a buffer.
    pub fn copy(&self, copy: Copy) {
        self.commands().work.push(Work::Copy(copy));
    }

    /// Submits all commands.
    pub fn flush(&self) -> Result<(), GpuError> {
        self.submit_all(&mut self.commands())
    }

    fn most_dispatches(&self) -> usize {
        if self.budget().operations() >= FAST { DISPATCHES_OF_FAST } else { DISPATCHES }
    }

    pub(super) fn submit_all(&self, commands: &mut Commands) -> Result<(), GpuError> {
        let work = std::mem::take(&mut commands.work);
        commands.dispatches = 0;
        if work.is_empty() {
            return Ok(());
        }
        let timing = self.timing();
        let joins = |a: &Work, b: &Work| match timing {
            Timing::None => a.stage().is_some() == b.stage().is_some(),
            _ => a.stage() == b.stage(),
        };
        let parts: Vec<&[Work]> = work.chunk_by(joins).collect();
        match timing {
            Timing::None => drop(self.submit(commands, &parts, None)?),
            Timing::Stamps => {
                let stages: Vec<_> = parts.iter().filter_map(|part| part[0].stage()).collect();
                let stamps = (!stages.is_empty()).then(|| Stamps::new(self, stages)).transpose()?;
                let ticket = self.submit(commands, &parts, stamps.as_ref())?;
                if let Some(stamps) = stamps {
                    let ticks = stamps.land(self, ticket)?;
                    self.times().get_or_insert_default().add_ticks(ticks);
                }
            }
            Timing::Waiting => {
                for part in parts {
                    let start = Instant::now();
                    self.submit(commands, &[part], None)?;
                    if let Some(stage) = part[0].stage() {
                        self.queue().wait_for_all()?;
                        self.times().get_or_insert_default().add_waited(stage, start.elapsed());
                    }
                }
            }
        }
        Ok(())
    }

    fn timing(&self) -> Timing {
        match self.times().as_ref() {
            None => Timing::None,
            Some(_) if self.driver().has(wgpu::Features::TIMESTAMP_QUERY) => Timing::Stamps,
            Some(_) => Timing::Waiting,
        }
    }

    /// Submits parts, each of dispatches or of copies alone, and begins to map what the host is to read.
    fn submit(&self, commands: &mut Commands, parts: &[&[Work]], stamps: Option<&Stamps>) -> Result<Ticket, GpuError> {
        let arguments = self.write_arguments(&mut commands.arguments, parts)?;
        let mut encoder = self.driver().device().create_command_encoder(&Default::default());
        self.pool().record_clears(&mut encoder);
        let mut used = vec![arguments.clone()];
        let (mut slot, mut timed) = (0, 0);
        for part in parts {
            let mut pass = part[0].stage().map(|_| {
                let timestamp_writes = stamps.map(|stamps| stamps.of_pass(timed));
                timed += 1;
                encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes })
            });
            for work in *part {
                if let (Work::Dispatch(dispatch), Some(pass)) = (work, &mut pass) {
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
            drop(pass);
            for work in *part {
                if let Work::Copy(Copy { from, to, .. }) = work {
                    encoder.copy_buffer_to_buffer(from, 0, to, 0, to.size());
                    used.extend([from.clone(), to.clone()]);
                }
            }
        }
        if let Some(stamps) = stamps {
            stamps.resolve(&mut encoder);
            used.extend(stamps.held());
        }
        let ticket = self.queue().submit(parts[0][0].name(), Some(encoder.finish()), used)?;
        for work in parts.iter().copied().flatten() {
            if let Work::Copy(Copy { label, to, landing: Some(landing), .. }) = work {
                landing.map(self.driver(), label, to, ticket)?;
            }
        }
        Ok(ticket)
    }

    /// Writes the arguments of all dispatches of a submission.
    fn write_arguments(&self, arguments: &mut Option<Held>, parts: &[&[Work]]) -> Result<Held, GpuError> {
        let buffer = match arguments {
            Some(buffer) => buffer.clone(),
            None => {
                let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
                let bytes = (ARGUMENTS * DISPATCHES_OF_FAST) as u64;
                arguments.insert(self.create_uncounted("args", bytes, usage)?).clone()
            }
        };
        let mut bytes = Vec::new();
        let dispatches = parts.iter().copied().flatten().filter_map(|work| match work {
            Work::Dispatch(dispatch) => Some(dispatch),
            Work::Copy(_) => None,
        });
        for (slot, dispatch) in dispatches.enumerate() {
            bytes.resize(ARGUMENTS * slot, 0);
            bytes.extend(&dispatch.args);
        }
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        if !bytes.is_empty() {
            self.write_before_commands("args", &buffer, &bytes)?;
        }
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
        let group = self.pool().bind_group(Arc::as_ptr(kernel) as usize, bound, make)?;
        self.driver().check(&kernel.name)?;
        Ok(group)
    }
}
