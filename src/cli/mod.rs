//! The command line: words become a checked request, one file a subcommand.

mod common;
mod compare;
mod demo;
mod devices;
mod exposure;
mod extract;
pub mod json;
mod like;
pub mod logging;
mod make_psf;
mod manual;
mod plot_psf;
mod report;
mod signals;
mod simulate;
mod value_parsers;

use clap::{Parser, Subcommand};
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

/// What a subcommand gives: an exit code, or an error that reads as one sentence.
pub type Outcome = Result<ExitCode, Box<dyn Error>>;

const AFTER_HELP: &str = "\
Examples:
  spextral extract -i preproc-r0-00051060.fits.gz -p psf-r0-00051060.fits -o frame-r0-00051060.fits
  spextral devices

Exit codes: 0 done, 1 failed (one sentence on the standard error says why), 2 wrong command line.
The environment variable RAYON_NUM_THREADS limits the CPU threads.";

/// Extract 1-D spectra from 2-D fibre-spectrograph frames by spectro-perfectionism, on any GPU or CPU.
#[derive(Debug, Parser)]
#[command(name = "spextral", version, after_help = AFTER_HELP, max_term_width = 110)]
pub struct CommandLine {
    /// How much to say on the standard error
    #[arg(long, global = true, value_name = "LEVEL", default_value = "info", ignore_case = true)]
    #[arg(help_heading = "Messages", display_order = 1000)]
    pub loglevel: logging::LogLevel,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Extract the spectra of one frame
    Extract(Box<extract::Arguments>),
    /// Extract many frames: reading, computing and writing at the same time, over MPI if built with it
    Exposure(Box<exposure::Arguments>),
    MakePsf(make_psf::Arguments),
    Simulate(simulate::Arguments),
    Compare(compare::Arguments),
    Report(report::Arguments),
    PlotPsf(plot_psf::Arguments),
    Demo(demo::Arguments),
    /// List the devices that can extract, and why one is refused
    Devices(devices::Arguments),
    Man(manual::ManArguments),
    Completions(manual::CompletionsArguments),
}

impl Command {
    /// Whether a program reads what is printed.
    pub fn wants_json(&self) -> bool {
        match self {
            Self::Extract(arguments) => arguments.json.is_wanted(),
            Self::Exposure(arguments) => arguments.json.is_wanted(),
            Self::MakePsf(arguments) => arguments.json.is_wanted(),
            Self::Simulate(arguments) => arguments.json.is_wanted(),
            Self::Compare(arguments) => arguments.json.is_wanted(),
            Self::Devices(arguments) => arguments.json.is_wanted(),
            Self::Report(_) | Self::PlotPsf(_) | Self::Demo(_) | Self::Man(_) | Self::Completions(_) => false,
        }
    }
}

/// Carries out one subcommand.
///
/// # Errors
/// Whatever kept it from being done.
pub fn run(command: Command) -> Outcome {
    match command {
        Command::Extract(arguments) => extract::run(*arguments),
        Command::Exposure(arguments) => exposure::run(&arguments),
        Command::MakePsf(arguments) => make_psf::run(&arguments),
        Command::Simulate(arguments) => simulate::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::PlotPsf(arguments) => plot_psf::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Devices(arguments) => devices::run(&arguments),
        Command::Man(arguments) => manual::man(&arguments),
        Command::Completions(arguments) => manual::completions(&arguments),
    }
}

/// Prints on the standard output; a reader that has gone (`| head`) is no error.
///
/// # Errors
/// The standard output cannot be written.
pub fn print(text: &str) -> io::Result<()> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// A file-size limit (`ulimit -f`) ends a process by SIGXFSZ, its temporary files left behind; ignored, the write
/// fails as it does on a full disk, and is reported and cleaned up like that.
pub fn report_full_disks_as_errors() {
    #[cfg(unix)]
    #[allow(unsafe_code)]
    // SAFETY: no other thread runs yet, and ignoring a signal installs no handler.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }
}
