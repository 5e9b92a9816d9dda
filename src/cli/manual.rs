//! `spextral man` and `spextral completions`: the command line described for other programs.

use super::output::{self, Outcome};
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use spextral::{PendingFile, WriteError};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Write manual pages, one per command, as spextral.1, spextral-extract.1, ...
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
pub fn man(arguments: &ManArguments, command: Command) -> Outcome {
    let folder = &arguments.output;
    std::fs::create_dir_all(folder).map_err(|error| format!("cannot make the folder {}: {error}", folder.display()))?;
    let mut command = command.disable_help_subcommand(true);
    command.build();
    write_pages(&command, folder)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the page of a command, and the pages of its subcommands.
fn write_pages(command: &Command, folder: &Path) -> Result<(), WriteError> {
    command.get_subcommands().try_for_each(|subcommand| write_pages(subcommand, folder))?;
    let page = Man::new(command.clone());
    PendingFile::write(folder.join(page.get_filename()), true, |mut out| page.render(&mut out))?.persist()
}

/// Prints the completions of one shell.
///
/// # Errors
/// An [`std::io::Error`] if the standard output cannot be written.
pub fn completions(arguments: &CompletionsArguments, mut command: Command) -> Outcome {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "spextral", &mut text);
    output::write(&text)?;
    Ok(ExitCode::SUCCESS)
}
