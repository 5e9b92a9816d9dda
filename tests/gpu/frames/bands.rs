//! Whole extractions by the banded solver on the test device, against its f64 twin.

use spextral::backend::Stage;
use spextral::extract::{ModelFlux, Options, Solver};
use spextral::geometry::WaveGrid;
use spextral::gpu::{Gpu, OpenOptions, Precision};
use spextral::simulate::synthetic::Synthetic;
use spextral::solver::{Fallback, Step};
use spextral::stages::spot_samples::{GridSize, sampled};
use testkit::psf_kinds::{with_one_image, with_powers, with_second_core};
use testkit::{Engine, Small, bits, cpu, gpu, gpu_with_default_limits, in_each_precision, on, open, open_with_f64};

/// Roundings of f32 that spots, pixels and flux go through.
const F32: f64 = 1e-6;

/// Checks bins with pixmask_fraction < 0.5 and elements of R between such.
fn check(small: &Small, gpu: &Gpu, what: &str) {
    // CPU and GPU each choose their bands, to a tolerance of 1e-5.
    check_within(small, gpu, what, [1e-5, 1e-6, 1e-6]);
}

/// Checks flux, ivar and R in f64 within bounds, in f32 within its own.
fn check_within(small: &Small, gpu: &Gpu, what: &str, in_f64: [f64; 3]) {
    let what = &format!("{}, {what}", gpu.precision());
    let fine = gpu.precision() == Precision::F64;
    let ours = small.extract(&Small::banded(), &on(gpu));
    assert_eq!((ours.summary.redone, ours.summary.precision()), (0, if fine { "f64" } else { "f32" }), "{what}");
    // In f64 the twin; f32 is as far from the truth as from the twin.
    let exact = small.extract(&Small::banded(), &cpu()).spectra;
    let ours = ours.spectra;
    let rounding = if fine { 0.0 } else { F32 };
    let good = |k: usize| exact.pixmask_fraction[k] < 0.5;
    let (mut flux, mut ivar, mut r) = (0.0f64, 0.0f64, 0.0f64);
    for k in 0..ours.flux.len() {
        assert!((ours.pixmask_fraction[k] - exact.pixmask_fraction[k]).abs() < 1e-5, "{what}: pixmask_fraction");
        if !good(k) {
            continue;
        }
        let error = ((ours.flux[k] - exact.flux[k]).abs() - rounding * exact.flux[k].abs()) * exact.ivar[k].sqrt();
        assert!(error.is_finite() && ours.ivar[k].is_finite(), "{what}: bin {k}");
        flux = flux.max(error);
        ivar = ivar.max((ours.ivar[k] / exact.ivar[k] - 1.0).abs());
        let (chi2, twin) = (ours.chi2pix[k], exact.chi2pix[k]);
        // Beside masked bins the model is in part the prior's.
        assert!(
            exact.pixmask_fraction[k] > 1e-3 || (chi2 - twin).abs() < 5e-3 * (1.0 + twin),
            "{what}: chi2pix {chi2} {twin} of bin {k}, masked {}",
            exact.pixmask_fraction[k]
        );
        for d in 0..ours.ndiag {
            let row = (k % ours.nwave + d).checked_sub(ours.ndiag / 2).filter(|&row| row < ours.nwave);
            if row.is_some_and(|row| good(k - k % ours.nwave + row)) {
                let at = ((k / ours.nwave) * ours.ndiag + d) * ours.nwave + k % ours.nwave;
                r = r.max((ours.resolution.at(at) - exact.resolution.at(at)).abs());
            }
        }
    }
    note!("{what}: flux {flux:.1e} sigma, ivar {ivar:.1e}, R {r:.1e}");
    let bounds = if fine { in_f64 } else { [1e-3, 2e-4, 1e-3] };
    assert!(flux < bounds[0] && ivar < bounds[1] && r < bounds[2], "{what}: {flux:e} {ivar:e} {r:e}");
    assert!(ours.mask == exact.mask, "{what}: mask");
}

#[test]
fn a_frame_is_that_of_the_twin_on_grids_of_any_step() {
    let mut small = Small::new(21);
    let middle = small.grid.wave()[50];
    for gpu in in_each_precision() {
        // The finest takes the wider bands.
        for step in [0.6, 0.8, 1.0, 1.2] {
            small.grid = WaveGrid::new(middle - 45.0 * step, middle + 45.0 * step, step).unwrap();
            check(&small, &gpu, &format!("step {step}"));
        }
    }
}

