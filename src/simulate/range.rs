//! Limits of the parameters that a user may choose.

use crate::base::number::short;
use thiserror::Error;

/// A parameter outside its limits.
#[derive(Debug, Error, PartialEq)]
#[error("{name} is {}: it must be {rule}", short(*value))]
pub struct OutOfRange {
    /// The parameter.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
    /// Its limits.
    pub rule: &'static str,
}

/// Checks that a parameter is from `low` to `high`; NaN is not.
pub fn within(name: &'static str, value: f64, low: f64, high: f64, rule: &'static str) -> Result<(), OutOfRange> {
    if (low..=high).contains(&value) { Ok(()) } else { Err(OutOfRange { name, value, rule }) }
}

/// Checks that a count is from `low` to `high`.
pub fn count(name: &'static str, value: usize, low: usize, high: usize, rule: &'static str) -> Result<(), OutOfRange> {
    within(name, value as f64, low as f64, high as f64, rule)
}
