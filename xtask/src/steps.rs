//! Running commands one after another, each announced and timed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the repository").to_path_buf()
}

/// The cargo that runs this xtask.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Whether a continuous-integration service runs us: nobody is there to be asked.
pub fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

/// Whether a command of that name can be run.
pub fn exists(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Run a command with its output on ours.
///
/// # Errors
/// It can't be started or it fails; the message has the command line.
pub fn run(command: &mut Command) -> Result<(), String> {
    let line = line(command);
    println!("\n==> {line}");
    let start = Instant::now();
    let status = command.status().map_err(|error| format!("cannot run `{line}`: {error}"))?;
    if !status.success() {
        return Err(format!("`{line}` failed ({status})"));
    }
    println!("    {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// The standard output of a command, or nothing where it can't be had.
pub fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
