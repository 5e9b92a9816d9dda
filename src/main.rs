//! The `spextral` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    spextral::cli::main(std::env::args_os())
}
