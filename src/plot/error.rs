//! Failures of drawing.

use crate::WriteError;
use crate::compare::CompareError;
use plotters::drawing::DrawingAreaErrorKind;
use std::error::Error;

/// Reason why a picture was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlotError {
    /// The model has another shape than the CCD.
    #[error("the model has {found} pixels, the CCD {expected}; was it made from this frame?")]
    ModelShape {
        /// Pixels of the model.
        found: usize,
        /// Pixels of the CCD.
        expected: usize,
    },
    /// The image has another size than the CCD of the PSF.
    #[error("the image is {} x {} pixels, the PSF is for a CCD of {} x {}: give a frame of this camera", image[0], image[1], psf[0], psf[1])]
    Image {
        /// Columns and rows of the image.
        image: [usize; 2],
        /// Columns and rows of the PSF's CCD.
        psf: [usize; 2],
    },
    /// The truth belongs to another frame.
    #[error("the truth cannot be drawn beside the spectra: {0}")]
    Truth(CompareError),
    /// Nothing to show.
    #[error("the frame has no fibre and wavelength on the CCD, so there is nothing to draw")]
    Empty,
    /// The drawing or PNG library failed.
    #[error("the picture cannot be drawn: {0}")]
    Draw(String),
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl<E: Error + Send + Sync> From<DrawingAreaErrorKind<E>> for PlotError {
    fn from(error: DrawingAreaErrorKind<E>) -> Self {
        PlotError::Draw(error.to_string())
    }
}
