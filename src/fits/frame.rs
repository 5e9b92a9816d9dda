//! Frame files: extracted spectra in desispec's format.

use super::error::FitsError;
use super::keywords::carried_cards;
use super::reader::FitsFile;
use super::table::read_table;
use super::weights::{electrons_per_angstrom, is_electron};
use super::writer::{Image, Pixels, write_file, write_images};
use crate::base::atomic_file::PendingFile;
use crate::frame::{Frame, Header, RealSlice, Scores, Spectra, SpectraParts};
use std::path::Path;

/// Writes a frame file: FLUX, IVAR, MASK, WAVELENGTH, RESOLUTION, FIBERMAP, CHI2PIX, SCORES, of which the last three are
/// left out if the frame has none. FLUX and IVAR have the world coordinates of an even wavelength grid.
///
/// # Errors
/// [`FitsError::Write`] if the file exists and may not be replaced, or cannot be written, or `frame.wave` does not have one
/// wavelength per bin.
pub fn write_frame(path: impl AsRef<Path>, frame: &Frame, overwrite: bool) -> Result<PendingFile, FitsError> {
    let s = &frame.spectra;
    let spectra = vec![s.nspec, s.nwave];
    let image = |name, unit, shape: &[usize], pixels| Image { name, unit, shape: shape.to_vec(), pixels };
    let (none, mut flux, mut ivar) = (Header::new(), frame.header.clone(), Header::new());
    let step = frame.header.get_f64("WAVESTEP");
    let is_air = frame.header.get_str("AIRORVAC").is_some_and(|medium| medium.eq_ignore_ascii_case("air"));
    if !frame.has_own_waves() {
        [&mut flux, &mut ivar].into_iter().for_each(|header| header.set_wavelength_axis(&frame.wave, step, is_air));
    }
    write_file(path.as_ref(), overwrite, |out| {
        out.image(&image("FLUX", "electron/Angstrom", &spectra, Pixels::F32Rounded(&s.flux)), &flux)?;
        out.image(&image("IVAR", "Angstrom**2 electron**-2", &spectra, Pixels::F32Rounded(&s.ivar)), &ivar)?;
        out.image(&image("MASK", "", &spectra, Pixels::U32(&s.mask)), &none)?;
        let of_waves = if frame.has_own_waves() { &spectra } else { &spectra[1..] };
        out.image(&image("WAVELENGTH", "Angstrom", of_waves, Pixels::F64(&frame.wave)), &none)?;
        let resolution = [s.nspec, s.ndiag, s.nwave];
        let r = match s.resolution.all() {
            RealSlice::F32(values) => Pixels::F32(values),
            RealSlice::F64(values) => Pixels::F32Rounded(values),
        };
        out.image(&image("RESOLUTION", "", &resolution, r), &none)?;
        if let Some(fibermap) = &frame.fibermap {
            out.table("FIBERMAP", fibermap)?;
        }
        if !s.chi2pix.is_empty() {
            out.image(&image("CHI2PIX", "", &spectra, Pixels::F32Rounded(&s.chi2pix)), &none)?;
        }
        match &frame.scores {
            Some(scores) => out.table("SCORES", &scores.to_table()),
            None => Ok(()),
        }
    })
}

/// Reads a frame file, ours or desispec's. Frame files hold no `pixmask_fraction`: it is empty. If the file has no CHI2PIX
/// or MASK, `chi2pix` is empty and `mask` all 0.
///
/// # Errors
/// [`FitsError`] if the file cannot be read, lacks FLUX, IVAR, WAVELENGTH or RESOLUTION, or their shapes disagree, or if FLUX has
/// another unit than electron/Angstrom. gpu_specter's frames have the image's, which is a warning.
pub fn read_frame(path: impl AsRef<Path>) -> Result<Frame, FitsError> {
    let file = FitsFile::open(path.as_ref())?;
    let flux_hdu = file.hdu("FLUX")?;
    let [nspec, nwave] = file.image_shape_2d(flux_hdu)?;
    let unit = flux_hdu.header.get_str("BUNIT").unwrap_or_default();
    if is_electron(&unit) {
        let path = path.as_ref().display();
        tracing::warn!(
            "{path}: BUNIT of FLUX is {unit}, as gpu_specter carries it over from an image; it is taken as electron/Angstrom"
        );
    } else if !unit.trim().is_empty() && electrons_per_angstrom(&unit) != Some(true) {
        let what = format!(
            "BUNIT is {unit}: spectra in electron/Angstrom are needed, as extraction makes them; a frame that is calibrated \
             to flux (cframe) is another product"
        );
        return Err(file.invalid(flux_hdu, what));
    }
    let needed = |name: &str| {
        let hdu = file.hdu(name)?;
        file.need_shape(hdu, &[nspec, nwave], "as FLUX")?;
        file.image_f64(hdu)
    };
    let wave_hdu = file.hdu("WAVELENGTH")?;
    // Where fibres have wavelengths of their own, it has the shape of FLUX.
    if file.image_shape(wave_hdu)? != [nspec, nwave] {
        file.need_shape(wave_hdu, &[nwave], "one per bin of FLUX")?;
    }
    let resolution_hdu = file.hdu("RESOLUTION")?;
    let ndiag = file.image_shape(resolution_hdu)?.get(1).copied().unwrap_or(1);
    file.need_shape(resolution_hdu, &[nspec, ndiag, nwave], "[nspec, ndiag, nwave] of FLUX")?;
    let mask = match file.find("MASK") {
        Some(hdu) => {
            file.need_shape(hdu, &[nspec, nwave], "as FLUX")?;
            file.image_bits(hdu, &mut Vec::new())?.into_iter().map(|bits| bits as u32).collect()
        }
        None => vec![0; nspec * nwave],
    };
    let parts = SpectraParts {
        nspec,
        nwave,
        ndiag,
        flux: file.image_f64(flux_hdu)?,
        ivar: needed("IVAR")?,
        resolution: match resolution_hdu.bitpix {
            -32 => file.image_f32(resolution_hdu)?.into(),
            _ => file.image_f64(resolution_hdu)?.into(),
        },
        chi2pix: if file.find("CHI2PIX").is_some() { needed("CHI2PIX")? } else { Vec::new() },
        pixmask_fraction: Vec::new(),
        mask,
    };
    let mut header = carried_cards(flux_hdu, &mut Vec::new());
    header.remove_image_axes();
    let table = |name: &str| file.find(name).map(|hdu| read_table(&file, hdu, &mut Vec::new())).transpose();
    Ok(Frame {
        spectra: Spectra::new(parts).expect("the shapes have been checked, each with its HDU"),
        wave: file.image_f64(wave_hdu)?,
        header,
        fibermap: table("FIBERMAP")?,
        scores: table("SCORES")?.map(|table| Scores::from_table(&table)),
    })
}

/// Writes a model image, MODEL f4 `[ny, nx]` in electron, with the cards of `header`.
///
/// # Errors
/// [`FitsError::Write`] if the file exists and may not be replaced, or cannot be written, or `model` does not have `nx * ny`
/// pixels.
pub fn write_model(
    path: impl AsRef<Path>,
    model: &[f32],
    nx: usize,
    ny: usize,
    header: &Header,
    overwrite: bool,
) -> Result<PendingFile, FitsError> {
    let image = Image { name: "MODEL", unit: "electron", shape: vec![ny, nx], pixels: Pixels::F32(model) };
    write_images(path, header, &[image], overwrite)
}
