//! The check of a whole file: its HDUs and their checksums.

use super::error::FitsError;
use super::reader::FitsFile;
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
