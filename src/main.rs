//! The `spextral` command: parse, run, exit code.

mod cli;

use clap::Parser;
use cli::command_line::CommandLine;
use spextral::base::option_name::Spelling;
use std::process::ExitCode;

/// Exit codes: 0 done; 1 failed, or a comparison beyond its tolerance; 2 not a command line (by clap).
fn main() -> ExitCode {
    Spelling::Flag.use_in_messages();
    let CommandLine { loglevel, command } = CommandLine::parse();
    cli::logging::start(if command.is_verbose() { cli::logging::LogLevel::Debug } else { loglevel });
    cli::output::report_full_disks_as_errors();
    let json = command.wants_json();
    match command.run() {
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
