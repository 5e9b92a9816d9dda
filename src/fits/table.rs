//! Binary tables read.

use super::error::FitsError;
use super::hdu::{Hdu, Kind};
use super::keywords::table_cards;
use super::reader::FitsFile;
use crate::frame::{Table, parse_columns};
use std::path::Path;

/// Reads the table of an HDU; cards that had to be mended are noted.
pub(crate) fn read_table(file: &FitsFile, hdu: &Hdu, notes: &mut Vec<String>) -> Result<Table, FitsError> {
    let refuse = |what: &str| Err(file.invalid(hdu, what));
    if hdu.kind != Kind::Table {
        return refuse("holds no binary table where one is needed; is it the right kind of file?");
    }
    if hdu.header.get_bool("ZTABLE") == Some(true) {
        return refuse("is a tile-compressed table (ZTABLE), which is not supported; unpack the file with funpack");
    }
    let [row_bytes, nrows] = hdu.naxes[..] else {
        return refuse("has not the two axes of a table; fetch the file again");
    };
    if row_bytes == 0 && nrows > 0 {
        return refuse("has rows of 0 bytes (NAXIS1); fetch the file again");
    }
    let columns = parse_columns(&hdu.header, row_bytes).map_err(|what| file.invalid(hdu, what))?;
    let data = file.data(hdu)?;
    let heap_start = hdu.header.get_i64("THEAP").map_or(Some(nrows * row_bytes), |at| usize::try_from(at).ok());
    let Some(heap_start) = heap_start.filter(|&at| at <= data.len() && at >= nrows * row_bytes) else {
        return refuse("THEAP points outside the table; fetch the file again");
    };
    let header = table_cards(hdu, &columns, notes);
    Table::from_parts(header, columns, [row_bytes, nrows], heap_start, data)
        .map_err(|what| file.invalid(hdu, format!("{what}; fetch the file again")))
}

/// Reads the FIBERMAP of a file: the HDU of that name, or its first binary table.
///
/// # Errors
/// [`FitsError`] if the file cannot be read or has no binary table.
pub fn read_fibermap(path: impl AsRef<Path>) -> Result<Table, FitsError> {
    fibermap_of(&FitsFile::open(path.as_ref())?, &mut Vec::new())
}

/// Reads the FIBERMAP of an open file.
pub(crate) fn fibermap_of(file: &FitsFile, notes: &mut Vec<String>) -> Result<Table, FitsError> {
    let first = || file.hdus.iter().find(|h| h.kind == Kind::Table);
    let hdu = match file.find("FIBERMAP").or_else(first) {
        Some(hdu) => hdu,
        None => file.hdu("FIBERMAP")?,
    };
    read_table(file, hdu, notes)
}
