//! The subcommands, and which of them runs.

#[cfg(all(feature = "plot", feature = "simulate"))]
use super::demo;
use super::output::Outcome;
#[cfg(feature = "simulate")]
use super::{bench, make_psf, simulate};
use super::{
    compare, devices, exposure, extract, find_traces, fit_psf, help, info, logging, manual, psf_convert, psf_info,
    shift_psf,
};
#[cfg(feature = "plot")]
use super::{plot_psf, report};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;

const AFTER_HELP: &str = "\
Examples:
  spextral demo
  spextral extract -i preproc-r0-00051060.fits.gz -p psf-r0-00051060.fits -o frame-r0-00051060.fits
  spextral report frame-r0-00051060.fits -o frame.html

Exit codes: 0 done, 1 failed (one sentence on the standard error tells why), 2 wrong command line.
The environment variable RAYON_NUM_THREADS limits the CPU threads.";

/// Extract 1-D spectra from 2-D fibre-spectrograph frames by spectro-perfectionism, on any GPU or CPU.
#[derive(Debug, Parser)]
#[command(name = "spextral", version, after_help = AFTER_HELP, max_term_width = 110)]
pub struct CommandLine {
    /// Least severe messages on the standard error
    #[arg(long, global = true, value_name = "LEVEL", default_value = "info", ignore_case = true)]
    #[arg(help_heading = "Messages", display_order = 1000)]
    pub loglevel: logging::LogLevel,
    /// The subcommand.
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
    FindTraces(find_traces::Arguments),
    FitPsf(Box<fit_psf::Arguments>),
    ShiftPsf(Box<shift_psf::Arguments>),
    #[cfg(feature = "simulate")]
    MakePsf(make_psf::Arguments),
    #[cfg(feature = "simulate")]
    Simulate(simulate::Arguments),
    Compare(compare::Arguments),
    #[cfg(feature = "plot")]
    Report(report::Arguments),
    Info(info::Arguments),
    PsfInfo(psf_info::Arguments),
    PsfConvert(psf_convert::Arguments),
    #[cfg(feature = "plot")]
    PlotPsf(plot_psf::Arguments),
    #[cfg(all(feature = "plot", feature = "simulate"))]
    Demo(demo::Arguments),
    /// List the devices that can extract, and why one is refused
    Devices(devices::Arguments),
    #[cfg(feature = "simulate")]
    Bench(bench::Arguments),
    Man(manual::ManArguments),
    Completions(manual::CompletionsArguments),
}

impl CommandLine {
    /// Returns the command line for the help, the manual and the shells.
    pub fn described() -> clap::Command {
        help::arranged(Self::command())
    }

    /// Parses words, the program's name first. Help, or words that are no command line, end the process.
    pub fn of_words(words: impl IntoIterator<Item = OsString>) -> Self {
        let parsed = Self::from_arg_matches(&Self::described().get_matches_from(words));
        parsed.unwrap_or_else(|error| error.format(&mut Self::described()).exit())
    }
}

impl Command {
    /// Whether the output is JSON.
    pub fn wants_json(&self) -> bool {
        match self {
            Self::Extract(arguments) => arguments.json.is_wanted(),
            Self::Exposure(arguments) => arguments.json.is_wanted(),
            Self::FindTraces(arguments) => arguments.json.is_wanted(),
            Self::FitPsf(arguments) => arguments.json.is_wanted(),
            Self::ShiftPsf(arguments) => arguments.json.is_wanted(),
            #[cfg(feature = "simulate")]
            Self::MakePsf(arguments) => arguments.json.is_wanted(),
            #[cfg(feature = "simulate")]
            Self::Simulate(arguments) => arguments.json.is_wanted(),
            Self::Compare(arguments) => arguments.json.is_wanted(),
            Self::Info(arguments) => arguments.json.is_wanted(),
            Self::PsfInfo(arguments) => arguments.json.is_wanted(),
            Self::PsfConvert(arguments) => arguments.json.is_wanted(),
            Self::Devices(arguments) => arguments.json.is_wanted(),
            #[cfg(feature = "simulate")]
            Self::Bench(arguments) => arguments.json.is_wanted(),
            _ => false,
        }
    }

    /// Whether details are logged whatever the log level.
    pub fn is_verbose(&self) -> bool {
        match self {
            Self::Extract(arguments) => arguments.peers.is_verbose(),
            Self::FitPsf(arguments) => arguments.peers.is_verbose(),
            _ => false,
        }
    }

    /// Carries out the subcommand.
    ///
    /// # Errors
    /// The error that kept it from being done.
    pub fn run(self) -> Outcome {
        match self {
            Self::Extract(arguments) => extract::run(*arguments),
            Self::Exposure(arguments) => exposure::run(&arguments),
            Self::FindTraces(arguments) => find_traces::run(&arguments),
            Self::FitPsf(arguments) => fit_psf::run(&arguments),
            Self::ShiftPsf(arguments) => shift_psf::run(&arguments),
            #[cfg(feature = "simulate")]
            Self::MakePsf(arguments) => make_psf::run(&arguments),
            #[cfg(feature = "simulate")]
            Self::Simulate(arguments) => simulate::run(&arguments),
            Self::Compare(arguments) => compare::run(&arguments),
            #[cfg(feature = "plot")]
            Self::Report(arguments) => report::run(&arguments),
            Self::Info(arguments) => info::run(&arguments),
            Self::PsfInfo(arguments) => psf_info::run(&arguments),
            Self::PsfConvert(arguments) => psf_convert::run(&arguments),
            #[cfg(feature = "plot")]
            Self::PlotPsf(arguments) => plot_psf::run(&arguments),
            #[cfg(all(feature = "plot", feature = "simulate"))]
            Self::Demo(arguments) => demo::run(&arguments, &|words| CommandLine::try_parse_from(words)?.command.run()),
            Self::Devices(arguments) => devices::run(&arguments),
            #[cfg(feature = "simulate")]
            Self::Bench(arguments) => bench::run(&arguments),
            Self::Man(arguments) => manual::man(&arguments, CommandLine::described()),
            Self::Completions(arguments) => manual::completions(&arguments, CommandLine::described()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::described().debug_assert();
    }
}
