//! Numbers under stress: random PSFs, masks, light and weights through whole extractions.
//!
//! Cases are the same in every run. `PROPTEST_CASES=2000 cargo test --test stress` takes more of them, `PROPTEST_RNG_SEED=7`
//! others. Every fault found has a test of its own.

mod bright;
mod crossing;
mod finite;
mod isolation;
mod poison;
mod residuals;
mod rows;
