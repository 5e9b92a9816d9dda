//! Both real PSFs, off both ends of the CCD and on steps of any size, against dense elimination of the whole bundle.

use super::shared::shared;
use super::whole_patch::{banded, dense, worst};
use spextral::backend::Engine;
use spextral::extract::{Options, extract};
use spextral::fits::{PreprocOptions, read_preproc, read_psf};
use spextral::geometry::Ccd;
use spextral::geometry::WaveGrid;
use spextral::psf::Psf;
use spextral::simulate::{Simulation, simulate};

/// The first fibres of a PSF as a bundle, and pixels under them.
struct Case {
    psf: Psf,
    image: Vec<f32>,
    ivar: Vec<f32>,
}

impl Case {
    /// sim11 on the real r camera's PSF: 8 of its fibres, stars, a bad column and dead patches among them.
    fn sim11() -> Option<Self> {
        let psf = read_psf(shared("psf/psf-r0-00051060.fits")?).unwrap();
        let p = read_preproc(shared("frames/preproc-r0-sim11.fits.gz")?, &PreprocOptions::default()).unwrap();
        let [image, ivar] = p.ccd.into_planes();
        Some(Self { psf, image, ivar })
    }

    /// A frame of our own on the older PSF, whose spots are 29 x 17 pixels.
    fn v2() -> Option<Self> {
        let psf = read_psf(shared("psf/psf-gausshermite-v2.fits")?).unwrap();
        let p = simulate(&psf, &Simulation { nspec: Some(8), ..Simulation::default() }).unwrap().preproc;
        let mask = p.mask.expect("a simulated frame has a mask");
        let [image, mut ivar] = p.ccd.into_planes();
        ivar.iter_mut().zip(mask).filter(|(_, m)| *m != 0).for_each(|(w, _)| *w = 0.0);
        Some(Self { psf, image, ivar })
    }

    /// Extracts both ways, the exact one with 64 Angstrom beyond the ends, and compares; false where the bands left the work
    /// to the patches.
    fn check(&self, what: &str, start: f64, step: f64, nwave: usize) -> bool {
        let grid = WaveGrid::new(start, start + step * (nwave - 1) as f64, step).unwrap();
        let ccd = &Ccd::new(self.psf.npix_y, self.psf.npix_x, &self.image, &self.ivar).unwrap();
        let run = |mut options: Options| {
            (options.patches.bundlesize, options.nspec) = (8, Some(8));
            options.patches.nsubbundles = 1;
            extract(&self.psf, ccd, &grid, &options, &Engine::cpu(), &|_, _| {}).unwrap()
        };
        let ours = run(banded());
        if ours.summary.solver() != "banded" {
            return false;
        }
        println!("{what}, {start} by {step}:");
        let [flux, ivar, r] = worst(&ours.spectra, &run(dense(nwave, (64.0 / step) as usize)).spectra);
        assert!(flux < 1e-4 && ivar < 1e-5 && r < 1e-6, "{what}, {start} by {step}");
        true
    }
}

#[test]
fn the_real_r_camera_is_exact_off_the_ccd_and_on_any_step() {
    let Some(case) = Case::sim11() else { return };
    for (start, step) in [(5560.0, 0.8), (7700.0, 0.8), (6100.0, 0.6), (6700.0, 0.7), (7300.0, 1.0), (5900.0, 1.2)] {
        assert!(case.check("r0", start, step, 120), "{start} by {step}");
    }
}

#[test]
fn an_older_psf_with_wide_spots_is_exact_off_the_ccd_and_on_any_step() {
    let Some(case) = Case::v2() else { return };
    let (low, high) = (case.psf.wave_min, case.psf.wave_max);
    for (start, step) in [(low, 0.8), (high - 80.0, 0.8), (6000.0, 0.6), (6500.0, 1.0), (6500.0, 1.2)] {
        assert!(case.check("v2", start, step, 100), "{start} by {step}");
    }
}

#[test]
fn a_step_of_0_4_takes_wider_bands_and_is_exact_too() {
    let Some(case) = Case::sim11() else { return };
    assert!(case.check("r0", 5900.0, 0.4, 80));
}
