//! The extracted frame as plain data: spectra, scores and metadata.

mod metadata;
mod scores;
pub mod specmask;
mod spectra;

pub use crate::base::real_array::{RealArray, RealSlice, RealSliceMut};
pub(crate) use metadata::{CARD, card_of_path, parse_columns, printable, unsound_attributes};
pub use metadata::{Column, ColumnData, Header, Table, Value, path_of_card};
pub use scores::Scores;
pub use spectra::{Spectra, SpectraError, SpectraParts};

/// Card of DESI's raw and simulated frames: the version of its online system.
pub(crate) const DESI_CARD: &str = "DOSVER";

/// An extracted frame, the content of a frame file.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Spectra.
    pub spectra: Spectra,
    /// Extraction grid in Angstrom: `[nwave]`, or `[nspec, nwave]` where fibres have their own.
    pub wave: Vec<f64>,
    /// Cards of the primary HDU: those of the input's IMAGE and those of the run.
    pub header: Header,
    /// Rows specmin..specmin+nspec of the input's fibermap.
    pub fibermap: Option<Table>,
    /// Summaries per fibre, if wanted.
    pub scores: Option<Scores>,
}

impl Frame {
    /// Whether every fibre has wavelengths of its own.
    pub fn has_own_waves(&self) -> bool {
        self.wave.len() != self.spectra.nwave
    }

    /// Returns the wavelengths of a row, Angstrom, `[nwave]`.
    pub fn wave_of(&self, row: usize) -> &[f64] {
        let nwave = self.spectra.nwave;
        if self.has_own_waves() { &self.wave[row * nwave..][..nwave] } else { &self.wave }
    }

    /// Returns wavelengths that stand for all rows, Angstrom, `[nwave]`: those of the middle one.
    pub fn scale(&self) -> &[f64] {
        self.wave_of(self.spectra.nspec / 2)
    }
}
