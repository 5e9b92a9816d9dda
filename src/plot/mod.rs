//! One picture of an extraction: a cut-out of the CCD, the model and the residual, spectra beside the truth.

mod canvas;
mod ccd;
pub(crate) mod choice;
pub(crate) mod colour;
mod psf;
mod spectra;

pub(crate) use canvas::{Canvas, Panel, Shape};
pub use psf::psf_png;

use crate::compare::CompareError;
use crate::fits::Preproc;
use crate::fits::Truth;
use crate::frame::Frame;
use crate::psf::Psf;
use crate::{WriteError, write_atomic};
use plotters::prelude::*;
use std::path::Path;
use std::sync::OnceLock;
use thiserror::Error;

/// Size of the picture, pixels.
const SIZE: (u32, u32) = (1800, 1500);
/// Name under which the font is known to the plotting library.
const FONT: &str = "spextral";
/// Colour of text and axes.
pub(crate) const INK: RGBColor = RGBColor(45, 45, 55);
/// Height of the upper half with the CCD panels, pixels.
const CCD_HEIGHT: i32 = 640;
/// Height of the title, pixels.
const TITLE_HEIGHT: i32 = 60;

/// Why no picture was made.
#[derive(Debug, Error)]
pub enum PlotError {
    /// The model has another shape than the CCD.
    #[error("the model has {found} pixels, the CCD {expected}; was it made from this frame?")]
    ModelShape {
        /// Pixels of the model.
        found: usize,
        /// Pixels of the CCD.
        expected: usize,
    },
    /// The truth is not of this frame.
    #[error("the truth cannot be drawn beside the spectra: {0}")]
    Truth(CompareError),
    /// There is nothing to show.
    #[error("the frame has no fibre and wavelength on the CCD, so there is nothing to draw")]
    Empty,
    /// The plotting library failed.
    #[error("the picture cannot be drawn: {0}")]
    Draw(String),
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// What a picture shows.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a> {
    /// One line above it all.
    pub title: &'a str,
    /// The PSF.
    pub psf: &'a Psf,
    /// The CCD.
    pub preproc: &'a Preproc,
    /// The image that the extraction believes in, `[ny, nx]`.
    pub model: &'a [f32],
    /// The spectra.
    pub frame: &'a Frame,
    /// The truth, where it is known.
    pub truth: Option<&'a Truth>,
}

/// Writes the picture as a PNG file.
///
/// # Errors
/// [`PlotError`] where there is nothing to draw or the file cannot be written.
pub fn write(path: &Path, picture: &Picture) -> Result<(), PlotError> {
    let bytes = canvas::encode(&render(picture)?, SIZE)?;
    write_atomic(path, true, |out| out.write_all(&bytes))?;
    Ok(())
}

/// Draws the picture: RGB, [`SIZE`].
fn render(picture: &Picture) -> Result<Vec<u8>, PlotError> {
    let ccd = picture.psf.npix_x * picture.psf.npix_y;
    if picture.model.len() != ccd {
        return Err(PlotError::ModelShape { found: picture.model.len(), expected: ccd });
    }
    use_own_font();
    let mut pixels = vec![0; (3 * SIZE.0 * SIZE.1) as usize];
    draw(picture, &mut pixels).map_err(|e| match e {
        Failure::Plot(e) => e,
        Failure::Library(text) => PlotError::Draw(text),
    })?;
    Ok(pixels)
}

/// A failure while drawing: ours, or the plotting library's with its backend's long type left out.
pub(crate) enum Failure {
    Plot(PlotError),
    Library(String),
}

impl<E: std::error::Error + Send + Sync> From<DrawingAreaErrorKind<E>> for Failure {
    fn from(error: DrawingAreaErrorKind<E>) -> Self {
        Failure::Library(error.to_string())
    }
}

impl From<PlotError> for Failure {
    fn from(error: PlotError) -> Self {
        Failure::Plot(error)
    }
}

/// A drawing area of this picture.
type Area<'a> = DrawingArea<BitMapBackend<'a>, plotters::coord::Shift>;

fn draw(picture: &Picture, pixels: &mut [u8]) -> Result<(), Failure> {
    let root = BitMapBackend::with_buffer(pixels, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (title, rest) = root.split_vertically(TITLE_HEIGHT);
    title.draw(&Text::new(picture.title.to_string(), (30, 20), (FONT, 26).into_font().color(&INK)))?;
    let (upper, lower) = rest.split_vertically(CCD_HEIGHT);
    let cut = choice::cut_out(picture).ok_or(PlotError::Empty)?;
    ccd::draw(picture, &cut, &upper)?;
    spectra::draw(picture, &cut, &lower)?;
    root.present()?;
    Ok(())
}

/// Gives the plotting library a font: it must not need one of the system.
pub(crate) fn use_own_font() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let registered = plotters::style::register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
        assert!(registered.is_ok(), "the font that is built in must parse");
    });
}

#[cfg(test)]
mod tests;
