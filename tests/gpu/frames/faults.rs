//! Frames on a device that fails, at every touch and in every way: never a wrong number, a hang or a panic.

use rayon::prelude::*;
use spextral::extract::{ModelFlux, Options, Solver};
use spextral::geometry::WaveGrid;
use spextral::gpu::fault_injection::{Fault, Faults, Touch};
use spextral::gpu::{DEFAULT_MEMORY, Device, DeviceChoice, Gpu, GpuError, OpenOptions};
use spextral::simulate::synthetic::Synthetic;
use std::collections::BTreeSet;
use testkit::{Engine, Small, bits, cpu, gpu, on, open};

/// Two fibres of 12 bins.
pub fn tiny() -> Small {
    let psf = Synthetic { nfibre: 2, bundlesize: 2, npix_y: Some(120), ..Synthetic::default() };
    let mut small = Small::on(psf.build().unwrap(), 41);
    let first = small.grid.wave()[40];
    small.grid = WaveGrid::new(first, first + 11.0 * 0.8, 0.8).unwrap();
    small
}

pub fn options(solver: Solver) -> Options {
    let mut options = Options { solver, model: Some(ModelFlux::Deconvolved), ..Small::options() };
    (options.patches.bundlesize, options.patches.nsubbundles) = (Some(2), Some(1));
    (options.patches.nwavestep, options.patches.wavepad) = (12, 2);
    options
}

/// A frame, and its bits on a device and on the CPU.
pub struct Case {
    pub small: Small,
    pub options: Options,
    exact_times: bool,
    pub on_device: Vec<u64>,
    pub on_cpu: Vec<u64>,
    /// Touches of a frame on an open device with its kernels compiled and the PSF's series there.
    warm: Vec<(Touch, String)>,
    /// Touches of a frame on a device just opened.
    cold: Vec<(Touch, String)>,
}

fn ready(faults: &Faults) -> Gpu {
    open(&OpenOptions { faults: faults.clone(), ..OpenOptions::default() })
}

impl Case {
    pub fn new(solver: Solver, exact_times: bool) -> Self {
        let (small, options) = (tiny(), options(solver));
        let faults = Faults::counting();
        let gpu = ready(&faults);
        let frame = |engine: Engine| {
            // Resets the count; no touch fails.
            faults.fail(0..0, Fault::Lost);
            let engine = if exact_times { engine.with_exact_times() } else { engine };
            let done = small.extract(&options, &engine);
            assert_eq!((done.summary.redone, &done.summary.retried), (0, &None));
            (bits(&done), faults.touches())
        };
        let (on_device, cold) = frame(on(&gpu));
        let (again, warm) = frame(on(&gpu));
        let (on_cpu, touches) = frame(cpu());
        assert!(on_device == again && touches.is_empty() && on_device != on_cpu);
        Self { small, options, exact_times, on_device, on_cpu, warm, cold }
    }

    /// Extracts the frame on a device with `faults` armed. Returns whether the CPU finished it; None without a retry.
    fn check(&self, gpu: &Gpu, faults: &Faults, what: &str) -> Option<bool> {
        let engine = on(gpu);
        let engine = if self.exact_times { engine.with_exact_times() } else { engine };
        let done = self.small.extract(&self.options, &engine);
        assert!(faults.met() > 0, "{what}: it did not fail");
        let on_cpu = done.summary.device.starts_with("CPU f64");
        let right = if on_cpu { &self.on_cpu } else { &self.on_device };
        assert!(bits(&done) == *right, "{what}: {:?}", done.summary);
        assert!(done.summary.retried.is_some() || !on_cpu, "{what}: it is not said");
        done.summary.retried.as_ref().map(|_| on_cpu)
    }
}

/// Which of `touches` fail by `fault`: of those that can, one of each `same`.
fn places<T: Ord>(
    touches: &[(Touch, String)],
    fault: Fault,
    same: impl Fn(usize, &(Touch, String)) -> Option<T>,
) -> Vec<usize> {
    let mut seen = BTreeSet::new();
    let can_be = (0..touches.len()).filter(|&k| fault.can_be_at(touches[k].0));
    can_be.filter(|&k| same(k, &touches[k]).is_some_and(|new| seen.insert(new))).collect()
}

