//! Metadata of a frame as plain data: header cards and binary tables, without any I/O.

mod columns;
mod header;
mod mend;
mod path_card;
mod table;
mod value;
mod wcs;

pub use columns::Column;
pub(crate) use columns::{parse_columns, unsound_attributes};
pub use header::Header;
pub(crate) use path_card::card_of_path;
pub use path_card::path_of_card;
pub use table::{ColumnData, Table};
pub(crate) use value::CARD;
pub use value::Value;
pub(crate) use value::printable;
