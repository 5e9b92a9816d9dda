//! `spextral exposure`: the real binary on many small frames of 10 fibres x 100 bins. Ranks that share a fit.

#[macro_use(note, test)]
extern crate testkit;

mod ends;
mod faults;
#[cfg(all(unix, feature = "mpi"))]
mod mpi;
#[cfg(all(unix, feature = "mpi"))]
mod mpi_fit;
mod night;
mod runs;

fn main() -> std::process::ExitCode {
    testkit::main()
}
