//! A synthetic PSF: a Gauss-Hermite model of a DESI-like camera.
//!
//! The numbers are rounded from a fitted PSF of DESI's r camera. They give how traces bend over the CCD, how widths and
//! Hermite terms change along and across the slit, and the scatter of bundles. Every parameter is a Legendre series in `u`
//! whose coefficients are low polynomials in `v`. `u` is the wavelength on -1..=1, `v` a fibre's position on the slit,
//! -1 for the first and 1 for the last.

mod build;
mod parameters;
mod slit;

pub use parameters::{Camera, Synthetic, SyntheticError};

#[cfg(test)]
mod tests;
