//! Numbers under stress: random PSFs, masks, light and weights through whole extractions.
//!
//! Cases are the same in every run. `PROPTEST_CASES=2000 cargo test --test stress` takes as many instead of the few that CI has
//! time for, `PROPTEST_RNG_SEED=7` others. What was found is a named test.

mod bright;
mod crossing;
mod finite;
mod isolation;
mod poison;
mod residuals;
mod rows;
