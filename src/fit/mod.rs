//! A PSF from arc frames: traces and shapes of every bundle, from a start that is roughly right.
//!
//! The model of a pixel is the sum over spots of flux times `max(0, sum c_ij X_i Y_j)`, c_00 = 1. Traces are Legendre series
//! per fibre; widths and Hermite terms are polynomials in a fibre's place in its bundle and in wavelength. Levenberg-
//! Marquardt steps move all of them at once, with fluxes eliminated; every line of the list may be displaced a little,
//! and every exposure is shifted as a whole. Bundles are independent, so that results do not depend on threads and processes.

mod arc;
mod bundle;
mod coarse;
mod course;
mod errors;
mod exposure;
mod factored;
mod file;
mod fitted;
mod fitted_bundle;
mod flux;
mod layout;
mod model;
mod normal;
mod options;
mod placed;
mod plan;
mod prior;
mod prune;
mod region;
mod residual;
mod result;
mod rounds;
mod select;
mod spot;
mod times;
mod unlisted;

pub use arc::ArcFrame;
pub(crate) use coarse::LogLight;
pub use file::{FitDone, FitFileError, FitInputs, FitRequest, fit_file, remarks};
pub use fitted::Fitted;
pub use fitted_bundle::FittedBundle;
pub use options::FitOptions;
pub use plan::{FitError, FitPlan, fit_psf};
pub(crate) use plan::{collect, groups};
pub(crate) use region::Region;
pub use residual::ResidualMap;
pub use result::{BundleFit, FoundLine, LostLine, Quality, SpotFit, TraceError};
pub use times::FitTimes;

#[cfg(test)]
mod tests;
