//! Whole bundles by banded linear algebra (`--solver banded`): exact to a tolerance, at a cost linear in bins and fibres.

mod cpu;

pub use cpu::extract_bundles;

/// Bins beyond each end of the grid, extracted and thrown away: with 12 the first and the last bin are 3e-2 sigma off.
pub const BEYOND_ENDS: usize = 30;
