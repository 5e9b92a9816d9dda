//! Pixels of image HDUs, plain or tile-compressed, with BSCALE, BZERO and BLANK applied.

use super::blocks::PIECE;
use super::error::FitsError;
use super::hdu::{Hdu, Kind};
use super::reader::FitsFile;
use super::tiles;
use crate::base::recycled;
use crate::frame::Header;
use fitsio_pure::image::ImageData;
use rayon::prelude::*;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Integers up to this have an exact f64.
const EXACT: u64 = 1 << 53;
/// Zeros beyond this, above any integer, are of no file.
const MOST_ZERO: f64 = 1e30;

/// Conversion of stored numbers to physical ones.
struct Scaling {
    scale: f64,
    zero: f64,
    /// The zero as an integer; None where scale or zero have a fraction.
    whole_zero: Option<i128>,
    blank: Option<i64>,
}

impl Scaling {
    fn of(file: &FitsFile, hdu: &Hdu) -> Result<Self, FitsError> {
        let number = |keyword, default| match hdu.header.contains(keyword) {
            true => file.need(hdu, keyword, Header::get_f64),
            false => Ok(default),
        };
        let blank = hdu.header.get_i64("BLANK").or_else(|| hdu.header.get_i64("ZBLANK"));
        let (scale, zero) = (number("BSCALE", 1.0)?, number("BZERO", 0.0)?);
        let exact = scale == 1.0 && zero.fract() == 0.0 && zero.abs() < MOST_ZERO;
        Ok(Self { scale, zero, whole_zero: exact.then_some(zero as i128), blank })
    }

    fn is_identity(&self) -> bool {
        self.scale == 1.0 && self.zero == 0.0
    }

    /// Returns the exact value of an integer; None where scale or zero have a fraction.
    fn whole(&self, v: i64) -> Option<i128> {
        self.whole_zero.map(|zero| i128::from(v) + zero)
    }

    fn of_int(&self, v: i64) -> f64 {
        if Some(v) == self.blank {
            return f64::NAN;
        }
        // Unsigned integers of 64 bits are stored 2^63 lower: the last digits of small ones would be lost.
        match self.whole(v) {
            Some(whole) if v.unsigned_abs() > EXACT => whole as f64,
            _ => self.of_float(v as f64),
        }
    }

    fn of_float(&self, v: f64) -> f64 {
        v * self.scale + self.zero
    }
}

/// Values of an image of bits that 32 bits do not hold.
#[derive(Default)]
struct Oddities {
    /// A value with a fraction, or none at all.
    fraction: AtomicBool,
    /// A bit above bit 31.
    beyond: AtomicBool,
}

impl Oddities {
    /// Returns the lowest 32 bits of a value; a blank pixel has all of them.
    fn bits(&self, value: Option<i128>) -> i32 {
        let value = value.unwrap_or(-1);
        if value > i128::from(u32::MAX) || value < i128::from(i32::MIN) {
            self.beyond.store(true, Relaxed);
        }
        value as i32
    }

    fn bits_of_float(&self, value: f64) -> i32 {
        if value.is_nan() {
            return self.bits(None);
        }
        if value.fract() != 0.0 || value.abs() > MOST_ZERO {
            self.fraction.store(true, Relaxed);
        }
        self.bits(Some(value as i128))
    }
}

/// Builds a function that takes unpacked pixels unchanged if they have the type wanted and need no conversion.
macro_rules! take_if {
    ($kind:ident, $no_conversion:expr) => {
        |unpacked| match unpacked {
            ImageData::$kind(pixels) if $no_conversion => Ok(pixels),
            other => Err(other),
        }
    };
}

impl FitsFile {
    /// Returns the shape of an image in numpy order, slowest axis first.
    pub fn image_shape(&self, hdu: &Hdu) -> Result<Vec<usize>, FitsError> {
        let mut axes = match hdu.kind {
            Kind::Image => hdu.naxes.clone(),
            Kind::TiledImage => tiles::axes(self, hdu)?,
            _ => {
                return Err(self.invalid(hdu, "holds a table where an image is needed; is it the right kind of file?"));
            }
        };
        axes.reverse();
        Ok(axes)
    }

    /// Returns the shape `[ny, nx]` of an image that must have two axes.
    pub fn image_shape_2d(&self, hdu: &Hdu) -> Result<[usize; 2], FitsError> {
        let shape = self.image_shape(hdu)?;
        match shape[..] {
            [ny, nx] if ny > 0 && nx > 0 => Ok([ny, nx]),
            _ => Err(self.wrong_shape(hdu, &shape, "an image of two axes".into())),
        }
    }

    /// Checks the shape of an image.
    pub fn need_shape(&self, hdu: &Hdu, needed: &[usize], because: &str) -> Result<(), FitsError> {
        let shape = self.image_shape(hdu)?;
        if shape == needed { Ok(()) } else { Err(self.wrong_shape(hdu, &shape, format!("{needed:?} ({because})"))) }
    }

    fn wrong_shape(&self, hdu: &Hdu, shape: &[usize], expected: String) -> FitsError {
        FitsError::Shape { path: self.path.clone(), hdu: hdu.label(), found: format!("{shape:?}"), expected }
    }

