//! No command uses a network: none opens an internet socket, and all work without a network.

use std::process::{Command, Stdio};
use testkit::{Folder, ignore};

/// The commands in order; each reads the files of those before.
const COMMANDS: [&[&str]; 5] = [
    &["make-psf", "-o", "made.fits", "--nfibre", "5", "--bundlesize", "5", "--npix-y", "120"],
    &["simulate", "-p", "made.fits", "-o", "sim.fits.gz", "--truth", "truth.fits"],
    &["extract", "-i", "sim.fits.gz", "-p", "made.fits", "-o", "frame.fits", "-m", "model.fits", "--trace", "t.json"],
    &["compare", "frame.fits", "--truth", "truth.fits"],
    &["devices"],
];

/// Ignores the test unless a program can be used here.
fn need(program: &str, words: &[&str]) {
    let mut command = Command::new(program);
    let quiet = command.args(words).arg("true").stdout(Stdio::null()).stderr(Stdio::null());
    if !quiet.status().is_ok_and(|status| status.success()) {
        ignore(format!("{program} cannot be used here"));
    }
}

#[test]
fn commands_work_without_a_network() {
    // A namespace of its own, with not even a loopback that is up.
    let alone = ["--user", "--map-root-user", "--net"];
    need("unshare", &alone);
    let folder = Folder::new();
    for words in COMMANDS {
        let run = folder.run_by("unshare", &alone, words);
        assert_eq!(run.code, Some(0), "{words:?}: {}", run.stderr);
    }
}

#[test]
fn no_command_opens_a_socket_of_the_internet() {
    let watch = ["-f", "-qq", "-o", "calls", "-e", "trace=%network"];
    need("strace", &watch[..2]);
    let folder = Folder::new();
    for words in COMMANDS {
        let run = folder.run_by("strace", &watch, words);
        assert_eq!(run.code, Some(0), "{words:?}: {}", run.stderr);
        let calls = std::fs::read_to_string(folder.path("calls")).unwrap();
        assert!(!calls.contains("AF_INET"), "{words:?}: {calls}");
    }
}
