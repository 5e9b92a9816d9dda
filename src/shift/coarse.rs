//! Where the traces lie at all, before anything is linear.

use super::bundle::Field;
use super::moves::Moves;
use crate::fit::best_shift;

/// How far traces are looked for across and along the dispersion, pixels.
const REACH: [f64; 2] = [4.0, 8.0];
/// Shorter shifts are found without a search, pixels.
const SHORT: f64 = 1.0;
/// Brightest lines that are looked at, and places along the traces where there are none.
const LINES: usize = 60;
const PLACES: usize = 60;

/// Returns the rigid shift of a bundle's traces where it is so long that steps would not find it, otherwise 0.
pub(super) fn shift(field: &Field) -> [f64; 2] {
    let mut lines: Vec<_> = field.options.lines.iter().filter(|line| field.psf.reaches(line.wave)).collect();
    lines.sort_by(|a, b| b.weight.unwrap_or(1.0).total_cmp(&a.weight.unwrap_or(1.0)));
    lines.truncate(LINES);
    let (low, high) = (field.psf.wave_min, field.psf.wave_max);
    let (waves, reach): (Vec<f64>, [f64; 2]) = match lines.is_empty() {
        // Light without lines has no place along the dispersion.
        true => ((0..PLACES).map(|k| low + (high - low) * (k as f64 + 0.5) / PLACES as f64).collect(), [REACH[0], 0.0]),
        false => (lines.iter().map(|line| line.wave).collect(), REACH),
    };
    let own = field.own.clone().map(|k| field.fibres.start + k);
    let places: Vec<[f64; 2]> =
        own.flat_map(|fibre| waves.iter().map(move |&wave| Moves::trace(field.psf, fibre, wave))).collect();
    let found = best_shift(&field.region, &places, reach);
    if found.iter().any(|shift| shift.abs() > SHORT) { found } else { [0.0; 2] }
}
