//! The simulated frame sim11 by the banded solver, against the exact solution of the whole bundle.

use spextral::extract::{Options, Solver};
use spextral::fits::read_image_f64;
use spextral::frame::Spectra;
use spextral::geometry::WaveGrid;
use std::path::PathBuf;
use testkit::{Sim11, cpu, shared};

/// Worst flux in sigma, worst relative ivar and worst element of R over the bins with pixmask_fraction < 0.5.
fn worst(ours: &Spectra, path: &PathBuf) -> [f64; 3] {
    let array = |name: &str| read_image_f64(path, name).unwrap().1;
    let (flux, ivar, masked, r) = (array("FLUX"), array("IVAR"), array("PIXMASK_FRACTION"), array("RDIAGS"));
    let (nwave, ndiag) = (ours.nwave, ours.ndiag);
    let mut worst = [0.0f64; 3];
    for k in (0..flux.len()).filter(|&k| masked[k] < 0.5) {
        worst[0] = worst[0].max((ours.flux[k] - flux[k]).abs() * ivar[k].sqrt());
        worst[1] = worst[1].max((ours.ivar[k] / ivar[k] - 1.0).abs());
        for d in 0..ndiag {
            // Element d of column k is in row k - ndiag/2 + d; rows of masked bins are the reference's own affair.
            let row = (k % nwave + d).checked_sub(ndiag / 2).filter(|&i| i < nwave);
            if row.is_some_and(|i| masked[k - k % nwave + i] < 0.5) {
                let at = ((k / nwave) * ndiag + d) * nwave + k % nwave;
                worst[2] = worst[2].max((ours.resolution.at(at) - r[at]).abs());
            }
        }
    }
    note!("worst flux {:.1e} sigma, ivar {:.1e}, R {:.1e}", worst[0], worst[1], worst[2]);
    worst
}

#[test]
fn every_bin_of_sim11_is_exact_to_1e_4_sigma() {
    let path = shared("reference/sim11-exact.fits.gz");
    let options = Options { nspec: Some(25), solver: Solver::Banded, ..Options::default() };
    let ours = Sim11::open().extract(&WaveGrid::new(5760.0, 7620.0, 0.8).unwrap(), &options, &cpu()).spectra;
    let [flux, ivar, r] = worst(&ours, &path);
    assert!(flux < 1e-4, "flux {flux:e} sigma");
    assert!(ivar < 1e-5, "ivar {ivar:e}");
    assert!(r < 1e-6, "R {r:e}");
}
