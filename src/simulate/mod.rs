//! Simulated frames: the image that a DESI-like camera records of a sky full of targets, and the truth behind it.
//!
//! The way of an electron: `light`, `sky` and `objects` give the light per fibre, [`project`](mod@project) spreads it over the
//! CCD. `detector` adds noise and defects, `keywords` DESI's header and fibermap. `synthetic` makes a PSF for it.

mod detector;
mod keywords;
mod light;
mod model_sky;
mod objects;
pub mod project;
mod random;
mod range;
mod request;
mod simulated;
mod sky;
pub mod synthetic;

pub use crate::fits::{Truth, read_truth, write_truth};
pub use objects::broken_fibres;
pub use range::OutOfRange;
pub use request::{Light, SimulateError, Simulation};
pub use simulated::{Simulated, simulate};

#[cfg(test)]
mod tests;
