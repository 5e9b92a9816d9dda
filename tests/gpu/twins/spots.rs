//! spots.wgsl, spot_grid.wgsl and spot_images.wgsl against their twins and the references.

use super::case::Case;
use spextral::gpu::spot_kinds::{self, bytes_served};
use spextral::gpu::spots::{serves, spots};
use spextral::gpu::{Gpu, GpuError, Precision};
use spextral::psf::{Form, Psf, SpotGrid, SpotImages, SpotNorm};
use spextral::stages::spot_samples::{GridSize, sampled};
use spextral::stages::spots::SpotModel;
use spextral::stages::traces::{Traces, traces};
use std::sync::{Arc, OnceLock};
use testkit::psf_kinds::{with_one_image, with_powers, with_second_core};
use testkit::{Reference, allowed, gpu_with_default_limits, in_each_precision, worst};

#[test]
fn spots_are_within_3e_7_of_the_twin_with_and_without_tails() {
    for gpu in in_each_precision() {
        for tails in [false, true] {
            let case = Case::synthetic(tails);
            let traces = case.traces_on(&gpu);
            let found = spots(&traces, &case.shape, 0..case.wave.len()).unwrap();
            let error = worst(&found.download().unwrap(), &case.spots);
            note!("{} tails {tails}: {error:.1e}", gpu.precision());
            assert!(error < allowed(&gpu, 3e-7, 2e-13), "{error:e}");
        }
    }
}

#[test]
fn spots_of_every_reference_patch_are_within_3e_7() {
    let gpu = gpu_with_default_limits();
    for name in Reference::ALL {
        let (case, reference) = Case::reference(name);
        let found = spots(&case.traces_on(&gpu), &case.shape, 0..case.wave.len()).unwrap();
        let error = worst(&found.download().unwrap(), &reference.array("SPOTS"));
        note!("{name}: {error:.1e}");
        assert!(error < 3e-7, "{name}: {error:e}");
    }
}

#[test]
fn spots_of_some_bins_are_bitwise_those_of_all() {
    let gpu = gpu_with_default_limits();
    let case = Case::synthetic(false);
    let (traces, nbin, size) = (case.traces_on(&gpu), case.wave.len(), case.shape.size());
    let all = spots(&traces, &case.shape, 0..nbin).unwrap().download().unwrap();
    let some = spots(&traces, &case.shape, 30..41).unwrap().download().unwrap();
    for fibre in 0..traces.nfibre {
        let from = (fibre * nbin + 30) * size;
        assert_eq!(some[fibre * 11 * size..(fibre + 1) * 11 * size], all[from..from + 11 * size]);
    }
}

#[test]
fn spots_of_narrow_and_wide_profiles_keep_their_precision() {
    for gpu in in_each_precision() {
        for sigma in [0.2, 0.5, 2.5, 20.0] {
            let mut case = Case::synthetic(false);
            let count = case.traces.nfibre * case.traces.nbin;
            case.traces.shape[..2 * count].fill(sigma);
            let twin = spextral::stages::spots::spots(&case.traces, &case.shape);
            let found = spots(&case.traces_on(&gpu), &case.shape, 0..case.wave.len()).unwrap();
            let error = worst(&found.download().unwrap(), &twin);
            note!("sigma {sigma}: {error:.1e}");
            assert!(error < allowed(&gpu, 1e-6, 1e-12), "sigma {sigma}: {error:e}");
        }
    }
}

/// A spot grid of the case's PSF, changed.
fn grid(change: impl FnOnce(&mut spextral::psf::SpotImagesParts)) -> Psf {
    let case = Case::synthetic(false);
    let size = GridSize { oversampling: 5, positions: 4, waves: 5 };
    let mut psf = sampled(&case.psf, size).unwrap();
    let Form::Grid(of) = &psf.form else { panic!("a grid") };
    let mut parts = of.images.parts().clone();
    change(&mut parts);
    let form = Form::Grid(Box::new(SpotGrid { images: Arc::new(SpotImages::new(parts).unwrap()), ..(**of).clone() }));
    psf.update(|parts| parts.form = form).unwrap();
    psf
}

#[test]
fn spots_of_a_grid_are_within_1e_6_of_the_twin_whatever_their_places_bundles_and_sums() {
    let plain = grid(|_| ());
    let uneven = grid(|parts| {
        // The second position loses two wavelengths, the third all but one.
        let size = parts.nx * parts.ny;
        parts.samples.drain(11 * size..15 * size);
        parts.samples.drain(7 * size..9 * size);
        parts.waves[1].drain(2..4);
        parts.waves[2].truncate(1);
    });
    let bundles = grid(|parts| parts.breaks = vec![(2, 2.5)]);
    let single = grid(|parts| parts.breaks = vec![(3, 4.5)]);
    let total = grid(|parts| {
        let size = parts.nx * parts.ny;
        parts.norm = SpotNorm::Total;
        for image in parts.samples.chunks_mut(size) {
            let sum: f64 = image.iter().sum();
            image.iter_mut().for_each(|sample| *sample *= 0.9 / sum);
        }
    });
    let off_centre = grid(|parts| parts.centre = [parts.centre[0] + 1.7, parts.centre[1] - 2.3]);
    let mut off_window = off_centre.clone();
    let Form::Grid(of) = &off_centre.form else { panic!("a grid") };
    let [half_y, half_x] = of.images.half_size();
    off_window.update(|parts| (parts.half_x, parts.half_y) = (half_x, half_y)).unwrap();
    for gpu in in_each_precision() {
        for (name, psf) in [
            ("plain", &plain),
            ("uneven", &uneven),
            ("bundles", &bundles),
            ("single", &single),
            ("total", &total),
            ("off", &off_window),
        ] {
            let error = error_of_kind(&gpu, psf, false);
            note!("{} {name}: {error:.1e}", gpu.precision());
            assert!(error < allowed(&gpu, 1e-6, 1e-12), "{name}: {error:e}");
        }
    }
}

