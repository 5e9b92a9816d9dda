//! Simulated frames: what a DESI-like camera records of a sky full of targets, and the truth behind it.
//!
//! The way of an electron: [`sky`] and [`objects`] say what each fibre sees, [`project`] spreads it over
//! the CCD, [`detector`] adds noise and defects, [`keywords`] describes it all as DESI does.

pub mod detector;
pub mod keywords;
pub mod objects;
pub mod project;
pub mod random;
pub mod sky;
pub mod synthetic;

pub use crate::fits::{Truth, fill_truth, read_truth, write_truth};

use crate::base::number::short;
use crate::base::option_name::OptionName::{Nspec, Specmin};
use crate::fits::Preproc;
use crate::psf::Psf;
use objects::Target;
use rayon::prelude::*;
use thiserror::Error;

/// Bins of light beyond either end of the extraction grid, so that its ends are lit as its middle.
const MARGIN: usize = 15;
/// Pixels for which the default number of defects is one column and one patch.
const PIXELS_A_DEFECT: usize = 4_000_000;
/// Most dead patches: more than a CCD worth simulating has, and drawn at once.
const MOST_PATCHES: usize = 10_000;

/// Why a frame cannot be simulated.
#[derive(Debug, Error, PartialEq)]
pub enum SimulateError {
    /// The fibres are not among the PSF's.
    #[error("{Specmin} {specmin}{} leaves the PSF's {nfibre} fibres (0 to {}): choose {Specmin} and {Nspec} within them",
        nspec.map_or(String::new(), |n| format!(" with {Nspec} {n}")), nfibre.saturating_sub(1))]
    Fibres {
        /// First fibre asked for.
        specmin: usize,
        /// Number of fibres asked for; None for all from the first on.
        nspec: Option<usize>,
        /// Number of fibres of the PSF.
        nfibre: usize,
    },
    /// No fibre is asked for.
    #[error("{Nspec} is 0: give at least 1 fibre to light")]
    NoFibre,
    /// The wavelength grid has no bins.
    #[error(
        "the wavelength grid {},{},{} has no bins or far too many: \
        give WMIN,WMAX,DW in Angstrom, WMIN < WMAX, DW > 0",
        short(*min), short(*max), short(*step)
    )]
    Grid {
        /// Lower end, Angstrom.
        min: f64,
        /// Upper end, Angstrom.
        max: f64,
        /// Step, Angstrom.
        step: f64,
    },
    /// The wavelength grid leaves the PSF's range.
    #[error("the wavelength grid {} to {} Angstrom leaves the PSF's range {low} to {high}: choose one within it",
        short(*min), short(*max))]
    Range {
        /// Lower end, Angstrom.
        min: f64,
        /// Upper end, Angstrom.
        max: f64,
        /// Lower end of the PSF, Angstrom.
        low: f64,
        /// Upper end of the PSF, Angstrom.
        high: f64,
    },
    /// A figure outside what makes sense.
    #[error("{name} is {}: it must be {rule}", short(*value))]
    OutOfRange {
        /// The figure.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What it must be.
        rule: &'static str,
    },
}

/// What to simulate.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulation {
    /// Seed of targets, noise and defects: the same seed makes the same bytes for any number of threads.
    pub seed: u64,
    /// First fibre that is lit, counted on the PSF.
    pub specmin: usize,
    /// Number of fibres that are lit; None takes all from `specmin` on.
    pub nspec: Option<usize>,
    /// Lower end, upper end and step of the grid, Angstrom; None takes the PSF's range by 0.8.
    pub wave: Option<[f64; 3]>,
    /// Read noise, electron.
    pub readnoise: f64,
    /// Exposure time, s.
    pub exptime: f64,
    /// Start of the exposure, modified Julian date (UTC).
    pub mjd: f64,
    /// Exposure number.
    pub expid: i64,
    /// Cosmic rays, relative to the usual number.
    pub cosmics: f64,
    /// Bad columns; None takes one in 4 million pixels, at least one.
    pub bad_columns: Option<usize>,
    /// Dead patches; None takes as many as bad columns.
    pub dead_patches: Option<usize>,
    /// Whether light falls into the PSF's tails.
    pub psf_tails: bool,
}

impl Default for Simulation {
    fn default() -> Self {
        Self {
            seed: 0,
            specmin: 0,
            nspec: None,
            wave: None,
            readnoise: 3.0,
            exptime: 1000.0,
            mjd: 58899.25,
            expid: 1,
            cosmics: 1.0,
            bad_columns: None,
            dead_patches: None,
            psf_tails: false,
        }
    }
}

/// A simulated frame and what went into it.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// The frame as the spectrograph's pipeline would hand it over.
    pub preproc: Preproc,
    /// The spectra that lit it.
    pub truth: Truth,
}

