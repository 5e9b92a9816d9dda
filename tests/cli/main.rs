//! The real binary, run in a fresh folder: exit codes, messages, files.

#[macro_use(test)]
extern crate testkit;

mod around;
mod bad_files;
mod bad_options;
mod bench;
mod comparisons;
mod defects;
mod dispersion;
mod echelle;
mod info;
mod json;
mod like;
mod manual;
mod offline;
mod outputs;
mod psfs;
mod report;
mod traces;
mod use_cases;

fn main() -> std::process::ExitCode {
    testkit::main()
}
