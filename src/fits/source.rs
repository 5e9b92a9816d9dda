//! An open FITS file: plain or gzipped, its HDUs indexed and their sizes checked before anything is read.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::error::FitsError;
use super::header::Header;

/// FITS files come in blocks of this many bytes.
pub(crate) const BLOCK: usize = 2880;
/// More axes than any file of the field has; NAXIS beyond it is taken for damage.
const MOST_AXES: i64 = 16;
/// Values whose bytes an i64 still counts.
const MOST_VALUES: u128 = 1 << 60;

/// What an HDU holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// A plain image, maybe without pixels.
    Image,
    /// A tile-compressed image in a binary table.
    TiledImage,
    /// A binary table.
    Table,
    /// An ASCII table, random groups, or a foreign extension.
    Other,
}

/// One HDU: its cards and where its data are.
#[derive(Debug)]
pub(crate) struct Hdu {
    pub index: usize,
    pub kind: Kind,
    /// All cards, structural ones included.
    pub header: Header,
    pub bitpix: i64,
    /// NAXISn in FITS order, fastest first.
    pub naxes: Vec<usize>,
    start: u64,
    len: u64,
}

impl Hdu {
    /// EXTNAME, empty where there is none.
    pub fn name(&self) -> String {
        self.header.get_str("EXTNAME").unwrap_or_default()
    }

    /// How errors call this HDU.
    pub fn label(&self) -> String {
        match (self.index, self.name().as_str()) {
            (0, "") => "primary HDU".into(),
            (i, "") => format!("HDU {i}"),
            (i, name) => format!("HDU {i} ({name})"),
        }
    }
}

enum Bytes {
    OnDisk(File),
    Unpacked(Vec<u8>),
}

/// An open file and its HDUs.
pub(crate) struct FitsFile {
    pub path: PathBuf,
    bytes: Bytes,
    len: u64,
    pub hdus: Vec<Hdu>,
}

impl FitsFile {
    /// Opens a file and indexes its HDUs. Gzip is told by its first bytes, not by the name.
    pub fn open(path: &Path) -> Result<Self, FitsError> {
        let read_error = |source| FitsError::Read { path: path.into(), source };
        let mut file = File::open(path).map_err(read_error)?;
        if file.metadata().map_err(read_error)?.is_dir() {
            return Err(FitsError::NotFits { path: path.into(), what: "it is a folder".into() });
        }
        let mut magic = Vec::new();
        Read::by_ref(&mut file).take(2).read_to_end(&mut magic).map_err(read_error)?;
        file.rewind().map_err(read_error)?;
        let bytes = if magic == [0x1f, 0x8b] { Bytes::Unpacked(unpack(path, file)?) } else { Bytes::OnDisk(file) };
        let len = match &bytes {
            Bytes::OnDisk(file) => file.metadata().map_err(read_error)?.len(),
            Bytes::Unpacked(bytes) => bytes.len() as u64,
        };
        let mut this = Self { path: path.into(), bytes, len, hdus: Vec::new() };
        this.index()?;
        Ok(this)
    }

    /// The first HDU of this EXTNAME.
    pub fn find(&self, name: &str) -> Option<&Hdu> {
        self.hdus.iter().find(|h| h.name().eq_ignore_ascii_case(name))
    }

    /// The first HDU of this EXTNAME, or the error that names those there are.
    pub fn hdu(&self, name: &str) -> Result<&Hdu, FitsError> {
        self.find(name).ok_or_else(|| {
            let present: Vec<String> = self.hdus.iter().map(Hdu::label).collect();
            FitsError::MissingHdu { path: self.path.clone(), name: name.into(), present: present.join(", ") }
        })
    }

