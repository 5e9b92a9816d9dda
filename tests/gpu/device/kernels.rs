//! Buffers, bindings and recordings.

use spextral::gpu::{ArgsMember, Gpu, GpuError, KernelArgs, Recording, ScalarKind, Variant};
use testkit::{gpu, gpu_with_default_limits};

fn barrier_sums(gpu: &Gpu, groups: usize) -> Vec<u32> {
    let sums = gpu.zeros::<u32>("sums", groups).unwrap();
    let kernel = gpu.kernel(&Variant::new("selftest").set("THREADS", 8), "barrier_sum").unwrap();
    let mut recording = Recording::new();
    recording.dispatch(&kernel, groups, &(groups as u32), &[sums.named("sums")]).unwrap();
    gpu.run(recording).unwrap();
    sums.download().unwrap()
}

#[test]
fn a_dispatch_beyond_65535_workgroups_reaches_every_one_of_them() {
    let gpu = gpu_with_default_limits();
    for groups in [1, 65_535, 65_536, 131_071] {
        let sums = barrier_sums(&gpu, groups);
        let wrong = sums.iter().enumerate().find(|(g, sum)| **sum != (8 * g + 28) as u32);
        assert_eq!((sums.len(), wrong), (groups, None));
    }
}

#[test]
fn buffers_return_what_was_written_and_are_zero_when_new() {
    let gpu = gpu();
    let data = vec![-1i32, 0, i32::MAX];
    assert_eq!(gpu.upload("data", &data).unwrap().download().unwrap(), data);
    assert_eq!(gpu.zeros::<f32>("zeros", 5).unwrap().download().unwrap(), [0.0; 5]);
    assert!(gpu.upload::<f32>("empty", &[]).unwrap().download().unwrap().is_empty());
}

#[test]
fn a_buffer_beyond_the_binding_limit_is_refused_before_it_is_made() {
    let gpu = gpu_with_default_limits();
    let error = gpu.zeros::<f32>("huge", (128 << 20) / 4 + 1).unwrap_err();
    assert!(matches!(error, GpuError::TooLarge { limit: 134_217_728, .. }), "{error}");
}

#[test]
fn what_is_bound_wrongly_is_named() {
    let gpu = gpu();
    let kernel = gpu.kernel(&Variant::new("selftest"), "barrier_sum").unwrap();
    let (u32s, f32s) = (gpu.zeros::<u32>("u32s", 4).unwrap(), gpu.zeros::<f32>("f32s", 4).unwrap());
    let mut recording = Recording::new();
    let mut message = |args: &[u32], bound: &[_]| match args {
        [one] => recording.dispatch(&kernel, 1, one, bound).unwrap_err().to_string(),
        _ => recording.dispatch(&kernel, 1, &(), bound).unwrap_err().to_string(),
    };
    assert!(message(&[1], &[]).contains("`sums` is not bound"));
    assert!(message(&[1], &[f32s.named("sums")]).contains("`sums` holds f32 where the shader declares u32"));
    assert!(message(&[1], &[u32s.named("sums"), u32s.named("x")]).contains("no buffer `x`"));
    assert!(message(&[], &[u32s.named("sums")]).contains("args has 0 bytes where the shader declares 4"));
}

/// Arguments of `traces`, six u32.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct TracesArgs([u32; 6]);

/// Arguments of `traces` with the names of the first two swapped.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct SwappedArgs([u32; 6]);

/// Members of six u32 with these names.
const fn members(names: [&'static str; 6]) -> [ArgsMember; 6] {
    let mut members = [ArgsMember { name: "", offset: 0, kind: ScalarKind::U32 }; 6];
    let mut k = 0;
    while k < 6 {
        members[k] = ArgsMember { name: names[k], offset: 4 * k, kind: ScalarKind::U32 };
        k += 1;
    }
    members
}

impl KernelArgs for TracesArgs {
    const MEMBERS: &'static [ArgsMember] = &members(["nfibre", "nbin", "chunk", "terms", "nparam", "ncoeff"]);
}

impl KernelArgs for SwappedArgs {
    const MEMBERS: &'static [ArgsMember] = &members(["nbin", "nfibre", "chunk", "terms", "nparam", "ncoeff"]);
}

#[test]
fn two_swapped_members_of_the_arguments_are_refused_with_both_names() {
    let gpu = gpu();
    let kernel = gpu.kernel(&Variant::new("traces"), "shapes").unwrap();
    let [unit, coeff, shape] = ["unit", "coeff", "shape"].map(|name| gpu.reals(name, 1).unwrap());
    let bound = [unit.named("unit"), coeff.named("coeff"), shape.named("shape")];
    let mut recording = Recording::new();
    recording.dispatch(&kernel, 1, &TracesArgs([0; 6]), &bound).unwrap();
    let error = recording.dispatch(&kernel, 1, &SwappedArgs([0; 6]), &bound).unwrap_err();
    assert!(matches!(error, GpuError::Binding { .. }), "{error}");
    let expected = "args has `nbin: u32` at byte 0 where the shader declares `nfibre: u32` at byte 0";
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn a_kernel_beyond_the_granted_invocations_is_refused() {
    let gpu = gpu_with_default_limits();
    let error = gpu.kernel(&Variant::new("selftest").set("THREADS", 512), "barrier_sum").unwrap_err();
    assert!(matches!(error, GpuError::Limit { value: 512, limit: 256, .. }), "{error}");
}
