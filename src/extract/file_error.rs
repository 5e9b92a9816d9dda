//! Errors of an extraction from files to files.

use super::ExtractError;
use crate::backend::EngineError;
use crate::barycentric::BarycentricError;
use crate::base::option_name::OptionName::Like;
use crate::fits::FitsError;
use crate::geometry::GridError;
use crate::psf::PsfError;
use crate::shift::ShiftError;
use crate::stages::wave_table::WaveTableError;
use std::path::PathBuf;

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Fits(#[from] FitsError),
    /// The PSF is in neither of two places.
    #[error(
        "no PSF: there is neither {} nor {}, nor either with .gz or .fz; make it, or name frames and PSFs in a manifest",
        places[0].display(),
        places[1].display()
    )]
    NoPsf {
        /// The places.
        places: [PathBuf; 2],
    },
    /// The grid cannot be.
    #[error(transparent)]
    Grid(#[from] GridError),
    /// The table of wavelengths cannot be.
    #[error("{}: {source}", path.display())]
    Table {
        /// The file with the table, or the frame.
        path: PathBuf,
        /// Why.
        source: WaveTableError,
    },
    /// The barycentric factor cannot be computed.
    #[error("{}: {source}", path.display())]
    Barycentric {
        /// The frame.
        path: PathBuf,
        /// Why.
        source: BarycentricError,
    },
    /// The fibermap does not have the fibres.
    #[error("{}: FIBERMAP {what}", path.display())]
    Fibermap {
        /// The file with the fibermap.
        path: PathBuf,
        /// The fault, and the remedy.
        what: String,
    },
    /// An input is not what it must be.
    #[error(
        "{} is not what the frame to repeat was made of: its BLAKE3 is {now}, that one's was {then}; give the file as it was, or extract without {Like}",
        path.display()
    )]
    Changed {
        /// The input.
        path: PathBuf,
        /// The digest that it must have.
        then: String,
        /// The digest that it has.
        now: String,
    },
    /// Traces cannot be measured on the frame.
    #[error("{} with {}: {source}", input.display(), psf.display())]
    Traces {
        /// The frame.
        input: PathBuf,
        /// The PSF.
        psf: PathBuf,
        /// Why.
        source: ShiftError,
    },
    /// Shifted by what was measured, the PSF is none.
    #[error("{}: shifted to fit the frame it is no PSF: {source}", path.display())]
    Shifted {
        /// The PSF.
        path: PathBuf,
        /// Why.
        source: PsfError,
    },
    /// The frame cannot be extracted.
    #[error("{} with {}: {source}", input.display(), psf.display())]
    Extract {
        /// The frame.
        input: PathBuf,
        /// The PSF.
        psf: PathBuf,
        /// Why.
        source: Box<ExtractError>,
    },
}

impl FileError {
    /// The engine's error, where it is one.
    pub fn engine(&self) -> Option<&EngineError> {
        let Self::Extract { source, .. } = self else { return None };
        match source.as_ref() {
            ExtractError::Engine(error) => Some(error),
            _ => None,
        }
    }
}
