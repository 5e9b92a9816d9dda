//! The input of a picture of an extraction.

use crate::fits::Preproc;
use crate::fits::Truth;
use crate::frame::Frame;
use crate::psf::Psf;

/// The files of an extraction that a picture shows.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a> {
    /// Title of the picture.
    pub title: &'a str,
    /// The PSF.
    pub psf: &'a Psf,
    /// The CCD.
    pub preproc: &'a Preproc,
    /// The model image of the extraction in electron, `[ny, nx]`.
    pub model: &'a [f32],
    /// The spectra.
    pub frame: &'a Frame,
    /// The truth, where it is known.
    pub truth: Option<&'a Truth>,
}
