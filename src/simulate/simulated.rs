//! A simulated frame: targets, light on the CCD, noise and defects, and the truth.

use super::detector::expose;
use super::keywords;
use super::objects::Target;
use super::project::project;
use super::request::{SimulateError, Simulation};
use crate::fits::{Preproc, Truth};
use crate::psf::{Dispersion, Psf};
use crate::stages::wave_table::{OnTable, on_table};

/// Pixels per bad column and per dead patch by default.
const PIXELS_PER_DEFECT: usize = 4_000_000;

/// A simulated frame and the truth behind it.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// The frame, preprocessed; its planes are as its file has them, with the axis of dispersion of the PSF's file. Pixels that its
    /// mask flags keep their weights: [`Preproc::masked_by`] comes before an extraction.
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
    request.check(psf)?;
    if let Some(table) = &request.table {
        let OnTable { psf, grid, .. } = on_table(psf, table.clone(), fibres)?;
        let (wave, step) = (grid.wave(), grid.step());
        let wave = Some((wave[0], wave[wave.len() - 1], step).into());
        return simulate(&psf, &Simulation { wave, table: None, ..request.clone() });
    }
    let targets: Vec<Target> = (0..psf.nfibre).map(|fibre| Target::of_fibre(request.seed, fibre)).collect();
    let (wave, flux) = request.light.spectra(psf, request, fibres.clone(), &targets)?;
    let expected = project(psf, fibres.clone(), &wave, &flux, request.psf_tails);
    let mut ccd = expose(&expected, psf.npix_x, request.readnoise, request.seed);
    let usual = (psf.npix_x * psf.npix_y).div_ceil(PIXELS_PER_DEFECT);
    let columns = request.bad_columns.unwrap_or(usual);
    ccd.add_defects(columns, request.dead_patches.unwrap_or(usual), request.seed);
    ccd.add_cosmics(request.cosmics, request.exptime, request.unmasked_cosmics, request.seed);
    if let Some(level) = request.saturation {
        ccd.saturate(level);
    }
    let wave = psf.wavelengths(fibres.clone(), &wave);
    let numbers = fibres.map(|f| psf.number(f)).collect();
    let truth = Truth { fibres: numbers, wave, flux };
    let fibermap = keywords::fibermap(psf, &targets, request);
    // No mask bit clears ivar here: whoever reads the frame chooses the bits.
    let planes =
        Preproc::new([ccd.ny, ccd.nx], ccd.image, ccd.ivar, Some(ccd.mask), 0).expect("planes of one exposure");
    let planes = Preproc { ccd: planes.ccd.with_dispersion(psf.dispersion), ..planes };
    let preproc = Preproc { header: keywords::header(psf, request), fibermap: Some(fibermap), ..planes };
    Ok(Simulated { preproc: preproc.turned_for(Dispersion::AlongY), truth })
}
