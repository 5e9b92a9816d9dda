//! Gzip, unpacked by one dedicated thread, packed by all threads at once into a single member.

use super::blocks::PIECE;
use flate2::Crc;
use flate2::bufread::GzDecoder;
use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::{DataFormat, MZFlush};
use std::fs::File;
use std::io::{self, BufRead, Read, Write};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

/// Bytes of the packed file read at a time.
const READ: usize = 1 << 20;
/// Buffers prepared in advance.
const AHEAD: usize = 4;
/// Deflate's fastest level: a higher one packs noise hardly better (57.8 % against 58.2 %) and takes 4 times as long.
const LEVEL: i32 = 1;
/// Bytes that a deflated piece may need beyond its own size: block headers, and the flush at its end.
const SLACK: usize = PIECE / 8;
/// Header of a member: deflate, without name and time, so that the same frame gives the same bytes.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];
/// Last block of a deflate stream, empty.
const LAST_BLOCK: [u8; 2] = [3, 0];

/// Returns whether a file that begins with these bytes is gzipped.
pub(crate) fn is_gzip(lead: &[u8]) -> bool {
    lead.starts_with(&HEADER[..2])
}

/// Errors of [`unpack`].
pub(crate) enum Failure {
    /// The file cannot be read.
    Read(io::Error),
    /// The gzip stream is damaged or cut short.
    Damaged(io::Error),
}

/// Decision on an unpacked piece.
pub(crate) enum Verdict {
    /// It is kept.
    Kept,
    /// It is not needed; its memory is used again.
    Unneeded(Vec<u8>),
    /// Unpacking ends.
    Stop,
}

/// Unpacks all members of a gzip file and passes them to `take` in pieces of [`PIECE`] bytes, the last one shorter.
/// Unpacking limits the speed, so other threads read the file and touch the memory first.
pub(crate) fn unpack(file: File, take: impl FnMut(Vec<u8>) -> Verdict) -> Result<(), Failure> {
    let (packed, source) = sync_channel(AHEAD);
    let (fresh, buffers) = sync_channel(AHEAD);
    thread::scope(|scope| {
        let reader = scope.spawn(move || read_ahead(file, |piece| packed.send(piece).is_ok()));
        scope.spawn(move || while fresh.send(vec![1; PIECE]).is_ok() {});
        let unpacked = members(Pieces { source, piece: Vec::new(), used: 0 }, buffers, take);
        // A read error ends the stream early; it is the one to report.
        reader.join().expect("reading does not panic").map_err(Failure::Read)?;
        unpacked.map_err(Failure::Damaged)
    })
}

/// Reads a file piece by piece while `take` returns true.
fn read_ahead(mut file: File, take: impl Fn(Vec<u8>) -> bool) -> io::Result<()> {
    loop {
        let mut piece = Vec::with_capacity(READ);
        Read::by_ref(&mut file).take(READ as u64).read_to_end(&mut piece)?;
        if piece.is_empty() || !take(piece) {
            return Ok(());
        }
    }
}

/// Reader of the pieces that another thread sends.
struct Pieces {
    source: Receiver<Vec<u8>>,
    piece: Vec<u8>,
    used: usize,
}

impl BufRead for Pieces {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.piece.len() {
            // The channel closes at the end of the file.
            self.piece = self.source.recv().unwrap_or_default();
            self.used = 0;
        }
        Ok(&self.piece[self.used..])
    }

    fn consume(&mut self, amount: usize) {
        self.used += amount;
    }
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(into)?;
        self.consume(n);
        Ok(n)
    }
}

/// Unpacks member after member; zeros behind the last one are padding.
fn members(
    mut source: impl BufRead,
    buffers: Receiver<Vec<u8>>,
    mut take: impl FnMut(Vec<u8>) -> Verdict,
) -> io::Result<()> {
    let fresh = || buffers.recv().map_err(io::Error::other);
    let (mut piece, mut used) = (fresh()?, 0);
    loop {
        let mut member = GzDecoder::new(&mut source);
        loop {
            if used == PIECE {
                piece = match take(piece) {
                    Verdict::Kept => fresh()?,
                    Verdict::Unneeded(piece) => piece,
                    Verdict::Stop => return Ok(()),
                };
                used = 0;
            }
            match member.read(&mut piece[used..])? {
                0 => break,
                n => used += n,
            }
        }
        if !skip_zeros(&mut source)? {
            piece.truncate(used);
            take(piece);
            return Ok(());
        }
        if source.fill_buf()?[0] != HEADER[0] {
            let behind = remaining(&mut source)?;
            return Err(io::Error::other(format!("{behind} bytes that are no gzip follow its end")));
        }
    }
}

/// Counts the bytes that are left.
fn remaining(source: &mut impl BufRead) -> io::Result<u64> {
    io::copy(source, &mut io::sink())
}

/// Skips zeros, and returns whether anything follows them.
fn skip_zeros(source: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let buffer = source.fill_buf()?;
        let zeros = buffer.iter().take_while(|&&b| b == 0).count();
        if buffer.is_empty() || zeros < buffer.len() {
            let more = !buffer.is_empty();
            source.consume(zeros);
            return Ok(more);
        }
        source.consume(zeros);
    }
}

/// A part of a gzip member, deflated, with its share of the checksum.
pub(crate) struct Packed {
    crc: Crc,
    deflated: Vec<u8>,
}

impl Packed {
    /// Deflates at most [`PIECE`] bytes; the result can follow any other part.
    pub fn new(bytes: &[u8]) -> Self {
        let mut crc = Crc::new();
        crc.update(bytes);
        let flags = create_comp_flags_from_zip_params(LEVEL, DataFormat::Raw.to_window_bits(), 0);
        let mut deflated = vec![0; bytes.len() + SLACK];
        let done = deflate(&mut CompressorOxide::new(flags), bytes, &mut deflated, MZFlush::Sync);
        assert!(done.bytes_consumed == bytes.len() && done.bytes_written < deflated.len(), "deflate expands by less");
        deflated.truncate(done.bytes_written);
        Self { crc, deflated }
    }
}

/// One gzip member, written part by part.
pub(crate) struct Member<W: Write> {
    out: W,
    crc: Crc,
}

impl<W: Write> Member<W> {
    /// Begins a member.
    pub fn begin(mut out: W) -> io::Result<Self> {
        out.write_all(&HEADER)?;
        Ok(Self { out, crc: Crc::new() })
    }

    /// Appends a part.
    pub fn add(&mut self, packed: &Packed) -> io::Result<()> {
        self.crc.combine(&packed.crc);
        self.out.write_all(&packed.deflated)
    }

    /// Ends the member.
    pub fn finish(mut self) -> io::Result<()> {
        self.out.write_all(&LAST_BLOCK)?;
        self.out.write_all(&self.crc.sum().to_le_bytes())?;
        self.out.write_all(&self.crc.amount().to_le_bytes())?;
        self.out.flush()
    }
}
