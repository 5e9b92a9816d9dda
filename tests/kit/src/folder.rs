//! A folder with a small frame and its PSF, and the binary run in it.

use spextral::fits::{write_preproc, write_psf};
use spextral::psf::Psf;
use spextral::simulate::synthetic::Synthetic;
use spextral::simulate::{Simulated, Simulation, simulate};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// Returns the path of the binary of this build. Cargo puts it above the folder of the test binaries.
pub fn binary() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let binary = tests.ancestors().nth(2).unwrap().join(format!("spextral{}", std::env::consts::EXE_SUFFIX));
    assert!(binary.is_file(), "{} is not built", binary.display());
    binary
}

/// Eight fibres in bundles of five on a short CCD.
pub fn small_psf() -> Psf {
    Synthetic { nfibre: 8, bundlesize: 5, npix_y: Some(120), ..Synthetic::default() }.build().unwrap()
}

fn small() -> &'static (Psf, Simulated) {
    static SMALL: OnceLock<(Psf, Simulated)> = OnceLock::new();
    SMALL.get_or_init(|| {
        let psf = small_psf();
        let simulated = simulate(&psf, &Simulation::default()).unwrap();
        (psf, simulated)
    })
}

/// A fresh folder with `preproc.fits` and `psf.fits`.
pub struct Folder {
    home: tempfile::TempDir,
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

impl Folder {
    pub fn new() -> Self {
        let folder = Self { home: tempfile::tempdir().unwrap() };
        write_psf(folder.path("psf.fits"), &small().0, false).unwrap().persist().unwrap();
        write_preproc(folder.path("preproc.fits"), &small().1.preproc, false).unwrap().persist().unwrap();
        folder
    }

    /// Returns the simulated frame in `preproc.fits`.
    pub fn simulated() -> &'static Simulated {
        &small().1
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Returns the names in the folder, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.home.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Extracts a few bins of the first two fibres. More arguments may name files of the folder.
    pub fn extract(&self, more: &[&str]) -> Run {
        self.run(&with(&EXTRACT, more))
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        Run::of(Command::new(binary()).args(arguments).current_dir(self.home.path()))
    }

    /// Runs the binary under `program`, whose arguments are `words`.
    pub fn run_by(&self, program: &str, words: &[&str], arguments: &[&str]) -> Run {
        let mut command = Command::new(program);
        Run::of(command.args(words).arg(binary()).args(arguments).current_dir(self.home.path()))
    }

    /// Runs the binary on a number of CPU threads.
    pub fn run_on_threads(&self, threads: &str, arguments: &[&str]) -> Run {
        let mut command = Command::new(binary());
        Run::of(command.args(arguments).env("RAYON_NUM_THREADS", threads).current_dir(self.home.path()))
    }

    /// Extracts with no file allowed to pass `bytes`.
    #[cfg(unix)]
    pub fn extract_on_a_full_disk(&self, bytes: u64, more: &[&str]) -> Run {
        self.run_on_a_full_disk(bytes, &with(&EXTRACT, more))
    }

    /// Runs the binary with no file allowed to pass `bytes`, rounded down to the 512 of `ulimit -f`.
    #[cfg(unix)]
    pub fn run_on_a_full_disk(&self, bytes: u64, arguments: &[&str]) -> Run {
        self.run_by_shell(&format!("ulimit -f {}; exec \"$0\" \"$@\"", bytes / 512), arguments)
    }

    /// Runs a script of the shell, whose `"$0" "$@"` is the binary with its arguments.
    #[cfg(unix)]
    pub fn run_by_shell(&self, script: &str, arguments: &[&str]) -> Run {
        let mut shell = Command::new("sh");
        Run::of(shell.arg("-c").arg(script).arg(binary()).args(arguments).current_dir(self.home.path()))
    }

    /// Returns a number of bytes between the sizes of two files.
    #[cfg(unix)]
    pub fn bytes_between(&self, smaller: &str, larger: &str) -> u64 {
        let [a, b] = [smaller, larger].map(|name| std::fs::metadata(self.path(name)).unwrap().len());
        assert!(a + 2048 < b, "{smaller} has {a} bytes, {larger} {b}");
        (a + b) / 2
    }

    /// Replaces every occurrence of some bytes in a file by others of the same length.
    pub fn patch(&self, name: &str, from: &str, to: &str) {
        assert_eq!(from.len(), to.len());
        let mut bytes = std::fs::read(self.path(name)).unwrap();
        let places: Vec<usize> =
            (0..bytes.len() - from.len()).filter(|&i| &bytes[i..i + from.len()] == from.as_bytes()).collect();
        assert!(!places.is_empty(), "{name} has no {from}");
        for place in places {
            bytes[place..place + to.len()].copy_from_slice(to.as_bytes());
        }
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// Cuts a file after a fraction of its bytes.
    pub fn cut(&self, name: &str, fraction: f64) {
        let bytes = std::fs::read(self.path(name)).unwrap();
        std::fs::write(self.path(name), &bytes[..(bytes.len() as f64 * fraction) as usize]).unwrap();
    }
}

/// The command line of every extraction of these tests; later words override it.
const EXTRACT: [&str; 17] = [
    "extract",
    "-i",
    "preproc.fits",
    "-p",
    "psf.fits",
    "-o",
    "frame.fits",
    "--bundlesize",
    "5",
    "--nwavestep",
    "20",
    "-n",
    "2",
    "--device",
    "cpu",
    "--loglevel",
    "warn",
];

/// Adds `more` to the arguments, without those that it repeats.
fn with<'a>(arguments: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec![arguments[0]];
    for pair in arguments[1..].chunks(2).filter(|pair| !more.contains(&pair[0])) {
        all.extend(pair);
    }
    all.extend(more);
    all
}

/// The outcome of a run of the binary.
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }

    /// Checks that it succeeded without a warning.
    #[track_caller]
    pub fn succeeds(&self) {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""));
    }

    /// Checks that it failed with exit code 1 and one line on the standard error, which has all of `parts`.
    #[track_caller]
    pub fn fails_saying(&self, parts: &[&str]) {
        assert_eq!(self.code, Some(1), "{}", self.stderr);
        assert!(self.stderr.starts_with("error: ") && self.stderr.lines().count() == 1, "{}", self.stderr);
        for part in parts {
            assert!(self.stderr.contains(part), "`{part}` is not in: {}", self.stderr);
        }
    }

    /// Checks that the command line is refused: exit code 2, and clap's message has all of `parts`.
    #[track_caller]
    pub fn is_refused_saying(&self, parts: &[&str]) {
        assert_eq!(self.code, Some(2), "{}", self.stderr);
        for part in parts {
            assert!(self.stderr.contains(part), "`{part}` is not in: {}", self.stderr);
        }
    }
}

/// Checks that an extraction fails with a message that has all of `parts`, and leaves the folder as it was.
#[track_caller]
pub fn fails_and_leaves_nothing(folder: &Folder, more: &[&str], parts: &[&str]) {
    let before = folder.names();
    folder.extract(more).fails_saying(parts);
    assert_eq!(folder.names(), before);
}

/// Reads a file.
pub fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}
