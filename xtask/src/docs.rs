//! The documentation's commands, run as a reader would type them.

use crate::{clients, python, steps};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Words after a block's language that leave it out: what it wants is not on every machine.
const LEFT_OUT: [&str; 5] = ["cluster", "gpu", "install", "published", "release"];

/// A stand-in for `cargo` while a page is run: its program, built already, and nothing that would begin all over.
const CARGO: &str = r#"#!/bin/sh
case "$1 $2" in
"run --release") shift 3 && exec spextral "$@" ;;
"xtask "*) echo "cargo $* is not run from within itself" ;;
*) echo "the documentation gives the command cargo $*, for which its test has no stand-in" >&2 && exit 1 ;;
esac
"#;

/// A fenced block that is a command or a program.
#[derive(Debug, PartialEq)]
pub struct Block {
    /// The line its fence is on, from 1.
    line: usize,
    /// Its language and what else stands after the fence.
    words: Vec<String>,
    pub text: String,
}

impl Block {
    /// Whether it is not run on every machine.
    pub fn is_left_out(&self) -> bool {
        self.words.iter().any(|word| LEFT_OUT.contains(&word.as_str()))
    }
}

/// Runs the blocks `sh` and `python` of every page, each page in a fresh folder, its blocks one after the other.
///
/// # Errors
/// A block that fails, by page and line; there is no Python for one that is Python.
pub fn run() -> Result<(), String> {
    if !cfg!(unix) {
        println!("the documentation's commands are for a Unix shell: not run here");
        return Ok(());
    }
    let root = steps::root();
    let (binary, python) = (clients::binary()?, python::install()?);
    let target = root.join("target/docs");
    let programs = stand_ins(&target.join("bin"), &binary)?;
    let (mut run, mut left_out) = (0, 0);
    for page in pages(&root)? {
        let name = page.strip_prefix(&root).unwrap_or(&page).display().to_string();
        let text = fs::read_to_string(&page).map_err(|e| format!("{name}: {e}"))?;
        let folder = fresh(&target.join(name.replace(['/', '.'], "-")))?;
        for block in blocks(&text).map_err(|line| format!("{name}:{line}: a block without end"))? {
            if block.is_left_out() {
                left_out += 1;
                continue;
            }
            println!("\n--- {name}:{}", block.line);
            steps::run(command(&block, &python).env("PATH", &programs).current_dir(&folder))
                .map_err(|error| format!("{name}:{}: {error}", block.line))?;
            run += 1;
        }
    }
    println!(
        "\n{run} blocks of the documentation run, {left_out} left out as they install, or need a cluster, a GPU or something published"
    );
    Ok(())
}

/// The README, the guide, and whatever else is in docs/.
fn pages(root: &Path) -> Result<Vec<PathBuf>, String> {
    let mut pages = vec![root.join("README.md"), root.join("CONTRIBUTING.md")];
    for folder in [root.join("docs"), root.join("docs/guide")] {
        let entries = folder.read_dir().map_err(|e| format!("{}: {e}", folder.display()))?;
        pages.extend(entries.flatten().map(|e| e.path()).filter(|path| path.extension().is_some_and(|e| e == "md")));
    }
    pages.sort();
    Ok(pages)
}

/// A search path that begins with this build's `spextral` and the stand-in for `cargo`.
fn stand_ins(folder: &Path, binary: &Path) -> Result<OsString, String> {
    fresh(folder)?;
    let failed = |e: std::io::Error| format!("{}: {e}", folder.display());
    let cargo = folder.join("cargo");
    fs::write(&cargo, CARGO).map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::{PermissionsExt, symlink};
        fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).map_err(failed)?;
        symlink(binary, folder.join("spextral")).map_err(failed)?;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_path_buf()).chain(std::env::split_paths(&path));
    std::env::join_paths(folders).map_err(|error| error.to_string())
}

fn command(block: &Block, python: &Path) -> Command {
    let (program, option) = match block.words[0].as_str() {
        "python" => (python, "-c"),
        _ => (Path::new("sh"), "-euc"),
    };
    let mut command = Command::new(program);
    command.arg(option).arg(&block.text);
    command
}

/// Makes an empty folder in place of what is there.
///
/// # Errors
/// It cannot be made.
pub fn fresh(folder: &Path) -> Result<PathBuf, String> {
    let failed = |e: std::io::Error| format!("{}: {e}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(failed)?;
    }
    fs::create_dir_all(folder).map_err(failed)?;
    Ok(folder.to_path_buf())
}

/// Lists the blocks of a page that can be run.
///
/// # Errors
/// The line of a fence that is never closed.
pub fn blocks(page: &str) -> Result<Vec<Block>, usize> {
    let mut blocks = Vec::new();
    let mut lines = page.lines().zip(1..);
    while let Some((fence, line)) = lines.next() {
        let Some(info) = fence.strip_prefix("```") else { continue };
        let mut text = String::new();
        loop {
            match lines.next().ok_or(line)? {
                ("```", _) => break,
                (other, _) => text.extend([other, "\n"]),
            }
        }
        let words: Vec<String> = info.split_whitespace().map(String::from).collect();
        if words.first().is_some_and(|language| matches!(language.as_str(), "sh" | "python")) {
            blocks.push(Block { line, words, text });
        }
    }
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_and_other_blocks_are_not() {
        let page = "a\n```sh\none\ntwo\n```\n```\nplain\n```\n```sh cluster\nsrun\n```\n```python\nprint(1)\n```\n";
        let blocks = blocks(page).unwrap();
        let seen: Vec<_> = blocks.iter().map(|b| (b.line, b.text.as_str(), b.is_left_out())).collect();
        assert_eq!(seen, [(2, "one\ntwo\n", false), (9, "srun\n", true), (12, "print(1)\n", false)]);
    }

    #[test]
    fn a_block_without_end_is_an_error() {
        assert_eq!(blocks("\n```sh\nls\n"), Err(2));
    }
}
