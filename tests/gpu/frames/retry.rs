//! Frames, memory and dispatches of a device after it has failed.

use super::faults::Case;
use spextral::extract::{Extraction, Options, Solver};
use spextral::gpu::fault_injection::{Fault, Faults, Touch};
use spextral::gpu::{DEFAULT_MEMORY, Gpu, OpenOptions};
use spextral::simulate::synthetic::Synthetic;
use testkit::{Engine, Small, bits, on, open};

/// As `backend::retry` has it.
const GOOD_FRAMES: usize = 16;
const LEAST_MEMORY: u64 = 1 << 20;
const LEAST_OPERATIONS: u64 = 1_000_000;

/// A device whose failures are counted, with so much memory.
fn counted(memory: Option<u64>) -> (Faults, Gpu) {
    let faults = Faults::counting();
    let gpu = open(&OpenOptions { faults: faults.clone(), memory, ..OpenOptions::default() });
    (faults, gpu)
}

/// The next frame, in which these touches fail.
fn frame(case: &Case, engine: &Engine, faults: &Faults, failing: &[(usize, Fault)]) -> Extraction {
    faults.fail(0..0, Fault::Lost);
    failing.iter().for_each(|&(k, fault)| faults.fail_also(k..k + 1, fault));
    case.small.extract(&case.options, engine)
}

#[test]
fn a_device_that_opens_well_but_fails_in_each_frame_is_left_alone_from_the_fourth() {
    let case = Case::new(Solver::Banded, false);
    let (faults, gpu) = counted(None);
    frame(&case, &on(&gpu), &faults, &[(0, Fault::Lost)]);
    let in_the_second_attempt = faults.touches().iter().rposition(|(touch, _)| *touch == Touch::Submit).unwrap();
    let lost = [(0, Fault::Lost), (in_the_second_attempt, Fault::Lost)];
    for (memory, failing) in [
        (None, &[(0, Fault::Driver)][..]),
        (None, &lost[..]),
        // It cannot be given less.
        (Some(LEAST_MEMORY), &[(0, Fault::OutOfMemory)][..]),
    ] {
        let (faults, gpu) = counted(memory);
        let engine = on(&gpu);
        for k in 0..5 {
            let done = frame(&case, &engine, &faults, failing);
            let what = format!("{failing:?}, frame {k}: {:?}", done.summary);
            assert!(bits(&done) == case.on_cpu, "{what}");
            assert_eq!((engine.is_gpu(), faults.touches().is_empty()), (k < 2, k > 2), "{what}");
            let left = done.summary.retried.as_ref().unwrap().contains("failed 3 frames in a row");
            assert_eq!((left, faults.met() == failing.len()), (k > 2, k < 3), "{what}");
        }
    }
}

#[test]
fn a_good_frame_counts_a_devices_failures_anew() {
    let case = Case::new(Solver::Banded, false);
    let (faults, gpu) = counted(None);
    let engine = on(&gpu);
    for (k, failing) in [1, 1, 0, 1, 1, 0, 1, 1, 1].into_iter().enumerate() {
        let done = frame(&case, &engine, &faults, &[(0, Fault::Driver)][..failing]);
        let right = if failing == 0 { &case.on_device } else { &case.on_cpu };
        assert!(bits(&done) == *right && faults.met() == failing, "frame {k}: {:?}", done.summary);
    }
    assert!(!engine.is_gpu());
}

#[test]
fn memory_is_given_back_after_sixteen_good_frames_in_a_row() {
    let case = Case::new(Solver::Banded, false);
    let (faults, gpu) = counted(None);
    let engine = on(&gpu);
    let next = |failing: &[(usize, Fault)]| {
        let done = frame(&case, &engine, &faults, failing);
        assert!(bits(&done) == case.on_device && done.summary.retried.is_some() != failing.is_empty());
        gpu.memory()
    };
    assert_eq!(next(&[(0, Fault::OutOfMemory)]), DEFAULT_MEMORY / 4);
    assert!((1..GOOD_FRAMES).all(|_| next(&[]) == DEFAULT_MEMORY / 4));
    // The count starts at the last failure.
    assert_eq!(next(&[(0, Fault::OutOfMemory)]), DEFAULT_MEMORY / 16);
    assert!((1..GOOD_FRAMES).all(|_| next(&[]) == DEFAULT_MEMORY / 16));
    assert_eq!(next(&[]), DEFAULT_MEMORY);
}

#[test]
fn memory_does_not_fall_below_its_floor_nor_rise_to_it() {
    let case = Case::new(Solver::Banded, false);
    for (opened, then, right) in [(3 * LEAST_MEMORY, LEAST_MEMORY, &case.on_device), (1000, 1000, &case.on_cpu)] {
        let (faults, gpu) = counted(Some(opened));
        let done = frame(&case, &on(&gpu), &faults, &[(0, Fault::OutOfMemory)]);
        assert!(gpu.memory() == then && bits(&done) == *right, "{opened}: {:?}", done.summary);
    }
}

/// Five fibres, enough work for several dispatches.
fn larger() -> (Small, Options) {
    let psf = Synthetic { nfibre: 5, bundlesize: 5, npix_y: Some(200), ..Synthetic::default() };
    (Small::on(psf.build().unwrap(), 41), Options { solver: Solver::Banded, ..Small::options() })
}

#[test]
fn dispatches_are_shorter_after_a_loss_for_sixteen_frames_with_the_same_bits() {
    let (small, options) = larger();
    let opened = |operations: u64| {
        let faults = Faults::counting();
        let operations = Some(operations);
        let gpu = open(&OpenOptions {
            faults: faults.clone(),
            operations_per_dispatch: operations,
            ..OpenOptions::default()
        });
        (on(&gpu), faults)
    };
    let dispatches = |(engine, faults): &(Engine, Faults), failing: usize| {
        faults.fail(0..failing, Fault::Lost);
        let done = small.extract(&options, engine);
        assert_eq!(done.summary.retried.is_some(), failing > 0);
        let count = faults.touches().iter().filter(|(touch, _)| *touch == Touch::BindGroup).count();
        (count, bits(&done))
    };
    let of = |operations: u64| dispatches(&opened(operations), 0);
    let (long, right) = of(4 * LEAST_OPERATIONS);
    let [floor, below] = [LEAST_OPERATIONS, LEAST_OPERATIONS / 2].map(|operations| of(operations).0);
    note!("{long} dispatches, {floor} at the floor, {below} below");
    assert!(long < floor && floor < below, "{long} {floor} {below}");
    for (operations, before, after) in [(4 * LEAST_OPERATIONS, long, floor), (LEAST_OPERATIONS / 2, below, below)] {
        let device = opened(operations);
        assert!(dispatches(&device, 1).1 == right);
        for _ in 0..GOOD_FRAMES {
            assert!(dispatches(&device, 0) == (after, right.clone()), "{operations}");
        }
        assert!(dispatches(&device, 0) == (before, right.clone()), "{operations}");
    }
}
