//! The device: its choice, limits and buffers, and the shaders as every backend compiles them.

mod choice;
mod hang;
mod kernels;
mod translation;
mod uniformity;
