//! The banded solver's stages: whole bundles, exact to a tolerance, at a cost linear in bins and fibres.
//!
//! Spots overlap with those of a few bins before and after and with those of the next fibre, so K (BS10 eq. 4) has blocks
//! K_ff and K_{f,f+1} only, each banded in wavelength ([`Coupling`] measures that the rest is nothing). Then:
//!
//! 1. `normal`: K_ff, K_{f+1,f} and y of the bundle, prior included.
//! 2. `solve`: x = K^-1 y by conjugate gradients, preconditioned by L D L^T of every K_ff, until the error, measured in
//!    K's norm, is half the tolerance.
//! 3. `complement`: S_f = K_ff - A_f - B_f, the inverse of the fibre's block of K^-1 (BS10 eq. 16), by a recursion over the
//!    fibres from both sides, `A_{f+1} = K_{f+1,f} (K_ff - A_f)^-1 K_{f,f+1}`, of each inverse a band (Takahashi). The same
//!    elimination of y gives z_f = S_f x_f; how far the exact x misses that tells whether the bands are wide enough.
//! 4. `root`: Q_f = S_f^1/2 by 8 to 32 poles, `Q ~ sum_k w_k S (S + sigma_k)^-1` (`poles`). Of it are formed s = Q 1
//!    (BS10 eq. 18: ivar = s^2), Q x (flux = Q x / s) and the diagonals |i - j| <= HSIZEY (R = Q / s row by row).
//!
//! | what | follows from |
//! |---|---|
//! | half bandwidth of K | the spots' overlaps |
//! | iterations for x | `r^T M^-1 r`, which bounds the squared error of every flux in sigma |
//! | bands of the recursion and of S_f | the residual `z_f - S_f x_f` of this frame |
//! | overlap of chunks and blocks | the decay of K_ff^-1 to the tolerance, measured |
//! | poles of a block | its Gershgorin bound, its smallest eigenvalue (pivots of S - tau I), its signal to noise |
//! | floor of the spectrum | 10 tolerance^2 of the largest eigenvalue |
//!
//! All of it is chosen per bundle from all its fibres, so that a fibre's bits depend on neither selection nor threads.
//!
//! Measured at the default tolerance of 1e-5 sigma on a simulated DESI r frame (25 fibres x 2326 bins) with cosmics, a bad
//! column and dead patches, against elimination with dense blocks, bins with more than half of their PSF on good pixels:
//! flux 6.7e-6 sigma at worst, ivar 9e-7, R 2e-7; half bandwidths 8, 16 and 12, 35 bins of overlap, 8 iterations, mostly 16
//! poles. The published patches (50 bins) are up to 8e-2 sigma off.

mod complement;
mod coupling;
mod decay;
mod decorrelate;
mod factor;
mod fit;
mod normal;
mod poles;
mod root;
mod solve;
mod window;

pub use complement::{Bands, Complement};
pub use coupling::{Coupling, CouplingError};
pub use decorrelate::{Choice, banded_complements, banded_flux, banded_root};
pub use fit::{add_banded_model, banded_goodness};
pub use normal::{BandedNormal, banded_normal_equations, half_bandwidth};
pub use root::BandedRoot;
pub(crate) use window::Window;

/// Runs code for the smallest half bandwidth there is code for that holds `$half`.
macro_rules! with_half_bandwidth {
    ($half:expr, $b:ident => $body:expr) => {
        match $half {
            0..=8 => {
                const $b: usize = 8;
                $body
            }
            9..=12 => {
                const $b: usize = 12;
                $body
            }
            13..=16 => {
                const $b: usize = 16;
                $body
            }
            17..=24 => {
                const $b: usize = 24;
                $body
            }
            _ => {
                const $b: usize = 48;
                $body
            }
        }
    };
}
pub(crate) use with_half_bandwidth;

/// Why a bundle's bands gave no result.
#[derive(Clone, Debug, thiserror::Error, PartialEq)]
pub enum BandFailure {
    /// A matrix that should be positive definite is not, in f64.
    #[error("{what} is not positive definite at fibre {fibre} of the bundle, bin {bin}")]
    Pivot {
        /// The matrix.
        what: &'static str,
        /// Fibre, counted from the bundle's first.
        fibre: usize,
        /// Bin, counted on the padded grid.
        bin: usize,
    },
    /// The widest bands leave more than the patches would.
    #[error("the widest bands may leave {error:.1e} sigma")]
    Inaccurate {
        /// Estimated error, sigma.
        error: f64,
    },
    /// The iteration for x did not converge.
    #[error("the deconvolved flux is still {error:.1e} sigma off after {iterations} iterations")]
    NotConverged {
        /// Error in sigma.
        error: f64,
        /// Iterations done.
        iterations: usize,
    },
}
