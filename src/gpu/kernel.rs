//! Kernels: compiled entry points of shaders, which know the buffers and arguments that they take.

use std::fmt;

use super::GpuError;
use super::args::ArgsMember;
use super::held::Held;
use super::limits::GpuLimits;
use super::queue::Queue;
use super::reflect::{Entry, reflect};
use super::scalar::ScalarKind;
use super::shaders::Variant;
use super::touch::Touch;

/// Shaders that write all workgroup memory before they read it.
const WRITES_FIRST: [&str; 5] = ["spots", "spot_grid", "spot_images", "banded_normal", "goodness"];

/// A buffer under the name of the shader variable it is bound to.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    pub(super) name: &'a str,
    pub(super) kind: ScalarKind,
    pub(super) raw: &'a Held,
}

/// One entry point of a shader, compiled for a device.
pub struct Kernel {
    pub(super) shader: &'static str,
    pub(super) name: String,
    pub(super) layout: wgpu::BindGroupLayout,
    pub(super) pipeline: wgpu::ComputePipeline,
    entry: Entry,
    workgroups_per_dimension: u32,
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kernel").field(&self.name).finish()
    }
}

impl Kernel {
    pub(super) fn compile(queue: &Queue, variant: &Variant, entry_name: &str) -> Result<Self, GpuError> {
        let (name, source) = (format!("{variant}::{entry_name}"), variant.source()?);
        let entry = reflect(&variant.to_string(), &source, entry_name)?;
        let driver = queue.driver();
        check_limits(driver.limits(), &name, &entry)?;
        let device = driver.device();
        driver.touch(Touch::Kernel, &name);
        let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let descriptor = wgpu::ShaderModuleDescriptor {
            label: Some(&name),
            source: wgpu::ShaderSource::Wgsl(source.as_str().into()),
        };
        let mut checks = wgpu::ShaderRuntimeChecks::checked();
        // The counter that wgpu would add to every loop costs time in the innermost ones.
        checks.force_loop_bounding = false;
        // SAFETY: only shaders of this crate are compiled here, and all their loops are bounded; bounds checks stay on.
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
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: needs_zeros(variant.shader(), driver.adapter().get_info().backend),
                ..Default::default()
            },
            cache: None,
        });
        if let Some(error) = pollster::block_on(scope.pop()) {
            // Nothing compiles on a lost device, and the loss is reported by a poll.
            queue.wait_for_all()?;
            driver.check(&name)?;
            return Err(GpuError::Shader { shader: name, message: error.to_string() });
        }
        driver.check(&name)?;
        let workgroups_per_dimension = driver.limits().workgroups;
        Ok(Self { shader: variant.shader(), name, layout, pipeline, entry, workgroups_per_dimension })
    }

    fn refuse<T>(&self, message: String) -> Result<T, GpuError> {
        Err(GpuError::Binding { kernel: self.name.clone(), message })
    }

    /// Returns the number of the uniform binding.
    pub(super) fn args_number(&self) -> Option<u32> {
        self.entry.args.as_ref().map(|args| args.number)
    }

    /// Compares size and members of the arguments with the shader's uniform.
    pub(super) fn check_args(&self, bytes: usize, given: &[ArgsMember]) -> Result<(), GpuError> {
        let (declared, members) = match &self.entry.args {
            Some(args) => (args.bytes as usize, args.members.as_slice()),
            None => (0, Default::default()),
        };
        if bytes != declared {
            return self.refuse(format!("args has {bytes} bytes where the shader declares {declared}"));
        }
        if given.len() != members.len() {
            let (given, members) = (given.len(), members.len());
            return self.refuse(format!("args has {given} members where the shader declares {members}"));
        }
        for (given, (name, offset, kind)) in given.iter().zip(members) {
            if given.name != name || given.offset != *offset as usize || Some(given.kind) != *kind {
                let describe = |name: &str, kind: &str, offset| format!("`{name}: {kind}` at byte {offset}");
                let here = describe(given.name, given.kind.name(), given.offset);
                let there = describe(name, kind.map_or("no scalar", ScalarKind::name), *offset as usize);
                return self.refuse(format!("args has {here} where the shader declares {there}"));
            }
        }
        Ok(())
    }

    /// Orders `bound` by the shader's binding numbers, after checking names and kinds.
    pub(super) fn bind(&self, bound: &[Named<'_>]) -> Result<Vec<(u32, Held)>, GpuError> {
        if let Some(extra) = bound.iter().find(|b| self.entry.bindings.iter().all(|known| known.name != b.name)) {
            let known: Vec<&str> = self.entry.bindings.iter().map(|binding| binding.name.as_str()).collect();
            return self.refuse(format!("uses no buffer `{}`; it uses {}", extra.name, known.join(", ")));
        }
        let mut ordered = Vec::with_capacity(bound.len());
        for binding in &self.entry.bindings {
            let Some(buffer) = bound.iter().find(|b| b.name == binding.name) else {
                return self.refuse(format!("buffer `{}` is not bound", binding.name));
            };
            if binding.kind != Some(buffer.kind) {
                let declared = binding.kind.map_or("no array of one kind", ScalarKind::name);
                let (name, found) = (&binding.name, buffer.kind.name());
                return self.refuse(format!("buffer `{name}` holds {found} where the shader declares {declared}"));
            }
            ordered.push((binding.number, buffer.raw.clone()));
        }
        Ok(ordered)
    }

    /// Returns the smallest 2-D grid of at least `workgroups`.
    pub(super) fn grid(&self, workgroups: usize) -> Result<[u32; 2], GpuError> {
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

/// Whether wgpu has to zero the workgroup memory of a shader. Some drivers for Vulkan do it without a barrier, so that one thread
/// zeros what another has written. Metal's compiler orders accesses across barriers better with the zeros.
fn needs_zeros(shader: &str, backend: wgpu::Backend) -> bool {
    backend == wgpu::Backend::Metal || !WRITES_FIRST.contains(&shader)
}

fn check_limits(limits: &GpuLimits, name: &str, entry: &Entry) -> Result<(), GpuError> {
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
        // Arguments of all dispatches share a buffer.
        ty: wgpu::BindingType::Buffer {
            ty,
            has_dynamic_offset: ty == wgpu::BufferBindingType::Uniform,
            min_binding_size: None,
        },
        count: None,
    };
    let args = entry.args.as_ref().map(|args| buffer(args.number, wgpu::BufferBindingType::Uniform));
    let storage =
        (entry.bindings.iter()).map(|b| buffer(b.number, wgpu::BufferBindingType::Storage { read_only: !b.writable }));
    args.into_iter().chain(storage).collect()
}
