//! The Gauss-Hermite PSF: traces, widths, Hermite coefficients and tails of every fibre.

mod defects;
mod error;
mod gh00;
mod model;
mod series;

pub use defects::{BadFibre, Defects};
pub(crate) use error::{MOST_DEGREE, in_range};
pub use error::{MOST_HALF_SIZE, PsfError};
pub use gh00::Gh00;
pub use model::{Psf, PsfParts, Tails};
pub use series::LegendreSeries;
