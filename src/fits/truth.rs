//! The truth of a simulated frame: its true spectra, and their file.

use super::reader::FitsFile;
use super::weights::electrons_per_angstrom;
use super::{FitsError, Image, Pixels, read_image_f64, write_images};
use crate::base::atomic_file::PendingFile;
use crate::frame::Header;
use crate::geometry::gradient;
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

/// Reads a truth file: images FLUX, WAVELENGTH, and FIBER, without which fibres count from 0. FLUX is in electron per bin, or by its BUNIT in
/// electron/Angstrom.
///
/// # Errors
/// [`FitsError::MissingHdu`] if an image is missing, [`FitsError::Invalid`] if the images do not fit together, and the
/// errors of reading, also of a FLUX in another unit.
pub fn read_truth(path: impl AsRef<Path>) -> Result<Truth, FitsError> {
    let path = path.as_ref();
    let (shape, mut flux) = read_image_f64(path, "FLUX")?;
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
    if is_per_angstrom(path)? {
        for (k, flux) in flux.chunks_mut(nwave.max(1)).enumerate() {
            let own = if wave_shape.len() > 1 { &wave[k * nwave..(k + 1) * nwave] } else { &wave[..] };
            flux.iter_mut().zip(gradient(own, 1.0)).for_each(|(flux, width)| *flux *= width);
        }
    }
    Ok(Truth { fibres, wave, flux })
}

/// Whether FLUX is in electron/Angstrom, by its BUNIT.
fn is_per_angstrom(path: &Path) -> Result<bool, FitsError> {
    let file = FitsFile::open(path)?;
    let hdu = file.hdu("FLUX")?;
    let unit = hdu.header.get_str("BUNIT").unwrap_or_default();
    let found = electrons_per_angstrom(&unit);
    if unit.trim().is_empty() {
        tracing::warn!("{}: FLUX has no BUNIT; it is taken as electron per bin", path.display());
    } else if found.is_none() {
        return Err(file.invalid(hdu, format!("BUNIT is {unit}: give electron (per bin) or electron/Angstrom")));
    }
    Ok(found == Some(true))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flux_is_read_per_bin_by_its_unit_and_unknown_units_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("truth.fits");
        let with = |unit| {
            let image = |name, unit, shape, pixels| Image { name, unit, shape, pixels };
            let (flux, wave) = ([1.0, 2.0, 3.0], [5000.0, 5000.8, 5001.6]);
            let images = [
                image("FLUX", unit, vec![1, 3], Pixels::F64(&flux)),
                image("WAVELENGTH", "Angstrom", vec![3], Pixels::F64(&wave)),
            ];
            write_images(&path, &Header::new(), &images, true).unwrap().persist().unwrap();
            read_truth(&path).map(|truth| truth.flux)
        };
        for unit in ["electron", "", "electron/bin"] {
            assert_eq!(with(unit).unwrap(), [1.0, 2.0, 3.0], "{unit}");
        }
        for unit in ["electron/Angstrom", "electron Angstrom^-1"] {
            let flux = with(unit).unwrap();
            assert!(flux.iter().zip([0.8, 1.6, 2.4]).all(|(a, b)| (a - b).abs() < 1e-9), "{unit}: {flux:?}");
        }
        for unit in ["adu", "erg/s/cm2/Angstrom", "electron/pixel"] {
            assert!(with(unit).unwrap_err().to_string().contains(&format!("BUNIT is {unit}: give electron")));
        }
    }
}
