//! Reading and writing FITS files: one file a file type.
//!
//! | file | what it holds |
//! |---|---|
//! | `preproc`, `psf`, `psf_write`, `frame` | the file types: what each HDU must be, in the nouns of the crate |
//! | `source`, `output`, `place` | an open file with its HDUs; a new file, checksummed; its place, taken by renaming |
//! | `at`, `gzip`, `checksum` | bytes at a place of a file; gzip by all threads; sums in any order |
//! | `header`, `value`, `names` | cards carried verbatim; values of cards; names of files in them |
//! | `image`, `tiles` | pixels, plain and tile-compressed |
//! | `verify` | whether a file is whole, by its checksums |
//! | `table`, `columns` | binary tables carried by their bytes |

mod checksum;
mod columns;
mod error;
mod frame;
mod gzip;
mod header;
mod image;
mod output_path;
mod path_card;
mod positioned_io;
mod preproc;
mod psf;
mod psf_write;
mod reader;
mod table;
mod tiles;
mod truth;
mod value;
mod verify;
mod writer;

pub use crate::base::atomic_file::PendingFile;
pub use columns::Column;
pub use error::FitsError;
pub use frame::{fill_frame, fill_model, read_frame, write_frame, write_model};
pub use header::Header;
pub use image::read_image_f64;
pub use output_path::{check_apart, check_outputs, same_file};
pub(crate) use path_card::{card_of_path, path_of_card};
pub(crate) use preproc::preproc_of;
pub use preproc::{Preproc, PreprocOptions, fill_preproc, read_preproc, write_preproc};
pub(crate) use psf::psf_of;
pub use psf::read_psf;
pub use psf_write::write_psf;
pub use reader::read_headers;
pub(crate) use reader::with_digest;
pub use table::{ColumnData, Table, read_fibermap};
pub use truth::{Truth, fill_truth, read_truth, write_truth};
pub use value::Value;
pub(crate) use value::printable;
pub use verify::verify;
pub use writer::{Image, Pixels, fill_images, write_images};

/// Whether a keyword describes the layout of its HDU, and so is the writer's own and never carried.
fn is_structural(keyword: &str) -> bool {
    const OURS: [&str; 19] = [
        "SIMPLE", "XTENSION", "BITPIX", "NAXIS", "EXTEND", "PCOUNT", "GCOUNT", "GROUPS", "TFIELDS", "THEAP", "EXTNAME",
        "CHECKSUM", "DATASUM", "BSCALE", "BZERO", "BLANK", "BLOCKED", "END", "CONTINUE",
    ];
    OURS.contains(&keyword) || is_numbered(keyword, &["NAXIS"])
}

/// Whether a keyword belongs to the tile compression of an image: the table it is in, and its Z cards.
fn is_compression(keyword: &str) -> bool {
    const OURS: [&str; 20] = [
        "ZIMAGE", "ZCMPTYPE", "ZBITPIX", "ZNAXIS", "ZMASKCMP", "ZSIMPLE", "ZTENSION", "ZEXTEND", "ZBLOCKED", "ZPCOUNT",
        "ZGCOUNT", "ZHECKSUM", "ZDATASUM", "ZQUANTIZ", "ZDITHER0", "ZSCALE", "ZZERO", "ZBLANK", "ZTHEAP", "ZTILELEN",
    ];
    OURS.contains(&keyword)
        || is_numbered(keyword, &["ZNAXIS", "ZTILE", "ZNAME", "ZVAL", "TTYPE", "TFORM", "TDIM", "TUNIT", "TNULL"])
}

/// Whether a keyword is one of these stems followed by digits.
fn is_numbered(keyword: &str, stems: &[&str]) -> bool {
    stems
        .iter()
        .any(|stem| keyword.strip_prefix(stem).is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())))
}
