//! The size of spots, and the parameters that shape them.

use crate::psf::Psf;

/// Where the parameters of a spot stand in a row of spot parameters.
pub mod param {
    /// GHSIGX, pixels.
    pub const SIGMA_X: usize = 0;
    /// GHSIGY, pixels.
    pub const SIGMA_Y: usize = 1;
    /// First Gauss-Hermite coefficient; GH-i-j follows at `i * (gh_degree_y + 1) + j`.
    pub const GH: usize = 2;
    /// Number of tail parameters, which follow the Gauss-Hermite coefficients when wanted:
    /// amplitude, core, x scale, y scale, index.
    pub const TAILS: usize = 5;
}

/// Size and orders of the spots of one PSF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpotShape {
    /// Half width in columns: a spot is `2 half_x + 1` wide.
    pub half_x: usize,
    /// Half height in rows: a spot is `2 half_y + 1` high.
    pub half_y: usize,
    /// Highest Hermite order along x.
    pub degree_x: usize,
    /// Highest Hermite order along y.
    pub degree_y: usize,
    /// Whether the power-law tails are added.
    pub tails: bool,
}

impl SpotShape {
    /// The shape of `psf`; `with_tails` asks for the tails, which are added where the PSF has them.
    pub fn new(psf: &Psf, with_tails: bool) -> Self {
        Self {
            half_x: psf.half_x,
            half_y: psf.half_y,
            degree_x: psf.gh_degree_x,
            degree_y: psf.gh_degree_y,
            tails: with_tails && psf.tails.is_some(),
        }
    }

    /// Columns of a spot.
    pub fn nx(&self) -> usize {
        2 * self.half_x + 1
    }

    /// Rows of a spot.
    pub fn ny(&self) -> usize {
        2 * self.half_y + 1
    }

    /// Pixels of a spot.
    pub fn size(&self) -> usize {
        self.nx() * self.ny()
    }

    /// Octets of a row: it may start at any of the eight lanes of the first.
    pub(crate) fn octets(&self) -> usize {
        (self.nx() + 7).div_ceil(8)
    }

    /// Number of parameters in a row of spot parameters.
    pub fn nparam(&self) -> usize {
        let tails = if self.tails { param::TAILS } else { 0 };
        param::GH + (self.degree_x + 1) * (self.degree_y + 1) + tails
    }
}
