//! `spextral exposure`, the real binary on many small frames: 10 fibres x 100 bins each.

mod ends;
mod faults;
mod night;
mod runs;
