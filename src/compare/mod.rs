//! Comparison of extracted spectra: with each other, bin by bin, and with the truth.
//!
//! [`compare`] makes the field's parity table: the fraction of bins that agree to within 1e-5 sigma, 1e-4, up to 1.
//! [`against_truth`] checks that the noise has the size that the inverse variance states.

mod json;
mod parity;
mod side;
mod table;
mod truth;

pub use parity::{Bin, Differences, LIMITS, Parity, Spread, compare};
pub use side::{CompareError, Side, read};
#[cfg(feature = "plot")]
pub(crate) use side::{UNUSABLE, fibre_numbers, file_name};
#[cfg(feature = "plot")]
pub(crate) use truth::resolution_row;
pub use truth::{ChiReport, Moments, SnrBand, TrueSpectra, against_truth, resolve_truth};

#[cfg(test)]
mod tests;
