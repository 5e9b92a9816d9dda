//! Frame files: extracted spectra as desispec reads and writes them.

use std::path::Path;

use crate::frame::Scores;
use crate::frame::{Frame, Spectra};

use super::Header;
use super::error::FitsError;
use super::output_path::fill;
use super::preproc::carried_cards;
use super::reader::FitsFile;
use super::table::Table;
use super::writer::{Image, Pixels};
use crate::base::atomic_file::PendingFile;

/// Writes a frame file: FLUX, IVAR, MASK, WAVELENGTH, RESOLUTION, FIBERMAP, CHI2PIX, SCORES.
///
/// # Errors
/// [`FitsError`] where the file exists and may not be replaced, or cannot be written.
///
/// # Panics
/// Where the frame's arrays disagree with its nspec, nwave or ndiag.
pub fn write_frame(path: impl AsRef<Path>, frame: &Frame, overwrite: bool) -> Result<(), FitsError> {
    Ok(fill_frame(path, frame, overwrite)?.persist()?)
}

/// As [`write_frame`], but for [`PendingFile::persist`].
///
/// # Errors
/// See [`write_frame`].
///
/// # Panics
/// See [`write_frame`].
pub fn fill_frame(path: impl AsRef<Path>, frame: &Frame, overwrite: bool) -> Result<PendingFile, FitsError> {
    let s = &frame.spectra;
    let spectra = vec![s.nspec, s.nwave];
    let image = |name, unit, shape: &[usize], pixels| Image { name, unit, shape: shape.to_vec(), pixels };
    let none = Header::new();
    fill(path.as_ref(), overwrite, |out| {
        out.image(&image("FLUX", "electron/Angstrom", &spectra, Pixels::F32Rounded(&s.flux)), &frame.header)?;
        out.image(&image("IVAR", "", &spectra, Pixels::F32Rounded(&s.ivar)), &none)?;
        out.image(&image("MASK", "", &spectra, Pixels::U32(&s.mask)), &none)?;
        out.image(&image("WAVELENGTH", "Angstrom", &[s.nwave], Pixels::F64(&frame.wave)), &none)?;
        let resolution = [s.nspec, s.ndiag, s.nwave];
        out.image(&image("RESOLUTION", "", &resolution, Pixels::F32Rounded(&s.resolution)), &none)?;
        if let Some(fibermap) = &frame.fibermap {
            out.table("FIBERMAP", fibermap)?;
        }
        out.image(&image("CHI2PIX", "", &spectra, Pixels::F32Rounded(&s.chi2pix)), &none)?;
        match &frame.scores {
            Some(scores) => out.table("SCORES", &scores.to_table()),
            None => Ok(()),
        }
    })
}

/// Reads a frame file, ours or desispec's. Frame files hold no `pixmask_fraction`: it is empty; `chi2pix` is empty and
/// `mask` all 0 where the file has none.
///
/// # Errors
/// [`FitsError`] where the file cannot be read, lacks FLUX, IVAR, WAVELENGTH or RESOLUTION, or their shapes disagree.
pub fn read_frame(path: impl AsRef<Path>) -> Result<Frame, FitsError> {
    let file = FitsFile::open(path.as_ref())?;
    let flux_hdu = file.hdu("FLUX")?;
    let [nspec, nwave] = file.image_shape_2d(flux_hdu)?;
    let needed = |name: &str| {
        let hdu = file.hdu(name)?;
        file.need_shape(hdu, &[nspec, nwave], "as FLUX")?;
        file.image_f64(hdu)
    };
    let wave_hdu = file.hdu("WAVELENGTH")?;
    file.need_shape(wave_hdu, &[nwave], "one a bin of FLUX")?;
    let resolution_hdu = file.hdu("RESOLUTION")?;
    let ndiag = file.image_shape(resolution_hdu)?.get(1).copied().unwrap_or(1);
    file.need_shape(resolution_hdu, &[nspec, ndiag, nwave], "[nspec, ndiag, nwave] of FLUX")?;
    let mask = match file.find("MASK") {
        Some(hdu) => {
            file.need_shape(hdu, &[nspec, nwave], "as FLUX")?;
            file.image_bits(hdu)?.into_iter().map(|bits| bits as u32).collect()
        }
        None => vec![0; nspec * nwave],
    };
    let spectra = Spectra {
        nspec,
        nwave,
        ndiag,
        flux: file.image_f64(flux_hdu)?,
        ivar: needed("IVAR")?,
        resolution: file.image_f64(resolution_hdu)?,
        chi2pix: if file.find("CHI2PIX").is_some() { needed("CHI2PIX")? } else { Vec::new() },
        pixmask_fraction: Vec::new(),
        mask,
    };
    let table = |name: &str| file.find(name).map(|hdu| Table::read(&file, hdu)).transpose();
    Ok(Frame {
        spectra,
        wave: file.image_f64(wave_hdu)?,
        header: carried_cards(flux_hdu),
        fibermap: table("FIBERMAP")?,
        scores: table("SCORES")?.map(|table| Scores::from_table(&table)),
    })
}

/// Writes a model image, MODEL f4 `[ny, nx]` in electron, with the cards of `header`.
///
/// # Errors
/// [`FitsError`] where the file exists and may not be replaced, or cannot be written.
///
/// # Panics
/// Where `model` has not `nx * ny` pixels.
pub fn write_model(
    path: impl AsRef<Path>,
    model: &[f32],
    nx: usize,
    ny: usize,
    header: &Header,
    overwrite: bool,
) -> Result<(), FitsError> {
    Ok(fill_model(path, model, nx, ny, header, overwrite)?.persist()?)
}

/// As [`write_model`], but for [`PendingFile::persist`].
///
/// # Errors
/// See [`write_model`].
///
/// # Panics
/// See [`write_model`].
pub fn fill_model(
    path: impl AsRef<Path>,
    model: &[f32],
    nx: usize,
    ny: usize,
    header: &Header,
    overwrite: bool,
) -> Result<PendingFile, FitsError> {
    let image = Image { name: "MODEL", unit: "electron", shape: vec![ny, nx], pixels: Pixels::F32(model) };
    super::fill_images(path, header, &[image], overwrite)
}
