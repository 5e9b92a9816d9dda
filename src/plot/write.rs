//! The picture of an extraction: cut-outs of the CCD above, spectra and chi below.

use super::canvas::Canvas;
use super::colour::INK;
use super::encode::encode;
use super::error::PlotError;
use super::picture::Picture;
use super::{ccd, selection, spectra};
use crate::PendingFile;
use std::path::Path;

/// Size of the picture, pixels.
pub(super) const SIZE: (u32, u32) = (1800, 1500);

/// Writes the picture of an extraction as a PNG file.
///
/// # Errors
/// [`PlotError::ModelShape`], [`PlotError::Truth`] or [`PlotError::Empty`] if the parts do not fit together or show
/// nothing, [`PlotError::Write`] if the file cannot be written.
pub fn write(path: &Path, picture: &Picture) -> Result<(), PlotError> {
    let bytes = encode(SIZE, &render(picture)?, None)?;
    PendingFile::write(path, true, |out| out.write_all(&bytes))?.persist()?;
    Ok(())
}

/// Draws the picture: RGB, [`SIZE`].
pub(super) fn render(picture: &Picture) -> Result<Vec<u8>, PlotError> {
    let ccd = picture.psf.npix_x * picture.psf.npix_y;
    if picture.model.len() != ccd {
        return Err(PlotError::ModelShape { found: picture.model.len(), expected: ccd });
    }
    let cut = selection::cut_out(picture).ok_or(PlotError::Empty)?;
    Canvas::pixels(SIZE, |canvas| {
        canvas.text(picture.title, (30, 20), 26, INK)?;
        ccd::draw(picture, &cut, canvas)?;
        spectra::draw(picture, &cut, canvas)
    })
}
