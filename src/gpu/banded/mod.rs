//! The banded solver on a GPU: wrappers of `shaders/banded_*.wgsl`, the twins of [`crate::stages::banded`].
//!
//! Whole bundles, no step that waits for another fibre or a far bin, nothing asked of the device on the way. Matrices are held in 4 x 4 blocks, so
//! that a thread's window on a band of three blocks fits its registers; wider bands, which the numbers of few bundles ask for,
//! are read from memory (`banded_inverse_wide`). Bins are cut into chunks that overlap by the distance over which they are
//! correlated. Then:
//!
//! 1. `banded_normal`: K_ff, K_{f,f-1}, y, prior; one workgroup a spot.
//! 2. `banded_inverse`: the band of an inverse and three solves, one thread a matrix, chunk and pole: L column by column, the
//!    inverse (Takahashi) on the way back.
//! 3. `banded_through`: `K_gg - O (K_ff - A_f)^-1 O^T` and y likewise for a fibre's neighbours on either side. Steps 2 and 3
//!    are done as often as fibres on a side count: every fibre at once, as if there were no others farther off.
//! 4. `banded_complement`: S_f = K_ff - A_f - B_f (BS10 eq. 16), z_f, and Gershgorin's bounds.
//! 5. `banded_residual`: x = S^-1 z by step 2, what it leaves of K x = y, and the z that the x of all fibres give one another,
//!    `z_f = y_f - (K_ff - S_f) x_f - K_fg x_g`: it knows all fibres, and no chunks. In f64 x is corrected by S^-1 of what it
//!    leaves, eight times; where that does not converge by steps 2 to 4 for what it leaves.
//! 6. `banded_root`: S^-1/2 z = Q x and the diagonals of Q = S^1/2 from step 2 with 24 poles in f32, 32 or more in f64; flux, ivar, R (BS10 eq.
//!    17-19); and what the bands cost flux, as the twin estimates it, from the z that the recursion has lost.
//! 7. `model`, `goodness`.
//!
//! Sums run in the same order for any batch; largest and smallest values are found by integer atomics on the bits of floats.
//! What x leaves of K x = y, what the bands cost, and the smallest pivot, go with the spectra: where they are beyond the tolerance
//! wider bands, f64 or the CPU do the bundle.
//!
//! For each bin of a fibre of DESI's r camera (spots of 11 x 17 pixels, K's half bandwidth 8, chunks of 96 bins that overlap by
//! 36, 3 fibres on either side, 24 poles), counted from the loops, neighbours' spots and blocks once (caches hold them):
//!
//! | stage | FMA | bytes to and from memory |
//! |---|---|---|
//! | traces, spots | 1 900 | 1 200 |
//! | normal equations | 2 050 | 1 000 |
//! | inverses on the way to S, `O Z O^T` | 9 500 | 4 000 |
//! | x and what it leaves | 900 | 600 |
//! | 24 poles | 19 400 | 11 000 |
//! | model, goodness | 3 000 | 1 700 |
//!
//! A frame of 500 fibres by 2326 bins is so 42 GFMA and 22 GB: 5 ms of an H200's memory. No GPU was at hand to measure it;
//! lavapipe takes 5.6 s a bundle on two busy cores, half of it for spots and normal equations.

mod accuracy;
mod complement;
mod group;
mod inverse;
mod memory;
mod normal;
mod root;
mod shape;
mod solve;
mod workspace;

pub use accuracy::{Accuracy, Refinement};
pub use complement::{Complements, record_complements};
pub use group::{Group, Windows};
pub use inverse::{Health, Poles, poles};
pub(crate) use normal::couplings;
pub use normal::{Normal, record_prior, record_products};
pub use root::{Roots, record_root};
pub use shape::{BLOCK, Shape, WIDEST};
pub use solve::{Solution, record_solve};
pub use workspace::{BandedDevice, Workspace};

use super::Variant;

pub(super) fn variants() -> Vec<Variant> {
    let all = [normal::variants(), inverse::variants(), complement::variants(), root::variants()];
    all.into_iter().flatten().collect()
}
