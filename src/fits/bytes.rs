//! The bytes of an open file, on disk or unpacked in memory.

use super::blocks::PIECE;
use super::positioned_io;
use std::fs::File;
use std::io;

/// Bytes that any number of threads read at once.
pub(crate) enum Bytes {
    /// A file and its length.
    OnDisk(File, u64),
    /// Pieces of [`PIECE`] bytes, the last one shorter.
    Unpacked(Vec<Vec<u8>>),
}

impl Bytes {
    /// Returns the number of bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::OnDisk(_, len) => *len,
            Self::Unpacked(pieces) => pieces.last().map_or(0, |last| (pieces.len() - 1) * PIECE + last.len()) as u64,
        }
    }

    /// Appends an unpacked piece.
    pub fn push(&mut self, piece: Vec<u8>) {
        if let Self::Unpacked(pieces) = self {
            pieces.push(piece);
        }
    }

    /// Fills `out` with the bytes from `start` on, which must exist.
    pub fn read_at(&self, start: u64, out: &mut [u8]) -> io::Result<()> {
        match self {
            Self::OnDisk(file, _) => positioned_io::read_exact_at(file, out, start),
            Self::Unpacked(pieces) => {
                let (mut at, mut filled) = (start as usize, 0);
                while filled < out.len() {
                    let source = &pieces[at / PIECE][at % PIECE..];
                    let n = source.len().min(out.len() - filled);
                    out[filled..filled + n].copy_from_slice(&source[..n]);
                    (at, filled) = (at + n, filled + n);
                }
                Ok(())
            }
        }
    }
}
