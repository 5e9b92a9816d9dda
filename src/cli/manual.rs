//! `spextral man` and `spextral completions`: the command line described for other programs.

use super::output::{self, Outcome};
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use spextral::{PendingFile, WriteError};
use std::io::{self, Write};
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
    PendingFile::write(folder.join(page.get_filename()), true, |mut out| render(&page, command, &mut out))?.persist()
}

/// Writes a page: what clap knows, then examples and notes of the help, and what holds for all commands.
fn render(page: &Man, command: &Command, out: &mut dyn Write) -> io::Result<()> {
    page.render_title(out)?;
    page.render_name_section(out)?;
    let usage = command.clone().render_usage().to_string();
    let usage: Vec<&str> = usage.trim_start_matches("Usage:").lines().map(str::trim).collect();
    section(out, "SYNOPSIS", &[Part::Verbatim(usage.join("\n"))])?;
    page.render_description_section(out)?;
    page.render_options_section(out)?;
    if command.has_subcommands() {
        page.render_subcommands_section(out)?;
    }
    let help = command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string).unwrap_or_default();
    let (mut examples, mut notes, mut status) = (Vec::new(), Vec::new(), Vec::new());
    for paragraph in help.split("\n\n") {
        if let Some(lines) = paragraph.strip_prefix("Examples:\n") {
            examples.push(Part::Verbatim(lines.lines().map(str::trim_start).collect::<Vec<_>>().join("\n")));
        } else if let Some(codes) = paragraph.strip_prefix("Exit codes: ") {
            status.push(Part::Text(codes.into()));
        } else if paragraph.starts_with(' ') {
            notes.push(Part::Verbatim(paragraph.into()));
        } else if !paragraph.is_empty() {
            notes.push(Part::Text(paragraph.into()));
        }
    }
    if status.is_empty() {
        status.push(Part::Text(EXIT_STATUS.into()));
    }
    for (title, parts) in [("EXAMPLES", examples), ("NOTES", notes), ("EXIT STATUS", status)] {
        if !parts.is_empty() {
            section(out, title, &parts)?;
        }
    }
    section(out, "FILES", &FILES.map(|text| Part::Text(text.into())))?;
    section(out, "ENVIRONMENT", &ENVIRONMENT.map(|(name, text)| Part::Item(name.into(), text.into())))?;
    section(
        out,
        "SEE ALSO",
        &[Part::Text("spextral(1), spextral-extract(1), spextral-exposure(1), spextral-report(1)".into())],
    )
}

const EXIT_STATUS: &str = "0 done, 1 failed (one sentence on the standard error tells why), 2 wrong command line.";

const FILES: [&str; 2] = [
    "Inputs are FITS: .fits, .fits.gz, of preproc frames .fits.fz, too. An output whose name ends in .fits.gz is gzipped.",
    "An output is written beside its place as .spextral-*.tmp and takes its name when it is whole. Leftovers of dead runs are \
     removed by `spextral exposure --resume`.",
];

const ENVIRONMENT: [(&str, &str); 4] = [
    ("RAYON_NUM_THREADS", "Number of CPU threads; by default all cores that the process may use."),
    (
        "CUDA_VISIBLE_DEVICES, SLURM_STEP_GPUS, SLURM_JOB_GPUS",
        "GPUs that --device auto may take, where they are numbers; the first that is set counts.",
    ),
    ("VK_DRIVER_FILES", "Read by the Vulkan loader: the drivers that it shows."),
    ("COLUMNS", "Width of help texts where the output is no terminal."),
];

/// One part of a section.
enum Part {
    Text(String),
    /// Lines that stay as they are.
    Verbatim(String),
    /// A name and what it means.
    Item(String, String),
}

/// Writes a section of a page.
fn section(out: &mut dyn Write, title: &str, parts: &[Part]) -> io::Result<()> {
    let mut page = Roff::new();
    page.control("SH", [title]);
    for (index, part) in parts.iter().enumerate() {
        match part {
            Part::Text(text) => {
                if index > 0 {
                    page.control("PP", []);
                }
                page.text([roman(text.replace('\n', " "))]);
            }
            Part::Verbatim(lines) => {
                page.control("nf", []);
                for line in lines.lines() {
                    page.text([roman(line)]);
                }
                page.control("fi", []);
            }
            Part::Item(name, text) => {
                page.control("TP", []);
                page.text([bold(name)]);
                page.text([roman(text)]);
            }
        }
    }
    page.to_writer(out)
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
