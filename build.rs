//! Records for the crate which commit it is built from, where that can be known: SPEXTRAL_COMMIT.
//!
//! A release build asks git; what is not committed makes it COMMIT-dirty. A development build does not, as every commit
//! would build everything again. Whoever packages without git sets SPEXTRAL_COMMIT. None of these is an error.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=SPEXTRAL_COMMIT");
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    if env::var_os("SPEXTRAL_COMMIT").is_none()
        && is_release
        && let Some(commit) = of_git()
    {
        println!("cargo:rustc-env=SPEXTRAL_COMMIT={commit}");
    }
}

/// The commit of the checkout that this folder is the root of; None where there is no git, or this is part of another one.
fn of_git() -> Option<String> {
    if !git(&["rev-parse", "--show-prefix"])?.is_empty() {
        return None;
    }
    // What git says changes with these; a path that is not there would build anew each time.
    let of_git = ["HEAD", "logs/HEAD", "index"].iter().filter_map(|name| git(&["rev-parse", "--git-path", name]));
    let ours = ["build.rs", "Cargo.toml", "Cargo.lock", "shaders", "src"].map(String::from);
    for path in of_git.chain(ours).filter(|path| Path::new(path).exists()) {
        println!("cargo:rerun-if-changed={path}");
    }
    git(&["describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"])
}

fn git(words: &[&str]) -> Option<String> {
    let output = Command::new("git").args(words).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_string())
}
