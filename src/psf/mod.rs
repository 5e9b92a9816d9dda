//! The Gauss-Hermite PSF model: traces, widths, Hermite coefficients and tails of every fibre.

use serde::{Deserialize, Serialize};

/// Largest half size of a spot in pixels: eight times DESI's. Beyond it a file is damaged.
pub const MOST_HALF_SIZE: usize = 64;

/// Legendre series in wavelength, one a fibre: `value = sum_k c_k P_k(u)`, with
/// `u = 2 (wave - min)/(max - min) - 1`. Beyond its domain a series is extrapolated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LegendreSeries {
    /// Wavelengths that map to u = -1 and u = 1, in Angstrom.
    pub domain: [f64; 2],
    /// Number of coefficients a fibre.
    pub ncoeff: usize,
    /// Coefficients `[nfibre, ncoeff]`.
    pub coeff: Vec<f64>,
}

impl LegendreSeries {
    /// The coefficients of one fibre, `[ncoeff]`.
    pub fn of(&self, fibre: usize) -> &[f64] {
        &self.coeff[fibre * self.ncoeff..(fibre + 1) * self.ncoeff]
    }
}

/// The power-law tail of the PSF (specter's definition): at pixel distance (dx, dy) from the trace
/// `amplitude r^2 / (core^2 + r^2)^(1 + index/2)`, `r^2 = (dx x_scale)^2 + (dy y_scale)^2`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tails {
    /// TAILAMP.
    pub amplitude: LegendreSeries,
    /// TAILCORE, in pixels.
    pub core: LegendreSeries,
    /// TAILXSCA.
    pub x_scale: LegendreSeries,
    /// TAILYSCA.
    pub y_scale: LegendreSeries,
    /// TAILINDE.
    pub index: LegendreSeries,
}

/// A Gauss-Hermite PSF (PSFTYPE GAUSS-HERMITE) of all fibres of one camera.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Psf {
    /// Number of fibres.
    pub nfibre: usize,
    /// Number of the first fibre (FIBERMIN).
    pub fibermin: i64,
    /// Trace along CCD columns, pixels; pixel 0's centre is at 0.
    pub trace_x: LegendreSeries,
    /// Trace along CCD rows, pixels.
    pub trace_y: LegendreSeries,
    /// GHSIGX, pixels.
    pub sigma_x: LegendreSeries,
    /// GHSIGY, pixels.
    pub sigma_y: LegendreSeries,
    /// GH-i-j, index `i * (gh_degree_y + 1) + j`; i along x, j along y.
    pub gh: Vec<LegendreSeries>,
    /// GHDEGX.
    pub gh_degree_x: usize,
    /// GHDEGY.
    pub gh_degree_y: usize,
    /// The tails, where the file has all five of their parameters.
    pub tails: Option<Tails>,
    /// HSIZEX: a spot is `2 half_x + 1` columns wide.
    pub half_x: usize,
    /// HSIZEY: a spot is `2 half_y + 1` rows high.
    pub half_y: usize,
    /// Columns of the CCD (NPIX_X).
    pub npix_x: usize,
    /// Rows of the CCD (NPIX_Y).
    pub npix_y: usize,
    /// WAVEMIN of the PSF table, Angstrom.
    pub wave_min: f64,
    /// WAVEMAX of the PSF table, Angstrom.
    pub wave_max: f64,
    /// PSFERR: the PSF's fractional error, for chi2pix; 0.01 where the file has none.
    pub psferr: f64,
    /// CAMERA, trimmed of blanks and quotes; None where absent or blank.
    pub camera: Option<String>,
}

impl Psf {
    /// Number of stored diagonals of the resolution matrix, `2 HSIZEY + 1`.
    pub fn ndiag(&self) -> usize {
        2 * self.half_y + 1
    }
}
