//! The coverage-guided run of one target, called by `cargo xtask fuzz`: libFuzzer finds inputs, `SPEXTRAL_FUZZ` names the target.
#![no_main]
#![allow(unsafe_code)] // what libFuzzer's macros make

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use spextral_fuzz::memory::Counting;
use spextral_fuzz::mutate::Damage;
use spextral_fuzz::targets::{self, Target};
use std::sync::OnceLock;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn target() -> &'static Target {
    static TARGET: OnceLock<&'static Target> = OnceLock::new();
    TARGET.get_or_init(|| {
        targets::use_one_thread();
        let name = std::env::var("SPEXTRAL_FUZZ").unwrap_or_default();
        targets::find(&name).unwrap_or_else(|| panic!("SPEXTRAL_FUZZ names no target: {name}"))
    })
}

fuzz_target!(
    init: {
        if let Some(folder) = std::env::var_os("SPEXTRAL_FUZZ_SEEDS") {
            targets::write_seeds(target(), folder.as_ref()).expect("the seeds can be written");
        }
    },
    |bytes: &[u8]| target().check(bytes)
);

// libFuzzer's own mutations know nothing of cards and blocks: every other time it is ours.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if seed.is_multiple_of(2) {
        return fuzzer_mutate(data, size, max_size);
    }
    let mut bytes = data[..size].to_vec();
    Damage::new(u64::from(seed)).damage(&mut bytes, target());
    let size = bytes.len().min(max_size);
    data[..size].copy_from_slice(&bytes[..size]);
    size
});
