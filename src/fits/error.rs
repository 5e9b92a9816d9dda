//! Errors of FITS files, each with the file, the HDU, the value at fault and the remedy.

use crate::base::atomic_file::WriteError;
use crate::base::option_name::OptionName::{Gain, ImageHdu, Readnoise};
use crate::psf::PsfError;
use std::io;
use std::path::PathBuf;

/// Errors of [`crate::fits`]. Every message is one sentence that stands alone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FitsError {
    /// The file cannot be opened or read.
    #[error("cannot read {path}: {source}; check the path and its permissions")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file does not begin like a FITS file.
    #[error("{path} is not a FITS file ({what}); give a .fits, .fits.gz or .fits.fz file")]
    NotFits {
        /// The file.
        path: PathBuf,
        /// The reason.
        what: String,
    },
    /// The gzip stream is damaged.
    #[error("cannot unpack {path}: {source}; the gzip stream is damaged or cut short, fetch the file again")]
    Gzip {
        /// The file.
        path: PathBuf,
        /// The decoder's error.
        source: io::Error,
    },
    /// The file is shorter than its headers require.
    #[error("{path} is truncated: {hdu} needs {needed} bytes, the file has {found}; fetch the file again")]
    Truncated {
        /// The file.
        path: PathBuf,
        /// The HDU that is cut.
        hdu: String,
        /// Bytes from the start of the file to the end of this HDU, by its header.
        needed: u128,
        /// Bytes of the file.
        found: u64,
    },
    /// A gzip file claims to hold more than one of its size can.
    #[error(
        "{path}: {hdu} claims {needed} bytes, more than the {most} that a gzip file of its size may unpack to; fetch the file again, or unpack it with gunzip"
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The HDU.
        hdu: String,
        /// Bytes from the start of the unpacked file to the end of this HDU, by its header.
        needed: u128,
        /// Bytes allowed.
        most: u64,
    },
    /// The data do not match DATASUM.
    #[error("{path}, {hdu}: the data add up to {sum}, DATASUM is {datasum}: they are damaged; {remedy}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The HDU.
        hdu: String,
        /// Checksum of its data.
        sum: u32,
        /// DATASUM.
        datasum: String,
        /// The remedy.
        remedy: String,
    },
    /// The file has no HDU of a name.
    #[error("{path} has no {name} HDU (it has {present}); is it the right kind of file?")]
    MissingHdu {
        /// The file.
        path: PathBuf,
        /// The name.
        name: String,
        /// The HDUs of the file.
        present: String,
    },
    /// The file has no image.
    #[error(
        "{path} has no IMAGE HDU, nor an image without EXTNAME as its primary HDU (it has {present}); is it the right kind of file? Name its image by {ImageHdu}"
    )]
    NoImage {
        /// The file.
        path: PathBuf,
        /// Its HDUs.
        present: String,
    },
    /// The file has no weights.
    #[error(
        "{path} has no IVAR HDU, nor one of variances (VAR) or standard deviations (STDDEV, ERR), but {present}; give {Readnoise}, and {Gain} where the image is no electrons"
    )]
    NoWeights {
        /// The file.
        path: PathBuf,
        /// Its HDUs.
        present: String,
    },
    /// A required keyword is missing.
    #[error("{path}, {hdu}: keyword {keyword} is missing; is it the right kind of file?")]
    MissingKeyword {
        /// The file.
        path: PathBuf,
        /// The HDU.
        hdu: String,
        /// The keyword.
        keyword: String,
    },
    /// An image does not have the shape that others require.
    #[error("{path}, {hdu}: shape is {found}, but {expected} is needed; is the file complete and of this camera?")]
    Shape {
        /// The file.
        path: PathBuf,
        /// The HDU.
        hdu: String,
        /// Its shape, in numpy order.
        found: String,
        /// The shape required, and the reason.
        expected: String,
    },
    /// A value is invalid.
    #[error("{path}, {hdu}: {what}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The HDU.
        hdu: String,
        /// The value, the reason and the remedy.
        what: String,
    },
    /// A PSF is invalid.
    #[error("{path}, {hdu}: {source}; make the PSF file anew")]
    Psf {
        /// The file.
        path: PathBuf,
        /// The HDU.
        hdu: String,
        /// The part at fault.
        source: PsfError,
    },
    /// A PSF of a kind that is not known.
    #[error(
        "{path}: PSFTYPE {psftype} is not supported; give a PSF file of PSFTYPE GAUSS-HERMITE, GAUSS-HERMITE2, SPOTGRID, MONOSPOT or PCA-PIX"
    )]
    UnsupportedPsf {
        /// The file.
        path: PathBuf,
        /// Its PSFTYPE.
        psftype: String,
    },
    /// The file exists already, or cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}
