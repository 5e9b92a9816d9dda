//! New files: HDUs with checksums, plain or gzipped.

use super::blocks::{BLOCK, PIECE};
use super::error::FitsError;
use super::gzip::{Member, Packed};
use super::keywords::is_structural;
use super::{checksum, positioned_io};
use crate::base::atomic_file::PendingFile;
use crate::base::output_path::{Format, check_name};
use crate::frame::{Header, Table};
use fitsio_pure::checksum::encode_checksum;
use rayon::prelude::*;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

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

    /// Returns the bytes per pixel.
    fn width(&self) -> usize {
        self.bitpix().unsigned_abs() as usize / 8
    }

    /// Encodes the pixels from `first` on, as many as fit into `bytes`.
    fn encode(&self, first: usize, bytes: &mut [u8]) {
        match self {
            Pixels::F32(v) => big_endian(&v[first..], bytes, |p| p.to_be_bytes()),
            Pixels::F32Rounded(v) => big_endian(&v[first..], bytes, |p| (p as f32).to_be_bytes()),
            Pixels::F64(v) => big_endian(&v[first..], bytes, |p| p.to_be_bytes()),
            Pixels::I32(v) => big_endian(&v[first..], bytes, |p| p.to_be_bytes()),
            Pixels::U32(v) => big_endian(&v[first..], bytes, |p| (p ^ (1 << 31)).to_be_bytes()),
        }
    }
}

/// An image of a new file.
#[derive(Clone, Debug)]
pub struct Image<'a> {
    /// EXTNAME.
    pub name: &'a str,
    /// BUNIT, may be empty.
    pub unit: &'a str,
    /// Shape in numpy order, slowest axis first.
    pub shape: Vec<usize>,
    /// Pixels, as many as the shape requires.
    pub pixels: Pixels<'a>,
}

/// Writes a file beside its target; a name ending in `.gz` makes it gzipped.
pub(crate) fn write_file(
    path: &Path,
    overwrite: bool,
    content: impl FnOnce(&mut Writer) -> io::Result<()>,
) -> Result<PendingFile, FitsError> {
    check_name(path, Format::Fits)?;
    let gzipped = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gz"));
    let write = |file: &File| {
        let mut writer = Writer::new(file, gzipped)?;
        content(&mut writer)?;
        writer.finish()
    };
    Ok(PendingFile::create(path, overwrite)?.fill(write)?)
}

/// Writes images, the first as the primary HDU with the cards of `header`, the others as extensions.
///
/// # Errors
/// [`FitsError::Write`] if the file exists and may not be replaced, or cannot be written, or pixels and shape of an image
/// disagree.
pub fn write_images(
    path: impl AsRef<Path>,
    header: &Header,
    images: &[Image],
    overwrite: bool,
) -> Result<PendingFile, FitsError> {
    let none = Header::new();
    write_file(path.as_ref(), overwrite, |out| {
        images.iter().enumerate().try_for_each(|(i, image)| out.image(image, if i == 0 { header } else { &none }))
    })
}

enum Sink<'a> {
    /// The file and the number of bytes written.
    Plain(&'a File, u64),
    Gzip(Member<BufWriter<&'a File>>),
}

/// Writer of the HDUs of a new file, in order.
pub(crate) struct Writer<'a> {
    sink: Sink<'a>,
    is_first: bool,
}

/// Function that fills a slice with the bytes of a data unit from one on.
type Bytes<'a> = &'a (dyn Fn(usize, &mut [u8]) + Sync);

impl<'a> Writer<'a> {
    /// Begins a file.
    fn new(file: &'a File, gzipped: bool) -> io::Result<Self> {
        let sink = match gzipped {
            true => Sink::Gzip(Member::begin(BufWriter::with_capacity(PIECE, file))?),
            false => Sink::Plain(file, 0),
        };
        Ok(Self { sink, is_first: true })
    }

    /// Ends the file.
    fn finish(self) -> io::Result<()> {
        match self.sink {
            Sink::Plain(..) => Ok(()),
            Sink::Gzip(member) => member.finish(),
        }
    }

    /// Writes an image HDU; the first one is the primary HDU.
    pub fn image(&mut self, image: &Image, cards: &Header) -> io::Result<()> {
        let (found, needed) = (image.pixels.len(), image.shape.iter().product::<usize>());
        if found != needed {
            let name = image.name;
            return Err(io::Error::other(format!(
                "{name} has {found} pixels, its shape {:?} needs {needed}",
                image.shape
            )));
        }
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
        let width = image.pixels.width();
        self.hdu(top, cards, width * image.pixels.len(), &|from, bytes| image.pixels.encode(from / width, bytes))
    }

