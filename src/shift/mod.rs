//! How far traces and widths of a PSF are off on a frame of any kind, by the frame itself.
//!
//! The CCD is cut into chunks of some rows. In each, the spectrum of a fibre is either a smooth continuum with the lines of a
//! list, or free in every bin. Pixels are the sum of spectra times spots, so that a displacement or a widening of spots shows
//! as their derivatives in the residual. What spectra can take up as well is projected out, neighbours included. The
//! rest gives `dx`, `dy`, `ln sigma_x` and `ln sigma_y` as polynomials over the bundle, with errors. Free spectra have no
//! place along the dispersion: `dy` and `ln sigma_y` come from lines of the list alone.

mod apply;
mod bundle;
mod chunk;
mod coarse;
mod file;
mod kept;
mod local;
mod measure;
mod moves;
mod options;
mod rounds;
mod scatter;
mod shifts;
mod spectrum;
mod terms;
mod unlisted;

pub use file::{Lines, ShiftDone, ShiftFileError, ShiftRequest, shift_file};
pub(crate) use measure::measure_bundles;
pub use measure::{ShiftError, measure_shifts};
pub use options::ShiftOptions;
pub use shifts::{BundleShift, Departure, Shifts};
pub use terms::Quantity;

#[cfg(test)]
mod tests;
