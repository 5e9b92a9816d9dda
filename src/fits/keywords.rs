//! Keywords that belong to one file and are never carried to another.

use super::hdu::Hdu;
use crate::frame::{Column, Header, unsound_attributes};

/// Returns whether a keyword describes the layout of its HDU. The writer makes these cards itself.
pub(crate) fn is_structural(keyword: &str) -> bool {
    const EXACT: [&str; 23] = [
        "SIMPLE", "XTENSION", "BITPIX", "NAXIS", "EXTEND", "NEXTEND", "EXTVER", "EXTLEVEL", "INHERIT", "PCOUNT",
        "GCOUNT", "GROUPS", "TFIELDS", "THEAP", "EXTNAME", "CHECKSUM", "DATASUM", "BSCALE", "BZERO", "BLANK",
        "BLOCKED", "END", "CONTINUE",
    ];
    EXACT.contains(&keyword) || is_numbered(keyword, &["NAXIS"])
}

/// Returns whether a keyword makes readers take an HDU for a tile-compressed one.
fn is_of_tiles(keyword: &str) -> bool {
    const EXACT: [&str; 21] = [
        "ZIMAGE", "ZTABLE", "ZCMPTYPE", "ZBITPIX", "ZNAXIS", "ZMASKCMP", "ZSIMPLE", "ZTENSION", "ZEXTEND", "ZBLOCKED",
        "ZPCOUNT", "ZGCOUNT", "ZHECKSUM", "ZDATASUM", "ZQUANTIZ", "ZDITHER0", "ZSCALE", "ZZERO", "ZBLANK", "ZTHEAP",
        "ZTILELEN",
    ];
    EXACT.contains(&keyword) || is_numbered(keyword, &["ZNAXIS", "ZTILE", "ZNAME", "ZVAL"])
}

/// Returns whether a keyword describes the columns of a table.
fn is_of_columns(keyword: &str) -> bool {
    is_numbered(keyword, &["TTYPE", "TFORM", "TDIM", "TUNIT", "TNULL", "TDISP", "TSCAL", "TZERO"])
}

/// Returns whether a keyword is one of these stems followed by digits.
fn is_numbered(keyword: &str, stems: &[&str]) -> bool {
    stems
        .iter()
        .any(|stem| keyword.strip_prefix(stem).is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())))
}

/// Returns the cards of an HDU whose keyword passes `keep`, as the standard has them; those that had to be mended
/// are noted.
fn standard_cards(hdu: &Hdu, keep: impl Fn(&str) -> bool, notes: &mut Vec<String>) -> Header {
    let mut header = hdu.header.clone();
    // A mended keyword may be one that is not kept.
    let mended: Vec<String> = header.mend().into_iter().filter(|keyword| keep(keyword)).collect();
    header.retain(keep);
    if !mended.is_empty() {
        let (n, cards) = (mended.len(), if mended.len() == 1 { "card is" } else { "cards are" });
        notes.push(format!("{}: {n} {cards} not standard FITS and mended: {}", hdu.label(), mended.join(", ")));
    }
    header
}

/// Returns the cards of an image HDU that are carried to outputs.
pub(crate) fn carried_cards(hdu: &Hdu, notes: &mut Vec<String>) -> Header {
    standard_cards(hdu, |keyword| !(is_structural(keyword) || is_of_tiles(keyword) || is_of_columns(keyword)), notes)
}

/// Returns the cards of a table that are carried to outputs.
pub(crate) fn table_cards(hdu: &Hdu, columns: &[Column], notes: &mut Vec<String>) -> Header {
    let mut header = standard_cards(hdu, |keyword| !(is_structural(keyword) || is_of_tiles(keyword)), notes);
    let unsound = unsound_attributes(&header, columns);
    if !unsound.is_empty() {
        unsound.iter().for_each(|keyword| header.remove(keyword));
        notes.push(format!("{}: {} make no sense for their columns and are left out", hdu.label(), unsound.join(", ")));
    }
    header
}
