//! The truth of a simulated frame: its true spectra, and their file.

use super::{FitsError, Image, Pixels, read_image_f64, write_images};
use crate::base::atomic_file::PendingFile;
use crate::frame::Header;
use std::path::Path;

/// The true spectra of a frame, on a grid whose bins coincide with those of the extraction.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    /// Fibre numbers: FIBER of the fibermap, `[nspec]`.
    pub fibres: Vec<i64>,
    /// Wavelengths in Angstrom, ascending: `[nwave]`, or `[nspec, nwave]` where fibres have their own.
    pub wave: Vec<f64>,
    /// Electron per bin, `[nspec, nwave]`.
    pub flux: Vec<f64>,
}

impl Truth {
    /// Number of bins.
    pub fn nwave(&self) -> usize {
        self.flux.len().checked_div(self.fibres.len()).unwrap_or(0)
    }
}

/// Reads a truth file: images FLUX, WAVELENGTH, and FIBER, without which fibres count from 0.
///
/// # Errors
/// [`FitsError::MissingHdu`] if an image is missing, [`FitsError::Invalid`] if the images do not fit together, and the
/// errors of reading.
pub fn read_truth(path: impl AsRef<Path>) -> Result<Truth, FitsError> {
    let path = path.as_ref();
    let (shape, flux) = read_image_f64(path, "FLUX")?;
    let (wave_shape, wave) = read_image_f64(path, "WAVELENGTH")?;
    let fibres = match read_image_f64(path, "FIBER") {
        Ok((_, numbers)) => numbers.into_iter().map(|f| f as i64).collect(),
        Err(FitsError::MissingHdu { .. }) => (0..shape[0] as i64).collect::<Vec<_>>(),
        Err(error) => return Err(error),
    };
    let nwave = wave_shape.last().copied().unwrap_or(0);
    if shape != [fibres.len(), nwave] || (wave_shape.len() > 1 && wave_shape != shape) {
        let what = format!("has shape {shape:?}, but there are {} fibres and {nwave} wavelengths", fibres.len());
        return Err(FitsError::Invalid { path: path.to_path_buf(), hdu: "FLUX".into(), what });
    }
    Ok(Truth { fibres, wave, flux })
}

/// Writes a truth file: FLUX f4 (electron per bin), WAVELENGTH f8 (Angstrom), FIBER i4.
///
/// # Errors
/// [`FitsError`] if the file exists and must not be replaced, or cannot be written.
pub fn write_truth(path: impl AsRef<Path>, truth: &Truth, overwrite: bool) -> Result<PendingFile, FitsError> {
    let fibres: Vec<i32> = truth.fibres.iter().map(|&f| f as i32).collect();
    let (nspec, nwave) = (truth.fibres.len(), truth.nwave());
    let of_waves = if truth.wave.len() == nwave { vec![nwave] } else { vec![nspec, nwave] };
    let image = |name, unit, shape, pixels| Image { name, unit, shape, pixels };
    let images = [
        image("FLUX", "electron", vec![nspec, nwave], Pixels::F32Rounded(&truth.flux)),
        image("WAVELENGTH", "Angstrom", of_waves, Pixels::F64(&truth.wave)),
        image("FIBER", "", vec![nspec], Pixels::I32(&fibres)),
    ];
    write_images(path, &Header::new(), &images, overwrite)
}
