//! A simulated frame: targets, light on the CCD, noise and defects, and the truth.

use super::detector::expose;
use super::objects::Target;
use super::project::project;
use super::request::{SimulateError, Simulation};
use super::{keywords, sky};
use crate::fits::{Preproc, Truth};
use crate::psf::Psf;
use rayon::prelude::*;

/// Pixels per bad column and per dead patch by default.
const PIXELS_PER_DEFECT: usize = 4_000_000;

/// A simulated frame and the truth behind it.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// The frame, preprocessed.
    pub preproc: Preproc,
    /// The spectra that lit it.
    pub truth: Truth,
}

/// Simulates a frame of `psf`.
///
/// # Errors
/// [`SimulateError`] with the fibres, the grid or the parameter at fault.
pub fn simulate(psf: &Psf, request: &Simulation) -> Result<Simulated, SimulateError> {
    let fibres = request.fibres(psf)?;
    let wave = request.grid(psf)?;
    request.check(psf)?;
    let targets: Vec<Target> = (0..psf.nfibre).map(|fibre| Target::of_fibre(request.seed, fibre)).collect();
    let flux = spectra(psf, &targets[fibres.clone()], &wave, request.exptime);
    let expected = project(psf, fibres.clone(), &wave, &flux, request.psf_tails);
    let mut ccd = expose(&expected, psf.npix_x, request.readnoise, request.seed);
    let usual = (psf.npix_x * psf.npix_y).div_ceil(PIXELS_PER_DEFECT);
    let columns = request.bad_columns.unwrap_or(usual);
    ccd.add_defects(columns, request.dead_patches.unwrap_or(usual), request.seed);
    ccd.add_cosmics(request.cosmics, request.exptime, request.seed);
    let numbers = fibres.map(|f| psf.fibermin + f as i64).collect();
    let truth = Truth { fibres: numbers, wave, flux };
    let fibermap = keywords::fibermap(psf, &targets, request);
    // No mask bit clears ivar here: whoever reads the frame chooses the bits.
    let planes =
        Preproc::new([ccd.ny, ccd.nx], ccd.image, ccd.ivar, Some(ccd.mask), 0).expect("planes of one exposure");
    let preproc = Preproc { header: keywords::header(psf, request), fibermap: Some(fibermap), ..planes };
    Ok(Simulated { preproc, truth })
}

/// Computes the spectra of the targets with the sky, `[nspec, nwave]` in electron per bin, exact in f32.
fn spectra(psf: &Psf, targets: &[Target], wave: &[f64], exptime: f64) -> Vec<f64> {
    let sky = sky::spectrum(wave);
    let step = wave[1] - wave[0];
    let mut flux = vec![0.0; targets.len() * wave.len()];
    flux.par_chunks_mut(wave.len()).zip(targets).for_each(|(flux, target)| {
        let object = target.spectrum(wave);
        for (j, f) in flux.iter_mut().enumerate() {
            let electrons = (sky[j] + object[j]) * step * exptime / 1000.0;
            let seen = electrons * target.throughput * throughput(psf, wave[j]);
            // The truth file is f32, and must hold exactly the light on the CCD.
            *f = f64::from(seen as f32);
        }
    });
    flux
}

/// Returns the throughput of the camera relative to its middle; it falls by a third to either end.
fn throughput(psf: &Psf, wave: f64) -> f64 {
    let u = 2.0 * (wave - psf.wave_min) / (psf.wave_max - psf.wave_min) - 1.0;
    1.0 - 0.33 * u.clamp(-1.0, 1.0).powi(2)
}
