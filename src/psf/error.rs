//! Requirements on a PSF, and the errors that name the parameter at fault.

use std::ops::RangeInclusive;

/// Largest half size of a spot in pixels: eight times DESI's. Beyond it a file is damaged.
pub const MOST_HALF_SIZE: usize = 64;
/// Largest Gauss-Hermite degree; beyond it a file is damaged.
pub(crate) const MOST_DEGREE: usize = 64;
/// Most pixels of a CCD along an axis.
const MOST_PIXELS: i64 = 1 << 20;
/// Largest number of the first fibre: sums of fibre numbers must not overflow.
const MOST_FIBRE: i64 = 1 << 31;

/// Errors of [`crate::psf::Psf::new`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PsfError {
    /// An integer is out of range.
    #[error("{keyword} is {value}, not within {} to {}", range.start(), range.end())]
    OutOfRange {
        /// Its FITS keyword.
        keyword: &'static str,
        /// Its value.
        value: i64,
        /// The range allowed.
        range: RangeInclusive<i64>,
    },
    /// PSFERR is negative or not finite.
    #[error("PSFERR is {0:?}, not a fraction")]
    Psferr(f64),
    /// A range of wavelengths is empty or not finite.
    #[error("{parameter} has WAVEMIN {} and WAVEMAX {}, not a range", domain[0], domain[1])]
    Domain {
        /// The parameter by its FITS name.
        parameter: String,
        /// Its ends, Angstrom.
        domain: [f64; 2],
    },
    /// A series does not have its coefficients for every fibre.
    #[error("{parameter} has {found} coefficients, not {ncoeff} for each of {nfibre} fibres")]
    Length {
        /// The parameter by its FITS name.
        parameter: String,
        /// Number of coefficients.
        found: usize,
        /// Coefficients per fibre.
        ncoeff: usize,
        /// Number of fibres.
        nfibre: usize,
    },
    /// A coefficient is not finite.
    #[error("{parameter} has coefficient {value} at fibre {fibre}, term {term}")]
    NotFinite {
        /// The parameter by its FITS name.
        parameter: String,
        /// Row of the PSF.
        fibre: usize,
        /// Term of the series.
        term: usize,
        /// The coefficient.
        value: f64,
    },
    /// No fibre has spots.
    #[error("none of its fibres is usable (fibre {fibre}: {reason})")]
    NoFibre {
        /// A fibre, row of the PSF.
        fibre: usize,
        /// Its fault.
        reason: String,
    },
    /// Numbers of fibres do not ascend.
    #[error("fibre {after} follows fibre {before}: give the fibres in the order of their numbers, each once")]
    Numbers {
        /// A number.
        before: i64,
        /// The next one.
        after: i64,
    },
    /// Images of spots do not fit together.
    #[error("{0}")]
    Images(String),
    /// The number of Gauss-Hermite terms does not follow from the degrees.
    #[error("GH has {found} terms, not those of GHDEGX {} by GHDEGY {}", degrees[0], degrees[1])]
    Terms {
        /// Number of terms.
        found: usize,
        /// GHDEGX and GHDEGY.
        degrees: [usize; 2],
    },
}

impl PsfError {
    /// Returns the parameter or keyword at fault by its FITS name.
    pub fn parameter(&self) -> &str {
        match self {
            Self::OutOfRange { keyword, .. } => keyword,
            Self::Psferr(_) => "PSFERR",
            Self::Terms { .. } => "GH",
            Self::Images(_) => "SPOTS",
            Self::Numbers { .. } => "FIBER",
            Self::NoFibre { .. } => "PSF",
            Self::Domain { parameter, .. } | Self::Length { parameter, .. } | Self::NotFinite { parameter, .. } => {
                parameter
            }
        }
    }
}

/// Returns an integer of a PSF by its keyword, checked against its range.
pub(crate) fn in_range(keyword: &'static str, value: i64) -> Result<usize, PsfError> {
    let range = match keyword {
        "NFIBRE" => 1..=MOST_FIBRE,
        "FIBERMIN" | "FIBER" => 0..=MOST_FIBRE,
        "GHDEGX" | "GHDEGY" | "GHDEGX2" | "GHDEGY2" => 0..=MOST_DEGREE as i64,
        "HSIZEX" | "HSIZEY" => 1..=MOST_HALF_SIZE as i64,
        _ => 1..=MOST_PIXELS,
    };
    match usize::try_from(value) {
        Ok(checked) if range.contains(&value) => Ok(checked),
        _ => Err(PsfError::OutOfRange { keyword, value, range }),
    }
}
