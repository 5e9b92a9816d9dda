//! The banded solver on the GPU: wrappers of `shaders/banded_*.wgsl`, the twins of [`crate::stages::banded`].
//!
//! Whole bundles are solved without reads by the host in between. In f32 no step waits for another fibre or a far bin.
//! Matrices are stored in 4 x 4 blocks. A thread's registers hold the window of a recursion on bands of three blocks; wider bands,
//! which few bundles need, are read from memory (`banded_inverse_wide`). Bins are cut into chunks that overlap by
//! their correlation length. The stages are:
//!
//! 1. `banded_normal`: K_ff, K_{f,f-d} for every distance d over which fibres share light, y and the prior; four bins of a fibre per workgroup.
//! 2. `banded_complement`: S_f = K_ff - A_f - B_f (BS10 eq. 16), z_f, and Gershgorin's bounds. An eliminated fibre leaves its part on the r
//!    fibres next to it, a frontier. That part is a Gram matrix `Y^T Y` of Y = L^-1 O^T. L L^T is the fibre's own block, O are
//!    those that lead away from it. No inverse is cut off, and f32 loses nothing by cancellation. r is the largest such d, at most
//!    three. All fibres go one neighbour farther at a time. Where r > 1 a separator of r fibres remains, of which all but one are
//!    eliminated. In f64, where arithmetic is dear, fibres of frontiers of one go in turns, from either end of their bundle.
//! 3. `banded_solve`: x = S^-1 z, the residual of K x = y, and the exact `z_f = y_f - (K_ff - S_f) x_f - K_fg x_g`. That z
//!    knows all fibres and no chunks. In f64 up to seven rounds of iterative refinement by S^-1 follow, until a bundle has
//!    converged. If it does not, or r > 1, the residual is eliminated like y in each round.
//! 4. `banded_root`: Q x = S^-1/2 z and the diagonals of Q = S^1/2, with up to 24 poles in f32 and up to 48 in f64, as the spectrum
//!    of a chunk needs. Then flux, ivar and R (BS10 eq. 17-19). The truncation error of flux is estimated as in the twin from the
//!    difference of z and S x. The error of the poles adds to it where it is beyond the tolerance. Where r > 1 that z
//!    is of one neighbour fewer, so that the estimate has the depth of the recursion in it. In f64 flux is corrected by it.
//!
//! Stage 4 uses `banded_inverse`: the band of an inverse and three solves, one thread per matrix, chunk and pole. It factors
//! column by column and inverts on the way back (Takahashi). Stages 2 and 3 use its factors alone.
//!
//! Sums run in the same order for any batch; largest and smallest values are found by integer atomics on the bits of floats.
//! The residual, the truncation error and the smallest pivot go to the host with the spectra. If one exceeds the tolerance,
//! wider bands, f64 or the CPU solve the bundle.
//!
//! Cost per bin and fibre of DESI's r camera, counted from the loops. Spots have 11 x 17 pixels, K's half bandwidth is 8, chunks
//! of 96 bins overlap by 36. Those of poles have 192 bins. 3 fibres on either side, 24 poles, the most that f32 takes. Neighbours' spots and blocks count once, as caches hold them:
//!
//! | stage | FMA | bytes to and from memory |
//! |---|---|---|
//! | traces, spots | 1 900 | 1 200 |
//! | banded_normal | 2 050 | 1 000 |
//! | banded_complement | 8 700 | 4 000 |
//! | banded_solve | 900 | 600 |
//! | banded_root | 15 200 | 8 600 |
//! | model, goodness | 3 000 | 1 700 |
//!
//! A frame of 500 fibres by 2326 bins takes 37 GFMA and 20 GB, counted and not measured on a GPU. Lavapipe takes a
//! second per bundle in f32 on two cores, two fifths of it for spots and normal equations.

mod accuracy;
pub(super) mod complement;
mod group;
pub(super) mod inverse;
mod memory;
pub(super) mod normal;
pub(super) mod root;
mod shape;
pub(super) mod solve;
mod workspace;

pub use accuracy::{Accuracy, Refinement};
pub use complement::{Complements, record_complements};
pub use group::{Group, Windows};
pub use inverse::{Health, Poles, RootPoles};
pub(crate) use normal::couplings;
pub use normal::{Normal, record_products};
pub use root::{Roots, record_root};
pub use shape::{BLOCK, MOST_DISTANCES, Shape, WIDEST, kept};
pub use solve::{Solution, record_solve};
pub use workspace::{BandedDevice, Workspace};