#[test]
fn a_frame_of_every_kind_of_psf_is_that_of_the_twin() {
    let plain = Small::new(26).psf;
    let grid = sampled(&plain, GridSize { oversampling: 5, positions: 4, waves: 4 }).unwrap();
    let kinds = [grid, with_second_core(plain.clone()), with_one_image(&plain), with_powers(plain)];
    for (k, psf) in kinds.into_iter().enumerate() {
        let small = Small::on(psf, 26 + k as u64);
        for gpu in in_each_precision() {
            assert!(on(&gpu).serves_spots(&small.psf, false));
            check(&small, &gpu, small.psf.form.name());
        }
    }
}

#[test]
fn a_frame_is_that_of_the_twin_beside_masks_a_bright_fibre_and_the_ends_of_the_ccd() {
    for gpu in in_each_precision() {
        let mut small = Small::new(22);
        small.mask_rows_and_fibre(130..190, 2);
        check(&small, &gpu, "masked rows and columns");
        let mut small = Small::new(23);
        small.brighten(6, 1000.0);
        check(&small, &gpu, "a bright neighbour");
        let mut small = Small::new(24);
        small.image.fill(0.0);
        check(&small, &gpu, "no light at all");
        let mut small = Small::new(25);
        let (step, first) = (small.grid.step(), small.grid.wave()[0]);
        for start in [first - 60.0 * step, first + 60.0 * step] {
            small.grid = WaveGrid::new(start, start + 100.0 * step, step).unwrap();
            check(&small, &gpu, &format!("off the CCD from {start}"));
        }
    }
}

/// Fibres at a pitch in pixels of spots of 1.3 pixels, in bundles of five or fewer.
fn at_pitch(nfibre: usize, spacing: f64, half_x: usize) -> Small {
    let (sigma_x, sigma_y, npix_y) = (1.3, 1.3, Some(300));
    let psf = Synthetic {
        nfibre,
        bundlesize: nfibre,
        npix_y,
        spacing,
        sigma_x,
        sigma_y,
        half_x,
        half_y: 6,
        ..Synthetic::default()
    };
    Small::on(psf.build().unwrap(), 35)
}

#[test]
fn a_frame_whose_fibres_share_light_with_second_neighbours_is_that_of_the_twin() {
    for gpu in in_each_precision() {
        for spacing in [6.4, 5.2] {
            // Twin and device choose their bands by the tolerance, each its own.
            let bounds = [2e-5, 1e-6, 1e-6];
            check_within(&at_pitch(9, spacing, 12), &gpu, &format!("a pitch of {spacing} pixels"), bounds);
        }
    }
}

#[test]
fn fibres_that_share_light_over_more_than_the_device_holds_go_to_the_cpu_with_the_reason() {
    let gpu = gpu_with_default_limits();
    let small = at_pitch(10, 2.6, 9);
    let options = Options { solver: Solver::Auto, ..Small::banded() };
    let ours = small.extract(&options, &on(&gpu)).summary;
    assert_eq!((ours.redone, ours.banded), (2, 2), "the CPU serves both in bands");
    let said = |fallback: &Fallback| fallback.step == Step::Cpu && fallback.reason.contains("the device goes to 3");
    assert_eq!(ours.fallbacks.iter().filter(|fallback| said(fallback)).count(), 2, "{:?}", ours.fallbacks);
}

#[test]
fn a_bundle_of_more_fibres_than_go_at_a_time_is_done_in_windows_on_the_device() {
    let gpu = gpu_with_default_limits();
    let mut small = at_pitch(70, 7.0, 8);
    let first = small.grid.wave()[40];
    small.grid = WaveGrid::new(first, first + 12.0 * small.grid.step(), small.grid.step()).unwrap();
    let mut options = Small::banded();
    options.patches.bundlesize = Some(70);
    let ours = small.extract(&options, &on(&gpu));
    assert_eq!((ours.summary.banded, ours.summary.redone), (1, 0));
    let twin = small.extract(&options, &cpu()).spectra;
    let good = (0..twin.flux.len()).filter(|&k| twin.pixmask_fraction[k] < 0.5);
    let error = |k: usize| (ours.spectra.flux[k] - twin.flux[k]).abs() * twin.ivar[k].sqrt();
    let worst = good.map(error).fold(0.0, f64::max);
    note!("two windows: {worst:.1e} sigma");
    assert!(worst < 1e-3, "{worst:e} sigma");
    let some = small.extract(&Options { specmin: 50, nspec: Some(3), ..options }, &on(&gpu)).spectra;
    let bins = 50 * twin.nwave..53 * twin.nwave;
    assert!(some.flux == ours.spectra.flux[bins.clone()] && some.ivar == ours.spectra.ivar[bins], "of a selection");
}

