//! Kernels that know their bindings, recordings of their dispatches, and what runs a recording.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::buffer::Named;
use super::fault_injection::Touch;
use super::in_flight::Held;
use super::reflect::{Entry, reflect};
use super::timestamps::{Stamps, Timing};
use super::{Gpu, GpuError, Variant};

/// Dispatches handed to the driver at once: enough to keep the queue fed, few enough that a submission stays
/// well under the two seconds after which Windows resets a GPU.
const DISPATCHES_PER_SUBMISSION: usize = 16;

/// One entry point of a shader, compiled for a device.
pub struct Kernel {
    shader: &'static str,
    name: String,
    entry: Entry,
    layout: wgpu::BindGroupLayout,
    pipeline: wgpu::ComputePipeline,
    workgroups_per_dimension: u32,
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kernel").field(&self.name).finish()
    }
}

impl Kernel {
    pub(super) fn compile(gpu: &Gpu, variant: &Variant, entry_name: &str) -> Result<Self, GpuError> {
        let (name, source) = (format!("{variant}::{entry_name}"), variant.source()?);
        let entry = reflect(&variant.to_string(), &source, entry_name)?;
        check_limits(gpu, &name, &entry)?;
        let device = gpu.device();
        gpu.touch(Touch::Kernel, &name);
        let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let descriptor = wgpu::ShaderModuleDescriptor {
            label: Some(&name),
            source: wgpu::ShaderSource::Wgsl(source.as_str().into()),
        };
        let mut checks = wgpu::ShaderRuntimeChecks::checked();
        // The counter that wgpu would put into every loop costs time in the innermost ones.
        checks.force_loop_bounding = false;
        // SAFETY: only shaders of this crate come here, and all their loops have a bound; bounds checks stay on.
        #[allow(unsafe_code)]
        let module = unsafe { device.create_shader_module_trusted(descriptor, checks) };
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some(&name),
            entries: &layout_entries(&entry),
        });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(&name),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&name),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some(entry_name),
            compilation_options: Default::default(),
            cache: None,
        });
        let refused = pollster::block_on(scope.pop());
        if refused.is_some() {
            // Nothing compiles on a device that is lost, which is told when it is polled.
            gpu.wait()?;
            gpu.check(&name)?;
        }
        if let Some(error) = refused {
            return Err(GpuError::Shader { shader: name, message: error.to_string() });
        }
        gpu.check(&name)?;
        Ok(Self {
            shader: variant.shader(),
            name,
            entry,
            layout,
            pipeline,
            workgroups_per_dimension: gpu.limits().workgroups,
        })
    }

    /// Orders `bound` as the shader numbers its bindings, after checking names and kinds.
    fn bind(&self, bound: &[Named<'_>]) -> Result<Vec<(u32, Held)>, GpuError> {
        let failed = |message: String| Err(GpuError::Binding { kernel: self.name.clone(), message });
        if let Some(extra) = bound.iter().find(|b| self.entry.bindings.iter().all(|known| known.name != b.name)) {
            let known: Vec<&str> = self.entry.bindings.iter().map(|binding| binding.name.as_str()).collect();
            return failed(format!("uses no buffer `{}`; it uses {}", extra.name, known.join(", ")));
        }
        let mut ordered = Vec::with_capacity(bound.len());
        for binding in &self.entry.bindings {
            let Some(buffer) = bound.iter().find(|b| b.name == binding.name) else {
                return failed(format!("buffer `{}` is not bound", binding.name));
            };
            if binding.kind != Some(buffer.kind) {
                let declared = binding.kind.map_or("no array of one kind", |kind| kind.name());
                return failed(format!(
                    "buffer `{}` holds {} where the shader declares {declared}",
                    binding.name,
                    buffer.kind.name()
                ));
            }
            ordered.push((binding.number, buffer.raw.clone()));
        }
        Ok(ordered)
    }

    /// The smallest 2-D grid of at least `workgroups`.
    fn grid(&self, workgroups: usize) -> Result<[u32; 2], GpuError> {
        let side = u64::from(self.workgroups_per_dimension);
        let count = workgroups as u64;
        if count > side * side {
            let what = format!("number of workgroups of {}", self.name);
            return Err(GpuError::Limit { what, value: count, limit: side * side });
        }
        let rows = count.div_ceil(side).max(1);
        Ok([count.div_ceil(rows) as u32, rows as u32])
    }
}

fn check_limits(gpu: &Gpu, name: &str, entry: &Entry) -> Result<(), GpuError> {
    let limits = gpu.limits();
    let needs = [
        ("workgroup memory (bytes)", entry.workgroup_bytes, limits.workgroup_bytes),
        ("invocations of a workgroup", entry.invocations, limits.invocations),
        ("storage buffers", entry.bindings.len() as u32, limits.storage_buffers),
    ];
    for (what, value, limit) in needs {
        if value > limit {
            let what = format!("{name}: {what}");
            return Err(GpuError::Limit { what, value: value.into(), limit: limit.into() });
        }
    }
    Ok(())
}

