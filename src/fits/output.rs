//! The bytes of a new file: HDUs with checksums, plain or gzipped.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use fitsio_pure::checksum::{checksum_blocks, encode_checksum};
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use rayon::prelude::*;

use super::error::FitsError;
use super::header::Header;
use super::is_structural;
use super::place::{Filled, fill};
use super::source::BLOCK;
use super::table::Table;

/// Numbers converted by one rayon task.
const CHUNK: usize = 1 << 16;
/// BZERO of unsigned 32-bit images.
const UNSIGNED_ZERO: f64 = 2_147_483_648.0;

/// Pixels to write, in the type they have in the file.
#[derive(Clone, Copy, Debug)]
pub enum Pixels<'a> {
    /// f4.
    F32(&'a [f32]),
    /// f4, rounded from f64.
    F32Rounded(&'a [f64]),
    /// f8.
    F64(&'a [f64]),
    /// i4.
    I32(&'a [i32]),
    /// u4: i4 with BZERO 2^31.
    U32(&'a [u32]),
}

impl Pixels<'_> {
    fn len(&self) -> usize {
        match self {
            Pixels::F32(v) => v.len(),
            Pixels::F32Rounded(v) | Pixels::F64(v) => v.len(),
            Pixels::I32(v) => v.len(),
            Pixels::U32(v) => v.len(),
        }
    }

    fn bitpix(&self) -> i64 {
        match self {
            Pixels::F32(_) | Pixels::F32Rounded(_) => -32,
            Pixels::F64(_) => -64,
            Pixels::I32(_) | Pixels::U32(_) => 32,
        }
    }

    fn encode(&self) -> Vec<u8> {
        match self {
            Pixels::F32(v) => big_endian(v, |p| p.to_be_bytes()),
            Pixels::F32Rounded(v) => big_endian(v, |&p| (p as f32).to_be_bytes()),
            Pixels::F64(v) => big_endian(v, |p| p.to_be_bytes()),
            Pixels::I32(v) => big_endian(v, |p| p.to_be_bytes()),
            Pixels::U32(v) => big_endian(v, |&p| (p ^ (1 << 31)).to_be_bytes()),
        }
    }
}

/// One image of a file to write.
#[derive(Clone, Debug)]
pub struct Image<'a> {
    /// EXTNAME.
    pub name: &'a str,
    /// BUNIT; empty for none.
    pub unit: &'a str,
    /// Shape in numpy order, slowest axis first.
    pub shape: Vec<usize>,
    /// As many as the shape says.
    pub pixels: Pixels<'a>,
}

/// Writes images, the first as the primary HDU with the cards of `header`, the others as extensions.
///
/// # Errors
/// [`FitsError`] where the file exists and may not be replaced, or cannot be written.
///
/// # Panics
/// Where pixels and shape of an image disagree.
pub fn write_images(
    path: impl AsRef<Path>,
    header: &Header,
    images: &[Image],
    overwrite: bool,
) -> Result<(), FitsError> {
    fill_images(path, header, images, overwrite)?.persist()
}

/// As [`write_images`], but for [`Filled::persist`].
///
/// # Errors
/// See [`write_images`].
///
/// # Panics
/// See [`write_images`].
pub fn fill_images(
    path: impl AsRef<Path>,
    header: &Header,
    images: &[Image],
    overwrite: bool,
) -> Result<Filled, FitsError> {
    let none = Header::new();
    fill(path.as_ref(), overwrite, |out| {
        images.iter().enumerate().try_for_each(|(i, image)| out.image(image, if i == 0 { header } else { &none }))
    })
}

enum Sink<'a> {
    Plain(BufWriter<&'a fs::File>),
    Gzip(GzEncoder<BufWriter<&'a fs::File>>),
}

/// The HDUs of a new file, in order.
pub(crate) struct Writer<'a> {
    sink: Sink<'a>,
    is_first: bool,
}

impl<'a> Writer<'a> {
    /// A file to be written from its beginning.
    pub fn new(file: &'a fs::File, gzipped: bool) -> Self {
        let plain = BufWriter::with_capacity(1 << 20, file);
        let sink = match gzipped {
            // No time stamp: the same frame gives the same bytes.
            true => Sink::Gzip(GzBuilder::new().mtime(0).write(plain, Compression::fast())),
            false => Sink::Plain(plain),
        };
        Self { sink, is_first: true }
    }

    /// Ends the file.
    pub fn finish(self) -> io::Result<()> {
        match self.sink {
            Sink::Plain(mut out) => out.flush(),
            Sink::Gzip(out) => out.finish()?.flush(),
        }
    }

    /// An image HDU, the primary one where it comes first.
    pub fn image(&mut self, image: &Image, cards: &Header) -> io::Result<()> {
        assert_eq!(
            image.pixels.len(),
            image.shape.iter().product::<usize>(),
            "pixels and shape of {} disagree",
            image.name
        );
        let mut top = Header::new();
        match self.is_first {
            true => top.set("SIMPLE", true, "conforms to FITS standard"),
            false => top.set("XTENSION", "IMAGE", "Image extension"),
        }
        top.set("BITPIX", image.pixels.bitpix(), "array data type");
        top.set("NAXIS", image.shape.len(), "number of array dimensions");
        for (axis, &n) in image.shape.iter().rev().enumerate() {
            top.set(&format!("NAXIS{}", axis + 1), n, "");
        }
        match self.is_first {
            true => top.set("EXTEND", true, ""),
            false => set_counts(&mut top, 0),
        }
        if let Pixels::U32(_) = image.pixels {
            top.set("BSCALE", 1i64, "");
            top.set("BZERO", UNSIGNED_ZERO, "unsigned integers");
        }
        top.set("EXTNAME", image.name, "extension name");
        let mut cards = cards.clone();
        if !image.unit.is_empty() {
            top.set("BUNIT", image.unit, "unit of the pixels");
            cards.remove("BUNIT");
        }
        self.hdu(top, cards, image.pixels.encode())
    }

    /// A binary table HDU; the primary HDU must have been written.
    pub fn table(&mut self, name: &str, table: &Table) -> io::Result<()> {
        let mut top = Header::new();
        top.set("XTENSION", "BINTABLE", "binary table extension");
        top.set("BITPIX", 8i64, "array data type");
        top.set("NAXIS", 2i64, "number of array dimensions");
        top.set("NAXIS1", table.row_bytes(), "bytes of a row");
        top.set("NAXIS2", table.nrows(), "rows");
        set_counts(&mut top, table.heap.len());
        top.set("TFIELDS", table.columns().len(), "columns");
        top.set("EXTNAME", name, "extension name");
        self.hdu(top, table.header.clone(), [&table.rows[..], &table.heap[..]].concat())
    }

    /// Header and data, padded to blocks, with the checksums of both (FITS standard 4.0, 4.4.2.7).
    fn hdu(&mut self, top: Header, mut cards: Header, mut data: Vec<u8>) -> io::Result<()> {
        cards.retain(|keyword| !is_structural(keyword));
        data.resize(data.len().next_multiple_of(BLOCK), 0);
        let data_sum = checksum_blocks(&data);
        let mut end = Header::new();
        end.set("CHECKSUM", "0".repeat(16), "HDU checksum");
        end.set("DATASUM", data_sum.to_string(), "data unit checksum");
        let compose = |top: &Header, end: &Header| {
            let mut bytes = [top.records(), cards.records(), end.records(), b"END".to_vec()].concat();
            bytes.resize(bytes.len().next_multiple_of(BLOCK), b' ');
            bytes
        };
        let sum = add_ones_complement(checksum_blocks(&compose(&top, &end)), data_sum);
        let code = encode_checksum(sum, true);
        end.set("CHECKSUM", String::from_utf8_lossy(&code).into_owned(), "");
        let header = compose(&top, &end);
        self.is_first = false;
        self.put(&header)?;
        self.put(&data)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.sink {
            Sink::Plain(out) => out.write_all(bytes),
            Sink::Gzip(out) => out.write_all(bytes),
        }
    }
}

fn set_counts(top: &mut Header, pcount: usize) {
    top.set("PCOUNT", pcount, "number of parameters");
    top.set("GCOUNT", 1i64, "number of groups");
}

fn add_ones_complement(a: u32, b: u32) -> u32 {
    let (sum, carried) = a.overflowing_add(b);
    sum + u32::from(carried)
}

fn big_endian<T: Sync, const N: usize>(values: &[T], of: impl Fn(&T) -> [u8; N] + Sync) -> Vec<u8> {
    let mut out = vec![0; values.len() * N];
    out.par_chunks_mut(CHUNK * N).zip(values.par_chunks(CHUNK)).for_each(|(bytes, values)| {
        bytes.chunks_exact_mut(N).zip(values).for_each(|(b, v)| b.copy_from_slice(&of(v)));
    });
    out
}
