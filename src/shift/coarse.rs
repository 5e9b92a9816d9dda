//! Where the traces lie at all, before anything is linear.

use super::bundle::Field;
use super::moves::Moves;
use crate::fit::LogLight;

/// How far traces are looked for across and along the dispersion, pixels.
const REACH: [f64; 2] = [4.0, 8.0];
/// Shorter shifts are found without a search, pixels.
const SHORT: f64 = 1.0;
/// Brightest lines that are looked at, and places along the traces where there are none.
const LINES: usize = 60;
const PLACES: usize = 60;
/// Distances along the dispersion at which lines meet light by chance, pixels.
const CHANCE: [f64; 2] = [8.5, 60.0];
/// Least light on the lines of a list above that by chance, in standard deviations. Frames of the night sky have 5.4 and more, also of
/// 400 rows or 30 s; lines that are not the list's reached 3.9.
const MATCH: f64 = 4.7;

/// Returns the rigid shift of a bundle's traces where it is so long that steps would not find it, otherwise 0; and whether its lines are
/// those of the list. A list that meets light by chance alone gives no places along the dispersion.
pub(super) fn shift(field: &Field) -> ([f64; 2], bool) {
    let light = LogLight::new(&field.region);
    let long = |found: [f64; 2]| if found.iter().any(|shift| shift.abs() > SHORT) { found } else { [0.0; 2] };
    let places = |waves: &[f64]| -> Vec<[f64; 2]> {
        let own = field.own.clone().map(|k| field.fibres.start + k);
        own.flat_map(|fibre| waves.iter().map(move |&wave| Moves::trace(field.psf, fibre, wave))).collect()
    };
    let mut lines: Vec<_> = field.lines.iter().filter(|line| field.psf.reaches(line.wave)).collect();
    lines.sort_by(|a, b| b.weight.unwrap_or(1.0).total_cmp(&a.weight.unwrap_or(1.0)));
    lines.truncate(LINES);
    let on_lines = places(&lines.iter().map(|line| line.wave).collect::<Vec<_>>());
    let found = light.best_shift(&on_lines, REACH);
    let match_of_lines = light.significance(&on_lines, found, CHANCE);
    tracing::debug!(
        "lines of the list are {match_of_lines:.1} standard deviations above chance at a shift of {found:?}"
    );
    if match_of_lines > MATCH {
        return (long(found), true);
    }
    // Light without known lines has no place along the dispersion.
    let (low, high) = (field.psf.wave_min, field.psf.wave_max);
    let waves: Vec<f64> = (0..PLACES).map(|k| low + (high - low) * (k as f64 + 0.5) / PLACES as f64).collect();
    (long(light.best_shift(&places(&waves), [REACH[0], 0.0])), false)
}
