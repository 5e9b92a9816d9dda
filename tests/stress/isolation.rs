//! A failure stays where it is: no bit of any other patch or bundle changes.

use spextral::extract::{Extraction, Options, Solver};
use spextral::frame::{Spectra, specmask};
use spextral::geometry::{Ccd, Patch, Positions, SpotShape};
use spextral::plan::{Groups, bundles, patches};
use spextral::simulate::synthetic::Synthetic;
use spextral::stages::spot_weight::largest_spot_weights;
use spextral::stages::traces::traces;
use std::ops::Range;
use testkit::cpu;
use testkit::sound::sound;
use testkit::worlds::{Sky, World};

/// Three bundles of three fibres.
fn three_bundles(seed: u64) -> Sky {
    let psf = Synthetic { nfibre: 9, bundlesize: 3, npix_y: Some(260), ..Synthetic::default() };
    let mut world = World { psf, ..World::plain(seed, 260, 100) };
    (world.options.patches.bundlesize, world.options.patches.nsubbundles) = (Some(3), Some(3));
    (world.options.patches.nwavestep, world.options.patches.wavepad) = (20, 8);
    world.make()
}

/// The pixel under the middle of a fibre's trace.
fn pixel(sky: &Sky, fibre: usize) -> usize {
    let middle = sky.grid.wave()[sky.grid.nwave() / 2];
    let t = traces(&sky.psf, fibre..fibre + 1, &[middle], false);
    t.pixel_y[0] as usize * sky.psf.npix_x + t.pixel_x[0] as usize
}

/// Extracts with a weight of a pixel beside which all others are lost in rounding. [`Ccd::new`] would mask it.
fn with_absurd_weight(sky: &Sky, pixel: usize) -> Extraction {
    let mut ivar = sky.ivar.clone();
    ivar[pixel] = 1e30;
    let (shape, weights) = ([sky.psf.npix_y, sky.psf.npix_x], largest_spot_weights(&sky.psf, &sky.ccd()));
    let ccd = Ccd::from_columns(shape, 0..sky.psf.npix_x, [&sky.image, &ivar], Some(weights)).unwrap();
    testkit::extract(&sky.psf, &ccd, &sky.grid, &sky.options, &cpu())
}

/// The numbers of some bins of a fibre, bit by bit; BAD2DFIT of a good fit compares fibres with each other.
fn bits(s: &Spectra, fibre: usize, bins: Range<usize>) -> Vec<u64> {
    let mut out = Vec::new();
    for k in bins.map(|bin| fibre * s.nwave + bin) {
        out.extend([&s.flux, &s.ivar, &s.chi2pix, &s.pixmask_fraction].map(|plane| plane[k].to_bits()));
        out.push((s.mask[k] & !specmask::BAD2DFIT).into());
    }
    out
}

/// The row of R of a bin, from its first stored column to its last.
fn row(s: &Spectra, fibre: usize, bin: usize) -> Vec<f64> {
    let column = |d: usize| (bin + s.ndiag / 2).checked_sub(d).filter(|&c| c < s.nwave);
    let element = |d: usize| column(d).map_or(0.0, |c| s.resolution.at((fibre * s.ndiag + d) * s.nwave + c));
    (0..s.ndiag).map(element).collect()
}

#[test]
fn a_bundle_that_the_bands_cannot_solve_goes_through_patches_and_leaves_the_others_as_they_are() {
    let mut sky = three_bundles(1);
    for solver in [Solver::Auto, Solver::Banded] {
        sky.options.solver = solver;
        let clean = sky.extract(&cpu());
        assert_eq!((clean.summary.banded, clean.summary.patches), (3, 0));
        let ours = with_absurd_weight(&sky, pixel(&sky, 4));
        sound(&ours).unwrap();
        assert_eq!((ours.summary.banded, ours.summary.patches), (2, 15), "{solver:?}");
        let (a, b) = (&clean.spectra, &ours.spectra);
        for fibre in [0, 1, 2, 6, 7, 8] {
            assert!(bits(a, fibre, 0..a.nwave) == bits(b, fibre, 0..a.nwave), "fibre {fibre}");
            assert!((0..a.nwave).all(|bin| row(a, fibre, bin) == row(b, fibre, bin)), "fibre {fibre}");
        }
    }
}

#[test]
fn a_cosmic_ray_that_nobody_masked_changes_only_bins_near_it() {
    let mut sky = three_bundles(5);
    sky.options.solver = Solver::Banded;
    let clean = sky.extract(&cpu());
    let at = pixel(&sky, 4);
    sky.image[at] = 1e6;
    let ours = sky.extract(&cpu());
    sound(&ours).unwrap();
    assert_eq!(ours.summary.banded, 3);
    let (a, b) = (&clean.spectra, &ours.spectra);
    for fibre in 0..9 {
        // The pixel is 3e5 sigma off, and its effect falls tenfold in five or six bins.
        let far = (0..a.nwave).filter(|bin| !(3..6).contains(&fibre) || bin.abs_diff(a.nwave / 2) > 45);
        for bin in far {
            let k = fibre * a.nwave + bin;
            let change = (a.flux[k] - b.flux[k]).abs() * a.ivar[k].sqrt();
            let weight = (b.ivar[k] / a.ivar[k] - 1.0).abs();
            assert!(change < 2e-2 && weight < 1e-6, "fibre {fibre}, bin {bin}: {change:e} sigma, ivar {weight:e}");
        }
    }
}

