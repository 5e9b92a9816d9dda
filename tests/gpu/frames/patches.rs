//! Whole extractions through the test device.

use spextral::backend::{Decorrelate, Stage};
use spextral::extract::{Extraction, ModelFlux, Options, Solver};
use spextral::fits::read_image_f64;
use spextral::geometry::{Ccd, WaveGrid};
use spextral::gpu::OpenOptions;
use spextral::simulate::synthetic::Synthetic;
use spextral::stages::spot_samples::{GridSize, sampled};
use testkit::psf_kinds::{with_one_image, with_powers, with_second_core};
use testkit::{Engine, Sim11, Small, bits, cpu, extract, gpu, gpu_with_default_limits, on, on_except, open, shared};

/// Worst |flux difference| in sigma and worst relative difference of ivar, over bins that are mostly unmasked.
fn difference(ours: &Extraction, twin: &Extraction) -> (f64, f64) {
    let (a, b) = (&ours.spectra, &twin.spectra);
    let usable = (0..a.flux.len()).filter(|&k| b.pixmask_fraction[k] < 0.5);
    usable.fold((0.0, 0.0), |(flux, ivar), k| {
        let d_flux = (a.flux[k] - b.flux[k]).abs() * b.ivar[k].sqrt();
        let d_ivar = (a.ivar[k] / b.ivar[k] - 1.0).abs();
        assert!(d_flux.is_finite() && d_ivar.is_finite(), "bin {k}");
        (d_flux.max(flux), d_ivar.max(ivar))
    })
}

#[test]
fn a_cut_of_sim11_is_within_1e_3_sigma_of_the_published_patches() {
    let gpu = gpu_with_default_limits();
    let (sim, reference) = (Sim11::open(), shared("reference/sim11-patches50.fits.gz"));
    let array = |name: &str| read_image_f64(&reference, name).unwrap();
    let (shape, flux) = array("FLUX");
    let (ivar, masked) = (array("IVAR").1, array("PIXMASK_FRACTION").1);
    // Patches begin at multiples of 50 bins, and so does this grid.
    let first = 1000;
    let start = 5760.0 + 0.8 * first as f64;
    let grid = WaveGrid::new(start, start + 0.8 * 99.0, 0.8).unwrap();
    let options = Options { nspec: Some(7), solver: Solver::Patches, ..Options::default() };
    let ours = sim.extract(&grid, &options, &on(&gpu));
    assert_eq!((ours.spectra.nwave, ours.summary.patches, ours.summary.redone), (100, 4, 0));
    let (mut worst, mut worst_ivar, mut compared) = (0.0f64, 0.0f64, 0);
    for k in 0..700 {
        let at = (k / 100) * shape[1] + first + k % 100;
        if masked[at] < 0.5 {
            compared += 1;
            worst = worst.max((ours.spectra.flux[k] - flux[at]).abs() * ivar[at].sqrt());
            worst_ivar = worst_ivar.max((ours.spectra.ivar[k] / ivar[at] - 1.0).abs());
        }
    }
    note!("{compared} bins: flux {worst:.1e} sigma, ivar {worst_ivar:.1e}");
    assert!(compared > 600 && worst < 1e-3 && worst_ivar < 2e-4, "{compared} {worst:e} {worst_ivar:e}");
}

#[test]
fn patches_of_every_kind_of_psf_are_those_of_the_twin_within_f32() {
    let gpu = gpu_with_default_limits();
    let plain = Small::new(7).psf;
    let grid = sampled(&plain, GridSize { oversampling: 5, positions: 4, waves: 4 }).unwrap();
    let options = Options { nspec: Some(5), ..Small::options() };
    for psf in [grid, with_second_core(plain.clone()), with_one_image(&plain), with_powers(plain)] {
        let (kind, small) = (psf.form.name(), Small::on(psf, 7));
        let ours = small.extract(&options, &on(&gpu));
        let (flux, ivar) = difference(&ours, &small.extract(&options, &cpu()));
        note!("{kind}: flux {flux:.1e} sigma, ivar {ivar:.1e}");
        assert!(ours.summary.redone == 0 && flux < 1e-3 && ivar < 2e-4, "{kind}: {flux:e} {ivar:e}");
    }
}

#[test]
fn each_single_stage_on_the_cpu_gives_the_same_within_f32() {
    let gpu = gpu_with_default_limits();
    let small = Small::new(3);
    let options = Options { nspec: Some(5), ..Small::options() };
    let twin = small.extract(&options, &cpu());
    for on_cpu in Stage::ALL.map(|stage| vec![stage]).into_iter().chain([vec![], Stage::ALL.to_vec()]) {
        let engine = on_except(&gpu, &on_cpu);
        assert_eq!(engine.is_gpu(), on_cpu.len() < Stage::ALL.len());
        let ours = small.extract(&options, &engine);
        let (flux, ivar) = difference(&ours, &twin);
        note!("{on_cpu:?} on the CPU: flux {flux:.1e} sigma, ivar {ivar:.1e}");
        assert!(flux < 1e-3 && ivar < 2e-4, "{on_cpu:?} on the CPU: {flux:e} {ivar:e}");
    }
}

