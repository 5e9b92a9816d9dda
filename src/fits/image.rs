//! Pixels of image HDUs, plain or tile-compressed, with BSCALE, BZERO and BLANK applied.

use super::blocks::PIECE;
use super::error::FitsError;
use super::reader::{FitsFile, Hdu, Kind};
use super::tiles;
use fitsio_pure::image::ImageData;
use rayon::prelude::*;
use std::path::Path;

/// Conversion of stored numbers to physical ones.
struct Scaling {
    scale: f64,
    zero: f64,
    blank: Option<i64>,
}

impl Scaling {
    fn of(hdu: &Hdu) -> Self {
        let number = |keyword, default| hdu.header.get_f64(keyword).unwrap_or(default);
        let blank = hdu.header.get_i64("BLANK").or_else(|| hdu.header.get_i64("ZBLANK"));
        Self { scale: number("BSCALE", 1.0), zero: number("BZERO", 0.0), blank }
    }

    fn is_identity(&self) -> bool {
        self.scale == 1.0 && self.zero == 0.0
    }

    fn of_int(&self, v: i64) -> f64 {
        if Some(v) == self.blank { f64::NAN } else { self.of_float(v as f64) }
    }

    fn of_float(&self, v: f64) -> f64 {
        v * self.scale + self.zero
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
        let by = Scaling::of(hdu);
        let unchanged = take_if!(F64, by.is_identity());
        self.pixels(hdu, |v| by.of_int(v), |v| by.of_float(v), unchanged)
    }

    /// Reads an image as f32; blank pixels are NaN.
    pub fn image_f32(&self, hdu: &Hdu) -> Result<Vec<f32>, FitsError> {
        let by = Scaling::of(hdu);
        if hdu.kind == Kind::Image && hdu.bitpix == -32 && by.is_identity() {
            self.need_pixels(hdu)?;
            return self.converted(hdu, f32::from_be_bytes);
        }
        let unchanged = take_if!(F32, by.is_identity());
        self.pixels(hdu, |v| by.of_int(v) as f32, |v| by.of_float(v) as f32, unchanged)
    }

    /// Reads an image of bits, unsigned ones (BZERO = 2^31) bit by bit.
    pub fn image_bits(&self, hdu: &Hdu) -> Result<Vec<i32>, FitsError> {
        let by = Scaling::of(hdu);
        if by.scale != 1.0 || by.zero.fract() != 0.0 || hdu.bitpix == -32 || hdu.bitpix == -64 {
            return Err(
                self.invalid(hdu, "holds real numbers where bits (integers) are needed; write it as an integer image")
            );
        }
        let zero = by.zero as i64;
        let unchanged = take_if!(I32, zero == 0);
        self.pixels(hdu, |v| v.wrapping_add(zero) as i32, |v| v as i64 as i32, unchanged)
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
