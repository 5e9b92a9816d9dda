//! Both real PSFs, off both ends of the CCD and on steps of any size, against dense elimination of the whole bundle.

use super::whole_patch::worst;
use spextral::extract::Options;
use spextral::fits::read_psf;
use spextral::geometry::{Ccd, WaveGrid};
use spextral::psf::Psf;
use spextral::simulate::{Simulation, simulate};
use testkit::{Sim11, Small, cpu, dense, extract, masked_planes, shared};

/// The first fibres of a PSF as a bundle, and pixels under them.
struct Case<'a> {
    psf: &'a Psf,
    ccd: &'a Ccd<'a>,
}

impl Case<'_> {
    /// Compares with the exact solution, which has 64 Angstrom beyond the ends. Returns false if the bands left the work to
    /// the patches.
    fn check(&self, what: &str, start: f64, step: f64, nwave: usize) -> bool {
        let grid = WaveGrid::new(start, start + step * (nwave - 1) as f64, step).unwrap();
        let run = |mut options: Options| {
            (options.patches.bundlesize, options.nspec) = (Some(8), Some(8));
            options.patches.nsubbundles = Some(1);
            extract(self.psf, self.ccd, &grid, &options, &cpu())
        };
        let ours = run(Small::banded());
        if ours.summary.solver() != "banded" {
            return false;
        }
        note!("{what}, {start} by {step}:");
        let [flux, ivar, r] = worst(&ours.spectra, &run(dense(nwave, (64.0 / step) as usize)).spectra);
        assert!(flux < 1e-4 && ivar < 1e-5 && r < 1e-6, "{what}, {start} by {step}");
        true
    }
}

/// sim11 on the real r camera's PSF: 8 of its fibres, with stars, a bad column and dead patches.
#[test]
fn the_real_r_camera_is_exact_off_the_ccd_and_on_any_step() {
    let sim = Sim11::open();
    let case = Case { psf: &sim.psf, ccd: &sim.preproc.ccd };
    for (start, step) in [(5560.0, 0.8), (7700.0, 0.8), (6100.0, 0.6), (6700.0, 0.7), (7300.0, 1.0), (5900.0, 1.2)] {
        assert!(case.check("r0", start, step, 120), "{start} by {step}");
    }
}

/// A frame of our own on the older PSF, whose spots are 29 x 17 pixels.
#[test]
fn an_older_psf_with_wide_spots_is_exact_off_the_ccd_and_on_any_step() {
    let psf = read_psf(shared("psf/psf-gausshermite-v2.fits")).unwrap();
    let simulated = simulate(&psf, &Simulation { nspec: Some(8), ..Simulation::default() }).unwrap();
    let [image, ivar] = masked_planes(&simulated.preproc);
    let case = Case { psf: &psf, ccd: &Ccd::new(psf.npix_y, psf.npix_x, image, ivar).unwrap() };
    let (low, high) = (case.psf.wave_min, case.psf.wave_max);
    for (start, step) in [(low, 0.8), (high - 80.0, 0.8), (6000.0, 0.6), (6500.0, 1.0), (6500.0, 1.2)] {
        assert!(case.check("v2", start, step, 100), "{start} by {step}");
    }
}

#[test]
fn a_step_of_0_4_takes_wider_bands_and_is_exact_too() {
    let sim = Sim11::open();
    let case = Case { psf: &sim.psf, ccd: &sim.preproc.ccd };
    assert!(case.check("r0", 5900.0, 0.4, 80));
}
