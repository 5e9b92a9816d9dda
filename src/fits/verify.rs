//! Whether a file is whole: its HDUs are there, and their checksums hold.

use super::error::FitsError;
use super::header::Header;
use super::reader::FitsFile;
use std::path::Path;

/// Checks CHECKSUM of every HDU (FITS standard 4.0, 4.4.2.7) and that there are HDUs called `names`; gives the cards of
/// the primary HDU.
///
/// # Errors
/// [`FitsError`] where the file cannot be read, an HDU is missing, has no CHECKSUM, or another one than its bytes.
pub fn verify(path: impl AsRef<Path>, names: &[&str]) -> Result<Header, FitsError> {
    let file = FitsFile::open(path.as_ref())?;
    names.iter().try_for_each(|name| file.hdu(name).map(|_| ()))?;
    let mut start = 0;
    for hdu in &file.hdus {
        let end = file.end(hdu);
        if !hdu.header.contains("CHECKSUM") {
            return Err(file.invalid(hdu, "it has no CHECKSUM; write the file anew"));
        }
        // With the code of its complement in it, an HDU's sum is all ones.
        let sum = file.sum(start..end)?;
        if sum != u32::MAX {
            return Err(file.invalid(hdu, format!("its checksum is wrong (the sum is {sum:#x}); write the file anew")));
        }
        start = end;
    }
    Ok(file.hdus.into_iter().next().map(|hdu| hdu.header).unwrap_or_default())
}
