//! Tests against reference data that other programs made; they need the `shared` folder beside the checkout
//! and say so where it is missing.

mod patch_cpu;
mod shared;
mod sim11;
