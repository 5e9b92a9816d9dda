//! Adapter selection, limits and the self-test.

use spextral::gpu::{Device, DeviceChoice, DeviceKind, OpenOptions, list};
use testkit::{gpu, gpu_with_default_limits, open};

#[test]
fn forced_limits_are_webgpus_and_the_self_test_passes_within_them() {
    let gpu = gpu_with_default_limits();
    let limits = gpu.limits();
    assert_eq!((limits.workgroup_bytes, limits.invocations, limits.storage_buffers), (16_384, 256, 8));
    assert_eq!((limits.binding_bytes, limits.workgroups), (128 << 20, 65_535));
}

#[test]
fn the_list_names_the_cpu_and_every_gpu_with_a_verdict() {
    let gpu = gpu();
    let entries = list();
    assert_eq!(entries[0].kind, DeviceKind::Cpu);
    let entry = entries.iter().find(|entry| entry.name == gpu.name()).expect("the open device is listed");
    assert_eq!((entry.kind, &entry.refused), (gpu.kind(), &None));
    assert_eq!(entry.limits.as_ref(), Some(gpu.limits()));
    assert_eq!((entries[0].f64, entry.f64), (true, gpu.has_f64()));
}

#[test]
fn software_is_never_taken_unless_named() {
    let named = gpu();
    if named.kind() == DeviceKind::Software {
        match Device::open(&DeviceChoice::Auto, &OpenOptions::default()).unwrap() {
            Device::Cpu => {}
            Device::Gpu(auto) => assert_ne!(auto.kind(), DeviceKind::Software),
        }
    }
}

#[test]
fn an_unknown_device_is_an_error_that_names_the_known_ones() {
    let choice = DeviceChoice::Name("no such device".to_string());
    let error = Device::open(&choice, &OpenOptions::default()).unwrap_err().to_string();
    assert!(error.contains("no such device") && error.contains("cpu"), "{error}");
    assert!(Device::open(&DeviceChoice::Index(99), &OpenOptions::default()).is_err());
}

#[test]
fn batches_keep_every_buffer_within_the_binding_and_all_within_the_memory() {
    let options = OpenOptions { webgpu_defaults: true, memory: Some(1 << 20), ..Default::default() };
    let small = open(&options);
    assert_eq!(small.batch("matrices", &[1 << 10, 1 << 10]).unwrap(), 512);
    let error = small.batch("matrices", &[2 << 20]).unwrap_err().to_string();
    assert!(error.contains("`matrices`"), "{error}");
    let wide = gpu_with_default_limits();
    assert_eq!(wide.batch("matrices", &[1 << 20, 1]).unwrap(), 128);
}
