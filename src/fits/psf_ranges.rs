//! The range of every fibre of a PSF file: an image WAVERANGE, `[nfibre, 2]`, Angstrom.

use super::error::FitsError;
use super::reader::FitsFile;
use super::writer::{Image, Pixels, Writer};
use crate::frame::Header;
use crate::psf::Psf;
use std::io;

/// The HDU.
const WAVERANGE: &str = "WAVERANGE";

/// Reads the ranges of the fibres, None where all have the same.
pub(super) fn read_ranges(file: &FitsFile, nfibre: usize) -> Result<Option<Vec<[f64; 2]>>, FitsError> {
    let Some(hdu) = file.find(WAVERANGE) else { return Ok(None) };
    file.need_shape(hdu, &[nfibre, 2], "first and last wavelength of every fibre")?;
    Ok(Some(file.image_f64(hdu)?.chunks_exact(2).map(|ends| [ends[0], ends[1]]).collect()))
}

/// Writes the ranges of the fibres that have their own.
pub(super) fn write_ranges(out: &mut Writer, psf: &Psf) -> io::Result<()> {
    let Some(ranges) = &psf.ranges else { return Ok(()) };
    let ends: Vec<f64> = ranges.iter().flatten().copied().collect();
    let image = Image { name: WAVERANGE, unit: "Angstrom", shape: vec![ranges.len(), 2], pixels: Pixels::F64(&ends) };
    out.image(&image, &Header::new())
}
