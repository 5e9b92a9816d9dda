//! Finds and installs programs that the tests need beyond cargo: a software Vulkan, Python, MPI, a browser.

use crate::{apt, steps};
use std::io::{IsTerminal, Write};
use std::path::Path;

/// Lavapipe before this ends loops after 65 535 iterations, silently; the device self-test refuses it.
const MESA_WITHOUT_LOOP_LIMIT: u32 = 25;
/// desispec's dependencies want this Python.
const PYTHON: (u32, u32) = (3, 11);

/// The parts of the tests that this machine can run.
pub struct Ready {
    /// A Vulkan device is there: the shaders can be run.
    pub vulkan: bool,
    /// A Python that can make a virtual environment is there: the clients can be run.
    pub python: bool,
    /// An MPI installation and libclang are there: the feature `mpi` can be built and run.
    pub mpi: bool,
    /// A Chromium is there: pages can be opened.
    pub browser: bool,
}

impl Ready {
    fn now() -> Ready {
        Ready { vulkan: vulkan(), python: python(), mpi: mpi(), browser: browser() }
    }

    /// Clusters run Linux: elsewhere nobody misses it.
    fn lacks_mpi(&self) -> bool {
        !self.mpi && cfg!(target_os = "linux")
    }

    fn packages(&self) -> Vec<&'static str> {
        let mut packages = Vec::new();
        if !self.vulkan {
            packages.extend(["libvulkan1", "mesa-vulkan-drivers"]);
        }
        if !self.python {
            packages.extend(["python3", "python3-venv"]);
        }
        if self.lacks_mpi() {
            packages.extend(["libopenmpi-dev", "openmpi-bin", "libclang-dev"]);
        }
        if !self.browser {
            packages.push("chromium");
        }
        packages
    }

    /// The tests that cannot run here, and what they want.
    pub fn left_out(&self) -> Option<String> {
        let mut parts = Vec::new();
        if !self.vulkan {
            parts.push(format!(
                "shaders, unless this machine's own GPU ran them (they want a Vulkan loader and Mesa's lavapipe \
                 {MESA_WITHOUT_LOOP_LIMIT} or later; Debian: libvulkan1 mesa-vulkan-drivers)"
            ));
        }
        if !self.python {
            let (major, minor) = PYTHON;
            parts.push(format!(
                "clients (they want Python {major}.{minor} or later with venv; Debian: python3 python3-venv)"
            ));
        }
        if self.lacks_mpi() {
            parts.push(
                "MPI (it wants Open MPI or MPICH and libclang; Debian: libopenmpi-dev openmpi-bin libclang-dev)".into(),
            );
        }
        if !self.browser {
            parts.push("the report's page (it wants Chromium; Debian: chromium)".into());
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

/// The features with which all tests are built on this machine.
pub fn test_features() -> &'static [&'static str] {
    if mpi() { &["--features", "mpi"] } else { &[] }
}

/// Find out what is there, and install what is missing where we may.
///
/// # Errors
/// The installation was wanted and failed.
pub fn prepare(may_install: bool) -> Result<Ready, String> {
    let ready = Ready::now();
    let packages = ready.packages();
    if packages.is_empty() {
        return Ok(ready);
    }
    if !steps::exists("apt-get") {
        println!("not here: {}", ready.left_out().unwrap_or_default());
        return Ok(ready);
    }
    if may_install || asked(&packages) {
        apt::install(&packages)?;
        return Ok(Ready::now());
    }
    println!("not installed: {}; `cargo xtask test --install` installs it through apt", packages.join(" "));
    Ok(ready)
}

fn asked(packages: &[&str]) -> bool {
    if !std::io::stdin().is_terminal() {
        return false;
    }
    print!("Some tests need {}. Install with apt? [y/N] ", packages.join(" "));
    let mut answer = String::new();
    std::io::stdout().flush().is_ok()
        && std::io::stdin().read_line(&mut answer).is_ok()
        && matches!(answer.trim(), "y" | "Y" | "yes")
}

/// Only Linux has a question to ask: Metal and DX12 come with their systems.
fn vulkan() -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    let loader = steps::output("ldconfig", &["-p"])
        .or_else(|| steps::output("/sbin/ldconfig", &["-p"]))
        .is_some_and(|libraries| libraries.contains("libvulkan.so.1"));
    loader && lavapipe()
}

fn lavapipe() -> bool {
    let Ok(drivers) = Path::new("/usr/share/vulkan/icd.d").read_dir() else { return false };
    let present = drivers.flatten().any(|file| file.file_name().to_string_lossy().starts_with("lvp_icd"));
    let version = steps::output("dpkg-query", &["-W", "-f=${Version}", "mesa-vulkan-drivers"]);
    // Where dpkg doesn't know it, the device self-test will judge.
    let recent = version.and_then(|v| major(&v)).is_none_or(|major| major >= MESA_WITHOUT_LOOP_LIMIT);
    present && recent
}

fn python() -> bool {
    let (major, minor) = PYTHON;
    let check = format!("import sys, venv, ensurepip; assert sys.version_info >= ({major}, {minor})");
    steps::output("python3", &["-c", &check]).is_some()
}

/// A compiler wrapper, a launcher, and the headers of clang, which libclang is of no use without.
fn mpi() -> bool {
    let below = |folder: &str| Path::new(folder).read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    let of_debian = below("/usr/lib").filter(|path| path.to_string_lossy().starts_with("/usr/lib/llvm-"));
    let clangs =
        of_debian.map(|path| path.join("lib/clang")).chain(["/usr/lib/clang".into(), "/usr/lib64/clang".into()]);
    let mut headers = clangs.flat_map(|path| below(&path.to_string_lossy()).collect::<Vec<_>>());
    let libclang = steps::exists("clang") || headers.any(|path| path.join("include/stddef.h").exists());
    steps::exists("mpicc") && steps::exists("mpirun") && libclang
}

/// A Chromium of any name, as `tests/browser` looks for it.
fn browser() -> bool {
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"].into_iter().any(steps::exists)
}

/// The first number of a version, its epoch (`1:`) aside.
fn major(version: &str) -> Option<u32> {
    version.split(':').next_back()?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_version_is_read_with_and_without_epoch() {
        assert_eq!(major("22.3.6-1+deb12u1"), Some(22));
        assert_eq!(major("1:25.0.7-2~bpo12+1"), Some(25));
        assert_eq!(major(""), None);
    }
}
