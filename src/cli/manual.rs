//! `spextral man` and `spextral completions`: what the command line says of itself, for other programs.

use super::{CommandLine, Outcome};
use clap::CommandFactory;
use clap_complete::Shell;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Write manual pages, one a command, as spextral.1, spextral-extract.1, ...
#[derive(clap::Args, Debug)]
pub struct ManArguments {
    /// Folder for the pages, as ~/.local/share/man/man1; made where it does not exist
    #[arg(short = 'o', long, value_name = "FOLDER")]
    output: PathBuf,
}

/// Print completions for a shell
///
/// bash: spextral completions bash > ~/.local/share/bash-completion/completions/spextral
#[derive(clap::Args, Debug)]
pub struct CompletionsArguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Writes the manual pages; pages of an earlier version are replaced.
///
/// # Errors
/// The folder or a page cannot be written.
pub fn man(arguments: &ManArguments) -> Outcome {
    let folder = &arguments.output;
    std::fs::create_dir_all(folder).map_err(|error| format!("cannot make the folder {}: {error}", folder.display()))?;
    let pages = clap_mangen::generate_to(CommandLine::command().disable_help_subcommand(true), folder);
    pages.map_err(|error| format!("cannot write manual pages into {}: {error}", folder.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the completions of one shell; a reader that has gone is no error.
///
/// # Errors
/// The standard output cannot be written.
pub fn completions(arguments: &CompletionsArguments) -> Outcome {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut CommandLine::command(), "spextral", &mut text);
    match io::stdout().write_all(&text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}
