//! Keywords that belong to one file and are never carried to another.

use super::reader::{Hdu, Kind};
use crate::frame::Header;

/// Returns whether a keyword describes the layout of its HDU. The writer makes these cards itself.
pub(crate) fn is_structural(keyword: &str) -> bool {
    const EXACT: [&str; 19] = [
        "SIMPLE", "XTENSION", "BITPIX", "NAXIS", "EXTEND", "PCOUNT", "GCOUNT", "GROUPS", "TFIELDS", "THEAP", "EXTNAME",
        "CHECKSUM", "DATASUM", "BSCALE", "BZERO", "BLANK", "BLOCKED", "END", "CONTINUE",
    ];
    EXACT.contains(&keyword) || is_numbered(keyword, &["NAXIS"])
}

/// Returns whether a keyword belongs to the tile compression of an image: its table, and the Z cards.
fn is_compression(keyword: &str) -> bool {
    const EXACT: [&str; 20] = [
        "ZIMAGE", "ZCMPTYPE", "ZBITPIX", "ZNAXIS", "ZMASKCMP", "ZSIMPLE", "ZTENSION", "ZEXTEND", "ZBLOCKED", "ZPCOUNT",
        "ZGCOUNT", "ZHECKSUM", "ZDATASUM", "ZQUANTIZ", "ZDITHER0", "ZSCALE", "ZZERO", "ZBLANK", "ZTHEAP", "ZTILELEN",
    ];
    EXACT.contains(&keyword)
        || is_numbered(keyword, &["ZNAXIS", "ZTILE", "ZNAME", "ZVAL", "TTYPE", "TFORM", "TDIM", "TUNIT", "TNULL"])
}

/// Returns whether a keyword is one of these stems followed by digits.
fn is_numbered(keyword: &str, stems: &[&str]) -> bool {
    stems
        .iter()
        .any(|stem| keyword.strip_prefix(stem).is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())))
}

/// Returns the cards of an image HDU that are carried to outputs.
pub(crate) fn carried_cards(hdu: &Hdu) -> Header {
    let tiled = hdu.kind == Kind::TiledImage;
    let mut header = hdu.header.clone();
    header.retain(|keyword| !(is_structural(keyword) || tiled && is_compression(keyword)));
    header
}