/// The patches of a sky with the first fibre of their bundle, and the bins of padding before the grid's first.
fn all_patches(sky: &Sky) -> (Vec<(usize, Patch)>, usize) {
    let options = &sky.options.patches;
    let pad = options.padding();
    let wave = sky.grid.padded(pad, pad + options.nwavestep);
    let of_bundle = |bundle: spextral::plan::Bundle| {
        let t = traces(&sky.psf, bundle.fibres.clone(), &wave, false);
        let spot = SpotShape::new(&sky.psf, false);
        let positions = Positions { nfibre: t.nfibre, nbin: t.nbin, pixel_x: &t.pixel_x, pixel_y: &t.pixel_y, spot };
        let wanted = 0..bundle.fibres.len();
        let all = patches(options, &positions, &wanted, sky.grid.nwave(), (sky.psf.npix_y, sky.psf.npix_x));
        all.into_iter().map(move |patch| (bundle.fibres.start, patch)).collect::<Vec<_>>()
    };
    let groups = Groups::of_size(sky.psf.nfibre, options.bundlesize.unwrap());
    let all = bundles(&groups, 0, sky.psf.nfibre).unwrap();
    (all.into_iter().flat_map(of_bundle).collect(), pad)
}

/// Checks that two extractions differ only in patches that see the pixel `at`. Returns their number, and the bins lost.
fn stays_in_its_patch(sky: &Sky, at: usize, clean: &Extraction, ours: &Extraction) -> (usize, usize) {
    let (a, b) = (&clean.spectra, &ours.spectra);
    let (all, pad) = all_patches(sky);
    let (mut lost, mut seeing, mut untouched) = (0, 0, 0);
    let (y, x) = (at / sky.psf.npix_x, at % sky.psf.npix_x);
    for (first, patch) in all {
        let sees = patch.rows.contains(&y) && patch.columns.contains(&x);
        let bins = patch.bin0 + patch.core_bins.start - pad..patch.bin0 + patch.core_bins.end - pad;
        for fibre in patch.core.clone().map(|f| first + patch.fibres.start + f) {
            let bad = |bin: usize| b.ivar[fibre * b.nwave + bin] == 0.0;
            if sees {
                seeing += 1;
                lost += bins.clone().filter(|bin| bad(*bin)).count();
                let told = |bin: usize| b.mask[fibre * b.nwave + bin] & specmask::BAD2DFIT != 0;
                assert!(bins.clone().all(|bin| !bad(bin) || told(bin)), "fibre {fibre}, bins {bins:?}");
                continue;
            }
            untouched += 1;
            assert!(bits(a, fibre, bins.clone()) == bits(b, fibre, bins.clone()), "fibre {fibre}, bins {bins:?}");
            for bin in bins.clone() {
                let (before, after) = (row(a, fibre, bin), row(b, fibre, bin));
                let worst = before.iter().zip(&after).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                // Columns of a patch that is lost come from the row's own.
                assert!(worst < 0.02, "fibre {fibre}, bin {bin}: {before:?} {after:?}");
            }
        }
    }
    assert!(untouched > 20, "{untouched} patches do not see the pixel");
    (seeing, lost)
}

#[test]
fn a_patch_without_a_solution_is_lost_alone() {
    let mut sky = three_bundles(2);
    sky.options.solver = Solver::Patches;
    let clean = sky.extract(&cpu());
    assert_eq!((clean.summary.failed, clean.summary.no_result), (0, 0));
    let at = pixel(&sky, 4);
    let ours = with_absurd_weight(&sky, at);
    sound(&ours).unwrap();
    let (seeing, lost) = stays_in_its_patch(&sky, at, &clean, &ours);
    assert!((1..=seeing).contains(&ours.summary.failed), "{} of {seeing} patches", ours.summary.failed);
    assert_eq!((ours.summary.no_result, ours.summary.no_information), (lost, lost));
}

#[test]
fn a_patch_of_numbers_that_no_file_holds_is_masked_alone_and_counted() {
    let mut sky = three_bundles(3);
    sky.options.solver = Solver::Patches;
    let clean = sky.extract(&cpu());
    let at = pixel(&sky, 4);
    sky.image[at] = 3e38;
    let ours = sky.extract(&cpu());
    sound(&ours).unwrap();
    let (_, lost) = stays_in_its_patch(&sky, at, &clean, &ours);
    assert_eq!(ours.summary.failed, 0);
    assert!(lost > 0 && ours.summary.no_result == lost, "{lost} {}", ours.summary.no_result);
}

#[test]
fn options_that_leave_no_patch_a_solution_lose_them_all_and_say_so() {
    let sky = three_bundles(4);
    let options = Options { regularize: 1e300, solver: Solver::Patches, ..sky.options.clone() };
    let out = sky.try_extract(&options, &cpu()).unwrap();
    sound(&out).unwrap();
    assert_eq!(out.summary.failed, out.summary.patches);
    assert_eq!(out.summary.no_result, out.spectra.flux.len());
}
