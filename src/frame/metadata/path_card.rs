//! Paths in cards, which hold printable ASCII only.

use std::path::{Path, PathBuf};

/// Encodes a path for a card. Bytes that are not printable ASCII, every `%`, and a blank or an ampersand at the end become
/// `%` and two hexadecimal digits.
pub(crate) fn card_of_path(path: &Path) -> String {
    let bytes = bytes_of(path);
    let text = |(i, byte): (usize, &u8)| match byte {
        // Cards lose trailing blanks, and a trailing ampersand announces a CONTINUE card.
        b' ' | b'&' if i + 1 == bytes.len() => format!("%{byte:02X}"),
        b' '..=b'~' if *byte != b'%' => char::from(*byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    bytes.iter().enumerate().map(text).collect()
}

/// Decodes `card_of_path`. A `%` without digits, as another program may write it, stays.
pub fn path_of_card(card: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(card.len());
    let mut rest = card.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|digits| byte == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let escaped = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    path_of(bytes)
}

#[cfg(unix)]
fn bytes_of(path: &Path) -> Vec<u8> {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).to_vec()
}

#[cfg(unix)]
fn path_of(bytes: Vec<u8>) -> PathBuf {
    <std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes).into()
}

#[cfg(not(unix))]
fn bytes_of(path: &Path) -> Vec<u8> {
    path.to_string_lossy().into_owned().into_bytes()
}

#[cfg(not(unix))]
fn path_of(bytes: Vec<u8>) -> PathBuf {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Header;

    #[test]
    fn any_path_survives_its_card() {
        let long = format!("{}é{}", "a/b c".repeat(30), "%41".repeat(40));
        let plain = "data/preproc-r0-00051060.fits.gz";
        let ends = ["end ", "end&", "'&'", " & ", ""];
        let odd = ["café frame.fits", "100%.fits", "%41.fits", "日\n\t.fits", &long, plain];
        for name in odd.into_iter().chain(ends) {
            let card = card_of_path(Path::new(name));
            assert!(card.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{card}");
            let mut header = Header::new();
            header.set("IN_IMG", card, "Input image");
            let header = Header::from_records(&header.to_records());
            assert_eq!(path_of_card(&header.get_str("IN_IMG").unwrap()), Path::new(name));
        }
        assert_eq!(card_of_path(Path::new(plain)), plain);
        assert_eq!(card_of_path(Path::new("café 5%")), "caf%C3%A9 5%25");
        assert_eq!(path_of_card("5% of it, %zz, %4"), Path::new("5% of it, %zz, %4"));
    }

    #[cfg(unix)]
    #[test]
    fn paths_that_are_not_unicode_survive_their_card() {
        let path = path_of(b"in\xff%.fits".to_vec());
        assert_eq!(card_of_path(&path), "in%FF%25.fits");
        assert_eq!(path_of_card("in%ff%25.fits"), path);
    }
}
