//! What a shader says about itself: bindings, arguments, workgroup shape and memory, read from its compiled form.

use wgpu::naga;

use super::GpuError;
use super::buffer::ScalarKind;

/// What one storage binding of a kernel takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binding {
    /// Its number within group 0.
    pub number: u32,
    /// The shader variable's name.
    pub name: String,
    /// Its elements; None where it is not an array of one scalar kind.
    pub kind: Option<ScalarKind>,
    /// Whether the kernel may write it.
    pub writable: bool,
}

/// One entry point of a shader.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The storage bindings it uses, by number.
    pub bindings: Vec<Binding>,
    /// Number and size in bytes of the uniform it uses.
    pub args: Option<(u32, u32)>,
    /// Bytes of workgroup memory it uses.
    pub workgroup_bytes: u32,
    /// Invocations of a workgroup.
    pub invocations: u32,
}

/// Parses and validates `source`, and reads what `entry` needs.
pub(super) fn reflect(shader: &str, source: &str, entry: &str) -> Result<Entry, GpuError> {
    let failed = |message: String| GpuError::Shader { shader: shader.to_string(), message };
    let module = naga::front::wgsl::parse_str(source).map_err(|error| failed(error.emit_to_string(source)))?;
    let flags = naga::valid::ValidationFlags::all();
    let info = naga::valid::Validator::new(flags, naga::valid::Capabilities::FLOAT64)
        .validate(&module)
        .map_err(|error| failed(error.emit_to_string(source)))?;
    let index = (module.entry_points.iter().position(|point| point.name == entry))
        .ok_or_else(|| failed(format!("has no entry point `{entry}`")))?;
    let mut layouter = naga::proc::Layouter::default();
    layouter.update(module.to_ctx()).map_err(|error| failed(error.to_string()))?;

    let mut found = Entry {
        bindings: Vec::new(),
        args: None,
        workgroup_bytes: 0,
        invocations: module.entry_points[index].workgroup_size.iter().product(),
    };
    for (handle, variable) in module.global_variables.iter() {
        if info.get_entry_point(index)[handle].is_empty() {
            continue;
        }
        let bytes = layouter[variable.ty].size;
        match (variable.space, &variable.binding) {
            (naga::AddressSpace::WorkGroup, _) => found.workgroup_bytes += bytes.next_multiple_of(16),
            (naga::AddressSpace::Uniform, Some(binding)) => found.args = Some((binding.binding, bytes)),
            (naga::AddressSpace::Storage { access }, Some(binding)) => found.bindings.push(Binding {
                number: binding.binding,
                name: variable.name.clone().unwrap_or_default(),
                kind: element_kind(&module, variable.ty),
                writable: access.contains(naga::StorageAccess::STORE),
            }),
            _ => {}
        }
    }
    found.bindings.sort_by_key(|binding| binding.number);
    Ok(found)
}

/// The scalar that an array, a vector or nestings of them are made of.
fn element_kind(module: &naga::Module, ty: naga::Handle<naga::Type>) -> Option<ScalarKind> {
    use naga::TypeInner::{Array, Atomic, Scalar, Vector};
    match module.types[ty].inner {
        Array { base, .. } => element_kind(module, base),
        Scalar(scalar) | Atomic(scalar) | Vector { scalar, .. } => match (scalar.kind, scalar.width) {
            (naga::ScalarKind::Float, 4) => Some(ScalarKind::F32),
            (naga::ScalarKind::Float, 8) => Some(ScalarKind::F64),
            (naga::ScalarKind::Uint, 4) => Some(ScalarKind::U32),
            (naga::ScalarKind::Sint, 4) => Some(ScalarKind::I32),
            _ => None,
        },
        _ => None,
    }
}
