//! The command line: text becomes a checked request, one file per subcommand.
//!
//! The program `spextral` and the command of the Python package are [`main`].

#[cfg(feature = "simulate")]
mod bench;
mod command_line;
mod compare;
#[cfg(all(feature = "plot", feature = "simulate"))]
mod demo;
mod device_arguments;
mod devices;
mod exposure;
#[cfg(feature = "plot")]
mod exposure_pages;
mod extract;
mod find_traces;
mod fit_peers;
mod fit_psf;
mod help;
mod info;
mod json;
mod like;
mod line_list;
mod logging;
#[cfg(feature = "simulate")]
mod make_psf;
mod manual;
mod output;
mod peer_flags;
#[cfg(feature = "plot")]
mod plot_psf;
mod psf_convert;
mod psf_info;
#[cfg(feature = "plot")]
mod report;
#[cfg(feature = "plot")]
mod report_files;
mod request_options;
mod shift_psf;
mod signals;
#[cfg(feature = "simulate")]
mod simulate;

use command_line::CommandLine;
use spextral::base::option_name::Spelling;
use std::ffi::OsString;
use std::process::ExitCode;

/// Carries out a command line, of which the first word is the program's name.
///
/// Exit codes: 0 done; 1 failed, or a comparison beyond its tolerance. A command line that can't be parsed ends the process
/// with 2.
pub fn main(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    Spelling::Flag.use_in_messages();
    let CommandLine { loglevel, command } = CommandLine::of_words(words);
    logging::start(if command.is_verbose() { logging::LogLevel::Debug } else { loglevel });
    output::report_full_disks_as_errors();
    let json = command.wants_json();
    match command.run() {
        Ok(code) => code,
        Err(error) => {
            let sentence = spextral::error_chain(error.as_ref());
            if json {
                json::print_error(&sentence);
            }
            logging::print_failure(&sentence);
            ExitCode::FAILURE
        }
    }
}
