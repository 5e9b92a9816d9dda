//! The barycentric correction: the factor from observed wavelengths to the rest frame of the solar system.

mod card;
mod error;
mod exposure;
mod factor;
mod site;

pub use error::BarycentricError;
pub use exposure::{Correction, factor_of_exposure};
pub use factor::factor;
pub use site::{Site, StatedSite};
