//! A synthetic PSF: a Gauss-Hermite model of a DESI-like camera, made from a few figures.
//!
//! The figures are rounded from a fitted PSF of DESI's r camera: how traces bend over the CCD, how widths
//! and Hermite terms change along and across the slit, how much they scatter from bundle to bundle.
//! With `u` the wavelength on -1..=1 and `v` a fibre's place on the slit, -1 for the first and 1 for the
//! last, every parameter is a Legendre series in `u` whose coefficients are low polynomials in `v`.

mod figures;

use crate::base::number::short;
use crate::psf::{MOST_HALF_SIZE, Psf, PsfError, PsfParts, Tails};
use figures::{Slit, clipped_normal};
use rand::SeedableRng;
use rand_pcg::Pcg64;
use thiserror::Error;

/// Scatter of the gaps between bundles as a fraction of the gap (0.8 px of 17.8 px in DESI r).
const GAP_SCATTER: f64 = 0.045;
/// Scatter of a fibre's place beside its ideal one, pixels.
const FIBRE_SCATTER: f64 = 0.03;

/// Why no PSF could be made of the figures given.
#[derive(Debug, Error, PartialEq)]
pub enum SyntheticError {
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
    /// The fibres need more columns than the CCD has.
    #[error("{nfibre} fibres need {needed} columns, the CCD has {npix_x}: widen it, or lessen fibres or spacing")]
    TooNarrow {
        /// Number of fibres.
        nfibre: usize,
        /// Columns needed.
        needed: usize,
        /// Columns asked for.
        npix_x: usize,
    },
    /// The figures give no valid PSF.
    #[error(transparent)]
    Psf(#[from] PsfError),
}

/// One arm of a DESI-like spectrograph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Camera {
    /// Blue, 3550 to 5950 Angstrom.
    B,
    /// Red, 5543 to 7826 Angstrom.
    R,
    /// Near infrared, 7400 to 9920 Angstrom.
    Z,
}

impl Camera {
    /// The letter of the arm.
    pub fn letter(self) -> char {
        match self {
            Camera::B => 'b',
            Camera::R => 'r',
            Camera::Z => 'z',
        }
    }

    /// Wavelengths of the arm, Angstrom; its ends fall just off the CCD.
    pub fn wave(self) -> [f64; 2] {
        match self {
            Camera::B => [3550.0, 5950.0],
            Camera::R => [5543.0, 7826.0],
            Camera::Z => [7400.0, 9920.0],
        }
    }

    /// Rows of the arm's CCD.
    pub fn npix_y(self) -> usize {
        match self {
            Camera::B => 4096,
            Camera::R | Camera::Z => 4128,
        }
    }
}

/// The figures of a synthetic PSF.
#[derive(Clone, Debug, PartialEq)]
pub struct Synthetic {
    /// The arm.
    pub camera: Camera,
    /// Number of fibres.
    pub nfibre: usize,
    /// Fibres a bundle.
    pub bundlesize: usize,
    /// Distance between neighbouring fibres of a bundle, pixels.
    pub spacing: f64,
    /// Distance between the last fibre of a bundle and the first of the next, pixels.
    pub bundle_gap: f64,
    /// Columns of the CCD; None takes what the fibres need.
    pub npix_x: Option<usize>,
    /// Rows of the CCD; None takes the arm's.
    pub npix_y: Option<usize>,
    /// Lower end of the wavelength range, Angstrom; None keeps the arm's dispersion about its middle.
    pub wave_min: Option<f64>,
    /// Upper end of the wavelength range, Angstrom; None keeps the arm's dispersion.
    pub wave_max: Option<f64>,
    /// Width along columns, pixels.
    pub sigma_x: f64,
    /// Width along rows, pixels.
    pub sigma_y: f64,
    /// Hermite terms relative to DESI's; 0 makes plain Gaussians.
    pub gh_amplitude: f64,
    /// Highest Hermite order along either axis.
    pub gh_degree: usize,
    /// Amplitude of the power-law tail; 0 as in DESI.
    pub tail_amplitude: f64,
    /// Half width of a spot, pixels.
    pub half_x: usize,
    /// Half height of a spot, pixels.
    pub half_y: usize,
    /// Degree of the series of widths and Hermite terms; that of traces is 6.
    pub legendre_degree: usize,
    /// Seed of the scatter from bundle to bundle and fibre to fibre.
    pub seed: u64,
}

impl Default for Synthetic {
    fn default() -> Self {
        Self {
            camera: Camera::R,
            nfibre: 500,
            bundlesize: 25,
            spacing: 7.27,
            bundle_gap: 17.8,
            npix_x: None,
            npix_y: None,
            wave_min: None,
            wave_max: None,
            sigma_x: 1.04,
            sigma_y: 1.115,
            gh_amplitude: 1.0,
            gh_degree: 6,
            tail_amplitude: 0.0,
            half_x: 8,
            half_y: 5,
            legendre_degree: 3,
            seed: 0,
        }
    }
}

