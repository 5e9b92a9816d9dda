//! Frames within the memory that a device may give: planned, kept, and the same numbers.

use super::faults::{options, tiny};
use spextral::backend::{Decorrelate, EngineError, Stage};
use spextral::extract::{ExtractError, Extraction, ModelFlux, Options, Solver};
use spextral::fits::{read_headers, write_preproc, write_psf};
use spextral::gpu::{GpuError, OpenOptions, Precision};
use std::process::Command;
use testkit::{Engine, Small, binary, bits, cpu, gpu, on, on_except, open_with_f64};

fn run(small: &Small, options: &Options, engine: &Engine) -> Result<Extraction, ExtractError> {
    small.try_extract(options, engine)
}

/// The least that an error names, bytes.
fn least(result: Result<Extraction, ExtractError>) -> u64 {
    let Err(error) = result else { panic!("that is not too little") };
    let words = error.to_string();
    assert!(words.contains("too little memory") && words.contains("max-device-memory"), "{words}");
    match error {
        ExtractError::Engine(EngineError::Gpu(GpuError::LittleMemory { least, .. })) => 1024 * least,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_frame_keeps_within_its_plan_and_any_limit_with_the_same_bits() {
    let gpu = gpu();
    let small = Small::new(51);
    for solver in [Solver::Patches, Solver::Banded] {
        let mut options = Options { solver, model: Some(ModelFlux::Deconvolved), ..Small::options() };
        let engine = on(&gpu);
        let free = run(&small, &options, &engine).unwrap();
        let used = free.summary.device_memory.unwrap();
        note!("{solver:?}: {used:?}");
        // The plan is at most a few times the memory used.
        assert!(used.peak > 0 && used.peak <= used.planned && used.planned < 4 * used.peak, "{solver:?}: {used:?}");
        assert_eq!(gpu.bytes_alive(), 0, "{solver:?}: all is freed");
        options.max_device_memory = Some(1000);
        let least = least(run(&small, &options, &engine));
        assert!(3 * least < 2 * used.planned, "{solver:?}: {least} of {used:?}");
        for limit in [least, least + (used.planned - least) / 3, used.planned] {
            options.max_device_memory = Some(limit);
            let done = run(&small, &options, &engine).unwrap();
            let within = done.summary.device_memory.unwrap();
            note!("{solver:?}: {limit}: {within:?}");
            assert!(within.peak <= within.planned && within.planned <= limit, "{solver:?}: {limit}, {within:?}");
            assert_eq!((&done.summary.retried, done.summary.redone), (&None, 0), "{solver:?}: {limit}");
            assert!(bits(&done) == bits(&free), "{solver:?}: {limit}");
        }
    }
}

#[test]
fn the_plan_holds_for_fibres_together_and_for_stages_on_the_cpu() {
    let gpu = gpu();
    let small = tiny();
    let patches = options(Solver::Patches);
    let together = Options { decorrelate: Decorrelate::Noise, ..patches.clone() };
    for (options, on_cpu) in [(together, &[][..]), (patches, &[Stage::Cholesky, Stage::Spots, Stage::Jacobi][..])] {
        let engine = on_except(&gpu, on_cpu);
        let small_limit = Options { max_device_memory: Some(1), ..options.clone() };
        let least = least(run(&small, &small_limit, &engine));
        let done = run(&small, &Options { max_device_memory: Some(least), ..options }, &engine).unwrap();
        assert!(done.summary.retried.is_none(), "{:?}", done.summary);
        assert!(done.summary.device_memory.unwrap().peak <= least);
    }
}

#[test]
fn a_device_that_nobody_asked_for_leaves_to_the_cpu_what_it_has_too_little_memory_for() {
    let gpu = gpu();
    let small = tiny();
    let options = Options { max_device_memory: Some(1 << 10), ..options(Solver::Banded) };
    let done = run(&small, &options, &on(&gpu).unasked()).unwrap();
    assert!(done.summary.retried.as_ref().is_some_and(|why| why.contains("too little memory")));
    assert!(done.summary.device.starts_with("CPU f64"));
}

#[test]
fn the_binary_says_what_memory_it_took_and_why_a_frame_was_done_again() {
    let gpu = gpu();
    let (small, home) = (tiny(), tempfile::tempdir().unwrap());
    let path = |name: &str| home.path().join(name);
    write_psf(path("psf.fits"), &small.psf, false).unwrap().persist().unwrap();
    write_preproc(path("in.fits"), &small.sim.preproc, false).unwrap().persist().unwrap();
    std::fs::write(
        path("m.csv"),
        "input,psf,output,max-device-memory\nin.fits,psf.fits,a.fits,\nin.fits,psf.fits,b.fits,1K\n",
    )
    .unwrap();
    let grid = format!("{},{},0.8", small.grid.wave()[0], small.grid.wave()[11]);
    let spextral = |words: &[&str], fault: &str| {
        let mut command = Command::new(binary());
        let all =
            ["-w", &grid, "--bundlesize", "2", "--nsubbundles", "1", "--loglevel", "info", "--device", gpu.name()];
        let done =
            command.args(words).args(all).env("SPEXTRAL_FAULT", fault).current_dir(home.path()).output().unwrap();
        (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let card = |name: &str, key: &str| read_headers(path(name)).unwrap()[0].get_str(key);
    let extract = ["extract", "-i", "in.fits", "-p", "psf.fits", "--overwrite", "-o", "frame.fits"];
    let (code, said) = spextral(&extract, "none@0");
    assert!(code == Some(0) && said.contains("device memory: ") && said.contains("is no fault"), "{said}");
    assert_eq!(card("frame.fits", "SPXRETRY"), None);
    let (code, said) = spextral(&extract, "lost@90");
    assert!(code == Some(0) && said.contains("tried again in smaller parts"), "{said}");
    assert!(card("frame.fits", "SPXRETRY").is_some_and(|why| why.contains("was lost")));
    let (code, said) = spextral(&extract, "memory@60+");
    assert!(code == Some(0) && said.contains("out of memory") && said.contains("the CPU does it"), "{said}");
    assert!(card("frame.fits", "SPXDEV").is_some_and(|device| device.starts_with("CPU f64")));
    let (code, said) = spextral(&[&extract[..], &["--max-device-memory", "1K"]].concat(), "panic@80+");
    assert!(code == Some(1) && said.contains("1K is too little memory"), "{said}");
    let exposure = ["exposure", "--manifest", "m.csv"];
    let (code, said) = spextral(&exposure, "none@0");
    assert!(code == Some(1) && said.contains("b.fits is not made") && said.contains("too little memory"), "{said}");
    // Once the device is gone for good, memory does not matter.
    let (code, said) = spextral(&[&exposure[..], &["--overwrite"]].concat(), "panic@80+");
    assert!(code == Some(0) && said.contains("was lost") && !said.contains("panicked"), "{said}");
    assert!(card("a.fits", "SPXDEV").is_some_and(|device| device.starts_with("CPU f64")));
}

#[test]
fn a_bundle_whose_wider_bands_do_not_fit_is_the_cpus_and_the_others_stay() {
    let gpu = open_with_f64(&OpenOptions::default());
    let engine = on(&gpu);
    let mut small = Small::new(23);
    small.brighten(6, 1000.0);
    let options = Options { solver: Solver::Banded, precision: Some(Precision::F64), ..Small::options() };
    // The first bands fit in no less than this.
    let least = least(run(&small, &Options { max_device_memory: Some(1), ..options.clone() }, &engine));
    let all = run(&small, &options, &engine).unwrap();
    assert_eq!((all.summary.redone, all.summary.banded), (0, 2));
    let some = run(&small, &Options { max_device_memory: Some(least), ..options.clone() }, &engine).unwrap();
    assert_eq!((some.summary.redone, some.summary.banded), (1, 2), "{:?}", some.summary);
    let twin = run(&small, &options, &cpu()).unwrap();
    let fibres = |done: &Extraction, of: std::ops::Range<usize>| {
        done.spectra.flux[of.start * done.spectra.nwave..of.end * done.spectra.nwave].to_vec()
    };
    assert!(fibres(&some, 0..5) == fibres(&all, 0..5) && fibres(&some, 5..8) == fibres(&twin, 5..8));
}
