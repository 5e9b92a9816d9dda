//! A folder with six frames on two PSFs, and runs of the binary in it.

use serde_json::Value as Json;
use spextral::fits::{Preproc, read_headers, verify, write_preproc, write_psf};
use spextral::frame::Value;
use spextral::psf::Psf;
use spextral::simulate::synthetic::Synthetic;
use spextral::simulate::{Simulation, simulate};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use testkit::binary;

/// Frames of a night.
pub const FRAMES: usize = 6;

/// Reproducible cards of each HDU, by file name.
pub type Data = BTreeMap<String, Vec<Vec<(String, Option<Value>)>>>;

/// Options of every run: ten fibres in two bundles.
const COMMON: [&str; 8] = ["--bundlesize", "5", "-w", "6640,6719.2,0.8", "--device", "cpu", "--loglevel", "info"];

struct Sky {
    psfs: Vec<Psf>,
    frames: Vec<Preproc>,
}

fn sky() -> &'static Sky {
    static SKY: OnceLock<Sky> = OnceLock::new();
    SKY.get_or_init(|| {
        let small = Synthetic { nfibre: 10, bundlesize: 5, npix_y: Some(160), ..Synthetic::default() };
        // The gap is narrow, so that spots of both bundles overlap and their models add up.
        let psf = |seed| Synthetic { seed, bundle_gap: 12.0, npix_x: Some(110), ..small.clone() }.build().unwrap();
        let psfs: Vec<Psf> = (0..2).map(psf).collect();
        let frame = |i: usize| {
            let simulation = Simulation { seed: i as u64, expid: i as i64, ..Simulation::default() };
            simulate(&psfs[i % 2], &simulation).unwrap().preproc
        };
        Sky { frames: (0..FRAMES).map(frame).collect(), psfs }
    })
}

/// A fresh folder with `psf0.fits`, `psf1.fits`, `in0.fits.gz` to `in5.fits.gz`.
pub struct Night {
    home: tempfile::TempDir,
}

impl Night {
    pub fn new() -> Self {
        let night = Self { home: tempfile::tempdir().unwrap() };
        for (i, psf) in sky().psfs.iter().enumerate() {
            write_psf(night.path(&format!("psf{i}.fits")), psf, false).unwrap().persist().unwrap();
        }
        for (i, frame) in sky().frames.iter().enumerate() {
            write_preproc(night.path(&format!("in{i}.fits.gz")), frame, false).unwrap().persist().unwrap();
        }
        night
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Writes the manifest `name` of frames by number, with outputs `FOLDER/NUMBER.fits`, half of them with a model.
    pub fn manifest(&self, name: &str, folder: &str, frames: &[usize]) {
        std::fs::create_dir_all(self.path(folder)).unwrap();
        let row = |&i: &usize| {
            let model = if i.is_multiple_of(2) { format!("{folder}/{i}-model.fits.gz") } else { String::new() };
            format!("in{}.fits.gz,psf{}.fits,{folder}/{i}.fits,{model}\n", i % FRAMES, i % 2)
        };
        let rows: String = frames.iter().map(row).collect();
        std::fs::write(self.path(name), format!("input,psf,output,model\n{rows}")).unwrap();
    }

    /// Adds a row to a manifest.
    pub fn add_row(&self, name: &str, row: &str) {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        std::fs::write(self.path(name), format!("{text}{row}\n")).unwrap();
    }

    /// Runs `spextral exposure` on a manifest.
    pub fn exposure(&self, manifest: &str, more: &[&str]) -> Run {
        Run::of(self.command(manifest, more))
    }

    /// Builds the command of `exposure`.
    pub fn command(&self, manifest: &str, more: &[&str]) -> Command {
        let mut command = Command::new(binary());
        // Options of the test replace common ones.
        let common = COMMON.chunks(2).filter(|pair| !more.contains(&pair[0])).flatten();
        command.args(["exposure", "--manifest", manifest]).args(common).args(more).current_dir(self.home.path());
        command
    }

    /// Runs the binary with other arguments.
    pub fn run(&self, words: &[&str]) -> Run {
        let mut command = Command::new(binary());
        command.args(words).args(COMMON).current_dir(self.home.path());
        Run::of(command)
    }

    /// Lists the names in a folder, sorted.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Reads the cards of all files of a folder, DATASUM among them, without those that record the run.
    #[track_caller]
    pub fn data(&self, folder: &str) -> Data {
        let file = |name: String| {
            let path = self.path(folder).join(&name);
            verify(&path, &[]).unwrap();
            (name, read_headers(&path).unwrap().iter().map(reproducible_cards).collect())
        };
        self.names(folder).into_iter().map(file).collect()
    }

    /// Reads a JSON file.
    pub fn report(&self, name: &str) -> Json {
        serde_json::from_slice(&std::fs::read(self.path(name)).unwrap()).unwrap()
    }

    /// Returns the data that an uninterrupted run in one process writes. Nights are alike, so one run serves all tests.
    pub fn undisturbed() -> Data {
        static DATA: OnceLock<Data> = OnceLock::new();
        DATA.get_or_init(|| {
            let night = Self::new();
            night.manifest("m.csv", "out", &[0, 1, 2, 3, 4, 5]);
            night.exposure("m.csv", &[]).succeeds();
            night.data("out")
        })
        .clone()
    }
}

fn reproducible_cards(header: &spextral::fits::Header) -> Vec<(String, Option<Value>)> {
    let reproducible = header.keywords().filter(|k| !["CHECKSUM", "DATE", "SPXDEV", "SPXRETRY"].contains(k));
    reproducible.map(|k| (k.to_string(), header.get(k))).collect()
}

/// Exit code and output of a run of the binary.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    pub fn of(mut command: Command) -> Self {
        Self::from(command.output().unwrap())
    }

    /// Waits for a process; kills it and fails the test after `limit`.
    #[track_caller]
    pub fn within(limit: Duration, mut child: Child) -> Self {
        let start = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if start.elapsed() > limit {
                child.kill().unwrap();
                panic!("still running after {limit:?}: {:?}", Self::from(child.wait_with_output().unwrap()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Self::from(child.wait_with_output().unwrap())
    }

    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    #[track_caller]
    pub fn succeeds(&self) -> &Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// Asserts the exit code, and that each of `parts` was printed.
    #[track_caller]
    pub fn ends_with(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for part in parts {
            assert!(self.stderr.contains(part) || self.stdout.contains(part), "`{part}` is not in: {self:?}");
        }
    }
}

/// Starts a command and captures its output.
pub fn begin(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until a file exists.
#[track_caller]
pub fn wait_for(path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "{} does not appear", path.display());
        std::thread::sleep(Duration::from_millis(1));
    }
}
