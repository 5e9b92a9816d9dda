//! The random worlds of tests/stress in f32: numbers are finite, and bundles beyond f32 are extracted by the CPU and counted.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use spextral::extract::{ExtractError, Options, Solver};
use spextral::gpu::{OpenOptions, Precision};
use std::cell::Cell;
use testkit::sound::{check_patches, judge};
use testkit::worlds::{Light, World, config, world};
use testkit::{cpu, gpu_with_default_limits, on, open_with_f64};

#[test]
fn numbers_are_finite_and_no_bin_has_weight_without_information_in_f32() {
    let gpu = gpu_with_default_limits();
    let engine = on(&gpu);
    let (device, redone) = (Cell::new(0), Cell::new(0));
    TestRunner::new(config(24))
        .run(&world(), |world| {
            let sky = world.make();
            if let Err(ExtractError::Coupling(why)) = sky.try_extract(&sky.options, &engine) {
                prop_assert!(why.to_string().contains("banded solver"));
                return Ok(());
            }
            let done = judge(&sky, &engine).map_err(TestCaseError::fail)?.summary;
            device.set(device.get() + done.banded + done.patches - done.redone.min(done.banded + done.patches));
            redone.set(redone.get() + done.redone);
            Ok(())
        })
        .unwrap();
    note!("{} bundles and patches on the device, {} done again", device.get(), redone.get());
    assert!(device.get() > 0 && redone.get() > 0, "{} on the device, {} done again", device.get(), redone.get());
}

#[test]
fn full_rows_of_the_resolution_sum_to_1_in_f32() {
    let gpu = gpu_with_default_limits();
    let engine = on(&gpu);
    let rows = Cell::new(0);
    TestRunner::new(config(6))
        .run(&world(), |world| {
            let found = check_patches(&world.make(), &engine, 1e-3);
            rows.set(rows.get() + found.map_err(TestCaseError::fail)?);
            Ok(())
        })
        .unwrap();
    assert!(rows.get() > 100, "{} rows", rows.get());
}

#[test]
fn pixels_that_are_no_numbers_count_as_masked_in_f32() {
    let gpu = gpu_with_default_limits();
    let engine = on(&gpu);
    for solver in [Solver::Banded, Solver::Patches] {
        let mut sky = World::plain(9, 160, 30).make();
        sky.options.solver = solver;
        let places = (0..sky.image.len()).step_by(97);
        places.clone().for_each(|k| (sky.image[k], sky.ivar[k]) = (f32::NAN, [1.0, f32::INFINITY, 0.0, -1.0][k % 4]));
        let ours = sky.extract(&engine);
        places.for_each(|k| (sky.image[k], sky.ivar[k]) = (0.0, 0.0));
        assert_eq!(ours.summary.redone, 0);
        assert!(ours.spectra == sky.extract(&engine).spectra, "{solver:?}");
    }
}

#[test]
fn rows_that_f64_does_not_resolve_are_no_result_as_in_the_twin() {
    let gpu = open_with_f64(&OpenOptions::default());
    let engine = on(&gpu);
    for world in World::outweighed() {
        let sky = world.make();
        let options = Options { solver: Solver::Banded, precision: Some(Precision::F64), ..sky.options.clone() };
        let ours = sky.try_extract(&options, &engine).unwrap();
        let twin = sky.try_extract(&options, &cpu()).unwrap();
        assert!(ours.summary.redone == 0 && ours.summary.no_result > 0, "{:?}", ours.summary);
        for (k, (ours, twin)) in ours.spectra.ivar.iter().zip(&twin.spectra.ivar).enumerate() {
            assert!((*ours == 0.0) == (*twin == 0.0), "bin {k}: ivar {ours:e}, the twin's {twin:e}");
        }
    }
}

#[test]
fn neighbours_of_a_star_are_those_of_the_twin() {
    let gpu = gpu_with_default_limits();
    let engine = on(&gpu);
    for times in [1e2, 1e4, 1e6] {
        let world = World { light: Light::Star(3, times), ..World::plain(11, 160, 40) };
        let sky = world.make();
        let options = Options { solver: Solver::Banded, ..sky.options.clone() };
        let ours = sky.try_extract(&options, &engine).unwrap();
        let twin = sky.try_extract(&Options { tolerance: Some(1e-7), ..options }, &cpu()).unwrap().spectra;
        let neighbours = (0..twin.flux.len()).filter(|k| k / twin.nwave != 3);
        let error = |k: usize| (ours.spectra.flux[k] - twin.flux[k]).abs() * twin.ivar[k].sqrt();
        let worst = neighbours.map(error).fold(0.0, f64::max);
        note!("star {times:e}: {worst:e} sigma, {} done again", ours.summary.redone);
        assert!(worst < 1e-3 && ours.summary.redone == 0, "star {times:e}: {worst:e} sigma");
    }
}
