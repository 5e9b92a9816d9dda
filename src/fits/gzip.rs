//! Gzip: unpacked by one thread that does nothing else, packed by all threads at once into a single member.

use std::fs::File;
use std::io::{self, BufRead, Read, Write};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use flate2::Crc;
use flate2::bufread::GzDecoder;
use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::{DataFormat, MZFlush};

use super::reader::PIECE;

/// Bytes of the packed file read at a time.
const READ: usize = 1 << 20;
/// Buffers made ready before they are needed.
const AHEAD: usize = 4;
/// Deflate's fastest level: noise hardly packs better at a higher one (58.2 % against 57.8 %), which takes 4 times as long.
const LEVEL: i32 = 1;
/// What a deflated piece may need beyond its own size: block headers, and the flush at its end.
const SLACK: usize = PIECE / 8;
/// The header of a member: deflate, no name and no time, so that the same frame gives the same bytes.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];
/// The last block of a deflate stream, empty.
const LAST_BLOCK: [u8; 2] = [3, 0];

/// Whether bytes are those of a gzip file.
pub(crate) fn is_gzip(lead: &[u8]) -> bool {
    lead.starts_with(&HEADER[..2])
}

/// Why a file cannot be unpacked.
pub(crate) enum Failure {
    /// The file cannot be read.
    Read(io::Error),
    /// Its bytes are not those of a whole gzip stream.
    Damaged(io::Error),
}

/// What becomes of a piece that has been unpacked.
pub(crate) enum Verdict {
    /// It is kept.
    Kept,
    /// It is not needed; its memory serves for the next one.
    Unneeded(Vec<u8>),
    /// No more is to be unpacked.
    Stop,
}

/// Unpacks all members of a gzip file and hands them to `take` in pieces of [`PIECE`] bytes, the last one shorter.
/// Unpacking is what takes the time, so others read the file and touch the memory it goes to.
pub(crate) fn unpack(file: File, take: impl FnMut(Vec<u8>) -> Verdict) -> Result<(), Failure> {
    let (packed, source) = sync_channel(AHEAD);
    let (fresh, buffers) = sync_channel(AHEAD);
    thread::scope(|scope| {
        let reader = scope.spawn(move || read_ahead(file, |piece| packed.send(piece).is_ok()));
        scope.spawn(move || while fresh.send(vec![1; PIECE]).is_ok() {});
        let unpacked = members(Pieces { source, piece: Vec::new(), used: 0 }, buffers, take);
        // A file that cannot be read ends early; that is the error to tell.
        reader.join().expect("reading does not panic").map_err(Failure::Read)?;
        unpacked.map_err(Failure::Damaged)
    })
}

/// Reads a file piece by piece, as long as they are taken.
fn read_ahead(mut file: File, take: impl Fn(Vec<u8>) -> bool) -> io::Result<()> {
    loop {
        let mut piece = Vec::with_capacity(READ);
        Read::by_ref(&mut file).take(READ as u64).read_to_end(&mut piece)?;
        if piece.is_empty() || !take(piece) {
            return Ok(());
        }
    }
}

/// What another thread reads.
struct Pieces {
    source: Receiver<Vec<u8>>,
    piece: Vec<u8>,
    used: usize,
}

impl BufRead for Pieces {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.piece.len() {
            // The reader hangs up at the end of the file.
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
    }
}

/// Whether anything follows the zeros.
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

/// A stretch of a gzip member: what it holds, deflated, and what the end of the member must say about it.
pub(crate) struct Packed {
    crc: Crc,
    deflated: Vec<u8>,
}

impl Packed {
    /// Deflates at most [`PIECE`] bytes, so that they can be put behind any others.
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

/// One gzip member, written as it comes.
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

    /// Adds a stretch.
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
