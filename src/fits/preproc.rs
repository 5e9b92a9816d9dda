//! Preprocessed CCD frames: IMAGE and IVAR, optionally MASK, READNOISE and FIBERMAP.

use super::companions::Companions;
use super::error::FitsError;
use super::hdu::Hdu;
use super::keywords::carried_cards;
use super::preproc_options::PreprocOptions;
use super::reader::FitsFile;
use super::table::{fibermap_of, read_table};
use super::weights;
use super::writer::{Image, Pixels, write_file};
use crate::base::atomic_file::PendingFile;
use crate::base::option_name::OptionName::MaskBits;
use crate::base::transpose::transposed;
use crate::frame::{DESI_CARD, Header, Table};
use crate::geometry::{Ccd, CcdError};
use crate::psf::Dispersion;
use rayon::prelude::*;
use std::path::Path;

/// Bit of DESI's mask for pixels of high read noise, which its production uses: their ivar has it.
const BADREADNOISE: u32 = 1 << 8;

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
    /// Remarks of the reader: what is missing, supposed or mended, in sentences; empty for a whole file.
    pub notes: Vec<String>,
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
        Ok(Self { ccd, mask, readnoise: None, header: Header::new(), fibermap: None, notes: Vec::new() })
    }

    /// Returns the frame with rows and columns exchanged: what a PSF with dispersion along x asks for, or back.
    #[must_use]
    pub fn turned(self) -> Self {
        let shape = [self.ccd.ny(), self.ccd.nx()];
        Self {
            ccd: self.ccd.turned(),
            mask: self.mask.map(|mask| transposed(&mask, shape)),
            readnoise: self.readnoise.map(|noise| transposed(&noise, shape)),
            ..self
        }
    }

    /// Returns the frame turned as a PSF is whose file has this axis of dispersion.
    #[must_use]
    pub fn turned_for(self, dispersion: Dispersion) -> Self {
        if self.ccd.dispersion() == dispersion { self } else { self.turned() }
    }

    /// Returns the frame with ivar 0 also where its mask has any of `mask_bits`.
    ///
    /// # Errors
    /// [`CcdError`] if the mask does not have the pixels of the CCD.
    pub fn masked_by(self, mask_bits: u32) -> Result<Self, CcdError> {
        let (shape, dispersion) = ([self.ccd.ny(), self.ccd.nx()], self.ccd.dispersion());
        let [image, ivar] = self.ccd.into_planes();
        let masked = Self::new(shape, image, ivar, self.mask, mask_bits)?;
        Ok(Self {
            ccd: masked.ccd.with_dispersion(dispersion),
            readnoise: self.readnoise,
            header: self.header,
            fibermap: self.fibermap,
            notes: self.notes,
            ..masked
        })
    }
}

/// Reads a preproc file (`.fits`, `.fits.gz`, `.fits.fz`; any image tile-compressed or not).
///
/// Weights are those of IVAR, of an HDU of variances or standard deviations, or of `options.readnoise`. Remarks of
/// the reader are in [`Preproc::notes`].
///
/// # Errors
/// [`FitsError`] if the file cannot be read, lacks image or weights, or its images differ in shape.
pub fn read_preproc(path: impl AsRef<Path>, options: &PreprocOptions) -> Result<Preproc, FitsError> {
    preproc_of(&FitsFile::open(path.as_ref())?.ignoring_checksums(options.ignore_checksum), options)
}

