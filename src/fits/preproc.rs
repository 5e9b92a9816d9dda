//! Preprocessed CCD frames: IMAGE and IVAR, optionally MASK, READNOISE and FIBERMAP.

use super::error::FitsError;
use super::keywords::carried_cards;
use super::reader::{FitsFile, Hdu};
use super::table::{read_fibermap, read_table};
use super::writer::{Image, Pixels, write_file};
use crate::base::atomic_file::PendingFile;
use crate::frame::{Header, Table};
use crate::geometry::{Ccd, CcdError};
use std::path::{Path, PathBuf};

/// A preprocessed CCD frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Preproc {
    /// Pixels in electron and their inverse variances, masked pixels with ivar 0.
    pub ccd: Ccd<'static>,
    /// CCD mask bits, `[ny, nx]`.
    pub mask: Option<Vec<i32>>,
    /// Read noise in electron, `[ny, nx]`.
    pub readnoise: Option<Vec<f32>>,
    /// Cards of IMAGE except the structural ones.
    pub header: Header,
    /// Fibermap with its own cards.
    pub fibermap: Option<Table>,
}

impl Preproc {
    /// Builds a frame of pixels and their mask, `[ny, nx]`; ivar becomes 0 where the mask has any of `mask_bits`.
    ///
    /// # Errors
    /// [`CcdError`] if a plane does not have `ny * nx` pixels.
    pub fn new(
        [ny, nx]: [usize; 2],
        image: Vec<f32>,
        ivar: Vec<f32>,
        mask: Option<Vec<i32>>,
        mask_bits: u32,
    ) -> Result<Self, CcdError> {
        let ccd = match &mask {
            Some(mask) => Ccd::with_mask(ny, nx, image, ivar, (mask, mask_bits))?,
            None => Ccd::new(ny, nx, image, ivar)?,
        };
        Ok(Self { ccd, mask, readnoise: None, header: Header::new(), fibermap: None })
    }

    /// Returns the frame with ivar 0 also where its mask has any of `mask_bits`.
    ///
    /// # Errors
    /// [`CcdError`] if the mask does not have the pixels of the CCD.
    pub fn masked_by(self, mask_bits: u32) -> Result<Self, CcdError> {
        let (shape, [image, ivar]) = ([self.ccd.ny(), self.ccd.nx()], self.ccd.into_planes());
        let masked = Self::new(shape, image, ivar, self.mask, mask_bits)?;
        Ok(Self { readnoise: self.readnoise, header: self.header, fibermap: self.fibermap, ..masked })
    }
}

/// Options for reading a preproc file.
#[derive(Clone, Debug, PartialEq)]
pub struct PreprocOptions {
    /// Bits of MASK that set ivar = 0.
    pub mask_bits: u32,
    /// File with the fibermap that replaces the frame's own.
    pub fibermap: Option<PathBuf>,
}

impl Default for PreprocOptions {
    /// The bits of DESI's production: all of `ccdmask` except BADREADNOISE (8).
    fn default() -> Self {
        Self { mask_bits: 0x2ff, fibermap: None }
    }
}

/// Reads a preproc file (`.fits`, `.fits.gz`, `.fits.fz`; any image tile-compressed or not).
///
/// # Errors
/// [`FitsError`] if the file cannot be read, lacks IMAGE or IVAR, or its images differ in shape.
pub fn read_preproc(path: impl AsRef<Path>, options: &PreprocOptions) -> Result<Preproc, FitsError> {
    preproc_of(&FitsFile::open(path.as_ref())?, options)
}

/// Reads the preproc frame of an open file.
pub(crate) fn preproc_of(file: &FitsFile, options: &PreprocOptions) -> Result<Preproc, FitsError> {
    let image_hdu = file.hdu("IMAGE")?;
    let [ny, nx] = file.image_shape_2d(image_hdu)?;
    let same = |name: &str| -> Result<Option<&Hdu>, FitsError> {
        let Some(hdu) = file.find(name) else {
            return Ok(None);
        };
        file.need_shape(hdu, &[ny, nx], "as IMAGE")?;
        Ok(Some(hdu))
    };
    file.hdu("IVAR")?;
    let (ivar_hdu, mask_hdu, readnoise_hdu) = (same("IVAR")?, same("MASK")?, same("READNOISE")?);
    let ivar = ivar_hdu.map_or(Ok(Vec::new()), |hdu| file.image_f32(hdu))?;
    let image = file.image_f32(image_hdu)?;
    let mask = mask_hdu.map(|hdu| file.image_bits(hdu)).transpose()?;
    let readnoise = readnoise_hdu.map(|hdu| file.image_f32(hdu)).transpose()?;
    let fibermap = match (&options.fibermap, file.find("FIBERMAP")) {
        (Some(path), _) => Some(read_fibermap(path)?),
        (None, Some(hdu)) => Some(read_table(file, hdu)?),
        (None, None) => None,
    };
    let header = carried_cards(image_hdu);
    let planes =
        Preproc::new([ny, nx], image, ivar, mask, options.mask_bits).expect("all images have the shape of IMAGE");
    Ok(Preproc { readnoise, header, fibermap, ..planes })
}

/// Writes a preproc file: IMAGE and IVAR, and those of MASK, READNOISE, FIBERMAP that the frame has.
///
/// # Errors
/// [`FitsError::Invalid`] if MASK or READNOISE differs from the CCD in the number of pixels; [`FitsError::Write`] if the file
/// exists and may not be replaced, or cannot be written.
pub fn write_preproc(path: impl AsRef<Path>, frame: &Preproc, overwrite: bool) -> Result<PendingFile, FitsError> {
    let (ny, nx) = (frame.ccd.ny(), frame.ccd.nx());
    let planes = [("MASK", frame.mask.as_ref().map(Vec::len)), ("READNOISE", frame.readnoise.as_ref().map(Vec::len))];
    for (name, found) in planes {
        if let Some(found) = found.filter(|&found| found != ny * nx) {
            let what = format!("it has {found} pixels, IMAGE has {ny} x {nx}: give a plane of the same shape");
            return Err(FitsError::Invalid { path: path.as_ref().into(), hdu: name.into(), what });
        }
    }
    let none = Header::new();
    let image = |name, unit, pixels| Image { name, unit, shape: vec![frame.ccd.ny(), frame.ccd.nx()], pixels };
    write_file(path.as_ref(), overwrite, |out| {
        out.image(&image("IMAGE", "electron", Pixels::F32(frame.ccd.image())), &frame.header)?;
        out.image(&image("IVAR", "", Pixels::F32(frame.ccd.ivar())), &none)?;
        if let Some(mask) = &frame.mask {
            out.image(&image("MASK", "", Pixels::I32(mask)), &none)?;
        }
        if let Some(readnoise) = &frame.readnoise {
            out.image(&image("READNOISE", "electron", Pixels::F32(readnoise)), &none)?;
        }
        match &frame.fibermap {
            Some(fibermap) => out.table("FIBERMAP", fibermap),
            None => Ok(()),
        }
    })
}