    /// Writes a binary table HDU, after the primary HDU.
    pub fn table(&mut self, name: &str, table: &Table) -> io::Result<()> {
        let mut top = Header::new();
        top.set("XTENSION", "BINTABLE", "binary table extension");
        top.set("BITPIX", 8i64, "array data type");
        top.set("NAXIS", 2i64, "number of array dimensions");
        top.set("NAXIS1", table.row_bytes(), "bytes of a row");
        top.set("NAXIS2", table.nrows(), "rows");
        set_counts(&mut top, table.heap().len());
        top.set("TFIELDS", table.columns().len(), "columns");
        top.set("EXTNAME", name, "extension name");
        let data = [table.rows(), table.heap()].concat();
        self.hdu(top, table.header().clone(), data.len(), &|from, bytes| {
            bytes.copy_from_slice(&data[from..][..bytes.len()])
        })
    }

    /// Writes header and data, padded to blocks, with the checksums of both (FITS standard 4.0, 4.4.2.7). Every thread
    /// makes, sums and writes or packs a piece of the data at a time. The header follows; its size is known before.
    fn hdu(&mut self, top: Header, mut cards: Header, len: usize, data: Bytes) -> io::Result<()> {
        // Whatever the cards are, readers find the checksum right.
        cards.mend();
        cards.retain(|keyword| !is_structural(keyword));
        self.is_first = false;
        let header = |data_sum: u32| sealed(&top, &cards, data_sum);
        let pieces = (0..len.div_ceil(PIECE)).into_par_iter();
        let fill = |bytes: &mut Vec<u8>, piece: usize| {
            let used = (len - piece * PIECE).min(PIECE);
            bytes.clear();
            bytes.resize(used.next_multiple_of(BLOCK), 0);
            data(piece * PIECE, &mut bytes[..used]);
            checksum::sum(bytes)
        };
        match &mut self.sink {
            Sink::Plain(file, end) => {
                let start = *end + header(0).len() as u64;
                let sums = pieces.map_init(Vec::new, |bytes, piece| {
                    let sum = fill(bytes, piece);
                    positioned_io::write_all_at(file, bytes, start + (piece * PIECE) as u64).map(|()| sum)
                });
                let sum = sums.try_reduce(|| 0, |a, b| Ok(checksum::add(a, b)))?;
                positioned_io::write_all_at(file, &header(sum), *end)?;
                *end = start + len.next_multiple_of(BLOCK) as u64;
            }
            Sink::Gzip(member) => {
                let packed = pieces.map_init(Vec::new, |bytes, piece| (fill(bytes, piece), Packed::new(bytes)));
                let packed: Vec<(u32, Packed)> = packed.collect();
                let sum = packed.iter().fold(0, |all, (sum, _)| checksum::add(all, *sum));
                header(sum).chunks(PIECE).try_for_each(|bytes| member.add(&Packed::new(bytes)))?;
                packed.iter().try_for_each(|(_, packed)| member.add(packed))?;
            }
        }
        Ok(())
    }
}

/// Composes the blocks of a header, with the checksums of its data and of the whole HDU.
fn sealed(top: &Header, cards: &Header, data_sum: u32) -> Vec<u8> {
    let mut end = Header::new();
    end.set("CHECKSUM", "0".repeat(16), "HDU checksum");
    end.set("DATASUM", data_sum.to_string(), "data unit checksum");
    let compose = |end: &Header| {
        let mut bytes = [top.to_records(), cards.to_records(), end.to_records(), b"END".to_vec()].concat();
        bytes.resize(bytes.len().next_multiple_of(BLOCK), b' ');
        bytes
    };
    let sum = checksum::add(checksum::sum(&compose(&end)), data_sum);
    end.set("CHECKSUM", String::from_utf8_lossy(&encode_checksum(sum, true)).into_owned(), "");
    compose(&end)
}

fn set_counts(top: &mut Header, pcount: usize) {
    top.set("PCOUNT", pcount, "number of parameters");
    top.set("GCOUNT", 1i64, "number of groups");
}

fn big_endian<T: Copy, const N: usize>(values: &[T], bytes: &mut [u8], of: impl Fn(T) -> [u8; N]) {
    bytes.as_chunks_mut().0.iter_mut().zip(values).for_each(|(bytes, &value)| *bytes = of(value));
}