    /// The data bytes of an HDU, without the padding of its last block.
    pub fn data(&self, hdu: &Hdu) -> Result<Cow<'_, [u8]>, FitsError> {
        self.slice(hdu.start, hdu.len)
    }

    /// The error for a value of this file that makes no sense.
    pub fn invalid(&self, hdu: &Hdu, what: impl Into<String>) -> FitsError {
        FitsError::Invalid { path: self.path.clone(), hdu: hdu.label(), what: what.into() }
    }

    /// A needed keyword's value, by one of Header's typed getters.
    pub fn need<T>(&self, hdu: &Hdu, keyword: &str, get: impl Fn(&Header, &str) -> Option<T>) -> Result<T, FitsError> {
        if !hdu.header.contains(keyword) {
            return Err(FitsError::MissingKeyword {
                path: self.path.clone(),
                hdu: hdu.label(),
                keyword: keyword.into(),
            });
        }
        get(&hdu.header, keyword).ok_or_else(|| {
            self.invalid(hdu, format!("keyword {keyword} has a value of the wrong kind; write the file anew"))
        })
    }

    /// The first byte behind an HDU, the padding of its last block included.
    pub fn end(&self, hdu: &Hdu) -> u64 {
        (hdu.start + hdu.len).next_multiple_of(BLOCK as u64)
    }

    pub(super) fn slice(&self, start: u64, len: u64) -> Result<Cow<'_, [u8]>, FitsError> {
        match &self.bytes {
            Bytes::Unpacked(bytes) => Ok(Cow::Borrowed(&bytes[start as usize..(start + len) as usize])),
            Bytes::OnDisk(file) => {
                let mut out = vec![0; len as usize];
                let mut file: &File = file;
                let done = file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(&mut out));
                done.map_err(|source| FitsError::Read { path: self.path.clone(), source })?;
                Ok(Cow::Owned(out))
            }
        }
    }

    /// Walks the headers from the first to the last HDU.
    fn index(&mut self) -> Result<(), FitsError> {
        let mut at = 0u64;
        while at < self.len {
            let index = self.hdus.len();
            let lead = self.slice(at, (self.len - at).min(9))?.into_owned();
            if index == 0 && !lead.starts_with(b"SIMPLE  =") {
                return Err(FitsError::NotFits {
                    path: self.path.clone(),
                    what: "it does not begin with SIMPLE".into(),
                });
            }
            // The standard allows other records after the last HDU.
            if index > 0 && !lead.starts_with(b"XTENSION=") {
                return Ok(());
            }
            let (header, start) = self.header_at(at, index)?;
            let hdu = self.describe(index, header, start)?;
            let end = hdu.start + hdu.len;
            self.hdus.push(hdu);
            at = end.next_multiple_of(BLOCK as u64);
        }
        if self.hdus.is_empty() {
            return Err(FitsError::NotFits { path: self.path.clone(), what: "it is empty".into() });
        }
        Ok(())
    }

    /// The cards of the header that begins at byte `at`, and where its data begin.
    fn header_at(&self, at: u64, index: usize) -> Result<(Header, u64), FitsError> {
        let mut records = Vec::new();
        loop {
            let here = at + records.len() as u64;
            if here + BLOCK as u64 > self.len {
                let needed = u128::from(here) + BLOCK as u128;
                return Err(FitsError::Truncated {
                    path: self.path.clone(),
                    hdu: format!("the header of HDU {index}"),
                    needed,
                    found: self.len,
                });
            }
            let block = self.slice(here, BLOCK as u64)?;
            let ended = block.chunks_exact(80).any(|card| card.starts_with(b"END     "));
            records.extend_from_slice(&block);
            if ended {
                return Ok((Header::parse(&records), here + BLOCK as u64));
            }
        }
    }

    /// Sizes and kind from the cards, refused where the file is too short for them.
    fn describe(&self, index: usize, header: Header, start: u64) -> Result<Hdu, FitsError> {
        let mut hdu = Hdu { index, kind: Kind::Other, header, bitpix: 0, naxes: Vec::new(), start, len: 0 };
        hdu.bitpix = self.need(&hdu, "BITPIX", Header::get_i64)?;
        if ![8, 16, 32, 64, -32, -64].contains(&hdu.bitpix) {
            return Err(
                self.invalid(&hdu, format!("BITPIX is {}, which FITS does not have; fetch the file again", hdu.bitpix))
            );
        }
        let naxis = self.need(&hdu, "NAXIS", Header::get_i64)?;
        if !(0..=MOST_AXES).contains(&naxis) {
            return Err(
                self.invalid(&hdu, format!("NAXIS is {naxis}, not within 0 to {MOST_AXES}; fetch the file again"))
            );
        }
        for axis in 1..=naxis {
            let keyword = format!("NAXIS{axis}");
            let n = self.need(&hdu, &keyword, Header::get_i64)?;
            let n = usize::try_from(n)
                .map_err(|_| self.invalid(&hdu, format!("{keyword} is {n}; fetch the file again")))?;
            hdu.naxes.push(n);
        }
        hdu.kind = kind_of(&hdu);
        let values = self.values_of(&hdu)?;
        let bytes = values.saturating_mul(u128::from(hdu.bitpix.unsigned_abs() / 8));
        // The padding counts too: a cut within it takes the HDUs behind along, which may be optional and not be missed.
        let needed =
            bytes.saturating_add(u128::from(start)).checked_next_multiple_of(BLOCK as u128).unwrap_or(u128::MAX);
        if needed > u128::from(self.len) {
            return Err(FitsError::Truncated { path: self.path.clone(), hdu: hdu.label(), needed, found: self.len });
        }
        hdu.len = bytes as u64;
        Ok(hdu)
    }

    /// Number of values of an HDU's data (FITS standard 4.0, 4.4.1.2: `GCOUNT (PCOUNT + NAXIS1 ... NAXISm)`), refused
    /// where the cards are not those of its kind: what reads the data relies on them.
    fn values_of(&self, hdu: &Hdu) -> Result<u128, FitsError> {
        let product = hdu.naxes.iter().fold(1u128, |all, &n| all.saturating_mul(n.max(1) as u128));
        let is_empty = hdu.naxes.is_empty() || hdu.naxes.contains(&0);
        // An axis of 0 values must not hide others whose product no integer holds.
        if is_empty && product > MOST_VALUES {
            let what = format!("axes {:?} (NAXISn) are more than a file can hold; fetch the file again", hdu.naxes);
            return Err(self.invalid(hdu, what));
        }
        let values = if is_empty { 0 } else { product };
        if !hdu.header.contains("XTENSION") {
            return Ok(values);
        }
        let count = |keyword: &str, absent: i64, allowed: RangeInclusive<i64>| {
            let n = if hdu.header.contains(keyword) { self.need(hdu, keyword, Header::get_i64)? } else { absent };
            let wrong =
                || self.invalid(hdu, format!("{keyword} is {n}, which is wrong for its kind; fetch the file again"));
            if allowed.contains(&n) { Ok(n as u128) } else { Err(wrong()) }
        };
        let (pcount, gcount) = match hdu.kind {
            Kind::Image => (count("PCOUNT", 0, 0..=0)?, count("GCOUNT", 1, 1..=1)?),
            Kind::Table | Kind::TiledImage => (count("PCOUNT", 0, 0..=i64::MAX)?, count("GCOUNT", 1, 1..=1)?),
            Kind::Other => (count("PCOUNT", 0, 0..=i64::MAX)?, count("GCOUNT", 1, 0..=i64::MAX)?),
        };
        if matches!(hdu.kind, Kind::Table | Kind::TiledImage) && hdu.bitpix != 8 {
            return Err(self.invalid(hdu, format!("BITPIX is {}, tables have 8; fetch the file again", hdu.bitpix)));
        }
        Ok(values.saturating_add(pcount).saturating_mul(gcount))
    }
}

