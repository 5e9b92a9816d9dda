//! GPU tests: every shader against its CPU twin, the device itself, and whole frames.
//!
//! They run on the device that SPEXTRAL_TEST_DEVICE names, or on llvmpipe. Without it they are reported as ignored; with
//! SPEXTRAL_REQUIRE_GPU=1 they fail.

#[macro_use(note, test)]
extern crate testkit;

mod device;
mod frames;
mod twins;

fn main() -> std::process::ExitCode {
    testkit::main()
}
