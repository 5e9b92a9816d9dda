//! A start for the fit of a PSF from nothing but a flat, an arc and the lines of its lamp.
//!
//! Fibres are the peaks across the flat. They are followed along the dispersion, by Gaussians fitted to all of them at once. Peaks along
//! each fibre of the arc are linked from fibre to fibre, and identified by their pattern. The result has traces that are right to
//! a tenth of a pixel, and Gaussian spots.

mod error;
mod fibres;
mod file;
mod follow;
mod options;
mod pattern;
mod peaks;
mod plane;
mod polynomial;
mod solution;
mod start;
mod tracks;

pub use error::FindError;
pub use file::{FindDone, FindFileError, FindRequest, find_file, find_psf};
pub use options::FindOptions;
pub use plane::Plane;
pub use start::{Found, find_traces};

#[cfg(test)]
mod tests;