fn kind_of(hdu: &Hdu) -> Kind {
    match hdu.header.get_str("XTENSION").as_deref() {
        None if hdu.header.get_bool("GROUPS") == Some(true) => Kind::Other,
        None | Some("IMAGE") => Kind::Image,
        Some("BINTABLE" | "A3DTABLE") if hdu.header.get_bool("ZIMAGE") == Some(true) => Kind::TiledImage,
        Some("BINTABLE" | "A3DTABLE") => Kind::Table,
        _ => Kind::Other,
    }
}

/// All members of a gzip file.
fn unpack(path: &Path, mut file: File) -> Result<Vec<u8>, FitsError> {
    let mut packed = Vec::new();
    file.read_to_end(&mut packed).map_err(|source| FitsError::Read { path: path.into(), source })?;
    let mut out = Vec::new();
    let done: io::Result<usize> = flate2::bufread::MultiGzDecoder::new(packed.as_slice()).read_to_end(&mut out);
    done.map_err(|source| FitsError::Gzip { path: path.into(), source })?;
    Ok(out)
}

/// The cards of every HDU of a file, in order.
///
/// # Errors
/// [`FitsError`] where the file cannot be read as FITS.
pub fn read_headers(path: impl AsRef<Path>) -> Result<Vec<Header>, FitsError> {
    Ok(FitsFile::open(path.as_ref())?.hdus.into_iter().map(|hdu| hdu.header).collect())
}
