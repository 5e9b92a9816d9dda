//! Whole frames on the device: against the CPU, and while the device fails or has little memory.

mod bands;
mod faults;
mod ladder;
mod like;
mod memory;
mod patches;
mod retry;
mod sim11;
mod stream;
mod switch;
mod told;
mod worlds;
