//! The request of a simulation: its parameters and their checks.

use super::range::{OutOfRange, count, within};
use crate::base::number::short;
use crate::base::option_name::OptionName::{Nspec, PsfTails, Specmin};
use crate::fits::{Line, Truth};
use crate::geometry::WaveRange;
use crate::psf::{Psf, Tails};
use crate::solver::default_step;
use crate::stages::wave_table::{WaveTable, WaveTableError};
use std::ops::Range;
use thiserror::Error;

/// Bins of light beyond either end of the extraction grid, so that its ends are lit like its middle.
pub(super) const MARGIN: usize = 15;
/// Largest number of dead patches: more than a CCD worth simulating has, and quickly drawn.
const MOST_PATCHES: usize = 10_000;

/// Reason why a frame cannot be simulated.
#[derive(Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum SimulateError {
    /// The PSF lacks some of the fibres.
    #[error("{Specmin} {specmin}{} leaves the PSF's {nfibre} fibres (0 to {}): choose {Specmin} and {Nspec} within them",
        nspec.map_or(String::new(), |n| format!(" with {Nspec} {n}")), nfibre.saturating_sub(1))]
    Fibres {
        /// First fibre requested.
        specmin: usize,
        /// Number of fibres requested; None for all from the first on.
        nspec: Option<usize>,
        /// Number of fibres of the PSF.
        nfibre: usize,
    },
    /// No fibre is requested.
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
    /// The wavelength grid exceeds the PSF's range.
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
    /// The PSF lacks the tails requested.
    #[error(
        "the PSF has no power-law tails (rows {}): leave out {PsfTails}, or give a PSF with them",
        Tails::NAMES.join(", ")
    )]
    NoTails,
    /// The table of wavelengths cannot be.
    #[error("the table of wavelengths: {0}")]
    Table(#[from] WaveTableError),
    /// Spectra are of bins that fibres with a range each do not have in common.
    #[error(
        "fibres have a range of wavelengths each, and the spectra no row of bins on each: give WAVELENGTH [nspec, nwave] as Truth of such a frame has it"
    )]
    Ranges,
    /// The line list has no line that the PSF reaches.
    #[error("the line list has no line within the PSF's range {low} to {high} Angstrom: give one of its lamp")]
    NoLine {
        /// Lower end of the PSF, Angstrom.
        low: f64,
        /// Upper end of the PSF, Angstrom.
        high: f64,
    },
    /// The spectra are not those of the lit fibres.
    #[error(
        "there are {found} spectra for {nspec} lit fibres: give one, or as many as fibres, by {Specmin} and {Nspec}"
    )]
    Spectra {
        /// Number of spectra.
        found: usize,
        /// Number of lit fibres.
        nspec: usize,
    },
    /// A lit fibre has no spectrum.
    #[error(
        "there is no spectrum of fibre {number}: their numbers (FIBER) are {first} to {last}; give those of the lit fibres, or none to \
         have them in order"
    )]
    NoSpectrum {
        /// Its number.
        number: i64,
        /// Smallest and largest number of the spectra.
        first: i64,
        /// See `first`.
        last: i64,
    },
    /// A spectrum has a value that is no light.
    #[error("spectrum {row} has {value} electron at bin {bin}: light is a finite number, not negative")]
    NoLight {
        /// The spectrum, from 0.
        row: usize,
        /// The bin.
        bin: usize,
        /// Its value.
        value: f64,
    },
    /// A parameter outside its limits.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
}

/// The light of the fibres.
#[derive(Clone, Debug, PartialEq)]
pub enum Light {
    /// The night sky with stars, galaxies and quasars; its lines are those of the built-in list.
    Sky,
    /// Those targets below a sky whose lines are computed.
    ModelSky,
    /// An arc lamp.
    Arc {
        /// Its lines; weights are relative, and lines without one take any brightness, by the seed.
        lines: Vec<Line>,
        /// Electrons of the line of median brightness per fibre.
        electrons: f64,
    },
    /// A flat lamp: a smooth continuum.
    Flat,
    /// Spectra in electron per bin, all light included: one for all fibres, or one per lit fibre, by its number.
    Spectra(Truth),
}

