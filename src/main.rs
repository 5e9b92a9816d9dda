//! The `spextral` command: parse, run, exit code.

mod cli;

use clap::Parser;
use std::process::ExitCode;

/// Exit codes: 0 done; 1 failed, or a comparison beyond its tolerance; 2 not a command line (by clap).
fn main() -> ExitCode {
    let command_line = cli::CommandLine::parse();
    cli::logging::start(command_line.loglevel);
    cli::report_full_disks_as_errors();
    let json = command_line.command.wants_json();
    match cli::run(command_line.command) {
        Ok(code) => code,
        Err(error) => {
            let sentence = spextral::error_chain(error.as_ref());
            if json {
                cli::json::print_error(&sentence);
            }
            eprintln!("error: {sentence}");
            ExitCode::FAILURE
        }
    }
}
