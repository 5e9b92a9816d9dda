//! The options of a measurement.

use crate::fits::{Line, night_sky_lines};

/// Options of [`measure_shifts`](super::measure_shifts).
#[derive(Clone, Debug, PartialEq)]
pub struct ShiftOptions {
    /// Lines of the light, the night sky's or a lamp's; without any, only `dx` and `ln sigma_x` are measured.
    pub lines: Vec<Line>,
    /// Intrinsic width of the lines, standard deviation in Angstrom.
    pub line_sigma: f64,
    /// Most chunks of a bundle that are used: those with most light, spread over the CCD.
    pub chunks: usize,
}

impl ShiftOptions {
    /// Chunks of a bundle that give the accuracy of all.
    pub const CHUNKS: usize = 32;

    /// Returns the options for a frame with the night sky, whose header may say how wide its lines are (SKYSIGMA).
    pub fn night_sky(header: &crate::fits::Header) -> Self {
        let line_sigma = header.get_f64("SKYSIGMA").filter(|sigma| (0.0..10.0).contains(sigma)).unwrap_or(0.0);
        Self { lines: night_sky_lines(), line_sigma, chunks: Self::CHUNKS }
    }
}

impl Default for ShiftOptions {
    fn default() -> Self {
        Self { lines: night_sky_lines(), line_sigma: 0.0, chunks: Self::CHUNKS }
    }
}
