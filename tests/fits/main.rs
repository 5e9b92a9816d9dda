//! FITS files: read, written, refused.

#[macro_use(note, test)]
extern crate testkit;

mod carrying;
mod compressed;
mod integers;
mod other_instruments;
mod pieces;
mod psf_kinds;
mod psf_samples;
mod refusals;
mod round_trips;
mod second_reader;
mod shared_files;
mod written_files;

fn main() -> std::process::ExitCode {
    testkit::main()
}
