//! The ladder of fallbacks: the program walks every row of its table, for both solvers. Header, summary and `--json` report
//! one record of it.

use super::faults::{options, tiny};
use serde_json::Value;
use spextral::extract::{Job, Solver, extract_share};
use spextral::fits::{read_headers, write_preproc, write_psf};
use spextral::gpu::OpenOptions;
use spextral::gpu::fault_injection::Faults;
use spextral::plan::{Groups, bundles};
use spextral::solver::{LADDER, LastRung, Level, Reason, Step};
use std::process::Command;
use testkit::{binary, device_name, gpu, on, open};

/// Which solvers can meet a reason.
fn solvers(reason: Reason) -> &'static [Solver] {
    match reason {
        Reason::StageLimit | Reason::Patch => &[Solver::Patches],
        Reason::OutOfMemory | Reason::Lost | Reason::NoMemory | Reason::Device | Reason::Final => {
            &[Solver::Auto, Solver::Patches]
        }
        Reason::Coupling => &[Solver::Auto, Solver::Banded],
        _ => &[Solver::Auto],
    }
}

/// A run of the program on the test device with every bundle unserved for one reason.
struct Walk {
    code: Option<i32>,
    log: String,
    json: Value,
}

fn walk(home: &std::path::Path, grid: &str, reason: Reason, solver: Solver) -> Walk {
    let solver = solver.to_string();
    let words = ["extract", "-i", "in.fits", "-p", "psf.fits", "-o", "frame.fits", "--overwrite", "-w", grid];
    let more = ["--bundlesize", "2", "--nsubbundles", "1", "--json", "--loglevel", "debug", "--solver", &solver];
    let mut command = Command::new(binary());
    command.current_dir(home).args(words).args(more).args(["--device", &device_name()]);
    let run = command.env("SPEXTRAL_FAULT", format!("unserved:{reason:?}")).output().unwrap();
    let json = serde_json::from_slice(&run.stdout).unwrap();
    Walk { code: run.status.code(), log: String::from_utf8_lossy(&run.stderr).into_owned(), json }
}

/// The steps of a walk with the level that each was taken from.
fn steps(walk: &Walk) -> Vec<(Level, Step)> {
    let read = |fallback: &Value| {
        let level = serde_json::from_value(fallback["from"]["level"].clone()).unwrap();
        (level, serde_json::from_value(fallback["step"].clone()).unwrap())
    };
    walk.json["fallbacks"].as_array().unwrap().iter().map(read).collect()
}

#[test]
fn every_step_of_the_table_is_taken_in_order_and_told_alike_by_header_summary_and_json() {
    gpu();
    let (small, home) = (tiny(), tempfile::tempdir().unwrap());
    write_psf(home.path().join("psf.fits"), &small.psf, false).unwrap().persist().unwrap();
    write_preproc(home.path().join("in.fits"), &small.sim.preproc, false).unwrap().persist().unwrap();
    let grid = format!("{},{},0.8", small.grid.wave()[0], small.grid.wave()[11]);
    for (reason, row) in LADDER {
        for &solver in solvers(reason) {
            let walk = walk(home.path(), &grid, reason, solver);
            let what = format!("{reason:?}, {solver:?}: {}", walk.json);
            let fails = reason == Reason::Final || (reason, solver) == (Reason::Coupling, Solver::Banded);
            if fails {
                assert!(walk.code != Some(0) && walk.json["error"].is_string(), "{what}");
                continue;
            }
            let taken = steps(&walk);
            // A frame without any result is no success.
            let lost = taken.iter().any(|(_, step)| *step == Step::NoResult);
            assert_eq!(walk.code, Some(i32::from(lost)), "{what}: {}", walk.log);
            // Only a caller that decides itself meets Fail here; an error of 1 sigma is more than that of patches, which serve.
            let met = |step: &Step| *step != Step::Fail && (reason, *step) != (Reason::Inaccurate, Step::Accept);
            let mut expected: Vec<Step> = row.iter().copied().filter(met).collect();
            expected.sort_unstable();
            let mut found: Vec<Step> = taken.iter().map(|(_, step)| *step).collect();
            found.sort_unstable();
            found.dedup();
            assert_eq!(found, expected, "{what}");
            let place = |step: Step| row.iter().position(|known| *known == step);
            let in_order = |pair: &[(Level, Step)]| pair[0].0 != pair[1].0 || place(pair[0].1) <= place(pair[1].1);
            assert!(taken.windows(2).all(in_order), "{what}");
            assert!(taken.iter().all(|(level, _)| *level == Level::First) || taken.is_sorted_by_key(|t| t.0), "{what}");
            the_record_is_one(home.path(), &walk, &what);
            let (last, json) = (taken[taken.len() - 1].1, &walk.json);
            let served = match last {
                Step::Cpu => json["redone"] == 1 && json["precision"] == "f64",
                Step::Patches => json["solver"] == "patches" && json["bundles_in_patches"] == serde_json::json!([0]),
                Step::NoResult => json["patches_unsolved"].as_u64() > Some(0) && json["bins_without_result"] == 24,
                Step::StageOnCpu => json["bins_without_result"] == 0 && walk.log.contains("the CPU does cholesky"),
                Step::CpuForAll => {
                    json["retried"].is_string() && json["device"].as_str().unwrap().starts_with("CPU f64")
                }
                other => panic!("{what}: {other:?} is no last step"),
            };
            assert!(served, "{what}");
        }
    }
}

/// Asserts that the header and the log have what the object has.
#[track_caller]
fn the_record_is_one(home: &std::path::Path, walk: &Walk, what: &str) {
    let header = read_headers(home.join("frame.fits")).unwrap().remove(0);
    let fields = [("retried", "SPXRETRY"), ("solver", "SPXSOLV"), ("precision", "SPXPREC"), ("device", "SPXDEV")];
    for (field, keyword) in fields {
        assert_eq!(walk.json[field].as_str().map(String::from), header.get_str(keyword), "{field}, {what}");
    }
    for fallback in walk.json["fallbacks"].as_array().unwrap() {
        let reason = fallback["reason"].as_str().unwrap();
        assert!(walk.log.contains(reason), "the log has no `{reason}`: {}", walk.log);
    }
}

#[test]
fn a_caller_that_decides_itself_gets_the_failure_of_the_device_for_every_solver() {
    let small = tiny();
    let faults = Faults::counting();
    let gpu = open(&OpenOptions { faults: faults.clone(), ..OpenOptions::default() });
    for (reason, row) in LADDER.into_iter().filter(|(_, row)| row.contains(&Step::CpuForAll)) {
        assert_eq!(row[row.len() - 1], Step::Fail);
        for &solver in solvers(reason) {
            let options = options(solver);
            let ccd = small.ccd();
            let job = Job::new(&small.psf, &ccd, &small.grid, &options).unwrap();
            let bundles = bundles(&Groups::of_size(2, 2), 0, 2).unwrap();
            faults.leave_unserved(&format!("{reason:?}"));
            let failed = extract_share(&job, &bundles, &on(&gpu), LastRung::Caller, &|_, _| {});
            assert!(failed.unwrap_err().device_failure().is_some(), "{reason:?}, {solver:?}");
        }
    }
}
