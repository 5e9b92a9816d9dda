//! The banded solver against exact solutions.

mod real_psfs;
#[path = "../reference/shared.rs"]
#[allow(dead_code)]
mod shared;
mod sim11;
#[path = "../extract/small.rs"]
#[allow(dead_code)]
mod small;
mod stages;
mod whole_patch;