/// Reads the preproc frame of an open file.
pub(crate) fn preproc_of(file: &FitsFile, options: &PreprocOptions) -> Result<Preproc, FitsError> {
    let mut notes = file.damages();
    let image_hdu = weights::image_hdu(file, options, &mut notes)?;
    let [ny, nx] = file.image_shape_2d(image_hdu)?;
    let names = weights::plane_names();
    let companions = Companions { file, image: image_hdu, names: &names };
    let same = |name: &str| -> Result<Option<&Hdu>, FitsError> {
        let table = || file.find(name).filter(|hdu| !hdu.is_image());
        let Some(hdu) = companions.find(name)?.or_else(table) else {
            return Ok(None);
        };
        file.need_shape(hdu, &[ny, nx], "as IMAGE")?;
        Ok(Some(hdu))
    };
    let mask_hdu = same("MASK")?;
    // It decides no number.
    let readnoise_hdu = same("READNOISE").unwrap_or_else(|_| {
        notes.push("its READNOISE has not the shape of the image and is left out".into());
        None
    });
    let weights_hdu = weights::weights_hdu(&companions)?;
    let fibermap_hdu = file.find("FIBERMAP");
    let used = [Some(image_hdu), weights_hdu.map(|(hdu, _)| hdu), mask_hdu, readnoise_hdu, fibermap_hdu];
    notes.extend(companions.passed_over(&used.into_iter().flatten().collect::<Vec<_>>()));
    let image = weights::image(file, image_hdu, options.gain, &mut notes)?;
    let ivar = weights::ivar(file, image_hdu, &image, weights_hdu, options, &mut notes)?;
    let mask = mask_hdu.map(|hdu| file.image_bits(hdu, &mut notes)).transpose()?;
    if mask.is_none() {
        notes.push(format!("it has no MASK HDU ({}); no pixel is masked by bits", file.present()));
    }
    let readnoise = readnoise_hdu.map(|hdu| file.image_f32(hdu)).transpose()?;
    let fibermap = match (&options.fibermap, fibermap_hdu) {
        (Some(path), _) => {
            let other = FitsFile::open(path)?.ignoring_checksums(options.ignore_checksum);
            Some(fibermap_of(&other, &mut notes)?)
        }
        (None, Some(hdu)) => Some(read_table(file, hdu, &mut notes)?),
        (None, None) => {
            notes.push(format!("it has no FIBERMAP HDU ({}); fibres are numbered by the PSF", file.present()));
            None
        }
    };
    let header = carried_cards(image_hdu, &mut notes);
    let planes =
        Preproc::new([ny, nx], image, ivar, mask, options.mask_bits).expect("all images have the shape of IMAGE");
    // Who chooses the bits knows what they leave out.
    let is_default = options.mask_bits == PreprocOptions::default().mask_bits;
    if let Some((bits, note)) = is_default.then(|| used_bits(&planes, options.mask_bits)).flatten() {
        match header.contains(DESI_CARD) && bits == BADREADNOISE {
            true => tracing::info!("{}: {note}", file.path.display()),
            false => notes.push(note),
        }
    }
    Ok(Preproc { readnoise, header, fibermap, notes, ..planes })
}

/// Returns the bits of MASK that pixels in use have and `mask_bits` leaves out, with a sentence.
fn used_bits(frame: &Preproc, mask_bits: u32) -> Option<(u32, String)> {
    let mask = frame.mask.as_deref()?;
    let used = || mask.par_iter().zip(frame.ccd.ivar()).filter(|(_, ivar)| **ivar > 0.0);
    let bits = used().map(|(mask, _)| *mask as u32).reduce(|| 0, |a, b| a | b) & !mask_bits;
    let count = |bit: u32| used().filter(|(mask, _)| **mask as u32 & (1 << bit) != 0).count();
    let set: Vec<String> = (0..u32::BITS)
        .filter(|bit| bits & (1 << bit) != 0)
        .map(|bit| format!("bit {bit} is set in {} pixels", count(bit)))
        .collect();
    let note = || format!("of its MASK {} that are used; {MaskBits} has the bits that exclude a pixel", set.join(", "));
    (bits != 0).then(|| (bits, note()))
}

/// Writes a preproc file: IMAGE and IVAR, and those of MASK, READNOISE, FIBERMAP that the frame has.
///
/// # Errors
/// [`FitsError::Invalid`] if MASK or READNOISE has another number of pixels than the CCD. [`FitsError::Write`] if the file
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turned_frame_may_be_masked_before_and_after() {
        let numbers = |first: f32| (0..6).map(|k| first + k as f32).collect::<Vec<_>>();
        let frame = Preproc::new([2, 3], numbers(5.0), numbers(1.0), Some(vec![0, 1, 0, 0, 2, 0]), 0).unwrap();
        let before = frame.clone().masked_by(1).unwrap().turned();
        let after = frame.turned().masked_by(1).unwrap();
        assert_eq!(after.ccd.dispersion(), Dispersion::AlongX);
        assert_eq!(after.ccd.dispersion(), before.ccd.dispersion());
        assert_eq!((after.ccd.ivar(), after.ccd.image()), (before.ccd.ivar(), before.ccd.image()));
        assert_eq!(after.ccd.ivar(), [1.0, 4.0, 0.0, 5.0, 3.0, 6.0]);
    }
}
