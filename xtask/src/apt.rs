//! Installing packages through apt, with Mesa from Debian's backports, without touching the machine's apt set-up.

use crate::steps;
use std::path::Path;
use std::process::Command;

/// Installs `packages`. On Debian 12, whose own Mesa silently ends long loops, they come from its backports.
/// The source line is derived from the sources present and lives in a temporary folder.
///
/// # Errors
/// apt-get fails, or we are not allowed to run it.
pub fn install(packages: &[&str]) -> Result<(), String> {
    let suite = codename().filter(|name| name == "bookworm").map(|name| format!("{name}-backports"));
    let folder = std::env::temp_dir().join(format!("spextral-apt-{}", std::process::id()));
    let outcome = install_from(packages, suite.as_deref(), &folder);
    // Left-overs in the temporary folder harm nobody.
    let _ = std::fs::remove_dir_all(&folder);
    outcome
}

fn install_from(packages: &[&str], suite: Option<&str>, folder: &Path) -> Result<(), String> {
    let mut options = Vec::new();
    if let Some(suite) = suite {
        let sources = sources();
        if !sources.iter().any(|text| text.contains(suite)) {
            let line = backports_line(&sources, suite)
                .ok_or("no Debian source for bookworm among the apt sources; add bookworm-backports yourself")?;
            options = private_sources(folder, &line).map_err(|e| format!("{}: {e}", folder.display()))?;
        }
    }
    steps::run(apt_get()?.args(&options).args(["update", "--quiet"]))?;
    let mut command = apt_get()?;
    command.args(&options).args(["install", "--quiet", "--yes", "--no-install-recommends"]);
    if let Some(suite) = suite {
        command.args(["--target-release", suite]);
    }
    steps::run(command.args(packages))
}

/// `apt-get`, through sudo where we are not root.
fn apt_get() -> Result<Command, String> {
    let root = steps::output("id", &["-u"]).is_some_and(|id| id.trim() == "0");
    let mut command = match (root, steps::exists("sudo")) {
        (true, _) => Command::new("apt-get"),
        (false, true) => {
            let mut sudo = Command::new("sudo");
            sudo.arg("apt-get");
            sudo
        }
        (false, false) => return Err("apt-get must be run by root, and there is no sudo".into()),
    };
    command.env("DEBIAN_FRONTEND", "noninteractive");
    Ok(command)
}

/// The options that add `line` to the machine's sources for one command, with package lists of its own.
fn private_sources(folder: &Path, line: &str) -> std::io::Result<Vec<String>> {
    let parts = folder.join("sources.list.d");
    let lists = folder.join("lists");
    std::fs::create_dir_all(&parts)?;
    std::fs::create_dir_all(lists.join("partial"))?;
    for file in source_files().iter().filter(|file| file.parent() == Some(Path::new(PARTS))) {
        if let Some(name) = file.file_name() {
            std::fs::copy(file, parts.join(name))?;
        }
    }
    std::fs::write(parts.join("backports.list"), line)?;
    let option = |name: &str, path: &Path| format!("-oDir::{name}={}", path.display());
    Ok(vec![option("Etc::sourceparts", &parts), option("State::lists", &lists)])
}

const PARTS: &str = "/etc/apt/sources.list.d";

fn source_files() -> Vec<std::path::PathBuf> {
    let parts = Path::new(PARTS).read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    std::iter::once("/etc/apt/sources.list".into())
        .chain(parts)
        .filter(|file: &std::path::PathBuf| file.extension().is_some_and(|e| e == "list" || e == "sources"))
        .filter(|file| file.is_file())
        .collect()
}

fn sources() -> Vec<String> {
    let texts = source_files().into_iter().filter_map(|file| std::fs::read_to_string(file).ok());
    texts.map(|text| text.lines().filter(|l| !l.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n")).collect()
}

fn codename() -> Option<String> {
    let release = std::fs::read_to_string("/etc/os-release").ok()?;
    release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).map(|name| name.trim_matches('"').into())
}

/// Returns the line for `suite`, with mirror and key of the source of its release. Both formats of apt's sources
/// serve: one-line and deb822.
fn backports_line(sources: &[String], suite: &str) -> Option<String> {
    let release = suite.strip_suffix("-backports")?;
    sources.iter().find_map(|text| {
        one_line(text, release).or_else(|| deb822(text, release)).map(|(options, mirror)| {
            let options = options.map(|o| format!("[{o}] ")).unwrap_or_default();
            format!("deb {options}{mirror} {suite} main\n")
        })
    })
}

type Mirror = (Option<String>, String);

/// `deb [options] mirror release components`
fn one_line(text: &str, release: &str) -> Option<Mirror> {
    text.lines().find_map(|line| {
        let rest = line.trim().strip_prefix("deb ")?.trim_start();
        let (options, rest) = match rest.strip_prefix('[') {
            Some(inner) => inner.split_once(']').map(|(options, rest)| (Some(options.trim().to_string()), rest))?,
            None => (None, rest),
        };
        let mut words = rest.split_whitespace();
        let mirror = words.next()?;
        (words.next()? == release && words.any(|w| w == "main")).then(|| (options, mirror.to_string()))
    })
}

/// `URIs:`, `Suites:`, `Components:`, `Signed-By:` in a paragraph
fn deb822(text: &str, release: &str) -> Option<Mirror> {
    text.split("\n\n").find_map(|paragraph| {
        let field = |name: &str| paragraph.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let has = |name: &str, word: &str| field(name).is_some_and(|v| v.split_whitespace().any(|w| w == word));
        if !(has("Types:", "deb") && has("Suites:", release) && has("Components:", "main")) {
            return None;
        }
        let mirror = field("URIs:")?.split_whitespace().next()?.to_string();
        let key = field("Signed-By:").filter(|path| path.starts_with('/'));
        Some((key.map(|path| format!("signed-by={path}")), mirror))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKPORTS: &str = "bookworm-backports";

    #[test]
    fn backports_line_keeps_mirror_and_key_of_a_deb822_source() {
        let other = "Types: deb\nURIs: https://a.example\nSuites: nodistro\nComponents: main";
        let debian = "Types: deb\nURIs: http://m.example/debian\nSuites: bookworm bookworm-updates\n\
                      Components: main\nSigned-By: /usr/share/keyrings/k.gpg";
        let line = backports_line(&[format!("{other}\n\n{debian}\n")], BACKPORTS);
        assert_eq!(
            line.as_deref(),
            Some("deb [signed-by=/usr/share/keyrings/k.gpg] http://m.example/debian bookworm-backports main\n")
        );
    }

    #[test]
    fn backports_line_keeps_mirror_and_options_of_a_one_line_source() {
        let text =
            "deb http://s.example bookworm-security main\ndeb [arch=amd64] http://m.example bookworm main contrib";
        let line = backports_line(&[text.to_string()], BACKPORTS);
        assert_eq!(line.as_deref(), Some("deb [arch=amd64] http://m.example bookworm-backports main\n"));
    }

    #[test]
    fn backports_line_is_nothing_without_a_source_of_the_release() {
        assert_eq!(backports_line(&["deb http://m.example trixie main".to_string()], BACKPORTS), None);
    }
}
