//! Stages and frames against files that other programs made.

#[macro_use(note, test)]
extern crate testkit;

mod patch_cpu;
mod sim11;

fn main() -> std::process::ExitCode {
    testkit::main()
}
