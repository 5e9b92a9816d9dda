//! The `spextral` command: parse, run, exit code.

mod cli;

use clap::Parser;
use std::process::ExitCode;

/// Exit codes: 0 done; 1 failed, or a comparison beyond its tolerance; 2 not a command line (by clap).
fn main() -> ExitCode {
    let command_line = cli::CommandLine::parse();
    cli::logging::start(command_line.loglevel);
    cli::report_full_disks_as_errors();
    match cli::run(command_line.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", spextral::sentence(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