/// Largest difference of a device's spots from the twin's, over the peak. An odd number of them alone has the same bits.
///
/// Spots that jump within rounding of their positions are left out: where a core is cut off at a pixel, or an image's sample
/// begins.
fn error_of_kind(gpu: &Gpu, psf: &Psf, tails: bool) -> f64 {
    let wave = Case::synthetic(false).wave;
    let fibres = 0..psf.nfibre - 1;
    let on_device = spextral::gpu::traces::traces(gpu, psf, fibres.clone(), &wave, tails).unwrap();
    // The twin has the traces as they are on the device.
    let (offset, shape) = (on_device.offset.download().unwrap(), on_device.shape.download().unwrap());
    let (offset_x, offset_y) = offset.split_at(offset.len() / 2);
    let twin =
        Traces { offset_x: offset_x.to_vec(), offset_y: offset_y.to_vec(), shape, ..traces(psf, fibres, &wave, tails) };
    let model = SpotModel::new(psf, tails);
    let size = model.shape().size();
    let moved = |by: f64| {
        let moved = |offsets: &[f64]| offsets.iter().map(|offset| offset + by).collect();
        let (offset_x, offset_y) = (moved(&twin.offset_x), moved(&twin.offset_y));
        model.spots(&Traces { offset_x, offset_y, ..twin.clone() })
    };
    let (before, after) = (moved(-1e-6), moved(1e-6));
    assert!(bytes_served(gpu, &model).is_some(), "no kernel serves {}", psf.form.name());
    let expected = model.spots(&twin);
    let held = OnceLock::new();
    let found = spot_kinds::spots(&on_device, &model, &held, 0..wave.len()).unwrap().download().unwrap();
    let some = spot_kinds::spots(&on_device, &model, &held, 30..41).unwrap().download().unwrap();
    for (fibre, some) in some.chunks(11 * size).enumerate() {
        let first = (fibre * wave.len() + 30) * size;
        assert_eq!(some, &found[first..first + 11 * size], "fibre {fibre} of {}", psf.form.name());
    }
    let peak = expected.iter().copied().fold(0.0, f64::max);
    let spot = |all: &[f64], k: usize| all[k * size..(k + 1) * size].to_vec();
    let is_smooth = |k: &usize| worst(&spot(&before, *k), &spot(&after, *k)) < 2e-5 * peak;
    let (count, smooth): (usize, Vec<usize>) =
        (found.len() / size, (0..found.len() / size).filter(is_smooth).collect());
    assert!(100 * smooth.len() >= 99 * count && peak > 0.0, "{} of {count} spots are smooth", smooth.len());
    smooth.into_iter().map(|k| worst(&spot(&found, k), &spot(&expected, k)) / peak).fold(0.0, f64::max)
}

#[test]
fn spots_of_two_cores_of_one_image_and_of_powers_are_within_1e_6_of_the_twin() {
    let (plain, tailed) = (Case::synthetic(false).psf, Case::synthetic(true).psf);
    let kinds = [
        ("two cores", with_second_core(plain.clone()), false),
        ("two cores with tails", with_second_core(tailed), true),
        ("one image", with_one_image(&plain), false),
        ("powers", with_powers(plain), false),
    ];
    for gpu in in_each_precision() {
        for (name, psf, tails) in &kinds {
            let error = error_of_kind(&gpu, psf, *tails);
            note!("{} {name}: {error:.1e}", gpu.precision());
            assert!(error < allowed(&gpu, 1e-6, 1e-12), "{name}: {error:e}");
        }
    }
}

#[test]
fn spots_of_windows_of_every_size_are_within_1e_6_of_the_twin() {
    for gpu in in_each_precision() {
        // In f64 the largest window exceeds WebGPU's workgroup memory.
        let halves = [(1, 1), (3, 2), (9, 13), (13, 17), (25, 30), (52, 49)];
        for &(half_x, half_y) in &halves[..if gpu.precision() == Precision::F64 { 5 } else { 6 }] {
            let mut psf = Case::synthetic(true).psf;
            psf.update(|parts| (parts.half_x, parts.half_y) = (half_x, half_y)).unwrap();
            let error = error_of_kind(&gpu, &psf, true);
            note!("{} {half_x} {half_y}: {error:.1e}", gpu.precision());
            assert!(error < allowed(&gpu, 1e-6, 1e-12), "{half_x} {half_y}: {error:e}");
        }
    }
}

#[test]
fn images_that_exceed_workgroup_memory_are_left_to_the_cpu() {
    let gpu = gpu_with_default_limits();
    let served = |half: usize| {
        let mut psf = Case::synthetic(false).psf;
        psf.update(|parts| (parts.half_x, parts.half_y) = (half, half)).unwrap();
        [with_one_image(&psf), with_powers(psf)].map(|psf| bytes_served(&gpu, &SpotModel::new(&psf, false)).is_some())
    };
    assert_eq!([served(20), served(24)], [[true; 2], [false; 2]]);
}

#[test]
fn spots_beyond_workgroup_memory_are_refused() {
    let gpu = gpu_with_default_limits();
    let mut case = Case::synthetic(false);
    case.shape.half_x = 1000;
    let refused = spots(&case.traces_on(&gpu), &case.shape, 0..1).unwrap_err();
    assert!(matches!(refused, GpuError::Limit { value: 56_000.., limit: 16_384, .. }), "{refused}");
    assert!(!serves(&gpu, &case.shape, None), "they are left to the CPU");
}
