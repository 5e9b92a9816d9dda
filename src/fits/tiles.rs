//! Tile-compressed images: this file checks the layout, `fitsio-pure` unpacks the tiles.

use super::error::FitsError;
use super::reader::{FitsFile, Hdu, Kind};
use crate::frame::{Column, Header, parse_columns};
use fitsio_pure::header::{Card, parse_card};
use fitsio_pure::image::ImageData;
use fitsio_pure::value::Value;
use flate2::bufread::{DeflateDecoder, GzDecoder, MultiGzDecoder, ZlibDecoder};
use std::io::{self, Read};

/// Supported compressions; others (HCOMPRESS_1, PLIO_1) are lossy or meant for other data.
const KNOWN: [&str; 5] = ["RICE_1", "RICE_ONE", "GZIP_1", "GZIP_2", "NOCOMPRESS"];
/// Most pixels of an image, above any CCD (16384 x 16384); a header that claims more is damaged or hostile.
const MOST_PIXELS: usize = 1 << 28;
/// Most bytes that a compressed byte can hold: Deflate reaches 1032, Rice in blocks of 32 pixels 204.
const MOST_BYTES_PER_BYTE: usize = 1100;
/// Longest gzipped tile that is unpacked without measuring it first: it becomes 32 MiB at most. fpack's tiles, one per row,
/// are shorter.
const SHORT_TILE: usize = 32 << 10;
/// Bytes per pixel of the widest type.
const WIDEST: usize = 8;
/// Most pixels of a Rice block, 16 or 32 in practice.
const MOST_BLOCKSIZE: i64 = 1 << 16;

/// Returns ZNAXISn in FITS order, fastest first.
pub(crate) fn axes(file: &FitsFile, hdu: &Hdu) -> Result<Vec<usize>, FitsError> {
    let integer = |keyword: &str| file.need(hdu, keyword, Header::get_i64);
    let naxis = integer("ZNAXIS")?;
    if !(1..=9).contains(&naxis) {
        return Err(file.invalid(hdu, format!("ZNAXIS is {naxis}, not within 1 to 9; fetch the file again")));
    }
    let mut axes = Vec::new();
    for axis in 1..=naxis {
        let n = integer(&format!("ZNAXIS{axis}"))?;
        axes.push(
            usize::try_from(n)
                .ok()
                .filter(|&n| n > 0)
                .ok_or_else(|| file.invalid(hdu, format!("ZNAXIS{axis} is {n}; fetch the file again")))?,
        );
    }
    Ok(axes)
}

/// Unpacks all pixels of a compressed image.
pub(crate) fn unpack(file: &FitsFile, hdu: &Hdu) -> Result<ImageData, FitsError> {
    let axes = axes(file, hdu)?;
    let data = file.data(hdu)?;
    let cards = checked_cards(file, hdu, &axes, &data)?;
    let failed =
        |e: fitsio_pure::Error| file.invalid(hdu, format!("cannot be decompressed ({e}); fetch the file again"));
    let shape = fitsio_pure::hdu::Hdu::from_cards(cards, 0, 0).map_err(failed)?;
    fitsio_pure::tiled::read_tiled_image(&data, &shape).map_err(failed)
}

/// Half a step beside a weight, from which on the weight is called wrong.
const COARSE: f64 = 0.1;

/// Rounding of an image's floats to integers, tile by tile.
pub(crate) struct Quantisation {
    /// ZQUANTIZ.
    method: String,
    /// Columns of the image.
    nx: usize,
    /// Columns and rows of a tile.
    tile: [usize; 2],
    /// Step of each tile.
    steps: Vec<f64>,
}

impl Quantisation {
    /// Returns the quantisation of an image of two axes; None if its pixels are stored as they were.
    pub fn of(file: &FitsFile, hdu: &Hdu) -> Result<Option<Self>, FitsError> {
        if hdu.kind != Kind::TiledImage || hdu.header.get_i64("ZBITPIX").is_none_or(|bits| bits > 0) {
            return Ok(None);
        }
        let method = hdu.header.get_str("ZQUANTIZ").unwrap_or_else(|| "NO_DITHER".into());
        let axes = axes(file, hdu)?;
        let (&[nx, ny], &[row_bytes, rows]) = (&axes[..], &hdu.naxes[..]) else { return Ok(None) };
        if method == "NONE" {
            return Ok(None);
        }
        let columns = parse_columns(&hdu.header, row_bytes).map_err(|what| file.invalid(hdu, what))?;
        let of_all = hdu.header.get_f64("ZSCALE");
        let steps = match columns.iter().find(|column| column.name == "ZSCALE" && column.width == 8) {
            Some(column) => {
                let data = file.data(hdu)?;
                let step =
                    |row: &[u8]| row[column.offset..].first_chunk().map_or(0.0, |bytes| f64::from_be_bytes(*bytes));
                data[..rows * row_bytes].chunks_exact(row_bytes).map(step).collect()
            }
            None => match of_all {
                Some(step) => vec![step; rows],
                None => return Ok(None),
            },
        };
        Ok(Some(Self { method, nx, tile: [tile_length(hdu, 0, nx), tile_length(hdu, 1, ny)], steps }))
    }

