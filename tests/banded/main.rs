//! The banded solver against exact solutions.

#[macro_use(note, test)]
extern crate testkit;

mod frontier;
mod inlined;
mod real_psfs;
mod sim11;
mod stages;
mod told;
mod whole_patch;

fn main() -> std::process::ExitCode {
    testkit::main()
}
