//! The Python package: a wheel of this build, its types and its tests, in the clients' virtual environment.

use crate::{clients, steps};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Build the wheel with what is compiled, and install it and the package for the DESI pipeline; the Python that has them.
///
/// # Errors
/// There is no Python for it, a package can't be had, or it does not compile.
pub fn install() -> Result<PathBuf, String> {
    let root = steps::root();
    let python = clients::python()?;
    let wheels = root.join("target/clients/wheels");
    if wheels.exists() {
        std::fs::remove_dir_all(&wheels).map_err(|e| format!("{}: {e}", wheels.display()))?;
    }
    let mut maturin = Command::new(&python);
    maturin.current_dir(root.join("python")).args([
        "-m",
        "maturin",
        "build",
        "--profile",
        "dev",
        "--auditwheel",
        "skip",
        // A test lets the GPU of a rank fail.
        "--features",
        "extension,fault-injection",
    ]);
    steps::run(maturin.arg("--out").arg(&wheels))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--force-reinstall"];
    steps::run(Command::new(&python).args(pip).args(clients::files_in(&wheels)?).arg(root.join("python/compat")))?;
    Ok(python)
}

/// Check the installed package's stubs against it, and run the tests of python/.
///
/// # Errors
/// The package cannot be installed (see [`install`]), or a check fails.
pub fn run() -> Result<(), String> {
    let (root, python, binary) = (steps::root(), install()?, clients::binary()?);
    // Not in python/, where the sources would be found in place of the wheel.
    let within = |folder: &Path| {
        let mut command = Command::new(&python);
        command.current_dir(folder).env("SPEXTRAL_BINARY", &binary);
        command
    };
    let types = root.join("target/clients");
    steps::run(within(&types).args(["-m", "mypy", "--strict", "--package", "spextral"]))?;
    steps::run(within(&types).args(["-m", "mypy.stubtest", "spextral"]))?;
    steps::run(within(&root).args(["-m", "pytest", "--quiet", "-p", "no:cacheprovider", "python/tests"]))
}