#[test]
fn spectra_have_the_same_bits_for_any_memory_batch_dispatch_and_selection() {
    let default = gpu();
    let psf = Synthetic { nfibre: 16, bundlesize: 2, npix_y: Some(300), ..Synthetic::default() };
    let small = Small::on(psf.build().unwrap(), 26);
    let mut options = Small::banded();
    (options.patches.bundlesize, options.patches.nsubbundles) = (Some(2), Some(1));
    // Eight bundles, which go over in twos.
    let all = small.extract(&options, &on(&default));
    assert_eq!((all.summary.banded, all.summary.redone), (8, 0));
    let alone = small.extract(&options, &on(&default).with_batches_of(1));
    assert!(bits(&alone) == bits(&all), "bundles by themselves");
    // Windows of some ten bins, inverses of one fibre at a time; a hundred threads per dispatch.
    let tight = OpenOptions { memory: Some(1 << 20), ..OpenOptions::default() };
    let slow = OpenOptions { operations_per_dispatch: Some(10_000_000), ..OpenOptions::default() };
    for open_options in [tight, slow] {
        let gpu = open(&open_options);
        let some = small.extract(&options, &on(&gpu));
        assert_eq!(some.summary.redone, 0);
        assert!(bits(&some) == bits(&all), "{open_options:?}");
    }
    let some = small.extract(&Options { specmin: 3, nspec: Some(4), ..options }, &on(&default));
    let bins = 3 * all.spectra.nwave..7 * all.spectra.nwave;
    assert!(some.spectra.flux == all.spectra.flux[bins.clone()] && some.spectra.ivar == all.spectra.ivar[bins]);
}

#[test]
fn a_grid_too_fine_for_f32_is_done_by_the_cpu() {
    let gpu = gpu_with_default_limits();
    let mut small = Small::new(27);
    let first = small.grid.wave()[0];
    for (step, what) in [(0.4, "a condition beyond f32"), (0.45, "errors beyond f32")] {
        small.grid = WaveGrid::new(first, first + 40.0 * step, step).unwrap();
        let ours = small.extract(&Small::banded(), &on(&gpu));
        assert_eq!(ours.summary.redone, 2, "{what}");
        // If the CPU's bands do not serve either, patches on the device do.
        let twin = small.extract(&Small::banded(), &cpu());
        assert_eq!((ours.summary.banded, ours.summary.patches), (twin.summary.banded, twin.summary.patches), "{what}");
        assert!(twin.summary.patches > 0 || bits(&ours) == bits(&twin), "{what}");
    }
}

#[test]
fn a_device_takes_f64_where_told_or_where_the_tolerance_is_beyond_f32() {
    // A handle in f32 to a device that has f64.
    let gpu = open_with_f64(&OpenOptions { webgpu_defaults: true, ..OpenOptions::default() });
    let engine = on(&gpu);
    let small = Small::new(28);
    let done = |precision: Option<Precision>, tolerance: Option<f64>| {
        let summary = small.extract(&Options { precision, tolerance, ..Small::banded() }, &engine).summary;
        (summary.redone, summary.precision())
    };
    assert_eq!(done(None, None), (0, "f32"));
    assert_eq!(done(Some(Precision::F64), None), (0, "f64"));
    assert_eq!(done(None, Some(4e-4)), (0, "f64"));
    assert_eq!(done(Some(Precision::F32), Some(4e-4)), (0, "f32"));
    assert_eq!(done(None, Some(1e-7)), (0, "f64"));
    // With f32 alone, bundles beyond the tolerance go to the CPU.
    assert_eq!(done(Some(Precision::F32), Some(1e-5)), (2, "f64"));
}