#[test]
fn an_extraction_has_the_same_bits_for_any_batch_size_and_any_memory() {
    let gpu = gpu();
    let small = Small::new(4);
    let options = Options { nspec: Some(5), ..Small::options() };
    let all = bits(&small.extract(&options, &on(&gpu)));
    for most in [1, 4] {
        let some = small.extract(&options, &on(&gpu).with_batches_of(most));
        assert!(bits(&some) == all, "batches of {most} patches");
    }
    // So little that every patch is a batch with spots of its own.
    let tight = open(&OpenOptions { memory: Some(1), ..OpenOptions::default() });
    assert!(bits(&small.extract(&options, &on(&tight))) == all, "little memory");
}

#[test]
fn fibres_decorrelated_together_agree_with_the_cpu() {
    let gpu = gpu_with_default_limits();
    let small = Small::new(5);
    let mut options = Options { nspec: Some(1), decorrelate: Decorrelate::Noise, ..Small::options() };
    options.patches.nwavestep = 20;
    options.patches.wavepad = 5;
    let twin = small.extract(&options, &cpu());
    let ours = small.extract(&options, &on(&gpu));
    let (flux, ivar) = difference(&ours, &twin);
    note!("flux {flux:.1e} sigma, ivar {ivar:.1e}");
    assert!(flux < 1e-3 && ivar < 2e-4, "{flux:e} {ivar:e}");
}

#[test]
fn patches_too_noisy_for_f32_are_done_again_in_f64() {
    let gpu = gpu_with_default_limits();
    let mut small = Small::new(22);
    let middle = small.grid.wave()[50];
    small.grid = WaveGrid::new(middle - 27.0, middle + 27.0, 0.6).unwrap();
    let twin = small.extract(&Small::options(), &cpu());
    let ours = small.extract(&Small::options(), &on(&gpu));
    let noisy = ours.summary.fallbacks.iter().filter(|fallback| fallback.reason.contains("noisier than alone")).count();
    let (flux, ivar) = difference(&ours, &twin);
    note!("{noisy} of {} patches, flux {flux:.1e} sigma, ivar {ivar:.1e}", ours.summary.patches);
    assert!(noisy > 0 && ours.summary.failed == 0, "{:?}", ours.summary.fallbacks);
    assert!(flux < 3e-4 && ivar < 2e-5, "{flux:e} {ivar:e}");
}

#[test]
fn model_images_agree_with_the_cpu() {
    let gpu = gpu_with_default_limits();
    let small = Small::new(6);
    let options = Options { nspec: Some(2), model: Some(ModelFlux::Deconvolved), ..Small::options() };
    let model = |engine: &Engine| small.extract(&options, engine).model.unwrap();
    let (ours, twin) = (model(&on(&gpu)), model(&cpu()));
    let largest = twin.iter().fold(0.0f32, |m, v| m.max(*v));
    let error = ours.iter().zip(&twin).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(largest > 0.0 && error < 1e-4 * largest, "{error:e} of {largest:e}");
}

#[test]
fn what_is_beyond_the_devices_limits_the_cpu_does() {
    let gpu = gpu_with_default_limits();
    // Spots of 81 x 81 pixels are beyond 16 KiB of workgroup memory.
    let psf = Synthetic { nfibre: 2, bundlesize: 2, half_x: 40, half_y: 40, npix_y: Some(200), ..Synthetic::default() };
    let psf = psf.build().unwrap();
    let middle = 0.5 * (psf.wave_min + psf.wave_max);
    let grid = WaveGrid::new(middle, middle + 7.2, 0.8).unwrap();
    let mut options = Options::default();
    (options.patches.bundlesize, options.patches.nsubbundles) = (Some(2), Some(1));
    (options.patches.nwavestep, options.patches.wavepad) = (10, 3);
    let image = vec![100.0; psf.npix_x * psf.npix_y];
    let ivar = vec![0.01; image.len()];
    let ccd = &Ccd::new(psf.npix_y, psf.npix_x, image, ivar).unwrap();
    let run = |engine: &Engine| extract(&psf, ccd, &grid, &options, engine);
    let (flux, ivar) = difference(&run(&on(&gpu)), &run(&cpu()));
    assert!(flux < 1e-3 && ivar < 2e-4, "{flux:e} {ivar:e}");
}

#[test]
fn matrices_of_fibres_together_that_are_beyond_the_device_the_cpu_makes() {
    let small = Small::new(5);
    let mut options = Options { nspec: Some(1), decorrelate: Decorrelate::Noise, ..Small::options() };
    options.patches.nwavestep = 20;
    options.patches.wavepad = 5;
    // Less than any matrix of two fibres of 30 bins.
    let gpu = open(&OpenOptions { binding_bytes: Some(4 << 10), ..OpenOptions::default() });
    let twin = small.extract(&options, &cpu());
    let ours = small.extract(&options, &on(&gpu));
    let (flux, ivar) = difference(&ours, &twin);
    assert!(flux < 1e-3 && ivar < 2e-4 && ours.summary.retried.is_none(), "{flux:e} {ivar:e} {:?}", ours.summary);
}
