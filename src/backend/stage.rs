//! The names of the stages.

use serde::{Deserialize, Serialize};

/// The stages, in the order a pixel meets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Stage {
    /// Legendre series of the PSF.
    Traces,
    /// Pixel-integrated PSF.
    Spots,
    /// K, y and flux weight.
    NormalEquations,
    /// Deconvolved flux.
    Cholesky,
    /// S_f, the inverse of a fibre's covariance block.
    Schur,
    /// Eigenmodes of S_f.
    Jacobi,
    /// Resolution, flux, inverse variance.
    Decorrelate,
    /// Model image.
    Model,
    /// chi2pix and masked fraction.
    Goodness,
}

impl Stage {
    /// All stages in order.
    pub const ALL: [Self; 9] = [
        Self::Traces,
        Self::Spots,
        Self::NormalEquations,
        Self::Cholesky,
        Self::Schur,
        Self::Jacobi,
        Self::Decorrelate,
        Self::Model,
        Self::Goodness,
    ];

    /// The name of its shader and of its twin.
    pub fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Spots => "spots",
            Self::NormalEquations => "normal_equations",
            Self::Cholesky => "cholesky",
            Self::Schur => "schur",
            Self::Jacobi => "jacobi",
            Self::Decorrelate => "decorrelate",
            Self::Model => "model",
            Self::Goodness => "goodness",
        }
    }
}
