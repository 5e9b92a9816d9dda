//! Units of reading and writing.

/// Bytes per FITS block.
pub(crate) const BLOCK: usize = 2880;
/// Bytes that a thread reads, converts and sums (or makes, sums and writes) at a time: they stay in its cache.
pub(crate) const PIECE: usize = 128 * BLOCK;
