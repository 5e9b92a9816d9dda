//! goodness.wgsl against its twin.

use super::case::Case;
use spextral::gpu::goodness as device;
use spextral::gpu::patch::Patches;
use spextral::stages::goodness::{goodness, pixel_chi2};
use testkit::{allowed, in_each_precision};

#[test]
fn goodness_is_that_of_the_twin_on_and_off_the_ccd() {
    let narrow_and_wide = || [Case::with_spots([2, 2]).bundle(), Case::with_spots([40, 6])].map(|case| (case, 0.01));
    let cases = || [0.01, 0.0].map(|psferr| (Case::synthetic(false), psferr)).into_iter().chain(narrow_and_wide());
    let (mut masked, mut off) = (0, 0);
    for (gpu, (case, psferr)) in
        in_each_precision().into_iter().flat_map(|gpu| cases().map(move |of| (gpu.clone(), of)))
    {
        let model = super::model::twin(&case, &case.flux());
        let spots = case.spots_on(&gpu);
        let patches = Patches::new(&case.batch, &spots).unwrap();
        let on_device = gpu.upload_reals("model", &model).unwrap();
        let found = device::goodness(&patches, &case.ccd_on(&gpu), &on_device, psferr).unwrap().download().unwrap();
        let mut bins = found.chunks(3);
        let mut first_pixel = 0;
        for patch in &case.batch.patches {
            let pixels = case.ccd().cut(patch);
            let chi2 = pixel_chi2(&pixels, &model[first_pixel..first_pixel + patch.npix()], psferr);
            first_pixel += patch.npix();
            for fibre in patch.core.clone() {
                for bin in patches.core_bins() {
                    let expected = goodness(&case.view(patch), &pixels, &chi2, bin * patch.nspec() + fibre);
                    let found = bins.next().unwrap();
                    let close = |k: usize, expected: f64, scale: f64| {
                        (found[k] - expected).abs() < allowed(&gpu, 1e-5, 1e-11) * scale
                    };
                    assert!(close(0, expected.chi2pix, 1.0 + expected.chi2pix), "{found:?} {expected:?}");
                    assert!(close(1, expected.pixmask_fraction, 0.1), "{found:?} {expected:?}");
                    assert!(close(2, expected.off_ccd, 0.1), "{found:?} {expected:?}");
                    masked += usize::from(expected.pixmask_fraction > 0.0);
                    off += usize::from(expected.off_ccd > 0.0);
                }
            }
        }
        assert_eq!(bins.next(), None);
    }
    assert!(masked > off && off > 0, "the cases must have masked bins and bins off the CCD: {masked} {off}");
}