    /// Whether a pixel of 0 is 0 again.
    fn keeps_zeros(&self) -> bool {
        self.method == "SUBTRACTIVE_DITHER_2"
    }

    /// Sets weights within half a step of 0 to 0, as one of them may be what a 0 became. Returns a sentence on what the
    /// rounding did to the weights, if anything.
    pub fn mend_weights(&self, hdu: &Hdu, weights: &mut [f32]) -> Option<String> {
        let ([tx, ty], mut zeros, mut coarse) = (self.tile, 0, 0);
        for (y, row) in weights.chunks_exact_mut(self.nx).enumerate() {
            for (x, weight) in row.iter_mut().enumerate() {
                let step = self.steps.get(y / ty * self.nx.div_ceil(tx) + x / tx).map_or(0.0, |step| step.abs());
                let value = f64::from(weight.abs());
                // A little more, as the sum of steps is rounded to f32.
                if !self.keeps_zeros() && value <= step * (0.5 + 1e-3) {
                    *weight = 0.0;
                    zeros += 1;
                } else if value > 0.0 && 0.5 * step > COARSE * value {
                    coarse += 1;
                }
            }
        }
        let (label, method) = (hdu.label(), &self.method);
        let moved = match self.keeps_zeros() {
            true if coarse == 0 => return None,
            true => String::new(),
            false => format!(" and zeros moved; {zeros} pixels within half a step of 0 count as masked"),
        };
        Some(format!(
            "{label}: its weights were rounded to integers ({method}){moved}; {coarse} weights may be wrong by more than {} \
             %, and flux by several sigma there; compress weights without loss (fpack -g -q 0), or at least by fpack -qz, \
             which keeps zeros",
            100.0 * COARSE
        ))
    }
}

/// Returns the length of a tile along an axis of `n` pixels; by the standard's default a tile is a row.
fn tile_length(hdu: &Hdu, axis: usize, n: usize) -> usize {
    match hdu.header.get_i64(&format!("ZTILE{}", axis + 1)) {
        Some(length) if length > 0 => (length as usize).min(n),
        _ if axis == 0 => n,
        _ => 1,
    }
}

