//! An open FITS file, plain or gzipped. Its HDUs are indexed and their sizes checked before anything is read.

use super::blocks::{BLOCK, PIECE};
use super::bytes::Bytes;
use super::error::FitsError;
use super::hdu::{Hdu, Kind, kind_of};
use super::{checksum, gzip};
use crate::base::option_name::OptionName::IgnoreChecksum;
use crate::frame::{CARD, Header};
use rayon::prelude::*;
use std::fs::File;
use std::io::{Read, Seek};
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};

/// Bytes digested at a time: a power of two, for BLAKE3's tree, that stays in a core's cache.
const DIGESTED: usize = 1 << 17;
/// Largest NAXIS, above that of any file of the field; beyond it a file is damaged.
const MOST_AXES: i64 = 16;
/// Longest header (52 000 cards), above that of any program; beyond it a file is damaged.
const MOST_HEADER: usize = 1456 * BLOCK;
/// Bytes that every gzip file may unpack to: three times a DESI frame.
const MOST_UNPACKED: u64 = 1 << 30;
/// Bytes that a longer gzip file may unpack to, per byte: noise packs to a half, with masks to a tenth.
const MOST_UNPACKED_PER_BYTE: u64 = 64;
/// Most values per HDU: an i64 still counts their bytes.
const MOST_VALUES: u128 = 1 << 60;

/// An open file and its HDUs.
pub(crate) struct FitsFile {
    pub path: PathBuf,
    bytes: Bytes,
    pub hdus: Vec<Hdu>,
    /// Whether a wrong DATASUM is no error where the data decide no number.
    ignore_checksum: bool,
}

/// HDUs that decide no number of an extraction.
const WITHOUT_NUMBERS: [&str; 2] = ["FIBERMAP", "READNOISE"];

/// Returns whether a file begins as FITS does, plain or gzipped.
pub(super) fn is_fits(path: &Path) -> Result<bool, FitsError> {
    let mut begin = Vec::new();
    let read = File::open(path).and_then(|file| file.take(6).read_to_end(&mut begin));
    match read {
        Ok(_) => Ok(begin.starts_with(b"SIMPLE") || begin.starts_with(&[0x1f, 0x8b])),
        Err(source) => Err(FitsError::Read { path: path.into(), source }),
    }
}

impl FitsFile {
    /// Opens a file and indexes its HDUs. The first bytes, not the name, reveal gzip.
    pub fn open(path: &Path) -> Result<Self, FitsError> {
        let read_error = |source| FitsError::Read { path: path.into(), source };
        if path.as_os_str() == "-" && !path.exists() {
            let what = "it stands for the standard input, which is not read".into();
            return Err(FitsError::NotFits { path: path.into(), what });
        }
        // Opening a pipe without a writer would block.
        let about = std::fs::metadata(path).map_err(read_error)?;
        if !about.is_file() {
            let what = if about.is_dir() { "it is a folder" } else { "it is a pipe or a device" };
            return Err(FitsError::NotFits { path: path.into(), what: what.into() });
        }
        let mut file = File::open(path).map_err(read_error)?;
        let mut magic = Vec::new();
        Read::by_ref(&mut file).take(2).read_to_end(&mut magic).map_err(read_error)?;
        file.rewind().map_err(read_error)?;
        let len = file.metadata().map_err(read_error)?.len();
        let mut this =
            Self { path: path.into(), bytes: Bytes::Unpacked(Vec::new()), hdus: Vec::new(), ignore_checksum: false };
        if gzip::is_gzip(&magic) {
            this.unpack(file, len.saturating_mul(MOST_UNPACKED_PER_BYTE).max(MOST_UNPACKED))?;
        } else {
            this.bytes = Bytes::OnDisk(file, len);
        }
        this.index()?;
        Ok(this)
    }

    /// Returns the file with or without the check of DATASUM where the data decide no number.
    pub fn ignoring_checksums(self, ignore_checksum: bool) -> Self {
        Self { ignore_checksum, ..self }
    }

