//! The extracted frame as plain data: spectra, scores and metadata.

mod metadata;
mod scores;
pub mod specmask;
mod spectra;

pub(crate) use metadata::{CARD, card_of_path, parse_columns, path_of_card, printable, unsound_attributes};
pub use metadata::{Column, ColumnData, Header, Table, Value};
pub use scores::Scores;
pub use spectra::{Spectra, SpectraError, SpectraParts};

/// An extracted frame, the content of a frame file.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Spectra.
    pub spectra: Spectra,
    /// Extraction grid in Angstrom, `[nwave]`.
    pub wave: Vec<f64>,
    /// Cards of the primary HDU: those of the input's IMAGE and those of the run.
    pub header: Header,
    /// Rows specmin..specmin+nspec of the input's fibermap.
    pub fibermap: Option<Table>,
    /// Summaries per fibre, if wanted.
    pub scores: Option<Scores>,
}
