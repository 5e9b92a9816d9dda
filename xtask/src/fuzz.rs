//! Coverage-guided fuzzing of the readers, by libFuzzer: the long form of what `fuzz/tests` do among the tests.

use crate::steps;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The flags that `cargo fuzz build --sanitizer none` would set, so that stable Rust alone serves.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";
/// The targets of `fuzz/src/targets.rs`.
const TARGETS: [&str; 14] = [
    "headers", "preproc", "gzip", "psf", "sampled", "spots", "waves", "lines", "frame", "truth", "model", "fibermap",
    "manifest", "options",
];
/// Seconds per target by default.
const SECONDS: &str = "60";
/// Limits of every run: size of a file, time and memory for one input; a short summary.
const LIMITS: [&str; 5] =
    ["-max_len=131072", "-timeout=30", "-rss_limit_mb=4096", "-print_final_stats=1", "-verbosity=0"];

/// Fuzzes the targets named, or all: `[TARGET…] [--runs N | --seconds S]`; `TARGET FILE` meets one input again.
///
/// # Errors
/// Words that make no sense, a build that fails, or an input that does, which is kept.
pub fn run(words: &[&str]) -> Result<(), String> {
    let mut targets: Vec<&str> = Vec::new();
    let (mut limit, mut input) = (format!("-max_total_time={SECONDS}"), None);
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        let number = |option| match words.clone().next().and_then(|n| n.parse::<u64>().ok()) {
            Some(n) => Ok(format!("{option}={n}")),
            None => Err(format!("{word} needs a number")),
        };
        match word {
            "--runs" => limit = number("-runs")?,
            "--seconds" => limit = number("-max_total_time")?,
            _ if TARGETS.contains(&word) => targets.push(word),
            _ if Path::new(word).is_file() && targets.len() == 1 => input = Some(PathBuf::from(word)),
            _ => return Err(format!("{word} is no target and no file: the targets are {}", TARGETS.join(", "))),
        }
        if word.starts_with("--") {
            words.next();
        }
    }
    let binary = build()?;
    if let Some(input) = input {
        return steps::run(Command::new(&binary).arg(input).env("SPEXTRAL_FUZZ", targets[0]));
    }
    let all = if targets.is_empty() { &TARGETS[..] } else { &targets };
    all.iter().try_for_each(|target| fuzz(&binary, target, &limit))
}

/// The instrumented binary, in a folder of its own: the flags are those of every crate.
fn build() -> Result<PathBuf, String> {
    let about = steps::output("rustc", &["-vV"]).ok_or("cannot run rustc")?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("rustc names no host")?;
    let folder = steps::root().join("target/fuzz");
    let words = ["build", "--package", "spextral-fuzz", "--features", "libfuzzer", "--bin", "spextral-fuzz"];
    // Named by its target, the host's own build scripts and macros are left without the flags.
    let place = ["--profile", "fuzz", "--target", host, "--target-dir"];
    let mut build = steps::cargo();
    steps::run(build.args(words).args(place).arg(&folder).env("RUSTFLAGS", COVERAGE))?;
    Ok(folder.join(host).join("fuzz").join(format!("spextral-fuzz{}", std::env::consts::EXE_SUFFIX)))
}

/// One target, from its seeds and what earlier runs have found worth keeping.
fn fuzz(binary: &Path, target: &str, limit: &str) -> Result<(), String> {
    let folder = |what: &str| steps::root().join("target").join(what).join(target);
    let (corpus, found) = (folder("fuzz-corpus"), folder("fuzz-found"));
    for folder in [&corpus, &found] {
        std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    let mut run = Command::new(binary);
    run.env("SPEXTRAL_FUZZ", target).env("SPEXTRAL_FUZZ_SEEDS", &corpus);
    run.arg(limit).args(LIMITS).arg(format!("-artifact_prefix={}/", found.display())).arg(&corpus);
    steps::run(&mut run).map_err(|error| {
        format!("{error}; the input is in {}: cargo xtask fuzz {target} FILE meets it again", found.display())
    })
}
