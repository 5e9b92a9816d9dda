//! Reasons why a table of wavelengths is refused.

use crate::geometry::GridError;
use crate::psf::PsfError;

/// A table of wavelengths that cannot be extracted on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WaveTableError {
    /// There are too few bins, or rows of different lengths.
    #[error("{found} wavelengths are not rows of {nwave} bins: give one row per fibre, of at least 2 bins each")]
    Shape {
        /// Number of wavelengths.
        found: usize,
        /// Bins of a row.
        nwave: usize,
    },
    /// Rows are neither one for all, nor one per fibre.
    #[error(
        "there are rows of {found} fibres: give one, or one for each of the {selected} chosen, or of the {nfibre} of the PSF"
    )]
    Rows {
        /// Number of rows.
        found: usize,
        /// Number of chosen fibres.
        selected: usize,
        /// Number of fibres of the PSF.
        nfibre: usize,
    },
    /// A fibre that is extracted has no row.
    #[error(
        "it has no row of fibre {number}: give one for each of the chosen fibres, {first} to {last}, by their numbers"
    )]
    NoRow {
        /// Its number.
        number: i64,
        /// First and last number of the chosen fibres.
        first: i64,
        /// See `first`.
        last: i64,
    },
    /// A row is of a fibre that the PSF does not have.
    #[error("it has a row of fibre {number}, but those of the PSF are {first} to {last}: give rows of their numbers")]
    UnknownFibre {
        /// Its number.
        number: i64,
        /// First and last number of the PSF's fibres.
        first: i64,
        /// See `first`.
        last: i64,
    },
    /// A wavelength is none, or not above the one before it.
    #[error("row {row}, bin {bin} (from 0) is {value} Angstrom: give wavelengths above 0 that ascend in every row")]
    Order {
        /// The row.
        row: usize,
        /// The bin.
        bin: usize,
        /// The wavelength.
        value: f64,
    },
    /// A wavelength is beyond the PSF.
    #[error("row {row} has {value} Angstrom, but its fibre has a PSF from {} to {} Angstrom", range[0], range[1])]
    Beyond {
        /// The row.
        row: usize,
        /// The wavelength.
        value: f64,
        /// Range of the PSF for that fibre.
        range: [f64; 2],
    },
    /// Bins do not follow a smooth function.
    #[error(
        "bin {bin} of row {row} lies {stray:.3} bins off a smooth function of its number; give wavelengths that change smoothly from \
         bin to bin, with all their digits"
    )]
    Uneven {
        /// The row.
        row: usize,
        /// The bin.
        bin: usize,
        /// Distance in bins.
        stray: f64,
    },
    /// The scale of the table is no grid.
    #[error(transparent)]
    Grid(#[from] GridError),
    /// The series on the new scale are no PSF.
    #[error(transparent)]
    Psf(#[from] PsfError),
}
