//! The report on one frame: a self-contained page, and a picture for a quick look.
//!
//! The page shows what the files allow: the frame alone, the residual if CCD and model are given, chi if the truth is.
//!
//! | file | content |
//! |---|---|
//! | `read`, `residual` | the files of a report; the CCD, its model and the residual |
//! | `psf_fit`, `noise` | how far the PSF is off the image; the scale of its errors |
//! | `verdict`, `index` | the frame in one sentence; many frames, the worst on top |
//! | `statistics`, `warnings`, `header_facts`, `summary` | numbers of a frame, its problems, its cards; all of them together |
//! | `text`, `figures`, `packed_spectra`, `html` | text, heat maps, curves and all spectra as HTML; the page in the making |
//! | `spectra`, `quality`, `targets`, `ccd`, `traces`, `tables`, `page` | the sections of the page, and the whole of it |
//! | `overview` | the picture |
//! | `fit` | the page about the fit of a PSF |

mod ccd;
mod error;
mod figures;
mod fit;
mod header_facts;
mod html;
mod index;
mod noise;
mod others;
mod overview;
mod packed_spectra;
mod page;
mod psf_fit;
mod quality;
mod read;
mod residual;
mod spectra;
mod statistics;
mod summary;
mod tables;
mod targets;
mod text;
mod traces;
mod verdict;
mod warnings;

pub use error::ReportError;
pub use fit::fit_page;
pub use index::{IndexRow, index};
pub use read::{Material, Model, Sources};
pub use summary::Report;
pub use verdict::{Light, Verdict};
pub use warnings::{Severity, Warning};

#[cfg(test)]
mod tests;
