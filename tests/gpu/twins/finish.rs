//! finish.wgsl against its twin.

use spextral::gpu::finish as device;
use spextral::stages::finish::{FinishShape, NO_RESULT, finish};
use testkit::in_each_precision;

#[test]
fn finished_spectra_are_those_of_the_twin_in_windows_of_bins() {
    // Numbers that f32 holds.
    let numbers = |n: usize, factor: u32| -> Vec<f64> {
        (0..n as u32).map(|k| f64::from(k.wrapping_mul(factor) % 4096) / 8.0).collect()
    };
    for gpu in in_each_precision() {
        for (bundle, half, with_x) in [(3, 2, true), (2, 0, false), (1, 7, true)] {
            let (nfibre, nbin, core_first, ncore) = (2 * bundle, 41, 4, 30);
            let shape = FinishShape { nfibre, bundle, nbin, core_first, ncore, half, with_x };
            let spectra = numbers(nfibre * nbin * (2 * half + 4), 2_654_435_761);
            let mut x = numbers(nfibre * nbin, 40_503);
            // Beyond f32, and beyond a file.
            (x[(core_first + 3) * bundle], x[(core_first + 5) * bundle]) = (1e39, -4e37);
            let (on_device, x_on_device) =
                (gpu.upload_reals("spectra", &spectra).unwrap(), gpu.upload_reals("x", &x).unwrap());
            let found = device::finished(&gpu, &shape).unwrap();
            let mut expected = vec![0.0; nfibre * shape.finished_len()];
            // Windows of goodness that begin before the grid, and end behind it.
            for (bins, goodness_bins, goodness_first) in [(0..17, 20, 3), (17..30, 19, 0)] {
                let goodness = numbers(3 * nfibre * goodness_bins, 97);
                let of = (&goodness[..], goodness_bins, goodness_first);
                finish(&shape, bins.clone(), &spectra, &x, of, &mut expected);
                let goodness = gpu.upload_reals("goodness", &goodness).unwrap();
                let of = (&goodness, goodness_bins, goodness_first);
                device::finish(&shape, bins, &on_device, &x_on_device, of, &found).unwrap();
            }
            let found = found.download().unwrap();
            let same = |found: f64, expected: f64| found == expected || f64::from(expected as f32) == found;
            let wrong = found.iter().zip(&expected).position(|(found, expected)| !same(*found, *expected));
            assert_eq!(wrong, None, "{}, {shape:?}", gpu.precision());
            let without = found[ncore..2 * ncore].iter().filter(|ivar| **ivar >= 0.99 * NO_RESULT).count();
            assert_eq!(without, 2, "{}, {shape:?}", gpu.precision());
        }
    }
}
