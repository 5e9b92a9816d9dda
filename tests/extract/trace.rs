//! The trace of a run: a file that Perfetto opens, whose regions nest and add up to the times in the summary.

use serde_json::Value;
use spextral::base::trace::Trace;
use spextral::extract::{Done, Request, Solver, extract_file};
use spextral::fits::{write_preproc, write_psf};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::{Small, cpu};

/// A region, times in nanoseconds.
#[derive(Clone, Debug)]
struct Region {
    name: String,
    thread: u64,
    start: u64,
    end: u64,
}

impl Region {
    fn holds(&self, other: &Region) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    fn is_apart_from(&self, other: &Region) -> bool {
        self.end <= other.start || other.end <= self.start
    }
}

/// An extraction by `solver` on two threads, and the regions of its trace file.
fn traced(folder: &Path, solver: Solver) -> (Done, Vec<Region>) {
    let small = Small::new(1);
    let (psf, preproc, trace) = (folder.join("psf.fits"), folder.join("preproc.fits"), folder.join("trace.json"));
    write_psf(&psf, &small.psf, true).unwrap().persist().unwrap();
    write_preproc(&preproc, &small.sim.preproc, true).unwrap().persist().unwrap();
    let wave = small.grid.wave();
    let mut request = Request::new(preproc, psf, folder.join("frame.fits"));
    request.overwrite = true;
    request.wavelength = Some((wave[0], wave[wave.len() - 1], small.grid.step()).into());
    request.options = Small::options();
    request.options.solver = solver;
    let collector = Arc::new(Trace::new());
    let engine = cpu().with_trace(collector.clone());
    let two = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let done = two.install(|| extract_file(&request, &engine, &|_, _| {})).unwrap();
    collector.write(&trace, true).unwrap();
    (done, regions(&serde_json::from_slice(&std::fs::read(trace).unwrap()).unwrap()))
}

/// The regions of a trace, all of them on threads that have a name.
fn regions(trace: &Value) -> Vec<Region> {
    let events = trace["traceEvents"].as_array().unwrap();
    let of = |kind: &'static str| events.iter().filter(move |event| event["ph"] == kind);
    let named: Vec<u64> = of("M").map(|event| event["tid"].as_u64().unwrap()).collect();
    let region = |event: &Value| {
        let [start, length] = ["ts", "dur"].map(|key| (1e3 * event[key].as_f64().unwrap()).round() as u64);
        let thread = event["tid"].as_u64().unwrap();
        assert!(named.contains(&thread), "thread {thread} has no name");
        Region { name: event["name"].as_str().unwrap().into(), thread, start, end: start + length }
    };
    of("X").map(region).collect()
}

#[test]
fn regions_nest_and_the_whole_run_is_in_them() {
    let folder = tempfile::tempdir().unwrap();
    for solver in [Solver::Patches, Solver::Banded] {
        let (_, regions) = traced(folder.path(), solver);
        for (i, a) in regions.iter().enumerate() {
            for b in regions[i + 1..].iter().filter(|b| b.thread == a.thread) {
                assert!(a.holds(b) || b.holds(a) || a.is_apart_from(b), "{a:?} and {b:?} overlap");
            }
        }
        let the = |name: &str| {
            let found: Vec<&Region> = regions.iter().filter(|region| region.name.ends_with(name)).collect();
            assert_eq!(found.len(), 1, "{name}");
            found[0]
        };
        let (whole, read, extract, write) = (the("frame.fits"), the("read"), the("extract"), the("write"));
        assert!(read.end <= extract.start && extract.end <= write.start);
        for region in &regions {
            let parts = [whole, read, extract, write];
            let is_part = parts.iter().any(|part| part.name == region.name);
            let within = if is_part { whole } else { extract };
            assert!(within.holds(region), "{region:?} is not within {within:?}");
        }
        let bundles: Vec<&Region> = regions.iter().filter(|region| region.name.starts_with("fibres")).collect();
        assert_eq!(bundles.len(), 2, "{solver:?}: one region per bundle");
    }
}

#[test]
fn regions_of_a_stage_add_up_to_its_time() {
    let folder = tempfile::tempdir().unwrap();
    for solver in [Solver::Patches, Solver::Banded] {
        let (done, regions) = traced(folder.path(), solver);
        let mut times = BTreeMap::new();
        for region in &regions {
            *times.entry(region.name.as_str()).or_insert(0) += region.end - region.start;
        }
        assert!(!done.summary.stage_time.is_empty());
        for (stage, time) in &done.summary.stage_time {
            assert_eq!(u128::from(times[stage.name()]), time.as_nanos(), "{solver:?}: {}", stage.name());
        }
    }
}

#[test]
fn regions_of_a_device_keep_their_distances_and_end_when_they_were_waited_for() {
    let trace = Trace::new();
    std::thread::sleep(Duration::from_millis(2));
    let (before, second) = (Instant::now(), Duration::from_secs(1_000_000));
    let us = Duration::from_micros;
    trace.add_device("GPU", before, [("spots", second + us(100), us(50)), ("schur", second + us(160), us(40))]);
    trace.add_device("GPU", before, []);
    trace.region("spots", || ());
    let regions = regions(&trace.to_json());
    let [spots, schur, on_host] = &regions[..] else { panic!("{regions:?}") };
    assert_eq!([spots.end - spots.start, schur.start - spots.end, schur.end - schur.start], [50_000, 10_000, 40_000]);
    assert!(schur.thread == spots.thread && on_host.thread != spots.thread);
    assert!(schur.end <= on_host.start && schur.end >= 2_000_000);
}

#[test]
fn a_trace_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = Trace::new().write(folder.path().join("none/trace.json"), false).unwrap_err().to_string();
    assert!(error.contains("none/trace.json") && error.contains("its folder does not exist"), "{error}");
}
