//! Pictures: colours, scales, heat maps and panels, and the pictures of an extraction, of a PSF and of a run.
//!
//! | file | content |
//! |---|---|
//! | `colour`, `scale`, `heatmap` | colour maps; values to places and levels of a colour map; a grid of levels |
//! | `canvas`, `encode` | panels with axes, curves, heat maps and legends; pixels as a PNG file |
//! | `selection`, `histogram` | the region of the CCD and the spectra worth showing; the distribution of chi |
//! | `picture`, `ccd`, `spectra`, `write` | the picture of an extraction: its input, its upper and lower half, its file |
//! | `psf`, `fit`, `timeline` | the picture of a PSF, and of its fit; the timeline of a run |

mod canvas;
mod ccd;
pub(crate) mod colour;
mod encode;
mod error;
mod fit;
mod heatmap;
mod histogram;
mod picture;
mod psf;
mod scale;
pub(crate) mod selection;
mod spectra;
mod timeline;
mod write;

pub(crate) use canvas::{Canvas, Panel, Shape};
pub use error::PlotError;
pub use fit::fit_png;
pub(crate) use heatmap::{Grid, Heatmap, Keep};
pub(crate) use histogram::{chi_density, normal_density};
pub use picture::Picture;
pub use psf::psf_png;
pub(crate) use scale::{LEVELS, Scale, tick_label};
pub use timeline::timeline_svg;
pub use write::write;

#[cfg(test)]
mod tests;
