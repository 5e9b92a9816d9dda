//! How a preproc file is read.

use std::path::PathBuf;

/// Options for reading a preproc file.
#[derive(Clone, Debug, PartialEq)]
pub struct PreprocOptions {
    /// Bits of MASK that set ivar = 0.
    pub mask_bits: u32,
    /// File with the fibermap that replaces the frame's own.
    pub fibermap: Option<PathBuf>,
    /// HDU of the image, by EXTNAME or number; None for IMAGE, or a primary image without EXTNAME.
    pub image_hdu: Option<String>,
    /// Read noise in electron, for a file without weights: they follow from it and the pixels.
    pub readnoise: Option<f64>,
    /// Electrons of one unit of the image; None for an image in electron.
    pub gain: Option<f64>,
    /// Whether a wrong DATASUM is no error where the data decide no number (FIBERMAP, READNOISE).
    pub ignore_checksum: bool,
}

impl Default for PreprocOptions {
    /// The bits of DESI's production: all of `ccdmask` except BADREADNOISE (8).
    fn default() -> Self {
        Self { mask_bits: 0x2ff, fibermap: None, image_hdu: None, readnoise: None, gain: None, ignore_checksum: false }
    }
}
