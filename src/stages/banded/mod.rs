//! The banded solver's stages: whole bundles, exact to a tolerance, at a cost linear in bins and fibres.
//!
//! Spots overlap with those of a few bins before and after and with those of a few neighbouring fibres, so K (BS10 eq. 4) has
//! few blocks K_fg, each banded in wavelength ([`Overlaps`] measures how many). Then:
//!
//! 1. `normal`: K_ff, K_{f+d,f} and y of the bundle, prior included, from spots that are evaluated where they are used.
//! 2. `solve`: x = K^-1 y by conjugate gradients, preconditioned by L D L^T of every K_ff. It ends when the error in K's norm
//!    is a tenth of the tolerance. It bounds the error of any flux in sigma: `r^T M^-1 r ~ e^T K e >= (Q_f e_f)_i^2`.
//! 3. `fit`: the model A x, chi2pix and pixmask_fraction.
//! 4. `complement`: S_f = K_ff - A_f - B_f, the inverse of the fibre's block of K^-1 (BS10 eq. 16), by a recursion over the
//!    fibres from both sides, `A_{f+1} = K_{f+1,f} (K_ff - A_f)^-1 K_{f,f+1}`, as Gram matrices. Where fibres overlap farther
//!    apart, a frontier of up to three fibres is carried along. What a narrower one lacks is estimated and corrected (`frontier`).
//!    The same elimination of y gives z_f = S_f x_f.
//! 5. `root`: Q_f = S_f^1/2 by 8 to 48 poles, `Q ~ sum_k w_k S (S + sigma_k)^-1` (`poles`). Of it are formed s = Q 1
//!    (BS10 eq. 18: ivar = s^2), Q x (flux = Q x / s) and the diagonals |i - j| <= HSIZEY (R = Q / s row by row).
//!
//! S_f is cut to a band S'. Because x is exact, the rest E = S - S' shows: E x = z - S' x. To first order it changes Q x by
//! `S^-1/2 E x / 2`, in sigma, which is added to Q x. The poles give S^-1/2 = sum_k w_k (S + sigma_k)^-1 as well, so every flux
//! comes with an estimate of its error. Its parts are the size of that correction, what poles and their floor neglect, and
//! how far blocks differ where they meet, and what lies beyond the frontier. Blocks of bins whose estimate is above the tolerance get wider bands (`decorrelate`).
//! Where the true error is known the estimate was mostly 1.2 to 5 times as large; in some of thousands of random worlds it was an
//! eighth. So the error that is judged and reported is eight times the estimate ([`OVER_ESTIMATE`]).
//!
//! Long bundles are solved in windows of fibres, as long grids are in blocks of bins.
//!
//! | what | follows from |
//! |---|---|
//! | half bandwidth of K | the spots' overlaps |
//! | iterations for x | `r^T M^-1 r` |
//! | fibres that K couples | overlaps above the tolerance over 3e7, a hundred times what a saturating bin is in sigma of a faint one |
//! | fibres of the frontier | `frontier::neglected` of a window and fibres next to it, uncorrected: at most a sixteenth of the tolerance; the widest serves whatever it lacks |
//! | fibres around a window | the decay of (A^T A)^-1 over fibres to a hundredth of the tolerance, half as many more, and two |
//! | bands of S_f in a block of bins | `S^-1/2 (z - S x) / 2` there and around it, mostly masked bins left out |
//! | bins beyond the grid's ends | the decay of (A^T A)_ff^-1 to the tolerance, measured on the PSF; 30 at least |
//! | overlap of chunks and blocks | the decay of K_ff^-1 to the tolerance, measured at one place per fibre; at least that of the PSF alone |
//! | poles of a block | its Gershgorin bound, its smallest eigenvalue (pivots of S - tau I), its signal to noise |
//! | floor of the spectrum | 1e-16 of the largest eigenvalue; what is below it is estimated |
//!
//! A fibre's bits depend on its bundle alone, neither on selection nor on threads.
//!
//! Measured at the default tolerance of 1e-5 sigma (`tests/banded`), bins with more than half of
//! their PSF on good pixels, against elimination with dense blocks:
//!
//! | | flux, sigma | ivar | R |
//! |---|---|---|---|
//! | a DESI r frame, 25 fibres x 2326 bins, cosmics, a bad column, dead patches | 2.7e-5 | 8.6e-8 | 2.2e-8 |
//! | its PSF off either end of the CCD, and by 0.4 to 1.2 Angstrom | 1.1e-6 | 3.5e-8 | 1.1e-8 |
//! | an older PSF with spots of 29 x 17 pixels, likewise | 2.5e-7 | 3.6e-8 | 1.2e-8 |
//! | a synthetic PSF, beside a fibre 1000 times brighter | 4.9e-6 | 6.0e-8 | 1.1e-8 |
//! | likewise, 60 dead rows and a fibre all of whose pixels are masked | 1.1e-5 | 4.8e-8 | 1.1e-8 |
//!
//! The first exact solution has 30 bins beyond its ends, fewer than the tolerance requires: solved with as many, flux agrees
//! to 9.3e-7 sigma. The published patches (50 bins) are up to 8e-2 sigma off. Bundles go through patches if K is wider than the
//! widest band or not positive definite in the bands. If the widest band leaves more than the tolerance, a warning reports
//! the error.

mod bands;
mod block;
mod choice;
mod chunks;
mod column;
mod complement;
mod coupling;
mod decay;
mod decorrelate;
mod ends;
mod front;
mod frontier;
mod goodness;
mod gram;
mod interleave;
mod inverse;
mod normal;
mod parameters;
mod poles;
mod products;
mod root;
pub(crate) mod scalar;
mod solve;
mod tile;
mod weighted;
mod window;

pub use block::RESOLVED;
pub use choice::{Decorrelated, Part, Timed, Wanted};
pub use complement::{Complement, Recursion};
pub use coupling::{Coupling, CouplingError, MOST_NEIGHBOURS, Overlaps};
pub use decay::{PsfDecay, psf_fibre_correlation};
pub use decorrelate::banded_decorrelation;
pub use ends::correlation_with_ends;
pub(crate) use ends::is_at_an_end;
pub use goodness::{add_banded_model, banded_goodness};
pub(crate) use normal::Forming;
pub use normal::{BandedNormal, banded_normal_equations, half_bandwidth};
pub(crate) use parameters::SOLVER_TOLERANCE_SHARE;
pub use parameters::{OVER_ESTIMATE, SolverParameters, banded_complements, banded_flux, banded_root, widened};
pub(crate) use poles::Root;
pub use root::BandedRoot;

/// The largest half bandwidth there is code for.
const WIDEST_CODE: usize = 96;

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
            25..=32 => {
                const $b: usize = 32;
                $body
            }
            33..=48 => {
                const $b: usize = 48;
                $body
            }
            49..=64 => {
                const $b: usize = 64;
                $body
            }
            _ => {
                const $b: usize = $crate::stages::banded::WIDEST_CODE;
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
    /// The iteration for x did not converge.
    #[error("the deconvolved flux is still {error:.1e} sigma off after {iterations} iterations")]
    NotConverged {
        /// Error in sigma.
        error: f64,
        /// Iterations done.
        iterations: usize,
    },
}
