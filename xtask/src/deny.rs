//! Checks the dependencies' licences, sources, bans and known faults, by cargo-deny and `deny.toml`.

use crate::steps;
use std::path::PathBuf;
use std::process::Command;

/// The version that `deny.toml` is written for.
const VERSION: &str = "0.20.2";
/// The message of cargo-deny where the database of known faults cannot be had.
const NO_DATABASE: &str = "failed to fetch advisory database";

/// Checks all dependencies, of every feature and platform. Known faults are looked up where RustSec's database can be
/// fetched. Where it cannot, a message reports that and the check does not fail: the fault is not this program's.
///
/// # Errors
/// cargo-deny cannot be installed, or what it found.
pub fn run() -> Result<(), String> {
    let program = installed()?;
    let deny = || {
        let mut command = Command::new(&program);
        command.args(["--workspace", "--log-level", "error", "check", "--hide-inclusion-graph"]);
        command.current_dir(steps::root());
        command
    };
    steps::run(deny().args(["licenses", "bans", "sources"]))?;
    let looked_up = deny().arg("advisories").output().map_err(|e| format!("{}: {e}", program.display()))?;
    let said = String::from_utf8_lossy(&looked_up.stderr);
    if looked_up.status.success() {
        println!("no known fault in any dependency");
    } else if said.contains(NO_DATABASE) {
        println!("NOT LOOKED UP: known faults of dependencies, for RustSec's database cannot be fetched from here");
    } else {
        return Err(format!(
            "{said}\na dependency has a known fault: update it, or say in deny.toml why it does not matter"
        ));
    }
    Ok(())
}

/// cargo-deny of that version in target/tools; without optimisation, which takes a third of the time and serves.
fn installed() -> Result<PathBuf, String> {
    let folder = steps::root().join("target/tools");
    let program = folder.join("bin").join(format!("cargo-deny{}", std::env::consts::EXE_SUFFIX));
    let version = steps::output(&program.to_string_lossy(), &["--version"]);
    if version.is_none_or(|version| !version.trim().ends_with(VERSION)) {
        let wanted = format!("cargo-deny@{VERSION}");
        let mut install = steps::cargo();
        install.args(["install", &wanted, "--locked", "--debug", "--quiet", "--root"]).arg(&folder);
        steps::run(install.arg("--target-dir").arg(folder.join("build")))?;
    }
    Ok(program)
}
