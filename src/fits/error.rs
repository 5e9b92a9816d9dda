//! What can go wrong with a FITS file, each with the file, the HDU, the value at fault and the remedy.

use crate::base::atomic_file::WriteError;
use std::io;
use std::path::PathBuf;

/// Errors of [`crate::fits`]. Every message is one sentence that stands alone.
#[derive(Debug, thiserror::Error)]
pub enum FitsError {
    /// The file cannot be opened or read.
    #[error("cannot read {path}: {source}; check the path and its permissions")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file does not start as FITS files do.
    #[error("{path} is not a FITS file ({what}); give a .fits, .fits.gz or .fits.fz file")]
    NotFits {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        what: String,
    },
    /// The gzip stream is damaged.
    #[error("cannot unpack {path}: {source}; the gzip stream is damaged or cut short, fetch the file again")]
    Gzip {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        source: io::Error,
    },
    /// The file is shorter than its headers say.
    #[error("{path} is truncated: {hdu} needs {needed} bytes, the file has {found}; fetch the file again")]
    Truncated {
        /// The file.
        path: PathBuf,
        /// The HDU that is cut.
        hdu: String,
        /// Bytes from the start of the file to the end of this HDU, as its header says.
        needed: u128,
        /// Bytes there are.
        found: u64,
    },
    /// A packed file that claims to hold more than such a file can.
    #[error(
        "{path}: {hdu} claims {needed} bytes, more than the {most} that a gzip file of its size may unpack to; fetch the file again, or unpack it with gunzip"
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The HDU.
        hdu: String,
        /// Bytes from the start of the unpacked file to the end of this HDU, as its header says.
        needed: u128,
        /// Bytes that are allowed.
        most: u64,
    },
    /// Data that are not those the file was written with.
    #[error("{path}, {hdu}: the data add up to {sum}, DATASUM is {datasum}: they are damaged; fetch the file again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The HDU.
        hdu: String,
        /// The checksum of its data.
        sum: u32,
        /// What it should be.
        datasum: String,
    },
    /// No HDU of the name asked for.
    #[error("{path} has no {name} HDU (it has {present}); is it the right kind of file?")]
    MissingHdu {
        /// The file.
        path: PathBuf,
        /// The name asked for.
        name: String,
        /// The names there are.
        present: String,
    },
    /// A keyword that is needed is not there.
    #[error("{path}, {hdu}: keyword {keyword} is missing; is it the right kind of file?")]
    MissingKeyword {
        /// The file.
        path: PathBuf,
        /// The HDU.
        hdu: String,
        /// The keyword.
        keyword: String,
    },
    /// Two things that belong together have different shapes.
    #[error("{path}, {hdu}: shape is {found}, but {expected} is needed; is the file complete and of this camera?")]
    Shape {
        /// The file.
        path: PathBuf,
        /// The HDU.
        hdu: String,
        /// The shape found, in numpy order.
        found: String,
        /// What it must be, and why.
        expected: String,
    },
    /// A value that makes no sense.
    #[error("{path}, {hdu}: {what}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The HDU.
        hdu: String,
        /// The value, why it is wrong, what to do.
        what: String,
    },
    /// A PSF of a kind this program has no model for.
    #[error("{path}: PSFTYPE {psftype} is not supported; give a PSF file of PSFTYPE GAUSS-HERMITE")]
    UnsupportedPsf {
        /// The file.
        path: PathBuf,
        /// Its PSFTYPE.
        psftype: String,
    },
    /// An output would replace an input.
    #[error("output {output} is the input {input}; give another name")]
    OutputIsInput {
        /// The output.
        output: PathBuf,
        /// The input it is.
        input: PathBuf,
    },
    /// Two outputs go to one file.
    #[error("outputs {} and {} are one file; give another name for one", outputs[0].display(), outputs[1].display())]
    SameOutputs {
        /// Their names.
        outputs: [PathBuf; 2],
    },
    /// An output is there already, or cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}
