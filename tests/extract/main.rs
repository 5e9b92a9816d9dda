//! Whole extractions of small frames made by our own code.

mod files;
mod groups;
mod properties;
mod shares;
mod trace;
