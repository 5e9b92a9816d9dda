//! FITS files: what we read, what we write, what we refuse.

mod carrying;
mod compressed;
mod pieces;
mod refusals;
mod round_trips;
mod second_reader;
mod shared_files;
mod util;
mod written_files;
