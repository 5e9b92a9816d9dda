//! Traces that come close or cross: the solver that serves, and its errors.

use spextral::extract::{ExtractError, Options, Solver};
use spextral::frame::Spectra;
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
    sky.try_extract(&options, &cpu()).unwrap().spectra
}

#[test]
fn bands_decline_traces_that_cross_and_patches_serve() {
    let mut sky = four(Traces::Crossing(0));
    sky.options.solver = Solver::Banded;
    let refused = sky.try_extract(&sky.options, &cpu()).map(|_| ()).unwrap_err();
    assert!(matches!(refused, ExtractError::Coupling(_)) && refused.to_string().contains("solver patches"));
    sky.options.solver = Solver::Auto;
    let auto = sky.extract(&cpu());
    sound(&auto).unwrap();
    assert_eq!(auto.summary.solver(), "patches");
    assert!(auto.spectra.ivar.iter().all(|w| *w > 0.0));
}

#[test]
fn traces_however_close_are_exact() {
    for distance in [0.0, 0.3, 1.0, 2.0, 4.0] {
        let sky = four(Traces::Close(0, distance));
        let ours = sky.extract(&cpu());
        sound(&ours).unwrap();
        let exact = exact(&sky);
        let error = |k: usize| (ours.spectra.flux[k] - exact.flux[k]).abs() * exact.ivar[k].sqrt();
        let worst = (0..exact.flux.len()).map(error).fold(0.0, f64::max);
        println!("{distance} px: {}, {worst:e} sigma", ours.summary.solver());
        assert!(worst < 0.1, "{distance} px: {}, {worst:e} sigma", ours.summary.solver());
    }
}
