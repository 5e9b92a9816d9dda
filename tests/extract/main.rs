//! Whole extractions of small frames made by our own code.

mod files;
mod properties;
mod shares;
// Each test binary needs another part of it.
#[allow(dead_code)]
mod small;
mod trace;
