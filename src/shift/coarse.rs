//! Where the traces lie at all, before anything is linear.

use super::bundle::Field;
use super::moves::Moves;
use crate::fit::LogLight;

/// How far traces are looked for across and along the dispersion, pixels.
const REACH: [f64; 2] = [4.0, 8.0];
/// Shorter shifts are found without a search, pixels.
const SHORT: f64 = 1.0;
/// Brightest lines of a fibre that are looked at, and places along the traces where there are none.
const LINES: usize = 60;
const PLACES: usize = 60;
/// Distances along the dispersion at which lines meet light by chance, pixels.
const CHANCE: [f64; 2] = [8.5, 60.0];
/// Least light on the lines of a list above that by chance, in standard deviations. Frames of the night sky have 5.4 and more, also of
/// 400 rows or 30 s; lines that are not the list's reached 3.9.
const MATCH: f64 = 4.7;

/// Returns the rigid shift of a bundle's traces where it is so long that steps would not find it, otherwise 0. Also returns whether
/// its lines are those of the list. A list that meets light by chance alone gives no places along the dispersion.
pub(super) fn shift(field: &Field) -> ([f64; 2], bool) {
    let light = LogLight::new(&field.region);
    let on_lines = on_lines(field);
    let long = |found: [f64; 2]| if found.iter().any(|shift| shift.abs() > SHORT) { found } else { [0.0; 2] };
    let psf = field.psf;
    let found = light.best_shift(&on_lines, REACH);
    let match_of_lines = light.significance(&on_lines, found, CHANCE);
    tracing::debug!(
        "lines of the list are {match_of_lines:.1} standard deviations above chance at a shift of {found:?}"
    );
    if match_of_lines > MATCH {
        return (long(found), true);
    }
    // Light without known lines has no place along the dispersion.
    let (low, high) = (psf.wave_min, psf.wave_max);
    let wave = |k: usize| low + (high - low) * (k as f64 + 0.5) / PLACES as f64;
    let evenly: Vec<[f64; 2]> =
        own(field).flat_map(|fibre| (0..PLACES).map(move |k| Moves::trace(psf, fibre, wave(k)))).collect();
    (long(light.best_shift(&evenly, [REACH[0], 0.0])), false)
}

/// Whether the lines of a bundle are those of the list at a shift that others have.
pub(super) fn lines_match(field: &Field, shift: [f64; 2]) -> bool {
    LogLight::new(&field.region).significance(&on_lines(field), shift, CHANCE) > MATCH
}

/// The bundle's own fibres, rows of the PSF.
fn own<'a>(field: &'a Field) -> impl Iterator<Item = usize> + use<'a> {
    field.own.clone().map(|k| field.fibres.start + k)
}

/// Places of the brightest lines of the own fibres.
fn on_lines(field: &Field) -> Vec<[f64; 2]> {
    let psf = field.psf;
    let brightest = |fibre: usize| {
        let mut lines: Vec<_> = field.lines.iter().map(|line| (psf.on_scale(fibre, line.wave), line.weight)).collect();
        lines.retain(|(at, _)| psf.reaches(*at));
        lines.sort_by(|a, b| b.1.unwrap_or(1.0).total_cmp(&a.1.unwrap_or(1.0)));
        lines.truncate(LINES);
        lines.into_iter().map(move |(at, _)| Moves::trace(psf, fibre, at))
    };
    own(field).flat_map(brightest).collect()
}