    /// Reads an image as f64; blank pixels are NaN.
    pub fn image_f64(&self, hdu: &Hdu) -> Result<Vec<f64>, FitsError> {
        let by = Scaling::of(self, hdu)?;
        let unchanged = take_if!(F64, by.is_identity());
        self.pixels(hdu, |v| by.of_int(v), |v| by.of_float(v), unchanged)
    }

    /// Reads an image as f32; blank pixels are NaN.
    pub fn image_f32(&self, hdu: &Hdu) -> Result<Vec<f32>, FitsError> {
        let by = Scaling::of(self, hdu)?;
        if hdu.kind == Kind::Image && hdu.bitpix == -32 && by.is_identity() {
            self.need_pixels(hdu)?;
            // Planes of the frame before, if it had as many pixels.
            let values = recycled::any(hdu.len as usize / size_of::<f32>());
            return self.converted_to(values, hdu, f32::from_be_bytes);
        }
        let unchanged = take_if!(F32, by.is_identity());
        self.pixels(hdu, |v| by.of_int(v) as f32, |v| by.of_float(v) as f32, unchanged)
    }

    /// Reads an image of bits: integers of any size with any zero, or reals without a fraction. Blank pixels have all bits.
    /// Bits above bit 31 are dropped and
    /// noted.
    pub fn image_bits(&self, hdu: &Hdu, notes: &mut Vec<String>) -> Result<Vec<i32>, FitsError> {
        let by = Scaling::of(self, hdu)?;
        if hdu.kind == Kind::Image && hdu.bitpix == 32 && by.is_identity() && by.blank.is_none() {
            self.need_pixels(hdu)?;
            return self.converted(hdu, i32::from_be_bytes);
        }
        let odd = Oddities::default();
        let int = |v: i64| match by.whole(v) {
            _ if Some(v) == by.blank => odd.bits(None),
            Some(whole) => odd.bits(Some(whole)),
            None => odd.bits_of_float(by.of_int(v)),
        };
        let unchanged = take_if!(I32, by.is_identity() && by.blank.is_none());
        let bits = self.pixels(hdu, int, |v| odd.bits_of_float(by.of_float(v)), unchanged)?;
        if odd.fraction.into_inner() {
            return Err(self.invalid(
                hdu,
                "holds real numbers with a fraction where bits (integers) are needed; write it as an integer image",
            ));
        }
        if odd.beyond.into_inner() {
            notes.push(format!("{}: its bits above bit 31 are not looked at", hdu.label()));
        }
        Ok(bits)
    }

    /// Checks that an image has pixels.
    fn need_pixels(&self, hdu: &Hdu) -> Result<(), FitsError> {
        if self.image_shape(hdu)?.iter().product::<usize>() == 0 || hdu.naxes.is_empty() {
            return Err(self.invalid(hdu, "holds no pixels; is it the right kind of file?"));
        }
        Ok(())
    }

    /// Converts every stored pixel by the function of its kind, except unpacked ones that `unchanged` takes.
    fn pixels<T: Send + Copy + Default>(
        &self,
        hdu: &Hdu,
        int: impl Fn(i64) -> T + Sync,
        float: impl Fn(f64) -> T + Sync,
        unchanged: impl Fn(ImageData) -> Result<Vec<T>, ImageData>,
    ) -> Result<Vec<T>, FitsError> {
        if hdu.kind == Kind::TiledImage {
            return Ok(unchanged(tiles::unpack(self, hdu)?).unwrap_or_else(|data| match data {
                ImageData::U8(v) => converted(&v, |p| int(i64::from(p))),
                ImageData::I16(v) => converted(&v, |p| int(i64::from(p))),
                ImageData::I32(v) => converted(&v, |p| int(i64::from(p))),
                ImageData::I64(v) => converted(&v, int),
                ImageData::F32(v) => converted(&v, |p| float(f64::from(p))),
                ImageData::F64(v) => converted(&v, float),
            }));
        }
        self.need_pixels(hdu)?;
        match hdu.bitpix {
            8 => self.converted(hdu, |[b]| int(i64::from(b))),
            16 => self.converted(hdu, |b| int(i64::from(i16::from_be_bytes(b)))),
            32 => self.converted(hdu, |b| int(i64::from(i32::from_be_bytes(b)))),
            64 => self.converted(hdu, |b| int(i64::from_be_bytes(b))),
            -32 => self.converted(hdu, |b| float(f64::from(f32::from_be_bytes(b)))),
            _ => self.converted(hdu, |b| float(f64::from_be_bytes(b))),
        }
    }
}

fn converted<P: Copy + Sync, T: Send>(pixels: &[P], one: impl Fn(P) -> T + Sync) -> Vec<T> {
    pixels.par_iter().with_min_len(PIECE).map(|&p| one(p)).collect()
}

/// Reads any image of a file by its EXTNAME: its shape in numpy order, and its pixels with BSCALE and BZERO applied.
///
/// # Errors
/// [`FitsError`] if the file cannot be read, has no such HDU, or it is no image.
pub fn read_image_f64(path: impl AsRef<Path>, extname: &str) -> Result<(Vec<usize>, Vec<f64>), FitsError> {
    let file = FitsFile::open(path.as_ref())?;
    let hdu = file.hdu(extname)?;
    Ok((file.image_shape(hdu)?, file.image_f64(hdu)?))
}
