//! Reflection of shaders: bindings, arguments, workgroup shape and memory, read from the compiled module.

use wgpu::naga;

use super::GpuError;
use super::scalar::ScalarKind;

/// One storage binding of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binding {
    /// Its number within group 0.
    pub number: u32,
    /// The shader variable's name.
    pub name: String,
    /// Its elements; None unless it is an array of one scalar kind.
    pub kind: Option<ScalarKind>,
    /// Whether the kernel may write it.
    pub writable: bool,
}

/// The uniform of a kernel.
#[derive(Clone, Debug)]
pub(super) struct Uniform {
    /// Its number within group 0.
    pub number: u32,
    /// Its size.
    pub bytes: u32,
    /// Name, byte offset and kind of its members; the variable itself if it is no struct.
    pub members: Vec<(String, u32, Option<ScalarKind>)>,
}

/// One entry point of a shader.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The storage bindings it uses, by number.
    pub bindings: Vec<Binding>,
    /// The uniform it uses.
    pub args: Option<Uniform>,
    /// Bytes of workgroup memory it uses.
    pub workgroup_bytes: u32,
    /// Invocations of a workgroup.
    pub invocations: u32,
}

/// Parses and validates `source`, and reads what `entry` uses.
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
            (naga::AddressSpace::Uniform, Some(binding)) => {
                let members = members(&module, variable);
                found.args = Some(Uniform { number: binding.binding, bytes, members });
            }
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

fn members(module: &naga::Module, variable: &naga::GlobalVariable) -> Vec<(String, u32, Option<ScalarKind>)> {
    let name = |name: &Option<String>| name.clone().unwrap_or_default();
    match &module.types[variable.ty].inner {
        naga::TypeInner::Struct { members, .. } => {
            members.iter().map(|m| (name(&m.name), m.offset, scalar_kind(&module.types[m.ty].inner))).collect()
        }
        scalar => vec![(name(&variable.name), 0, scalar_kind(scalar))],
    }
}

/// Returns the kind of a type that is one scalar.
fn scalar_kind(ty: &naga::TypeInner) -> Option<ScalarKind> {
    match ty {
        naga::TypeInner::Scalar(scalar) => kind(*scalar),
        _ => None,
    }
}

/// Returns the scalar of an array, a vector or nestings of them.
fn element_kind(module: &naga::Module, ty: naga::Handle<naga::Type>) -> Option<ScalarKind> {
    use naga::TypeInner::{Array, Atomic, Scalar, Vector};
    match module.types[ty].inner {
        Array { base, .. } => element_kind(module, base),
        Scalar(scalar) | Atomic(scalar) | Vector { scalar, .. } => kind(scalar),
        _ => None,
    }
}

fn kind(scalar: naga::Scalar) -> Option<ScalarKind> {
    match (scalar.kind, scalar.width) {
        (naga::ScalarKind::Float, 4) => Some(ScalarKind::F32),
        (naga::ScalarKind::Float, 8) => Some(ScalarKind::F64),
        (naga::ScalarKind::Uint, 4) => Some(ScalarKind::U32),
        (naga::ScalarKind::Sint, 4) => Some(ScalarKind::I32),
        _ => None,
    }
}
