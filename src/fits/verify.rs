//! The check of a whole file: its HDUs and their checksums.

use super::error::FitsError;
use super::reader::{FitsFile, is_fits};
use crate::frame::Header;
use std::path::Path;

/// Checks CHECKSUM of every HDU (FITS standard 4.0, 4.4.2.7) and that the HDUs `names` exist. Returns the cards of the
/// primary HDU.
///
/// # Errors
/// [`FitsError`] if the file cannot be read, or an HDU is missing, has no CHECKSUM or a wrong one.
pub fn verify(path: impl AsRef<Path>, names: &[&str]) -> Result<Header, FitsError> {
    let file = FitsFile::open(path.as_ref())?;
    names.iter().try_for_each(|name| file.hdu(name).map(|_| ()))?;
    let mut start = 0;
    for hdu in &file.hdus {
        let end = file.end(hdu);
        if !hdu.header.contains("CHECKSUM") {
            return Err(file.invalid(hdu, "it has no CHECKSUM; write the file anew"));
        }
        // CHECKSUM encodes the complement of the other bytes, so the sum is all ones.
        let sum = file.sum(start..end)?;
        if sum != u32::MAX {
            return Err(file.invalid(hdu, format!("its checksum is wrong (the sum is {sum:#x}); write the file anew")));
        }
        start = end;
    }
    Ok(file.hdus.into_iter().next().map(|hdu| hdu.header).unwrap_or_default())
}

/// Returns BLAKE3 of a file in 64 hexadecimal digits: of the unpacked bytes of FITS, as a frame records its inputs.
///
/// # Errors
/// [`FitsError`] if the file cannot be read.
pub fn digest(path: impl AsRef<Path>) -> Result<String, FitsError> {
    let path = path.as_ref();
    if is_fits(path)? {
        return FitsFile::open(path)?.digest();
    }
    let bytes = std::fs::read(path).map_err(|source| FitsError::Read { path: path.into(), source })?;
    Ok(blake3::hash(&bytes).to_hex().to_string())
}
