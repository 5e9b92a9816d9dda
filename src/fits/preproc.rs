//! Preprocessed CCD frames: IMAGE, IVAR, MASK, and where present READNOISE and FIBERMAP.

use std::path::{Path, PathBuf};

use super::error::FitsError;
use super::header::Header;
use super::output_path::fill;
use super::reader::{FitsFile, Hdu, Kind};
use super::table::{Table, read_fibermap};
use super::writer::{Image, Pixels};
use super::{is_compression, is_structural};
use crate::base::atomic_file::PendingFile;
use crate::geometry::{Ccd, CcdError};

/// A preprocessed CCD frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Preproc {
    /// Pixels in electron and their inverse variances, masked pixels with ivar 0.
    pub ccd: Ccd<'static>,
    /// CCD mask bits, `[ny, nx]`.
    pub mask: Option<Vec<i32>>,
    /// Read noise in electron, `[ny, nx]`.
    pub readnoise: Option<Vec<f32>>,
    /// The cards of IMAGE but for the structural ones.
    pub header: Header,
    /// The fibermap, with its own cards.
    pub fibermap: Option<Table>,
}

impl Preproc {
    /// A frame of pixels and their mask, `[ny, nx]`; ivar becomes 0 where the mask has any of `mask_bits`.
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
}

/// How a preproc file is read.
#[derive(Clone, Debug, PartialEq)]
pub struct PreprocOptions {
    /// Pixels with any of these bits in MASK get ivar = 0.
    pub mask_bits: u32,
    /// A file with the fibermap, in place of the frame's own.
    pub fibermap: Option<PathBuf>,
}

impl Default for PreprocOptions {
    /// The bits DESI's production uses: all of `ccdmask` but BADREADNOISE (8).
    fn default() -> Self {
        Self { mask_bits: 0x2ff, fibermap: None }
    }
}

/// Reads a preproc file (`.fits`, `.fits.gz`, `.fits.fz`; any image tile-compressed or not).
///
/// # Errors
/// [`FitsError`] where the file cannot be read, lacks IMAGE or IVAR, or its images differ in shape.
pub fn read_preproc(path: impl AsRef<Path>, options: &PreprocOptions) -> Result<Preproc, FitsError> {
    preproc_of(&FitsFile::open(path.as_ref())?, options)
}

/// The preproc frame of an open file.
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
        (None, Some(hdu)) => Some(Table::read(file, hdu)?),
        (None, None) => None,
    };
    let header = carried_cards(image_hdu);
    let planes =
        Preproc::new([ny, nx], image, ivar, mask, options.mask_bits).expect("all images have the shape of IMAGE");
    Ok(Preproc { readnoise, header, fibermap, ..planes })
}

/// Writes a preproc file: IMAGE, IVAR, and where there are any MASK, READNOISE, FIBERMAP.
///
/// # Errors
/// [`FitsError`] where the file exists and may not be replaced, or cannot be written.
///
/// # Panics
/// Where an image has not `nx * ny` pixels.
pub fn write_preproc(path: impl AsRef<Path>, frame: &Preproc, overwrite: bool) -> Result<(), FitsError> {
    Ok(fill_preproc(path, frame, overwrite)?.persist()?)
}

/// As [`write_preproc`], but for [`PendingFile::persist`].
///
/// # Errors
/// See [`write_preproc`].
///
/// # Panics
/// See [`write_preproc`].
pub fn fill_preproc(path: impl AsRef<Path>, frame: &Preproc, overwrite: bool) -> Result<PendingFile, FitsError> {
    let none = Header::new();
    let image = |name, unit, pixels| Image { name, unit, shape: vec![frame.ccd.ny(), frame.ccd.nx()], pixels };
    fill(path.as_ref(), overwrite, |out| {
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

/// The cards of an image HDU that are carried to outputs.
pub(crate) fn carried_cards(hdu: &Hdu) -> Header {
    let tiled = hdu.kind == Kind::TiledImage;
    let mut header = hdu.header.clone();
    header.retain(|keyword| !(is_structural(keyword) || tiled && is_compression(keyword)));
    header
}