/// Returns the cards that the decoder needs. It trusts them, so every size and the position of every tile are checked here.
fn checked_cards(file: &FitsFile, hdu: &Hdu, axes: &[usize], data: &[u8]) -> Result<Vec<Card>, FitsError> {
    let refuse = |what: String| Err(file.invalid(hdu, what));
    let method = file.need(hdu, "ZCMPTYPE", Header::get_str)?;
    if !KNOWN.contains(&method.as_str()) {
        return refuse(format!(
            "compression {method} is not supported; use RICE_1, GZIP_1 or GZIP_2, or unpack the file with funpack"
        ));
    }
    let [row_bytes, rows] = hdu.naxes[..] else {
        return refuse("has not the two axes of a table; fetch the file again".into());
    };
    if row_bytes == 0 {
        return refuse("has rows of 0 bytes (NAXIS1); fetch the file again".into());
    }
    let table = rows * row_bytes;
    let heap = data.len() - table;
    let total = axes.iter().try_fold(1usize, |all, &n| all.checked_mul(n)).unwrap_or(usize::MAX);
    let width = hdu.header.get_i64("ZBITPIX").map_or(1, |bits| bits.unsigned_abs() as usize / 8).clamp(1, WIDEST);
    if total > MOST_PIXELS || total * width > heap.saturating_mul(MOST_BYTES_PER_BYTE) {
        return refuse(format!(
            "claims {axes:?} pixels in {heap} compressed bytes, which cannot be; fetch the file again"
        ));
    }
    let tile = |axis: usize| tile_length(hdu, axis, axes[axis]);
    let tiles: usize = (0..axes.len()).map(|axis| axes[axis].div_ceil(tile(axis))).product();
    if tiles != rows {
        return refuse(format!("has {rows} tiles where its size needs {tiles}; fetch the file again"));
    }
    if hdu.header.get_i64("THEAP").is_some_and(|at| at != table as i64) {
        return refuse(
            "has a gap before its heap (THEAP), which is not supported; unpack the file with funpack".into(),
        );
    }
    let columns = parse_columns(&hdu.header, row_bytes).map_err(|what| file.invalid(hdu, what))?;
    let most = (0..axes.len()).map(tile).product::<usize>() * WIDEST;
    let gzipped = |column: &str| match column {
        "COMPRESSED_DATA" => method.starts_with("GZIP"),
        other => other == "GZIP_COMPRESSED_DATA",
    };
    check_columns(&columns, data, [rows, row_bytes], |column| gzipped(column).then_some(most))
        .map_err(|what| file.invalid(hdu, what))?;
    let needed = |row: usize| width * tile_pixels(axes, &tile, row);
    check_lengths(&columns, data, [rows, row_bytes], packing_of(hdu, &columns, &method), needed)
        .map_err(|what| file.invalid(hdu, what))?;
    for n in 1..=9 {
        let size = hdu.header.get_i64(&format!("ZVAL{n}"));
        let named = hdu.header.get_str(&format!("ZNAME{n}")).as_deref() == Some("BLOCKSIZE");
        // Without a parameter of that name the decoder takes the first.
        let first = n == 1 && size.is_some() && method.starts_with("RICE");
        if (named || first) && !(1..=MOST_BLOCKSIZE).contains(&size.unwrap_or(0)) {
            return refuse(format!("has a Rice BLOCKSIZE of {}; fetch the file again", size.unwrap_or(0)));
        }
    }
    // The decoder cuts strings by bytes.
    let printable = |byte: u8| if (b' '..=b'~').contains(&byte) { byte } else { b'?' };
    let records = hdu.header.first_records().map(|raw| raw.map(printable));
    let mut cards: Vec<Card> = records.filter_map(|raw| parse_card(&raw).ok()).collect();
    cards.retain(|c| !c.keyword_str().starts_with("ZTILE"));
    for axis in 0..axes.len() {
        let card = Card::new(&format!("ZTILE{}", axis + 1), Value::Integer(tile(axis) as i64));
        cards.push(card.expect("ZTILEn is a valid keyword"));
    }
    Ok(cards)
}

/// Checks that every tile lies within the heap, and that all together are no longer than it. No tile may unpack to more
/// bytes than `most` of its column. Other columns must have the types that the decoder reads.
fn check_columns(
    columns: &[Column],
    data: &[u8],
    [rows, row_bytes]: [usize; 2],
    most: impl Fn(&str) -> Option<usize>,
) -> Result<(), String> {
    let heap = &data[rows * row_bytes..];
    for column in columns {
        match (column.name.as_str(), column.code) {
            ("ZSCALE" | "ZZERO", b'D') | ("ZBLANK", b'J') => {}
            ("ZSCALE" | "ZZERO" | "ZBLANK", code) => {
                return Err(format!("column {} has type {}; fetch the file again", column.name, code as char));
            }
            _ => {}
        }
        // The decoder would read the bytes at the position of such a column.
        if column.width == 0 {
            return Err(format!("column {} has no values; fetch the file again", column.name));
        }
        let (mut all, most) = (0, most(&column.name));
        for row in 0..rows {
            let at = row * row_bytes + column.offset;
            let Some((count, offset)) = column.descriptor(&data[at..at + column.width]) else { continue };
            if !column.within_heap(count, offset, heap.len()) {
                return Err(format!(
                    "tile {} lies outside the file; it is truncated or damaged, fetch it again",
                    row + 1
                ));
            }
            // An empty tile may point anywhere.
            let tile = if count > 0 { &heap[offset as usize..][..column.heap_bytes(count) as usize] } else { &[] };
            all += tile.len();
            if all > heap.len() {
                return Err("has tiles that overlap; the file is damaged, fetch it again".into());
            }
            if tile.len() > SHORT_TILE && most.is_some_and(|most| unpacks_beyond(tile, most)) {
                return Err(format!(
                    "tile {} is damaged or unpacks to more than its pixels; fetch the file again",
                    row + 1
                ));
            }
        }
    }
    Ok(())
}

/// Compression of a column's tiles.
#[derive(Clone, Copy, PartialEq)]
enum Packing {
    /// Deflate in any wrapper.
    Gzip,
    /// None.
    Plain,
    /// One whose decoder needs all pixels of a tile: Rice, and quantized floats.
    Checked,
}