fn layout_entries(entry: &Entry) -> Vec<wgpu::BindGroupLayoutEntry> {
    let buffer = |number: u32, ty: wgpu::BufferBindingType| wgpu::BindGroupLayoutEntry {
        binding: number,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        count: None,
    };
    let args = entry.args.map(|(number, _)| buffer(number, wgpu::BufferBindingType::Uniform));
    let storage =
        (entry.bindings.iter()).map(|b| buffer(b.number, wgpu::BufferBindingType::Storage { read_only: !b.writable }));
    args.into_iter().chain(storage).collect()
}

/// Dispatches in the order they shall run; each sees what the ones before it wrote.
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
    /// Nothing recorded yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts the time of all dispatches from here on as this stage's, not as their shaders'; see [`Gpu::take_times`].
    pub fn stage(&mut self, stage: &'static str) {
        self.stage = Some(stage);
    }

    /// Records a dispatch of `workgroups` workgroups with the uniform `args` (`&()` where the kernel has none) and
    /// the buffers it uses, each under the name it has in the shader.
    ///
    /// # Errors
    /// [`GpuError::Binding`] where a buffer is missing, unknown, of another kind, or `args` has another size;
    /// [`GpuError::Limit`] beyond the square of the workgroups a dimension.
    pub fn dispatch<A: bytemuck::NoUninit>(
        &mut self,
        kernel: &Arc<Kernel>,
        workgroups: usize,
        args: &A,
        bound: &[Named<'_>],
    ) -> Result<(), GpuError> {
        let declared = kernel.entry.args.map_or(0, |(_, bytes)| bytes as usize);
        if size_of::<A>() != declared {
            let message = format!("args has {} bytes where the shader declares {declared}", size_of::<A>());
            return Err(GpuError::Binding { kernel: kernel.name.clone(), message });
        }
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
    /// Hands a recording to the device. Returns at once; [`super::Buffer::download`] waits.
    ///
    /// # Errors
    /// What the driver reports, as [`GpuError::Driver`], [`GpuError::OutOfMemory`] or [`GpuError::Lost`].
    pub fn run(&self, recording: Recording) -> Result<(), GpuError> {
        for dispatches in recording.dispatches.chunks(DISPATCHES_PER_SUBMISSION) {
            let passes: Vec<&[Dispatch]> = dispatches.chunk_by(|a, b| a.stage == b.stage).collect();
            match self.timing() {
                Timing::None => self.submit(&passes, None)?,
                Timing::Stamps => {
                    let stamps = self.stamps(passes.iter().map(|pass| pass[0].stage).collect())?;
                    self.submit(&passes, Some(&stamps))?;
                    self.keep_stamps(stamps)?;
                }
                Timing::Waiting => {
                    for pass in passes {
                        let start = Instant::now();
                        self.submit(&[pass], None)?;
                        self.wait()?;
                        self.add_time(pass[0].stage, start.elapsed());
                    }
                }
            }
        }
        Ok(())
    }

    fn submit(&self, passes: &[&[Dispatch]], stamps: Option<&Stamps>) -> Result<(), GpuError> {
        let mut encoder = self.device().create_command_encoder(&Default::default());
        let mut held = Vec::new();
        for (k, dispatches) in passes.iter().enumerate() {
            let timestamp_writes = stamps.map(|stamps| stamps.of_pass(k));
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes });
            for dispatch in *dispatches {
                let group = self.bind_group(dispatch, &mut held)?;
                pass.set_pipeline(&dispatch.kernel.pipeline);
                pass.set_bind_group(0, &group, &[]);
                pass.dispatch_workgroups(dispatch.grid[0], dispatch.grid[1], 1);
            }
        }
        if let Some(stamps) = stamps {
            stamps.resolve(&mut encoder);
            held.extend(stamps.held());
        }
        self.hand_over(&passes[0][0].kernel.name, Some(encoder.finish()), held)?;
        Ok(())
    }

    /// Binds a dispatch's buffers, which go to those that are `held` until it has run.
    fn bind_group(&self, dispatch: &Dispatch, held: &mut Vec<Held>) -> Result<wgpu::BindGroup, GpuError> {
        let mut bound = dispatch.buffers.clone();
        if let Some((number, _)) = dispatch.kernel.entry.args {
            let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
            let args = self.create("args", (dispatch.args.len() as u64).next_multiple_of(4), usage)?;
            self.write("args", &args, &dispatch.args)?;
            bound.push((number, args));
        }
        let entries: Vec<wgpu::BindGroupEntry<'_>> = (bound.iter())
            .map(|(number, buffer)| wgpu::BindGroupEntry { binding: *number, resource: buffer.as_entire_binding() })
            .collect();
        self.touch(Touch::BindGroup, &dispatch.kernel.name);
        let group = self.device().create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&dispatch.kernel.name),
            layout: &dispatch.kernel.layout,
            entries: &entries,
        });
        self.check(&dispatch.kernel.name)?;
        held.extend(bound.into_iter().map(|(_, buffer)| buffer));
        Ok(group)
    }
}
