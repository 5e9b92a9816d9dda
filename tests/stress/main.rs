//! Numbers under stress: random PSFs, masks, light and weights through whole extractions.

mod bright;
mod finite;
mod isolation;
mod poison;
mod residuals;
mod rows;
mod worlds;