/// The parameters of a simulated frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulation {
    /// Seed of targets, noise and defects. The bytes do not depend on the number of threads.
    pub seed: u64,
    /// First lit fibre: its row of the PSF.
    pub specmin: usize,
    /// Number of lit fibres; None takes all from `specmin` on.
    pub nspec: Option<usize>,
    /// The grid; None takes the PSF's range by the default step of
    /// an extraction.
    pub wave: Option<WaveRange>,
    /// Wavelengths of the bins of every lit fibre, in place of the grid.
    pub table: Option<WaveTable>,
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
    /// Bad columns; None takes one per 4 million pixels, at least one.
    pub bad_columns: Option<usize>,
    /// Dead patches; None takes as many as bad columns.
    pub dead_patches: Option<usize>,
    /// Whether light falls into the PSF's power-law tails.
    pub psf_tails: bool,
    /// The light of the fibres; broken ones stay dark but for [`Light::Spectra`].
    pub light: Light,
    /// Fraction of the cosmic rays without a flag.
    pub unmasked_cosmics: f64,
    /// Electrons at which a pixel is full; None for none.
    pub saturation: Option<f64>,
}

impl Default for Simulation {
    fn default() -> Self {
        Self {
            seed: 0,
            specmin: 0,
            nspec: None,
            wave: None,
            table: None,
            readnoise: 3.0,
            exptime: 1000.0,
            mjd: 58899.25,
            expid: 1,
            cosmics: 1.0,
            bad_columns: None,
            dead_patches: None,
            psf_tails: false,
            light: Light::Sky,
            unmasked_cosmics: 0.0,
            saturation: None,
        }
    }
}

impl Simulation {
    /// Returns the lit fibres as rows of the PSF.
    pub(super) fn fibres(&self, psf: &Psf) -> Result<Range<usize>, SimulateError> {
        if self.nspec == Some(0) {
            return Err(SimulateError::NoFibre);
        }
        let end = self.nspec.map_or(psf.nfibre, |n| self.specmin.saturating_add(n));
        if self.specmin >= end || end > psf.nfibre {
            return Err(SimulateError::Fibres { specmin: self.specmin, nspec: self.nspec, nfibre: psf.nfibre });
        }
        Ok(self.specmin..end)
    }

    /// Returns the truth's grid: the extraction grid, at either end longer by [`MARGIN`].
    pub(super) fn grid(&self, psf: &Psf) -> Result<Vec<f64>, SimulateError> {
        let range = self.wave.unwrap_or_else(|| (psf.wave_min, psf.wave_max, default_step(psf)).into());
        let (WaveRange { min, max, .. }, step) = (range, range.first_step());
        let bins = (range.steps() + 0.5).floor();
        if !(min > 0.0 && step > 0.0 && (1.0..1e6).contains(&bins)) {
            return Err(SimulateError::Grid { min, max, step });
        }
        if min < psf.wave_min - 0.5 * step || max > psf.wave_max + 0.5 * step {
            let (low, high) = (psf.wave_min, psf.wave_max);
            return Err(SimulateError::Range { min, max, low, high });
        }
        let last = bins as i64 + MARGIN as i64;
        Ok((-(MARGIN as i64)..=last).map(|k| range.wave(k as f64)).collect())
    }

    /// Returns the widths of the bins of that grid, Angstrom.
    pub(super) fn widths(&self, wave: &[f64]) -> Vec<f64> {
        let log_step = self.wave.and_then(|range| range.step.logarithmic());
        wave.iter().map(|w| log_step.map_or(wave[1] - wave[0], |log_step| w * log_step)).collect()
    }

    /// Checks all parameters but fibres and grid.
    pub(super) fn check(&self, psf: &Psf) -> Result<(), SimulateError> {
        if self.psf_tails && psf.tails.is_none() {
            return Err(SimulateError::NoTails);
        }
        // Without read noise a pixel without light would have an infinite ivar.
        within("the read noise", self.readnoise, 1e-3, 1e4, "0.001 to 10000 electron")?;
        within("the exposure time", self.exptime, 1e-3, 1e6, "0.001 to 1000000 s")?;
        within("the date", self.mjd, 15_000.0, 100_000.0, "an MJD of 15000 to 100000")?;
        within("the fraction of unmasked cosmic rays", self.unmasked_cosmics, 0.0, 1.0, "0 to 1")?;
        within("the saturation", self.saturation.unwrap_or(1e5), 100.0, 1e9, "100 to 1e9 electron")?;
        if let Light::Arc { electrons, .. } = self.light {
            within("the brightness of the arc", electrons, 1.0, 1e9, "1 to 1e9 electron")?;
        }
        within("the rate of cosmic rays", self.cosmics, 0.0, 100.0, "0 to 100 times the usual")?;
        let most = |name, n: Option<usize>, most: usize, rule| count(name, n.unwrap_or(0), 0, most, rule);
        most("the number of bad columns", self.bad_columns, psf.npix_x, "0 to the number of columns of the CCD")?;
        Ok(most("the number of dead patches", self.dead_patches, MOST_PATCHES, "0 to 10000")?)
    }
}