/// Memory that is out at any touch, once and from there on.
fn memory_runs_out(solver: Solver) {
    let case = Case::new(solver, false);
    let places = places(&case.warm, Fault::OutOfMemory, |k, _| Some(k));
    places.par_chunks(places.len().div_ceil(2)).for_each(|places| {
        let faults = Faults::counting();
        let gpu = ready(&faults);
        for &k in places {
            for end in [k + 1, usize::MAX] {
                gpu.set_memory(DEFAULT_MEMORY);
                // Makes its kernels, and sends again what a failure has taken away.
                faults.fail(0..0, Fault::OutOfMemory);
                case.small.extract(&case.options, &on(&gpu));
                faults.fail(k..end, Fault::OutOfMemory);
                let what = format!("{solver:?}: no memory at touches {k}..{end}, {:?}", case.warm[k]);
                assert_eq!(case.check(&gpu, &faults, &what), Some(end == usize::MAX), "{what}");
            }
        }
    });
}

#[test]
fn a_frame_of_patches_is_right_wherever_memory_runs_out() {
    memory_runs_out(Solver::Patches);
}

#[test]
fn a_frame_in_bands_is_right_wherever_memory_runs_out() {
    memory_runs_out(Solver::Banded);
}

/// Extracts on a device that fails at a touch, and checks the retry. Returns all touches.
fn device_fails(case: &Case, fault: Fault, k: usize) -> Vec<(Touch, String)> {
    let what = format!("{fault:?} at touch {k}, {:?}", case.cold[k]);
    let faults = Faults::counting();
    let gpu = ready(&faults);
    faults.fail(k..k + 1, fault);
    let again = case.check(&gpu, &faults, &what);
    // A device that is lost when the last numbers have been read is not missed.
    let late = fault == Fault::Lost && case.cold[k].0 == Touch::Read && again.is_none();
    assert!(late || again == Some(fault == Fault::Driver), "{what}: {again:?}");
    faults.touches()
}

/// Whether the device is to fail at every single touch: `SPEXTRAL_TEST_FAULTS=all`, which takes minutes.
fn at_every_touch() -> bool {
    std::env::var("SPEXTRAL_TEST_FAULTS").is_ok_and(|asked| asked == "all")
}

/// Loses a device once at each thing that is touched in each way, and provokes other failures once per way. With
/// `SPEXTRAL_TEST_FAULTS=all` it provokes every failure at every touch.
fn device_fails_anywhere(solver: Solver) {
    let case = Case::new(solver, false);
    let every = at_every_touch();
    let by_name = |k: usize, (touch, what): &(Touch, String)| Some((*touch, what.clone(), every.then_some(k)));
    let by_kind = |k: usize, (touch, _): &(Touch, String)| Some((*touch, every.then_some(k)));
    let mut all: Vec<(Fault, usize)> = Vec::new();
    all.extend(places(&case.cold, Fault::Lost, by_name).into_iter().map(|k| (Fault::Lost, k)));
    for fault in [Fault::Driver, Fault::Hang, Fault::Panic] {
        all.extend(places(&case.cold, fault, by_kind).into_iter().map(|k| (fault, k)));
    }
    let touches = case.cold.len();
    assert!(all.len() > if every { 2 * touches } else { 60 }, "{}", all.len());
    all.par_iter().for_each(|&(fault, k)| drop(device_fails(&case, fault, k)));
    note!("{solver:?}: {} failures at {touches} touches, each met and got over", all.len());
}

#[test]
fn a_frame_of_patches_is_right_wherever_the_device_fails() {
    device_fails_anywhere(Solver::Patches);
}

#[test]
fn a_frame_in_bands_is_right_wherever_the_device_fails() {
    device_fails_anywhere(Solver::Banded);
}