    /// Returns remarks on the file as a whole: those of [`FitsFile::damages`], names that two HDUs have.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.damages();
        let first = |hdu: &Hdu| self.find(&hdu.name()).map(Hdu::label);
        let second = self.hdus.iter().filter(|hdu| !hdu.name().is_empty() && first(hdu) != Some(hdu.label()));
        notes.extend(second.map(|hdu| {
            format!("it has a second {} in {}, which does not count; the first does", hdu.name(), hdu.label())
        }));
        notes
    }

    /// Returns remarks on the length of the file: a last block that is not filled, HDUs that NEXTEND promises.
    pub fn damages(&self) -> Vec<String> {
        let (mut notes, present) = (Vec::new(), self.hdus.len().saturating_sub(1));
        if self.indexed() > self.bytes.len() {
            notes.push("its last block is not filled; its data are complete".into());
        }
        let promised = self.hdus.first().and_then(|hdu| hdu.header.get_i64("NEXTEND"));
        if let Some(promised) = promised.filter(|&n| n > present as i64) {
            notes.push(format!("NEXTEND promises {promised} extensions, it has {present}; is it cut short?"));
        }
        notes
    }

    /// Unpacks a gzip file up to the end of its last HDU, by its headers. A header that claims too much is refused at once.
    /// Bytes behind the last HDU are unpacked but not kept.
    fn unpack(&mut self, file: File, most: u64) -> Result<(), FitsError> {
        // `awaited` bytes are needed to index on; `complete` tells that the last HDU is known.
        let (mut awaited, mut complete, mut refused, mut unneeded) = (0, false, None, 0);
        let take = |piece: Vec<u8>| {
            if complete {
                unneeded += piece.len() as u64;
                let whole = self.bytes.len() + unneeded;
                if whole <= most {
                    return gzip::Verdict::Unneeded(piece);
                }
                let (path, hdu) = (self.path.clone(), "what follows the last HDU".into());
                refused = Some(FitsError::TooLarge { path, hdu, needed: whole.into(), most });
                return gzip::Verdict::Stop;
            }
            self.bytes.push(piece);
            if u128::from(self.bytes.len()) < awaited {
                return gzip::Verdict::Kept;
            }
            match self.index() {
                // At the end of the bytes so far, another HDU may follow.
                Ok(()) => complete = self.indexed() < self.bytes.len(),
                Err(FitsError::Truncated { needed, .. }) if needed <= u128::from(most) => awaited = needed,
                Err(FitsError::Truncated { hdu, needed, .. }) => {
                    refused = Some(FitsError::TooLarge { path: self.path.clone(), hdu, needed, most });
                }
                Err(error) => refused = Some(error),
            }
            if refused.is_some() { gzip::Verdict::Stop } else { gzip::Verdict::Kept }
        };
        let unpacked = gzip::unpack(file, take);
        if let Some(error) = refused {
            return Err(error);
        }
        unpacked.map_err(|failure| match failure {
            gzip::Failure::Read(source) => FitsError::Read { path: self.path.clone(), source },
            gzip::Failure::Damaged(source) => FitsError::Gzip { path: self.path.clone(), source },
        })
    }

    /// Returns the first byte behind the indexed HDUs.
    fn indexed(&self) -> u64 {
        self.hdus.last().map_or(0, |hdu| self.end(hdu))
    }

    /// Finds the first HDU of this EXTNAME.
    pub fn find(&self, name: &str) -> Option<&Hdu> {
        self.hdus.iter().find(|h| h.name().eq_ignore_ascii_case(name))
    }

    /// Returns the first HDU of this EXTNAME, or an error that lists the HDUs present.
    pub fn hdu(&self, name: &str) -> Result<&Hdu, FitsError> {
        self.find(name).ok_or_else(|| FitsError::MissingHdu {
            path: self.path.clone(),
            name: name.into(),
            present: self.present(),
        })
    }

    /// Lists the HDUs for a message.
    pub fn present(&self) -> String {
        self.hdus.iter().map(Hdu::label).collect::<Vec<_>>().join(", ")
    }

    /// Reads the data of an HDU, without the padding of its last block.
    pub fn data(&self, hdu: &Hdu) -> Result<Vec<u8>, FitsError> {
        self.converted(hdu, |[byte]| byte)
    }

    /// Reads the values of an HDU, of N bytes each, and converts them on all threads piece by piece. The data are checked
    /// against DATASUM on the way.
    pub fn converted<const N: usize, T: Copy + Default + Send>(
        &self,
        hdu: &Hdu,
        one: impl Fn([u8; N]) -> T + Sync,
    ) -> Result<Vec<T>, FitsError> {
        self.converted_to(vec![T::default(); hdu.len as usize / N], hdu, one)
    }

    /// Reads the values of an HDU as [`Self::converted`] to the places of others, as many as there are.
    pub fn converted_to<const N: usize, T: Copy + Default + Send>(
        &self,
        mut values: Vec<T>,
        hdu: &Hdu,
        one: impl Fn([u8; N]) -> T + Sync,
    ) -> Result<Vec<T>, FitsError> {
        let convert = |bytes: &mut Vec<u8>, (piece, values): (usize, &mut [T])| {
            bytes.resize((N * values.len()).next_multiple_of(BLOCK), 0);
            self.read_at(hdu.start + (piece * PIECE) as u64, bytes)?;
            values.iter_mut().zip(bytes.as_chunks().0).for_each(|(value, &bytes)| *value = one(bytes));
            Ok::<_, FitsError>(checksum::sum(bytes))
        };
        let sums = values.par_chunks_mut(PIECE / N).enumerate().map_init(Vec::new, convert);
        let sum = sums.try_reduce(|| 0, |a, b| Ok(checksum::add(a, b)))?;
        self.check_sum(hdu, sum).map(|()| values)
    }

    /// Checks the sum of an HDU against its DATASUM.
    fn check_sum(&self, hdu: &Hdu, sum: u32) -> Result<(), FitsError> {
        let text = hdu.header.get("DATASUM").map(|value| value.to_string()).unwrap_or_default();
        // By the standard an empty DATASUM is undefined.
        if text.trim().is_empty() || text.trim().parse() == Ok(sum) {
            return Ok(());
        }
        let (path, hdu_label, datasum) = (self.path.clone(), hdu.label(), text.trim().to_string());
        let ignorable = WITHOUT_NUMBERS.iter().any(|name| hdu.name().eq_ignore_ascii_case(name));
        if ignorable && self.ignore_checksum {
            let path = path.display();
            tracing::warn!(
                "{path}, {hdu_label}: DATASUM is {datasum}, the data add up to {sum}; they are used as asked"
            );
            return Ok(());
        }
        // Several releases of astropy wrote a wrong DATASUM for compressed images (its issues 12138, 14753).
        if hdu.kind == Kind::TiledImage {
            let path = path.display();
            tracing::warn!(
                "{path}, {hdu_label}: DATASUM is {datasum}, the data add up to {sum}; they are used, because DATASUM is often wrong in compressed images"
            );
            return Ok(());
        }
        let remedy = match ignorable {
            true => format!("fetch the file again, or use them by {IgnoreChecksum}, as they decide no number"),
            false => "fetch the file again, or, if another program changed them on purpose, let it write the sums anew"
                .into(),
        };
        Err(FitsError::Damaged { path, hdu: hdu_label, sum, datasum, remedy })
    }

    /// Builds the error for an invalid value of this file.
    pub fn invalid(&self, hdu: &Hdu, what: impl Into<String>) -> FitsError {
        FitsError::Invalid { path: self.path.clone(), hdu: hdu.label(), what: what.into() }
    }

    /// Returns the value of a required keyword, by a typed getter of [`Header`].
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

    /// Returns the first byte behind an HDU and its padding.
    pub fn end(&self, hdu: &Hdu) -> u64 {
        (hdu.start + hdu.len).next_multiple_of(BLOCK as u64)
    }

    /// Sums whole blocks.
    pub fn sum(&self, blocks: Range<u64>) -> Result<u32, FitsError> {
        let sum_piece = |bytes: &mut Vec<u8>, piece: u64| {
            let start = blocks.start + piece * PIECE as u64;
            bytes.resize((blocks.end - start).min(PIECE as u64) as usize, 0);
            self.read_at(start, bytes).map(|()| checksum::sum(bytes))
        };
        let pieces = (0..(blocks.end - blocks.start).div_ceil(PIECE as u64)).into_par_iter();
        pieces.map_init(Vec::new, sum_piece).try_reduce(|| 0, |a, b| Ok(checksum::add(a, b)))
    }

    /// Returns BLAKE3 of the unpacked bytes in 64 hexadecimal digits, like `b3sum` of the `.fits` file.
    pub fn digest(&self) -> Result<String, FitsError> {
        let mut hasher = blake3::Hasher::new();
        let mut bytes = Vec::new();
        for start in (0..self.bytes.len()).step_by(DIGESTED) {
            bytes.resize((self.bytes.len() - start).min(DIGESTED as u64) as usize, 0);
            self.read_at(start, &mut bytes)?;
            hasher.update(&bytes);
        }
        Ok(hasher.finalize().to_hex().to_string())
    }

    /// Fills `out` with the bytes from `start` on, zeros where the fill of the last block is missing.
    fn read_at(&self, start: u64, out: &mut [u8]) -> Result<(), FitsError> {
        let present = self.bytes.len().saturating_sub(start).min(out.len() as u64) as usize;
        let (out, fill) = out.split_at_mut(present);
        fill.fill(0);
        self.bytes.read_at(start, out).map_err(|source| FitsError::Read { path: self.path.clone(), source })
    }

    fn not_fits(&self, what: impl Into<String>) -> FitsError {
        FitsError::NotFits { path: self.path.clone(), what: what.into() }
    }

    fn truncated(&self, hdu: String, needed: u128) -> FitsError {
        FitsError::Truncated { path: self.path.clone(), hdu, needed, found: self.bytes.len() }
    }

    /// Indexes the HDUs that are not indexed yet.
    fn index(&mut self) -> Result<(), FitsError> {
        let mut at = self.indexed();
        while at < self.bytes.len() {
            let index = self.hdus.len();
            let mut lead = vec![0; (self.bytes.len() - at).min(9) as usize];
            self.read_at(at, &mut lead)?;
            if index == 0 && !lead.starts_with(b"SIMPLE  =") {
                return Err(self.not_fits("it does not begin with SIMPLE"));
            }
            // The standard allows other records after the last HDU.
            if index > 0 && !lead.starts_with(b"XTENSION=") {
                return Ok(());
            }
            let (header, start) = self.header_at(at, index)?;
            let hdu = self.describe(index, header, start)?;
            at = self.end(&hdu);
            self.hdus.push(hdu);
        }
        if self.hdus.is_empty() {
            return Err(self.not_fits("it is empty"));
        }
        Ok(())
    }

    /// Reads the cards of the header at byte `at`, and returns them with the first byte of its data.
    fn header_at(&self, at: u64, index: usize) -> Result<(Header, u64), FitsError> {
        let mut records = Vec::new();
        let mut block = [0; BLOCK];
        loop {
            let here = at + records.len() as u64;
            if here + BLOCK as u64 > self.bytes.len() {
                let needed = u128::from(here) + BLOCK as u128;
                return Err(self.truncated(format!("the header of HDU {index}"), needed));
            }
            if records.len() >= MOST_HEADER {
                return Err(self.not_fits(format!("the header of HDU {index} has no END within {MOST_HEADER} bytes")));
            }
            self.read_at(here, &mut block)?;
            let ended = block.chunks_exact(CARD).any(|card| card.starts_with(b"END     "));
            records.extend_from_slice(&block);
            if ended {
                return Ok((Header::from_records(&records), here + BLOCK as u64));
            }
        }
    }

    /// Reads sizes and kind from the cards, and checks that the file is long enough for them.
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
        // The fill of the last block may be missing: it holds no data.
        let needed = bytes.saturating_add(u128::from(start));
        if needed > u128::from(self.bytes.len()) {
            return Err(self.truncated(hdu.label(), needed));
        }
        hdu.len = bytes as u64;
        Ok(hdu)
    }

    /// Returns the number of values of an HDU (FITS standard 4.0, 4.4.1.2: `GCOUNT (PCOUNT + NAXIS1 ... NAXISm)`), and
    /// checks that these cards suit its kind: the readers of the data rely on them.
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

/// Reads the cards of every HDU of a file, in order.
///
/// # Errors
/// [`FitsError`] if the file cannot be read as FITS.
pub fn read_headers(path: impl AsRef<Path>) -> Result<Vec<Header>, FitsError> {
    Ok(FitsFile::open(path.as_ref())?.hdus.into_iter().map(|hdu| hdu.header).collect())
}

/// Reads a file by `read` and takes its [`FitsFile::digest`] at the same time.
pub(crate) fn with_digest<T: Send>(
    path: &Path,
    ignore_checksum: bool,
    read: impl FnOnce(&FitsFile) -> Result<T, FitsError> + Send,
) -> Result<(T, String), FitsError> {
    let file = FitsFile::open(path)?.ignoring_checksums(ignore_checksum);
    let (read, digest) = rayon::join(|| read(&file), || file.digest());
    Ok((read?, digest?))
}
