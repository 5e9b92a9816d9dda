//! The truth of a simulated frame: the spectra that lit it.

use super::{FitsError, Image, PendingFile, Pixels, read_image_f64, write_images};
use crate::frame::Header;
use std::path::Path;

/// Spectra that lit a frame, on a grid whose bins coincide with those of the extraction.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    /// Fibre numbers, as FIBER of the fibermap, `[nspec]`.
    pub fibres: Vec<i64>,
    /// Wavelengths in Angstrom, ascending, `[nwave]`.
    pub wave: Vec<f64>,
    /// Electrons a bin, `[nspec, nwave]`.
    pub flux: Vec<f64>,
}

/// Reads a truth file: images FLUX, WAVELENGTH, and FIBER, without which fibres count from 0.
///
/// # Errors
/// [`FitsError`] where the file cannot be read, lacks an image, or the images do not fit together.
pub fn read_truth(path: impl AsRef<Path>) -> Result<Truth, FitsError> {
    let path = path.as_ref();
    let (shape, flux) = read_image_f64(path, "FLUX")?;
    let (_, wave) = read_image_f64(path, "WAVELENGTH")?;
    let fibres = match read_image_f64(path, "FIBER") {
        Ok((_, numbers)) => numbers.into_iter().map(|f| f as i64).collect(),
        Err(FitsError::MissingHdu { .. }) => (0..shape[0] as i64).collect::<Vec<_>>(),
        Err(error) => return Err(error),
    };
    if shape != [fibres.len(), wave.len()] {
        let what = format!("has shape {shape:?}, but there are {} fibres and {} wavelengths", fibres.len(), wave.len());
        return Err(FitsError::Invalid { path: path.to_path_buf(), hdu: "FLUX".into(), what });
    }
    Ok(Truth { fibres, wave, flux })
}

/// Writes a truth file: FLUX f4 (electron a bin), WAVELENGTH f8 (Angstrom), FIBER i4.
///
/// # Errors
/// [`FitsError`] where the file exists and may not be replaced, or cannot be written.
pub fn write_truth(path: impl AsRef<Path>, truth: &Truth, overwrite: bool) -> Result<PendingFile, FitsError> {
    let fibres: Vec<i32> = truth.fibres.iter().map(|&f| f as i32).collect();
    let (nspec, nwave) = (truth.fibres.len(), truth.wave.len());
    let image = |name, unit, shape, pixels| Image { name, unit, shape, pixels };
    let images = [
        image("FLUX", "electron", vec![nspec, nwave], Pixels::F32Rounded(&truth.flux)),
        image("WAVELENGTH", "Angstrom", vec![nwave], Pixels::F64(&truth.wave)),
        image("FIBER", "", vec![nspec], Pixels::I32(&fibres)),
    ];
    write_images(path, &Header::new(), &images, overwrite)
}