/// A device lost twice: the second time before the first loss is seen, while it is reopened, or in the second attempt.
fn device_is_lost_twice(solver: Solver) {
    let case = Case::new(solver, false);
    let every = at_every_touch();
    let firsts: Vec<usize> = [0, 1, 2].map(|part| part * case.cold.len() / 3).into();
    firsts.into_par_iter().for_each(|first| {
        let touches = device_fails(&case, Fault::Lost, first);
        let opened = touches.iter().position(|(touch, _)| *touch == Touch::Open).unwrap();
        assert!(opened > first && touches.len() > opened + case.cold.len() / 2);
        let step = if every { 1 } else { (touches.len() - first) / 12 };
        (first + 1..touches.len()).step_by(step).for_each(|second| {
            let what = format!("{solver:?}: lost at touches {first} and {second}, {:?}", touches[second]);
            let faults = Faults::counting();
            let gpu = ready(&faults);
            faults.fail(first..first + 1, Fault::Lost);
            faults.fail_also(second..second + 1, Fault::Lost);
            let on_cpu = case.check(&gpu, &faults, &what);
            assert_eq!(faults.met(), 2, "{what}");
            let late = touches[second].0 == Touch::Read && on_cpu == Some(false);
            assert!(late || on_cpu == Some(second >= opened), "{what}: {on_cpu:?}");
        });
    });
}

#[test]
fn a_frame_is_right_where_the_device_is_lost_a_second_time() {
    device_is_lost_twice(Solver::Patches);
    device_is_lost_twice(Solver::Banded);
}

#[test]
fn a_frame_whose_time_is_taken_is_right_where_timestamps_fail() {
    let case = Case::new(Solver::Banded, true);
    let of_times =
        |_: usize, touch: &(Touch, String)| ["timestamps", "ticks"].contains(&touch.1.as_str()).then(|| touch.clone());
    for fault in [Fault::Lost, Fault::OutOfMemory] {
        let places = places(&case.cold, fault, of_times);
        assert!(places.len() >= if fault == Fault::Lost { 4 } else { 2 }, "{places:?}");
        places.into_iter().for_each(|k| drop(device_fails(&case, fault, k)));
    }
}

/// Opens the test device by its name.
fn open_anew(options: OpenOptions) -> Result<Device, GpuError> {
    Device::open(&DeviceChoice::Name(gpu().name().to_string()), &options)
}

#[test]
fn a_device_that_fails_while_it_is_opened_is_refused_with_the_reason() {
    let faults = Faults::counting();
    let gpu = ready(&faults);
    let touches = faults.touches();
    let ways = Fault::ALL.into_iter().flat_map(|fault| (0..touches.len()).map(move |k| (fault, k)));
    ways.filter(|&(fault, k)| fault.can_be_at(touches[k].0)).for_each(|(fault, k)| {
        faults.fail(k..k + 1, fault);
        let opened = open_anew(OpenOptions { faults: faults.clone(), ..OpenOptions::default() });
        let what = format!("{fault:?} at {k}, {:?}", touches[k]);
        match opened {
            Err(GpuError::Refused { device, reason }) => assert!(device == gpu.name() && !reason.is_empty(), "{what}"),
            // Lost after its last number was read, which only the next touch notices.
            Ok(_) if fault == Fault::Lost && k + 1 >= touches.len() - 3 => {}
            other => panic!("{what}: {other:?}"),
        }
    });
}

#[test]
fn a_wrong_number_in_what_the_self_test_reads_back_refuses_the_device() {
    let faults = Faults::counting();
    ready(&faults);
    let touches = faults.touches();
    let reads: Vec<usize> = (0..touches.len()).filter(|&k| touches[k].0 == Touch::Read).collect();
    let reasons = ["turns counted", "sqrt of", "exp of", "the normal distribution", "across barriers gave"];
    assert_eq!(reads.len(), reasons.len());
    for (k, reason) in reads.into_iter().zip(reasons) {
        faults.fail(k..k + 1, Fault::Wrong);
        let refused = open_anew(OpenOptions { faults: faults.clone(), ..OpenOptions::default() }).unwrap_err();
        let words = refused.to_string();
        assert!(words.contains("is refused") && words.contains(reason), "{words}");
    }
}

#[test]
fn a_device_that_cannot_be_opened_anew_is_left_alone_at_once() {
    let case = Case::new(Solver::Patches, false);
    let faults = Faults::counting();
    let engine = on(&ready(&faults));
    faults.fail(0..usize::MAX, Fault::Driver);
    for _ in 0..2 {
        let done = case.small.extract(&case.options, &engine);
        assert!(bits(&done) == case.on_cpu && !engine.is_gpu());
    }
}