#[test]
fn a_fibre_s_bits_in_wide_bands_depend_on_its_bundle_alone() {
    let gpu = open_with_f64(&OpenOptions::default());
    let mut small = Small::new(34);
    let first = small.grid.wave()[0];
    small.grid = WaveGrid::new(first, first + 60.0 * 0.6, 0.6).unwrap();
    // Some fibres take the first bands, others wider ones.
    let options = Options { precision: Some(Precision::F64), ..Small::banded() };
    let engine = on(&gpu);
    let all = small.extract(&options, &engine);
    assert_eq!((all.summary.banded, all.summary.redone), (2, 0));
    let nwave = all.spectra.nwave;
    for fibre in 0..all.spectra.flux.len() / nwave {
        let alone = small.extract(&Options { specmin: fibre, nspec: Some(1), ..options.clone() }, &engine).spectra;
        let bins = fibre * nwave..(fibre + 1) * nwave;
        assert!(alone.flux == all.spectra.flux[bins.clone()] && alone.ivar == all.spectra.ivar[bins], "fibre {fibre}");
    }
}

#[test]
fn a_fibre_s_bits_in_f32_do_not_depend_on_whether_one_that_f32_does_not_serve_is_wanted() {
    let gpu = gpu_with_default_limits();
    let mut small = Small::new(21);
    small.brighten(1, 1e4);
    let middle = small.grid.wave()[50];
    small.grid = WaveGrid::new(middle - 45.0 * 0.6, middle + 45.0 * 0.6, 0.6).unwrap();
    let engine = on(&gpu);
    let all = small.extract(&Small::banded(), &engine);
    assert_eq!(all.summary.redone, 1, "the bright fibre is beyond f32, and its bundle with it");
    let nwave = all.spectra.nwave;
    for fibre in 0..all.spectra.flux.len() / nwave {
        let alone = small.extract(&Options { specmin: fibre, nspec: Some(1), ..Small::banded() }, &engine).spectra;
        assert!(alone.flux == all.spectra.flux[fibre * nwave..(fibre + 1) * nwave], "fibre {fibre}");
    }
}

#[test]
fn dark_pixels_everywhere_give_no_information_and_no_failure() {
    let gpu = gpu_with_default_limits();
    let small = Small::new(29);
    let dark = vec![0.0; small.ivar.len()];
    let ccd = &small.with_planes(&small.image, &dark);
    let out = small.extract_ccd(ccd, &Small::banded(), &on(&gpu));
    assert!(out.spectra.flux.iter().chain(&out.spectra.ivar).all(|&v| v == 0.0));
    assert_eq!((out.summary.no_information, out.summary.redone), (out.spectra.flux.len(), 0));
}

#[test]
fn a_model_image_is_that_of_the_twin() {
    let gpu = gpu_with_default_limits();
    let small = Small::new(30);
    let options = Options { specmin: 1, nspec: Some(3), model: Some(ModelFlux::Deconvolved), ..Small::banded() };
    let model = |engine: &Engine| small.extract(&options, engine).model.unwrap();
    let (ours, twin) = (model(&on(&gpu)), model(&cpu()));
    let largest = twin.iter().fold(0.0f32, |m, v| m.max(*v));
    let error = ours.iter().zip(&twin).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(largest > 0.0 && error < 1e-4 * largest, "{error:e} of {largest:e}");
}

#[test]
fn f64_on_a_device_without_it_is_refused_and_the_error_names_what_has_it() {
    let gpu = gpu_with_default_limits();
    let small = Small::new(33);
    let options = Options { precision: Some(Precision::F64), ..Small::banded() };
    let run = |engine: &Engine| small.try_extract(&options, engine);
    let error = run(&on(&gpu)).unwrap_err().to_string();
    assert!(error.contains("has no f64") && error.contains("device cpu") && error.contains("has it"), "{error}");
    assert_eq!(run(&cpu()).unwrap().summary.precision(), "f64");
}

#[test]
fn every_stage_has_its_time_by_stamps_and_by_waiting() {
    let small = Small::new(32);
    for options in [OpenOptions::default(), OpenOptions { webgpu_defaults: true, ..OpenOptions::default() }] {
        let gpu = open(&options);
        let done = small.extract(&Options { nspec: Some(1), ..Small::banded() }, &on(&gpu).with_exact_times());
        let timed: Vec<Stage> = done.summary.stage_time.iter().filter(|(_, t)| !t.is_zero()).map(|(s, _)| *s).collect();
        assert_eq!(timed, Stage::BANDED, "{options:?}");
    }
}
