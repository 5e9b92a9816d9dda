//! Traces that come close or cross: the solver that serves, and its errors.

use spextral::extract::{Options, Solver};
use spextral::frame::Spectra;
use spextral::plan::WeightScale;
use spextral::simulate::synthetic::Synthetic;
use testkit::cpu;
use testkit::sound::sound;
use testkit::worlds::{Sky, Traces, World};

/// Four fibres in a bundle.
fn four(traces: Traces) -> Sky {
    let psf = Synthetic { nfibre: 4, bundlesize: 4, npix_y: Some(220), ..Synthetic::default() };
    let mut world = World { psf, traces, ..World::plain(3, 220, 40) };
    world.options.patches.bundlesize = Some(4);
    world.make()
}

/// The whole bundle as one patch with all pixels.
fn exact(sky: &Sky) -> Spectra {
    let mut options = Options { solver: Solver::Patches, ..sky.options.clone() };
    (options.patches.nwavestep, options.patches.wavepad) = (sky.grid.nwave(), 60);
    (options.patches.wavepad_frac, options.patches.pixpad_frac) = (0.0, 1.0);
    options.patches.weight_scale = WeightScale::Group;
    sky.try_extract(&options, &cpu()).unwrap().spectra
}

/// The largest error of flux, sigma.
fn worst(ours: &Spectra, exact: &Spectra) -> f64 {
    let error = |k: usize| (ours.flux[k] - exact.flux[k]).abs() * exact.ivar[k].sqrt();
    (0..exact.flux.len()).map(error).fold(0.0, f64::max)
}

#[test]
fn traces_that_cross_are_exact_in_bands() {
    let sky = four(Traces::Crossing(0));
    let ours = sky.extract(&cpu());
    sound(&ours).unwrap();
    assert_eq!(ours.summary.solver(), "banded");
    assert!(ours.spectra.ivar.iter().all(|w| *w > 0.0));
    let (error, estimate) = (worst(&ours.spectra, &exact(&sky)), ours.summary.flux_error);
    assert!(error < 1e-5 && estimate.is_some_and(|estimate| error <= 2.0 * estimate), "{error:e} {estimate:?}");
}

#[test]
fn traces_however_close_are_exact() {
    for distance in [0.0, 0.3, 1.0, 2.0, 4.0] {
        let sky = four(Traces::Close(0, distance));
        let ours = sky.extract(&cpu());
        sound(&ours).unwrap();
        let worst = worst(&ours.spectra, &exact(&sky));
        println!("{distance} px: {}, {worst:e} sigma", ours.summary.solver());
        assert!(worst < 0.1, "{distance} px: {}, {worst:e} sigma", ours.summary.solver());
    }
}
