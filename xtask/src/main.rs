//! Developer commands: `cargo xtask test`, `cargo xtask clients`, `cargo xtask fuzz`, `cargo xtask bench`.

mod apt;
mod clients;
mod deny;
mod docs;
mod floors;
mod fuzz;
mod packages;
mod prose;
mod python;
mod rust_text;
mod setup;
mod steps;
mod test;
mod wheel;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask test [--install]   format, lints, documentation and its commands, dependencies, all tests, the clients
                               and the Python package;
                               --install (implied by CI=true): install what is missing through apt
cargo xtask floors             hold src/ to the table of floors in CONTRIBUTING.md: arrows point down, no circle of rooms or files
cargo xtask prose [--strict]   find the phrases that house style and docs/glossary.md rule out in documentation, comments and
                               messages; --strict: long sentences, too
cargo xtask clients            desispec and astropy read a frame made by this build
                               (a virtual environment in target/clients, from PyPI)
cargo xtask python             build the Python package, check its types, run its tests (in the same environment)
cargo xtask wheel [FILE]       build the wheel as a release has it (maturin and zig, from PyPI), or take FILE; install it where there is
                               no Rust, run the README's first commands there with times and sizes; no glibc above 2.28
cargo xtask docs               run the commands and programs that README.md and docs/ give
cargo xtask fidelity           measure every accuracy that is claimed, minutes, and write docs/fidelity.md with its pictures;
                               --only SCENE (that one, and no page), --device DEVICE (the GPU; llvmpipe)
cargo xtask fit                measure how right fitted PSFs are, minutes, and write docs/psf-fit.md;
                               --psf FILE --first FIBRE (a bundle of that PSF, too), --only CASE (that one, and no page)
cargo xtask verdict            measure which faults the verdict on a frame finds, minutes, and write docs/verdict.md;
                               --seeds N (100 good frames), --only CASE (that one, and no page)
cargo xtask worlds             compare random instruments, grids and defects with exact solutions, minutes;
                               --count N (2000), --seed N (1), --device DEVICE (cpu), --aim default|finest|single (1e-5 or 1e-8
                               sigma in f64, 1e-3 in f32)
cargo xtask deny               licences, sources and known faults of all dependencies, as deny.toml allows them
                               (cargo-deny, into target/tools; known faults where RustSec's database can be had)
cargo xtask fuzz [TARGET…]     damaged and invented files for all readers, or those named, guided by coverage (libFuzzer);
                               --seconds S per target (60) or --runs N; TARGET FILE meets one input again
cargo xtask bench [OPTIONS]    one table of whole extractions: time, frames per hour, memory and stages by solver, device
                               and size, a scan over what can be set, how cost grows, what the machine would allow;
                               --solver S,… (banded,patches), --device D,… (cpu), --nspec N --nwave N (one size only),
                               --threads N,…, --repeat K (3), --no-scan, --full (a whole frame by patches, too), --psf FILE
                               (the synthetic one), --json FILE; --beside PROGRAM: only stages of 100 fibres, on one thread, in
                               turns with a program whose last line is a JSON object of ns per bin by stage
cargo xtask bench stages       time single stages by criterion
cargo xtask bench files        time reading and writing by kind of file; --nfibre N (500), --repeat K (5), --json FILE
cargo xtask bench exposure     many frames with and without overlap; --frames N (8), --nspec N (100), --nwave N (2326),
                               --device D (cpu; none: a GPU whose kernels do nothing), --inputs N (as frames), --plain,
                               --repeat K (3), --ranks N,… (under mpirun), --keep FOLDER, --json FILE";

/// The whole page, or one scene to look at.
fn fidelity(options: &[&str]) -> Result<(), String> {
    let page = steps::root().join("docs/fidelity.md");
    let mut command = steps::cargo();
    command.args(["test", "--test", "fidelity", "--"]).args(options);
    if !options.contains(&"--only") {
        command.arg("--page").arg(page);
    }
    steps::run(&mut command)
}

/// The whole page, or one case to look at.
fn fit(options: &[&str]) -> Result<(), String> {
    let mut command = steps::cargo();
    command.args(["bench", "--bench", "fit", "--"]).args(options);
    if !options.contains(&"--only") {
        command.arg("--page").arg(steps::root().join("docs/psf-fit.md"));
    }
    steps::run(&mut command)
}

/// The whole page, or one fault to look at.
fn verdict(options: &[&str]) -> Result<(), String> {
    let mut command = steps::cargo();
    command.args(["bench", "--bench", "verdict", "--"]).args(options);
    if !options.contains(&"--only") {
        command.arg("--page").arg(steps::root().join("docs/verdict.md"));
    }
    steps::run(&mut command)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["test"] => test::run(false),
        ["test", "--install"] => test::run(true),
        ["clients"] => clients::run(),
        ["docs"] => docs::run(),
        ["fidelity", options @ ..] => fidelity(options),
        ["fit", options @ ..] => fit(options),
        ["verdict", options @ ..] => verdict(options),
        ["worlds", options @ ..] => steps::run(steps::cargo().args(["bench", "--bench", "worlds", "--"]).args(options)),
        ["deny"] => deny::run(),
        ["floors"] => floors::run(),
        ["prose"] => prose::run(false),
        ["prose", "--strict"] => prose::run(true),
        ["fuzz", words @ ..] => fuzz::run(words),
        ["python"] => python::run(),
        ["wheel"] => wheel::run(None),
        ["wheel", file] => wheel::run(Some(file)),
        ["bench", "stages"] => steps::run(steps::cargo().args(["bench", "--bench", "linalg", "--bench", "stages"])),
        ["bench", "files", options @ ..] => {
            steps::run(steps::cargo().args(["bench", "--bench", "files", "--"]).args(options))
        }
        ["bench", "exposure", options @ ..] => {
            let mpi: &[&str] = if options.contains(&"--ranks") { &["--features", "mpi"] } else { &[] };
            steps::run(steps::cargo().arg("bench").args(mpi).args(["--bench", "exposure", "--"]).args(options))
        }
        ["bench", options @ ..] => steps::run(steps::cargo().args(["bench", "--bench", "extract", "--"]).args(options)),
        ["help" | "--help" | "-h"] | [] => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("error: no such command: {}\n{HELP}", words.join(" "));
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("\nerror: {message}");
            ExitCode::FAILURE
        }
    }
}
