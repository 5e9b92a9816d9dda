//! Every variant of every shader translates to SPIR-V, MSL and HLSL in f32, to SPIR-V in f64, and stays within WebGPU's core.
//! No device needed.

use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use spextral::gpu::{Precision, Variant, all_variants};

/// WebGPU's guaranteed invocations of a workgroup.
const INVOCATIONS: u32 = 256;

/// WebGPU's guaranteed storage buffers of a stage.
const STORAGE_BUFFERS: usize = 8;

/// Most workgroup memory of a variant, bytes: that of larger GPUs. Beyond WebGPU's 16 KiB a variant runs only on devices that
/// grant it, which `Gpu::kernel` checks.
const MOST_WORKGROUP_BYTES: u32 = 64 << 10;

fn parsed(variant: &Variant) -> (naga::Module, ModuleInfo) {
    let source = variant.source().unwrap_or_else(|error| panic!("{error}"));
    let module = naga::front::wgsl::parse_str(&source)
        .unwrap_or_else(|error| panic!("{variant}:\n{}", error.emit_to_string(&source)));
    // No capability beyond the core but f64: a shader that needs one fails here.
    let f64_too = variant.to_string().contains("real=f64");
    let capabilities = if f64_too { Capabilities::FLOAT64 } else { Capabilities::empty() };
    let info = Validator::new(ValidationFlags::all(), capabilities)
        .validate(&module)
        .unwrap_or_else(|error| panic!("{variant}:\n{}", error.emit_to_string(&source)));
    (module, info)
}

#[test]
fn every_variant_in_f64_translates_to_spirv() {
    for variant in all_variants() {
        let (module, info) = parsed(&variant.of_precision(Precision::F64));
        let width = |s: &naga::Scalar| s.kind == naga::ScalarKind::Float && s.width == 8;
        let reals = module.types.iter().any(|(_, ty)| matches!(&ty.inner, naga::TypeInner::Scalar(s) if width(s)));
        assert!(reals, "{:?} has no reals of 64 bits", module.entry_points[0].name);
        let spirv = naga::back::spv::write_vec(&module, &info, &naga::back::spv::Options::default(), None);
        assert!(!spirv.unwrap_or_else(|error| panic!("to SPIR-V: {error}")).is_empty());
    }
}

#[test]
fn every_variant_translates_to_spirv_msl_and_hlsl() {
    for variant in all_variants() {
        let (module, info) = parsed(&variant);
        let spirv = naga::back::spv::write_vec(&module, &info, &naga::back::spv::Options::default(), None);
        assert!(!spirv.unwrap_or_else(|error| panic!("{variant} to SPIR-V: {error}")).is_empty());

        let options = naga::back::msl::Options { fake_missing_bindings: true, ..Default::default() };
        let msl = naga::back::msl::write_string(&module, &info, &options, &Default::default());
        assert!(msl.unwrap_or_else(|error| panic!("{variant} to MSL: {error}")).0.contains("kernel void"));

        let options = naga::back::hlsl::Options { fake_missing_bindings: true, ..Default::default() };
        let mut hlsl = String::new();
        naga::back::hlsl::Writer::new(&mut hlsl, &options, &Default::default())
            .write(&module, &info, None)
            .unwrap_or_else(|error| panic!("{variant} to HLSL: {error}"));
        assert!(hlsl.contains("numthreads"));
    }
}

/// Whether a block writes a component of a vector by a variable index.
fn writes_component(block: &naga::Block, is_component: &dyn Fn(naga::Handle<naga::Expression>) -> bool) -> bool {
    block.iter().any(|statement| match statement {
        naga::Statement::Store { pointer, .. } => is_component(*pointer),
        naga::Statement::Block(block) => writes_component(block, is_component),
        naga::Statement::If { accept, reject, .. } => {
            writes_component(accept, is_component) || writes_component(reject, is_component)
        }
        naga::Statement::Loop { body, continuing, .. } => {
            writes_component(body, is_component) || writes_component(continuing, is_component)
        }
        naga::Statement::Switch { cases, .. } => cases.iter().any(|case| writes_component(&case.body, is_component)),
        _ => false,
    })
}

#[test]
fn no_shader_writes_a_component_by_a_variable_index_which_fxc_refuses() {
    for variant in all_variants() {
        let (module, info) = parsed(&variant);
        let of_functions = module.functions.iter().map(|(handle, function)| (function, &info[handle]));
        let of_points = module.entry_points.iter().enumerate();
        let of_points = of_points.map(|(k, point)| (&point.function, info.get_entry_point(k)));
        for (function, types) in of_functions.chain(of_points) {
            let is_vector = |pointer: naga::Handle<naga::Expression>| match *types[pointer].ty.inner_with(&module.types)
            {
                naga::TypeInner::Pointer { base, .. } => {
                    matches!(module.types[base].inner, naga::TypeInner::Vector { .. })
                }
                naga::TypeInner::ValuePointer { size, .. } => size.is_some(),
                _ => false,
            };
            let is_component = |pointer: naga::Handle<naga::Expression>| match function.expressions[pointer] {
                naga::Expression::Access { base, .. } => is_vector(base),
                _ => false,
            };
            assert!(!writes_component(&function.body, &is_component), "{variant}: {:?}", function.name);
        }
    }
}

#[test]
fn every_entry_point_stays_within_the_limits_that_its_variant_may_count_on() {
    for variant in all_variants() {
        let (module, info) = parsed(&variant);
        let mut layouter = naga::proc::Layouter::default();
        layouter.update(module.to_ctx()).unwrap();
        for (index, point) in module.entry_points.iter().enumerate() {
            let name = format!("{variant}::{}", point.name);
            let (mut buffers, mut bytes) = (0, 0);
            for (handle, variable) in module.global_variables.iter() {
                if info.get_entry_point(index)[handle].is_empty() {
                    continue;
                }
                match variable.space {
                    naga::AddressSpace::Storage { .. } => buffers += 1,
                    naga::AddressSpace::WorkGroup => bytes += layouter[variable.ty].size.next_multiple_of(16),
                    _ => {}
                }
            }
            assert!(point.workgroup_size.iter().product::<u32>() <= INVOCATIONS, "{name}: too many invocations");
            assert!(buffers <= STORAGE_BUFFERS, "{name}: {buffers} storage buffers");
            assert!(bytes <= MOST_WORKGROUP_BYTES, "{name}: {bytes} bytes of workgroup memory");
        }
    }
}
