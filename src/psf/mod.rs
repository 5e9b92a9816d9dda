//! The PSF: traces, a window, and spots that follow from Legendre series of every fibre by the equations of its kind.

mod defects;
mod dispersion;
mod error;
mod form;
mod gh00;
mod images;
mod model;
mod ranges;
mod series;
mod turned;

pub use defects::{BadFibre, Defects};
pub use dispersion::{Dispersion, TraceAxes};
pub(crate) use error::{MOST_DEGREE, in_range};
pub use error::{MOST_HALF_SIZE, PsfError};
pub use form::{Form, PixelPolynomial, SecondCore, SpotGrid};
pub use gh00::Gh00;
pub use images::{PolynomialImages, PolynomialParts, Remainder, SpotImages, SpotImagesParts, SpotNorm};
pub use model::{Psf, PsfParts, Tails};
pub use series::{LegendreSeries, legendre, unit};
