//! Flux of random instruments, grids and defects against exact solutions, which tests do with a few of them. `cargo xtask worlds`
//! runs `cargo bench --bench worlds -- [--count N] [--seed N] [--device DEVICE] [--aim default|finest|single]`.
//!
//! The exit code is 1 where flux was off by more than the tolerance, and by more than was reported.

use spextral::Engine;
use spextral::gpu::{DeviceChoice, OpenOptions};
use std::process::ExitCode;
use testkit::reported::{DEFAULT, FINEST, SINGLE, survey};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let value = |name: &str| args.iter().position(|a| a == name).and_then(|k| args.get(k + 1)).map(String::as_str);
    let number = |name: &str, default| value(name).map_or(default, |text| text.parse::<u32>().expect("a whole number"));
    let aim = match value("--aim").unwrap_or("default") {
        "default" => DEFAULT,
        "finest" => FINEST,
        "single" => SINGLE,
        other => panic!("--aim {other}: give default, finest or single"),
    };
    let Ok(choice) = value("--device").unwrap_or("cpu").parse::<DeviceChoice>();
    let options = OpenOptions { needs_f64: aim.is_f64(), ..OpenOptions::default() };
    let backend = Engine::open(&choice, &options, &[]).expect("the device");
    let survey = survey(number("--seed", 1).into(), number("--count", 2000), aim, &backend);
    println!("{survey}");
    if survey.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
