//! The parameters of a synthetic PSF, and their checks.

use crate::psf::{MOST_HALF_SIZE, PsfError};
use crate::simulate::range::{OutOfRange, count, within};
use thiserror::Error;

/// Reason why no PSF could be made of the parameters.
#[derive(Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum SyntheticError {
    /// A parameter outside its limits.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// The fibres need more columns than the CCD has.
    #[error("{nfibre} fibres need {needed} columns, the CCD has {npix_x}: widen it, or lessen fibres or spacing")]
    TooNarrow {
        /// Number of fibres.
        nfibre: usize,
        /// Columns needed.
        needed: usize,
        /// Columns requested.
        npix_x: usize,
    },
    /// The parameters make no valid PSF.
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
    /// Returns letter, wavelength range in Angstrom with its ends just off the CCD, columns and rows of DESI's arm.
    pub(super) fn arm(self) -> (char, [f64; 2], [usize; 2]) {
        match self {
            Camera::B => ('b', [3550.0, 5950.0], [4096, 4096]),
            Camera::R => ('r', [5543.0, 7826.0], [4114, 4128]),
            Camera::Z => ('z', [7400.0, 9920.0], [4114, 4128]),
        }
    }
}

/// The parameters of a synthetic PSF.
#[derive(Clone, Debug, PartialEq)]
pub struct Synthetic {
    /// The arm.
    pub camera: Camera,
    /// Number of fibres.
    pub nfibre: usize,
    /// Fibres per bundle.
    pub bundlesize: usize,
    /// Distance between neighbouring fibres of a bundle, pixels.
    pub spacing: f64,
    /// Distance between the last fibre of a bundle and the first of the next, pixels.
    pub bundle_gap: f64,
    /// Columns of the CCD; None takes as many as the fibres need.
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
    /// Amplitude of the Hermite terms relative to DESI's; 0 makes plain Gaussians.
    pub gh_amplitude: f64,
    /// Highest Hermite order along either axis.
    pub gh_degree: usize,
    /// Amplitude of the power-law tail; 0 in DESI.
    pub tail_amplitude: f64,
    /// Half width of a spot, pixels.
    pub half_x: usize,
    /// Half height of a spot, pixels.
    pub half_y: usize,
    /// Degree of the series of widths and Hermite terms; traces have degree 6.
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
    /// Checks all parameters but the wavelength range.
    pub(super) fn check(&self) -> Result<(), OutOfRange> {
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
}