/// Returns the compression of COMPRESSED_DATA.
fn packing_of(hdu: &Hdu, columns: &[Column], method: &str) -> Packing {
    let there = |name: &str| columns.iter().any(|column| column.name == name) || hdu.header.get_f64(name).is_some();
    let is_float = hdu.header.get_i64("ZBITPIX").is_some_and(|bits| bits < 0);
    let quantized = is_float && hdu.header.get_str("ZQUANTIZ").is_none_or(|how| how != "NONE");
    match method {
        _ if quantized && there("ZSCALE") && there("ZZERO") => Packing::Checked,
        "NOCOMPRESS" => Packing::Plain,
        gzip if gzip.starts_with("GZIP") => Packing::Gzip,
        _ => Packing::Checked,
    }
}

/// Returns the pixels of a tile; tiles at the end of an axis may be smaller.
fn tile_pixels(axes: &[usize], tile: &impl Fn(usize) -> usize, row: usize) -> usize {
    let mut index = row;
    let along = |(axis, &n): (usize, &usize)| {
        let tiles = n.div_ceil(tile(axis));
        let first = index % tiles * tile(axis);
        index /= tiles;
        tile(axis).min(n - first)
    };
    axes.iter().enumerate().map(along).product()
}

/// Checks that every tile has the bytes of its pixels (`needed` of its row): the decoder would fill up with zeros. A tile
/// that is empty in COMPRESSED_DATA is in the fallback column.
fn check_lengths(
    columns: &[Column],
    data: &[u8],
    [rows, row_bytes]: [usize; 2],
    compressed: Packing,
    needed: impl Fn(usize) -> usize,
) -> Result<(), String> {
    let heap = &data[rows * row_bytes..];
    let find = |name: &str| columns.iter().find(|column| column.name == name);
    let fallback = find("UNCOMPRESSED_DATA").map(|column| (column, Packing::Plain));
    let fallback = fallback.or_else(|| find("GZIP_COMPRESSED_DATA").map(|column| (column, Packing::Gzip)));
    let all: Vec<(&Column, Packing)> =
        find("COMPRESSED_DATA").map(|column| (column, compressed)).into_iter().chain(fallback).collect();
    for row in 0..rows {
        let bytes = |column: &Column| {
            let at = row * row_bytes + column.offset;
            let (count, offset) = column.descriptor(&data[at..at + column.width]).filter(|(count, _)| *count > 0)?;
            Some(&heap[offset as usize..][..column.heap_bytes(count) as usize])
        };
        let found = all.iter().find_map(|(column, packing)| Some((bytes(column)?, *packing)));
        let needed = needed(row);
        let length = match found {
            None => 0,
            Some((_, Packing::Checked)) => continue,
            Some((tile, Packing::Plain)) => tile.len(),
            Some((tile, Packing::Gzip)) => unpacked_length(tile, needed),
        };
        if length < needed {
            return Err(format!(
                "tile {} has {length} bytes of the {needed} that its pixels take; it is damaged, fetch the file again",
                row + 1
            ));
        }
    }
    Ok(())
}

/// Returns the bytes that a tile unpacks to; counts up to `most`, or to the first damage.
fn unpacked_length(tile: &[u8], most: usize) -> usize {
    if super::gzip::is_gzip(tile) {
        // The length is in the last four bytes, and the decoder checks it against the data, unless zeros follow.
        let claimed = tile.last_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize);
        return if claimed >= most { claimed } else { count(MultiGzDecoder::new(tile), most) };
    }
    count(ZlibDecoder::new(tile), most).max(count(DeflateDecoder::new(tile), most))
}

fn count(mut unpacking: impl Read, most: usize) -> usize {
    let (mut buffer, mut all) = ([0; 4096], 0);
    while all < most {
        match unpacking.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(bytes) => all += bytes,
        }
    }
    all
}

/// Returns whether a tile, in any wrapper of deflate, unpacks to more than `most` bytes. So does a tile of several gzip
/// members, which would take the decoder long.
fn unpacks_beyond(tile: &[u8], most: usize) -> bool {
    let beyond = |unpacking: &mut dyn Read| {
        let limit = most as u64 + 1;
        io::copy(&mut unpacking.take(limit), &mut io::sink()).is_ok_and(|bytes| bytes == limit)
    };
    if super::gzip::is_gzip(tile) {
        let mut member = GzDecoder::new(tile);
        return beyond(&mut member) || member.into_inner().iter().any(|&byte| byte != 0);
    }
    beyond(&mut ZlibDecoder::new(tile)) || beyond(&mut DeflateDecoder::new(tile))
}
