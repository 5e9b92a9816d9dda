//! The programs that read our files: desispec and astropy, from PyPI, in a virtual environment of their own. The Python
//! package is tested in it, too.

use crate::{setup, steps};
use std::path::{Path, PathBuf};
use std::process::Command;

/// PyPI's `specter` is another project than DESI's: it must not come in.
const PACKAGES: [&str; 6] =
    ["desispec==0.70.0", "matplotlib==3.11.2", "maturin==1.16.0", "mpi4py==4.1.2", "mypy==2.4.1", "pytest==9.2.0"];

/// Make a PSF, simulate and extract with this build's binary, and let the clients read the outcome.
///
/// # Errors
/// There is no Python for it, a package can't be had, or a client objects.
pub fn run() -> Result<(), String> {
    let root = steps::root();
    let (python, binary) = (python()?, binary()?);
    let files = root.join("target/clients/files");
    if files.exists() {
        std::fs::remove_dir_all(&files).map_err(|e| format!("{}: {e}", files.display()))?;
    }
    std::fs::create_dir_all(&files).map_err(|e| format!("{}: {e}", files.display()))?;

    let scripts = root.join("tests/clients");
    steps::run(Command::new(&python).arg(scripts.join("read_frame.py")).args([&binary, &files]))?;
    steps::run(Command::new(&python).arg(scripts.join("verify_fits.py")).args(files_in(&files)?))
}

/// This build's binary. It is the tests' build: a plain `build` has other features of the dependencies and compiles
/// them anew.
///
/// # Errors
/// It cannot be built.
pub fn binary() -> Result<PathBuf, String> {
    let build = ["test", "--quiet", "--package", "spextral", "--test", "cli", "--no-run"];
    steps::run(steps::cargo().args(build).args(setup::test_features()))?;
    Ok(steps::root().join("target/debug").join(format!("spextral{}", std::env::consts::EXE_SUFFIX)))
}

/// The files of a folder by their names.
///
/// # Errors
/// It can't be read.
pub fn files_in(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = folder.read_dir().map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    Ok(files)
}

/// The Python that has the clients, in its virtual environment, which is made where it isn't there yet.
///
/// # Errors
/// There is no Python for it, or a package can't be had.
pub fn python() -> Result<PathBuf, String> {
    let home = steps::root().join("target/clients/venv");
    let python = home.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    // Written last, so that an interrupted installation is done again.
    let stamp = home.join("spextral-packages");
    let wanted = PACKAGES.join("\n");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    let base = if cfg!(windows) { "python" } else { "python3" };
    steps::run(Command::new(base).args(["-m", "venv", "--clear"]).arg(&home)).map_err(|error| {
        format!("{error}; the clients want Python 3.11 or later with venv (Debian: apt install python3-venv)")
    })?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    steps::run(Command::new(&python).args(pip).args(PACKAGES))?;
    std::fs::write(&stamp, wanted).map_err(|e| format!("{}: {e}", stamp.display()))?;
    Ok(python)
}
