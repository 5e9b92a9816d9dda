//! One HDU of an open file.

use crate::frame::Header;

/// Kind of an HDU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// A plain image, possibly without pixels.
    Image,
    /// A tile-compressed image in a binary table.
    TiledImage,
    /// A binary table.
    Table,
    /// An ASCII table, random groups, or a foreign extension.
    Other,
}

/// One HDU: its cards and the position of its data.
#[derive(Debug)]
pub(crate) struct Hdu {
    pub index: usize,
    pub kind: Kind,
    /// All cards, structural ones included.
    pub header: Header,
    pub bitpix: i64,
    /// NAXISn in FITS order, fastest first.
    pub naxes: Vec<usize>,
    /// First byte of its data.
    pub start: u64,
    /// Bytes of its data.
    pub len: u64,
}

impl Hdu {
    /// Returns EXTNAME, empty if there is none.
    pub fn name(&self) -> String {
        self.header.get_str("EXTNAME").unwrap_or_default()
    }

    /// Whether it is an image, compressed or not.
    pub fn is_image(&self) -> bool {
        matches!(self.kind, Kind::Image | Kind::TiledImage)
    }

    /// Returns the name of this HDU in errors.
    pub fn label(&self) -> String {
        match (self.index, self.name().as_str()) {
            (0, "") => "primary HDU".into(),
            (i, "") => format!("HDU {i}"),
            (i, name) => format!("HDU {i} ({name})"),
        }
    }
}

/// Returns the kind of an HDU by its cards.
pub(super) fn kind_of(hdu: &Hdu) -> Kind {
    match hdu.header.get_str("XTENSION").as_deref() {
        None if hdu.header.get_bool("GROUPS") == Some(true) => Kind::Other,
        None | Some("IMAGE") => Kind::Image,
        Some("BINTABLE" | "A3DTABLE") if hdu.header.get_bool("ZIMAGE") == Some(true) => Kind::TiledImage,
        Some("BINTABLE" | "A3DTABLE") => Kind::Table,
        _ => Kind::Other,
    }
}
