//! Pixels that are no numbers count as masked, bit by bit; so do pixels of a weight that no detector has, once read.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use spextral::extract::{Extraction, Options, Solver};
use spextral::fits::{Image, Pixels, PreprocOptions, read_preproc, write_images};
use spextral::frame::Header;
use spextral::frame::Spectra;
use testkit::cpu;
use testkit::sound::{judge, sound};
use testkit::worlds::{Sky, World, config, world};

/// Pixels without a usable value or weight: value, ivar.
const POISON: [(f32, f32); 8] = [
    (f32::NAN, 1.0),
    (f32::INFINITY, 1.0),
    (f32::NEG_INFINITY, 0.1),
    (1.0, f32::NAN),
    (1.0, f32::INFINITY),
    (1.0, -1.0),
    (f32::NAN, f32::NAN),
    (f32::NAN, 0.0),
];

fn same(a: &Spectra, b: &Spectra) -> bool {
    let bits = |s: &Spectra| -> Vec<u64> {
        let r = s.resolution.to_f64();
        let all = [&s.flux[..], &s.ivar, &r, &s.chi2pix, &s.pixmask_fraction];
        all.into_iter().flatten().map(|v| v.to_bits()).chain(s.mask.iter().map(|&m| m.into())).collect()
    };
    bits(a) == bits(b)
}

/// Puts `pixel` at some places, and gives the same sky with those places masked.
fn poisoned(mut sky: Sky, places: &[(f64, usize)]) -> (Sky, Vec<f32>, Vec<f32>) {
    let (image, ivar) = (sky.image.clone(), sky.ivar.clone());
    let (mut clean, mut weights) = (image, ivar);
    for (at, what) in places {
        let k = (at * sky.image.len() as f64) as usize;
        (sky.image[k], sky.ivar[k]) = POISON[*what];
        (clean[k], weights[k]) = (0.0, 0.0);
    }
    (sky, clean, weights)
}

#[test]
fn pixels_that_are_no_numbers_count_as_masked() {
    let places = proptest::collection::vec((0.0..1.0f64, 0..POISON.len()), 1..30);
    TestRunner::new(config(24))
        .run(&(world(), places), |(mut world, places)| {
            if world.options.solver == Solver::Banded {
                world.options.solver = Solver::Auto;
            }
            let (mut sky, image, ivar) = poisoned(world.make(), &places);
            let ours = judge(&sky, &cpu()).map_err(TestCaseError::fail)?;
            (sky.image, sky.ivar) = (image, ivar);
            let masked = judge(&sky, &cpu()).map_err(TestCaseError::fail)?;
            prop_assert!(same(&ours.spectra, &masked.spectra));
            Ok(())
        })
        .unwrap();
}

#[test]
fn what_a_masked_pixel_holds_does_not_matter() {
    let mut world = World::plain(5, 160, 40);
    world.defects = vec![testkit::worlds::Defect::Pixels(0.2)];
    for solver in [Solver::Banded, Solver::Patches] {
        let mut sky = world.make();
        sky.options.solver = solver;
        let before = sky.extract(&cpu()).spectra;
        let masked = sky.image.iter_mut().zip(&sky.ivar).filter(|(_, w)| **w == 0.0);
        masked.enumerate().for_each(|(k, (p, _))| *p = [3e38, -1e30, 7.0][k % 3]);
        assert!(same(&before, &sky.extract(&cpu()).spectra), "{solver:?}");
    }
}

/// The sky through a file, with ivar `weight` at one pixel under the middle of the grid.
fn through_a_file(world: &World, weight: Option<f32>, options: &Options) -> (usize, Extraction) {
    let mut sky = world.make();
    let (ny, nx) = (sky.psf.npix_y, sky.psf.npix_x);
    let at = ny / 2 * nx + sky.psf.trace_x.of(3)[0] as usize;
    sky.ivar[at] = weight.unwrap_or(0.0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("preproc.fits");
    let plane = |name, pixels| Image { name, unit: "", shape: vec![ny, nx], pixels: Pixels::F32(pixels) };
    let planes = [plane("IMAGE", &sky.image), plane("IVAR", &sky.ivar)];
    write_images(&path, &Header::new(), &planes, false).unwrap().persist().unwrap();
    let read = read_preproc(&path, &PreprocOptions::default()).unwrap();
    let bad = read.ccd.rejected().total();
    [sky.image, sky.ivar] = read.ccd.into_planes();
    (bad, sky.try_extract(options, &cpu()).unwrap())
}

#[test]
fn a_pixel_of_absurd_weight_is_masked_when_it_is_read() {
    let world = World::plain(6, 160, 40);
    for solver in [Solver::Banded, Solver::Patches] {
        let options = Options { solver, ..world.options.clone() };
        let (none, masked) = through_a_file(&world, None, &options);
        assert_eq!(none, 0);
        for weight in [1e3, 1e6, 1e30, f32::MAX] {
            let (bad, ours) = through_a_file(&world, Some(weight), &options);
            assert_eq!(bad, 1, "ivar {weight:e}");
            assert!(same(&ours.spectra, &masked.spectra), "{solver:?}, ivar {weight:e}");
        }
    }
}

#[test]
fn a_pixel_of_large_weight_changes_no_bin_far_from_it() {
    let world = World::plain(7, 300, 120);
    for solver in [Solver::Banded, Solver::Patches] {
        let mut sky = world.make();
        sky.options.solver = solver;
        let before = sky.extract(&cpu());
        let (ny, nx) = (sky.psf.npix_y, sky.psf.npix_x);
        sky.ivar[ny / 2 * nx + sky.psf.trace_x.of(3)[0] as usize] = 1e5;
        let after = sky.extract(&cpu());
        sound(&after).unwrap();
        let (a, b) = (&before.spectra, &after.spectra);
        let far = (0..a.flux.len()).filter(|k| (k % a.nwave).abs_diff(a.nwave / 2) > 35);
        let change = |k: usize| (a.flux[k] - b.flux[k]).abs() * a.ivar[k].sqrt();
        let worst = far.clone().map(change).fold(0.0, f64::max);
        let weight = far.map(|k| (b.ivar[k] / a.ivar[k] - 1.0).abs()).fold(0.0, f64::max);
        println!("{solver:?}: {worst:e} sigma, ivar {weight:e}");
        assert!(worst < 0.01 && weight < 0.01, "{solver:?}: {worst:e} sigma, ivar {weight:e}");
    }
}
