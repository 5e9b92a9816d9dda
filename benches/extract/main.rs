//! Whole extractions, timed stage by stage: `cargo xtask bench [OPTIONS]`, which is `cargo bench --bench extract -- [OPTIONS]`.
//!
//! The table has a row for every solver x device x size and one for every setting of the tunables. Below it stands the
//! growth of the cost with bins and with fibres. Then comes, for the largest size of each solver, how each stage uses the
//! machine. `--threads 1` adds the time of a node of many cores. The frame is simulated, so the figures need no other
//! file. Every row is a process of its own: memory and threads are that row's alone. Times are the best of `--repeat`
//! runs; machines are noisy, so compare ratios within one run.

mod beside;
mod case;
mod machine;
mod node;
mod plan;
mod report;
mod work;

use case::Outcome;
use machine::Machine;
use plan::Wanted;
use spextral::fits::{read_psf, write_preproc, write_psf};
use spextral::simulate::synthetic::Synthetic;
use spextral::simulate::{Simulation, simulate};
use std::path::Path;

/// Fibres and bins of a DESI r frame, which rates are given for.
pub const FRAME: [usize; 2] = [500, 2326];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, flag, folder, case] = &arguments[..]
        && flag == "--case"
    {
        println!("{}", case::run(Path::new(folder), serde_json::from_str(case).expect("a case")));
        return;
    }
    if let Err(message) = bench(&arguments[1..]) {
        eprintln!("error: {message}");
        std::process::exit(2);
    }
}

fn bench(arguments: &[String]) -> Result<(), String> {
    let wanted = Wanted::parse(arguments)?;
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let psf = match &wanted.psf {
        Some(file) => read_psf(file).map_err(|e| e.to_string())?,
        None => Synthetic::default().build().map_err(|e| e.to_string())?,
    };
    let frame = simulate(&psf, &Simulation::default()).map_err(|e| e.to_string())?;
    write_psf(folder.path().join(case::PSF), &psf, false)
        .map_err(|e| e.to_string())?
        .persist()
        .map_err(|e| e.to_string())?;
    write_preproc(folder.path().join(case::PREPROC), &frame.preproc, false)
        .map_err(|e| e.to_string())?
        .persist()
        .map_err(|e| e.to_string())?;
    drop(frame);
    if let Some(program) = &wanted.beside {
        return beside::compare(&wanted, folder.path(), program);
    }
    let machine = Machine::measure();
    report::head(&machine);
    let mut outcomes: Vec<Outcome> = Vec::new();
    for case in wanted.cases() {
        let outcome = case.in_process(folder.path())?;
        report::row(&outcome);
        outcomes.push(outcome);
    }
    let growth = report::growth(&outcomes);
    report::roofs(&machine, &outcomes, &psf);
    let simulated = node::simulate(&outcomes);
    if let Some(path) = &wanted.json {
        let json = serde_json::json!({
            "machine": machine, "growth": growth, "simulated": simulated,
            "cases": outcomes.iter().map(|outcome| report::json(outcome, &psf)).collect::<Vec<_>>(),
        });
        std::fs::write(path, json.to_string()).map_err(|e| format!("cannot write {path}: {e}"))?;
    }
    Ok(())
}
