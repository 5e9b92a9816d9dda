//! The wheel as a release has it, in an environment without Rust: README's commands, what they take, and the oldest glibc.

use crate::{clients, docs, steps};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// The newest glibc that a wheel may need: that of RHEL 8, SLES 15 SP4 and Debian 10.
const GLIBC: (u32, u32) = (2, 28);
/// Its builders, from PyPI.
const BUILDERS: [&str; 2] = ["maturin==1.16.0", "ziglang==0.17.1"];

/// Builds the wheel for an old glibc by zig, or takes the one given, and installs it in a fresh environment. The first commands of the
/// README run there without a cargo on the PATH. Times and sizes are printed.
///
/// # Errors
/// A command fails, a library needs a newer glibc, or a builder cannot be had.
pub fn run(given: Option<&str>) -> Result<(), String> {
    if !cfg!(target_os = "linux") {
        return Err("the wheel for an old glibc is built on Linux".into());
    }
    let home = steps::root().join("target/wheel");
    let wheel = match given {
        Some(path) => std::path::absolute(path).map_err(|e| format!("{path}: {e}"))?,
        None => build(&home)?,
    };
    let venv = home.join("venv");
    steps::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    let bare = size(&venv)?;
    let pip = ["install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"];
    let begin = Instant::now();
    steps::run(Command::new(venv.join("bin/pip")).args(pip).arg(&wheel))?;
    let installed = begin.elapsed().as_secs_f64();
    let folder = home.join("run");
    docs::fresh(&folder)?;
    let mut rows = vec![format!("{installed:6.1} s  pip install")];
    for line in first_commands()? {
        let begin = Instant::now();
        steps::run(
            Command::new("sh")
                .args(["-euc", &line])
                .current_dir(&folder)
                .env_clear()
                .env("HOME", &folder)
                .env("PATH", format!("{}:/usr/bin:/bin", venv.join("bin").display())),
        )?;
        rows.push(format!("{:6.1} s  {line}", begin.elapsed().as_secs_f64()));
    }
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let own = venv_packages(&venv)?.join("spextral");
    let all = size(&venv)?.saturating_sub(bare);
    println!("\n{}", rows.join("\n"));
    println!(
        "wheel {:.1} MB, installed {:.1} MB, with numpy {:.1} MB",
        megabytes(size(&wheel)?),
        megabytes(size(&own)?),
        megabytes(all)
    );
    for library in libraries(&own)? {
        let (major, minor) = newest_glibc(&library)?;
        println!("{}: glibc {major}.{minor} or later", library.display());
        if (major, minor) > GLIBC {
            return Err(format!(
                "{} needs glibc {major}.{minor}, later than {}.{}",
                library.display(),
                GLIBC.0,
                GLIBC.1
            ));
        }
    }
    Ok(())
}

/// Builds the wheel.
fn build(home: &Path) -> Result<PathBuf, String> {
    let (builders, wheels) = (home.join("builders"), home.join("wheels"));
    if !builders.join("bin/maturin").exists() {
        steps::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&builders))?;
        let pip = ["install", "--quiet", "--disable-pip-version-check"];
        steps::run(Command::new(builders.join("bin/pip")).args(pip).args(BUILDERS))?;
    }
    docs::fresh(&wheels)?;
    let path = std::env::var("PATH").unwrap_or_default();
    steps::run(
        Command::new(builders.join("bin/maturin"))
            .current_dir(steps::root().join("python"))
            .args(["build", "--release", "--locked", "--zig", "--compatibility", "manylinux_2_28", "--out"])
            .arg(&wheels)
            .env("PATH", format!("{}:{path}", builders.join("bin").display())),
    )?;
    clients::files_in(&wheels)?.pop().ok_or_else(|| format!("{}: no wheel", wheels.display()))
}

/// The commands of the README's block on any machine, without their remarks.
fn first_commands() -> Result<Vec<String>, String> {
    let page = fs::read_to_string(steps::root().join("README.md")).map_err(|e| format!("README.md: {e}"))?;
    let block = docs::blocks(&page).map_err(|line| format!("README.md:{line}: a block without end"))?;
    let block = block.into_iter().find(|block| !block.is_left_out()).ok_or("README.md has no commands")?;
    let command = |line: &str| line.split('#').next().unwrap_or_default().trim().to_string();
    Ok(block.text.lines().map(command).filter(|line| !line.is_empty()).collect())
}

/// Bytes of a file, or of all files of a folder; links are not followed.
fn size(path: &Path) -> Result<u64, String> {
    let failed = |e: std::io::Error| format!("{}: {e}", path.display());
    let of = path.symlink_metadata().map_err(failed)?;
    if !of.is_dir() {
        return Ok(of.len());
    }
    path.read_dir().map_err(failed)?.flatten().map(|entry| size(&entry.path())).sum()
}

/// The folder of the packages of an environment.
fn venv_packages(venv: &Path) -> Result<PathBuf, String> {
    let python = clients::files_in(&venv.join("lib"))?.pop();
    python.map(|python| python.join("site-packages")).ok_or_else(|| format!("{}: no packages", venv.display()))
}

/// The shared objects of a package.
fn libraries(package: &Path) -> Result<Vec<PathBuf>, String> {
    let found = clients::files_in(package)?.into_iter().filter(|path| path.extension().is_some_and(|e| e == "so"));
    Ok(found.collect())
}

/// The newest glibc whose symbols a library wants.
fn newest_glibc(library: &Path) -> Result<(u32, u32), String> {
    let symbols = steps::output("objdump", &["-T", &library.display().to_string()]);
    let symbols = symbols.ok_or("objdump cannot be run (Debian: binutils)")?;
    newest(&symbols).ok_or_else(|| format!("{}: no symbol of glibc", library.display()))
}

/// The newest glibc among symbols.
fn newest(symbols: &str) -> Option<(u32, u32)> {
    let version = |rest: &str| {
        let number = rest.split(|c: char| !(c.is_ascii_digit() || c == '.')).next()?;
        let mut parts = number.split('.').map(str::parse);
        Some((parts.next()?.ok()?, parts.next()?.ok()?))
    };
    symbols.split("GLIBC_").skip(1).filter_map(version).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_count_by_their_numbers() {
        let symbols =
            "0000 DF *UND* 0000 (GLIBC_2.9) pow\n0000 DF *UND* (GLIBC_2.28) fcntl64\n(GLIBC_2.2.5) free\nGLIBC_PRIVATE";
        assert_eq!(newest(symbols), Some((2, 28)));
        assert_eq!(newest("none"), None);
    }

    #[test]
    fn the_first_commands_are_those_of_the_program() {
        let commands = first_commands().unwrap();
        assert!(commands.len() >= 4 && commands.iter().all(|line| line.starts_with("spextral ")), "{commands:?}");
    }
}
