//! How exact extractions are: every solver on every device, against exact solutions, the published patches and the truth.
//!
//! `cargo test --test fidelity` runs the scenes that take seconds and need nothing but this repository, and fails where a
//! bound is passed. `cargo xtask fidelity` runs all of them and writes `docs/fidelity.md` with its pictures.

#[macro_use(note, test)]
extern crate testkit;

mod errors;
mod page;
mod picture;
mod reduced;
mod runs;
mod scenes;

use runs::{Devices, Outcome};
use scenes::Scene;
use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = "\
--page FILE      run all scenes and write the page there, its pictures beside it
--only SCENE     only the scenes whose name has this in it
--device DEVICE  the GPU: an index, a name, a PCI bus id (SPEXTRAL_TEST_DEVICE, else llvmpipe)
Without --page and --only it is a test binary: see `cargo test --test gpu -- --help`.";

#[derive(Default)]
struct Wanted {
    page: Option<PathBuf>,
    only: Option<String>,
    device: Option<String>,
}

impl Wanted {
    fn parse(mut words: impl Iterator<Item = String>) -> Self {
        let mut wanted = Self::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--page" => wanted.page = words.next().map(PathBuf::from),
                "--only" => wanted.only = words.next(),
                "--device" => wanted.device = words.next(),
                _ => {}
            }
        }
        wanted
    }
}

fn main() -> ExitCode {
    if std::env::args().any(|word| word == "--help") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let wanted = Wanted::parse(std::env::args().skip(1));
    if wanted.page.is_none() && wanted.only.is_none() {
        return testkit::main();
    }
    let devices = Devices::open(wanted.device.as_deref());
    let mut done: Vec<(Scene, Vec<Outcome>)> = Vec::new();
    for name in scenes::NAMES {
        if wanted.only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        let Some(scene) = scenes::make(name) else {
            println!("\n{name}: left out, as the folder `shared` beside the checkout is incomplete");
            continue;
        };
        println!("\n{}: {}", scene.name, scene.what);
        let outcomes = runs::all(&scene, &devices, |outcome| println!("{outcome}"));
        done.push((scene, outcomes));
    }
    if let Some(path) = &wanted.page
        && let Err(message) = page::write(path, &devices, &done)
    {
        eprintln!("error: {message}");
        return ExitCode::FAILURE;
    }
    let beyond: Vec<String> = done.iter().flat_map(|(scene, outcomes)| runs::beyond(scene, outcomes)).collect();
    beyond.iter().for_each(|line| eprintln!("BEYOND ITS BOUND: {line}"));
    if done.is_empty() || !beyond.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