impl Synthetic {
    /// Makes the PSF.
    ///
    /// # Errors
    /// [`SyntheticError`] names the figure that makes no sense, or the columns that are missing.
    pub fn build(&self) -> Result<Psf, SyntheticError> {
        self.check()?;
        let mut rng = Pcg64::seed_from_u64(self.seed);
        let mut places = self.places(&mut rng);
        let (first, last) = (places[0], places[places.len() - 1]);
        let width = last - first;
        let npix_x = self.columns(width)?;
        let npix_y = self.npix_y.unwrap_or(self.camera.npix_y());
        let domain = self.domain(npix_y)?;
        let middle = 0.5 * (npix_x as f64 - 1.0);
        places.iter_mut().for_each(|x| *x += middle - 0.5 * (first + last));

        let mut slit = Slit::new(self, domain, &places, rng);
        Ok(Psf::new(PsfParts {
            nfibre: self.nfibre,
            fibermin: 0,
            trace_x: slit.trace_x(&places, npix_x),
            trace_y: slit.trace_y([npix_x, npix_y]),
            sigma_x: slit.sigma_x(),
            sigma_y: slit.sigma_y(),
            gh: slit.hermite_terms(),
            gh_degree_x: self.gh_degree,
            gh_degree_y: self.gh_degree,
            tails: Some(Tails {
                amplitude: slit.constant(self.tail_amplitude),
                core: slit.constant(1.0),
                x_scale: slit.constant(1.0),
                y_scale: slit.constant(1.0),
                index: slit.constant(2.0),
            }),
            half_x: self.half_x,
            half_y: self.half_y,
            npix_x,
            npix_y,
            wave_min: domain[0],
            wave_max: domain[1],
            psferr: 0.01,
            camera: Some(format!("{}0", self.camera.letter())),
        })?)
    }

    fn check(&self) -> Result<(), SyntheticError> {
        let count =
            |name, n: usize, low: usize, high: usize, rule| within(name, n as f64, low as f64, high as f64, rule);
        count("the number of fibres", self.nfibre, 1, 100_000, "1 to 100000")?;
        count("the bundle size", self.bundlesize, 1, 100_000, "1 to 100000")?;
        within("the spacing of fibres", self.spacing, 1.0, 1e3, "1 to 1000 pixels")?;
        within("the gap between bundles", self.bundle_gap, 1.0, 1e3, "1 to 1000 pixels")?;
        count("the number of CCD columns", self.npix_x.unwrap_or(1), 1, 100_000, "1 to 100000")?;
        count("the number of CCD rows", self.npix_y.unwrap_or(1), 1, 100_000, "1 to 100000")?;
        within("sigma along x", self.sigma_x, 0.2, 20.0, "0.2 to 20 pixels")?;
        within("sigma along y", self.sigma_y, 0.2, 20.0, "0.2 to 20 pixels")?;
        within("the Hermite amplitude", self.gh_amplitude, 0.0, 3.0, "0 to 3 times DESI's")?;
        count("the Hermite degree", self.gh_degree, 0, 9, "0 to 9, as rows are named GH-i-j")?;
        within("the amplitude of the tail", self.tail_amplitude, 0.0, 1.0, "0 to 1")?;
        count("the half width of a spot", self.half_x, 1, MOST_HALF_SIZE, "1 to 64 pixels")?;
        count("the half height of a spot", self.half_y, 1, MOST_HALF_SIZE, "1 to 64 pixels")?;
        count("the Legendre degree", self.legendre_degree, 0, 20, "0 to 20")
    }

    /// Places of the fibres along x, from 0, pixels.
    fn places(&self, rng: &mut Pcg64) -> Vec<f64> {
        let mut x = 0.0;
        (0..self.nfibre)
            .map(|fibre| {
                if fibre > 0 && fibre % self.bundlesize == 0 {
                    x += self.bundle_gap * (1.0 + GAP_SCATTER * clipped_normal(rng));
                } else if fibre > 0 {
                    x += self.spacing;
                }
                x + FIBRE_SCATTER * clipped_normal(rng)
            })
            .collect()
    }

    /// Columns of the CCD for fibres that span `width` pixels: DESI leaves 3.6 % on either side.
    fn columns(&self, width: f64) -> Result<usize, SyntheticError> {
        let spot = self.half_x as f64 + 4.0;
        let needed = (width + 2.0 * spot).ceil() as usize + 1;
        let ample = (width + 2.0 * (0.0375 * width).max(spot)).ceil() as usize + 1;
        let default = Self::default();
        let desi = (self.nfibre, self.bundlesize, self.spacing, self.bundle_gap)
            == (default.nfibre, default.bundlesize, default.spacing, default.bundle_gap);
        let npix_x = self.npix_x.unwrap_or(if !desi {
            ample
        } else if self.camera == Camera::B {
            4096
        } else {
            4114
        });
        if npix_x < needed {
            return Err(SyntheticError::TooNarrow { nfibre: self.nfibre, needed, npix_x });
        }
        Ok(npix_x)
    }

    /// The wavelength range: as given, the rest by the arm's dispersion on this many rows.
    fn domain(&self, npix_y: usize) -> Result<[f64; 2], SyntheticError> {
        let [low, high] = self.camera.wave();
        let span = (high - low) * npix_y as f64 / self.camera.npix_y() as f64;
        let [min, max] = match (self.wave_min, self.wave_max) {
            (Some(min), Some(max)) => [min, max],
            (Some(min), None) => [min, min + span],
            (None, Some(max)) => [max - span, max],
            (None, None) => {
                let middle = 0.5 * (low + high);
                [(middle - 0.5 * span).round(), (middle + 0.5 * span).round()]
            }
        };
        let rule = |name, value, rule| Err(SyntheticError::OutOfRange { name, value, rule });
        if !(min > 0.0 && min.is_finite()) {
            return rule("the lower end of the wavelength range", min, "a positive number of Angstrom");
        }
        if !(max > min && max.is_finite()) {
            return rule("the upper end of the wavelength range", max, "above its lower end");
        }
        Ok([min, max])
    }
}

/// Checks a figure against its limits, both included; NaN is within none.
fn within(name: &'static str, value: f64, low: f64, high: f64, rule: &'static str) -> Result<(), SyntheticError> {
    if (low..=high).contains(&value) { Ok(()) } else { Err(SyntheticError::OutOfRange { name, value, rule }) }
}

#[cfg(test)]
mod tests;