/// Simulates a frame of `psf`.
///
/// # Errors
/// [`SimulateError`] names the fibres, the grid or the figure at fault.
pub fn simulate(psf: &Psf, request: &Simulation) -> Result<Simulated, SimulateError> {
    let fibres = request.fibres(psf)?;
    let wave = request.grid(psf)?;
    request.check(psf)?;
    let targets: Vec<Target> = (0..psf.nfibre).map(|fibre| Target::of_fibre(request.seed, fibre)).collect();
    let flux = spectra(psf, &targets[fibres.clone()], &wave, request.exptime);
    let expected = project::project(psf, fibres.clone(), &wave, &flux, request.psf_tails);
    let mut ccd = detector::expose(&expected, psf.npix_x, request.readnoise, request.seed);
    let usual = (psf.npix_x * psf.npix_y).div_ceil(PIXELS_A_DEFECT);
    let columns = request.bad_columns.unwrap_or(usual);
    ccd.add_defects(columns, request.dead_patches.unwrap_or(usual), request.seed);
    ccd.add_cosmics(request.cosmics, request.exptime, request.seed);
    let numbers = fibres.map(|f| psf.fibermin + f as i64).collect();
    let truth = Truth { fibres: numbers, wave, flux };
    let fibermap = keywords::fibermap(psf, &targets, request);
    // Mask bits are for the reader to act on.
    let planes =
        Preproc::new([ccd.ny, ccd.nx], ccd.image, ccd.ivar, Some(ccd.mask), 0).expect("planes of one exposure");
    let preproc = Preproc { header: keywords::header(psf, request), fibermap: Some(fibermap), ..planes };
    Ok(Simulated { preproc, truth })
}

/// Spectra of the targets with the sky, `[nspec, nwave]` in electron a bin, exact in f32.
fn spectra(psf: &Psf, targets: &[Target], wave: &[f64], exptime: f64) -> Vec<f64> {
    let sky = sky::spectrum(wave);
    let step = wave[1] - wave[0];
    let mut flux = vec![0.0; targets.len() * wave.len()];
    flux.par_chunks_mut(wave.len()).zip(targets).for_each(|(flux, target)| {
        let object = target.spectrum(wave);
        for (j, f) in flux.iter_mut().enumerate() {
            let electrons = (sky[j] + object[j]) * step * exptime / 1000.0;
            let seen = electrons * target.throughput * throughput(psf, wave[j]);
            // The truth is stored in f32: what lights the CCD is what is stored.
            *f = f64::from(seen as f32);
        }
    });
    flux
}

/// Throughput of the camera relative to its middle: falls by a third to either end.
fn throughput(psf: &Psf, wave: f64) -> f64 {
    let u = 2.0 * (wave - psf.wave_min) / (psf.wave_max - psf.wave_min) - 1.0;
    1.0 - 0.33 * u.clamp(-1.0, 1.0).powi(2)
}

impl Simulation {
    fn fibres(&self, psf: &Psf) -> Result<std::ops::Range<usize>, SimulateError> {
        if self.nspec == Some(0) {
            return Err(SimulateError::NoFibre);
        }
        let end = self.nspec.map_or(psf.nfibre, |n| self.specmin.saturating_add(n));
        if self.specmin >= end || end > psf.nfibre {
            return Err(SimulateError::Fibres { specmin: self.specmin, nspec: self.nspec, nfibre: psf.nfibre });
        }
        Ok(self.specmin..end)
    }

    /// The truth's grid: the extraction grid and [`MARGIN`] bins beyond either end.
    fn grid(&self, psf: &Psf) -> Result<Vec<f64>, SimulateError> {
        let [min, max, step] = self.wave.unwrap_or([psf.wave_min, psf.wave_max, 0.8]);
        let bins = ((max - min) / step + 0.5).floor();
        if !(min > 0.0 && step > 0.0 && (1.0..1e6).contains(&bins)) {
            return Err(SimulateError::Grid { min, max, step });
        }
        if min < psf.wave_min - 0.5 * step || max > psf.wave_max + 0.5 * step {
            let (low, high) = (psf.wave_min, psf.wave_max);
            return Err(SimulateError::Range { min, max, low, high });
        }
        let last = bins as i64 + MARGIN as i64;
        Ok((-(MARGIN as i64)..=last).map(|k| min + k as f64 * step).collect())
    }

    fn check(&self, psf: &Psf) -> Result<(), SimulateError> {
        let within = |name, value: f64, low: f64, high: f64, rule| {
            if (low..=high).contains(&value) { Ok(()) } else { Err(SimulateError::OutOfRange { name, value, rule }) }
        };
        // With no read noise a pixel without light would have an infinite ivar.
        within("the read noise", self.readnoise, 1e-3, 1e4, "0.001 to 10000 electron")?;
        within("the exposure time", self.exptime, 1e-3, 1e6, "0.001 to 1000000 s")?;
        within("the date", self.mjd, 15_000.0, 100_000.0, "an MJD of 15000 to 100000")?;
        within("the rate of cosmic rays", self.cosmics, 0.0, 100.0, "0 to 100 times the usual")?;
        let most =
            |name, n: Option<usize>, most: usize, rule| within(name, n.unwrap_or(0) as f64, 0.0, most as f64, rule);
        most("the number of bad columns", self.bad_columns, psf.npix_x, "0 to the number of columns of the CCD")?;
        most("the number of dead patches", self.dead_patches, MOST_PATCHES, "0 to 10000")
    }
}

#[cfg(test)]
mod tests;
