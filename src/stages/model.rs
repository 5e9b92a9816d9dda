//! Model image: the spots times a flux, A x, on a rectangle of pixels.

use super::patch::PatchSpots;
use crate::geometry::Rectangle;

/// Adds A x to `model`, `[ny, nx]` of the rectangle `at`; `x` is `[n]`, ordered bin by bin (`i = bin * nspec + fibre`).
pub fn add_model(spots: &PatchSpots, at: &Rectangle, x: &[f64], model: &mut [f64]) {
    for (i, &flux) in x.iter().enumerate() {
        let stamp = spots.stamp(i, at);
        if flux == 0.0 {
            continue;
        }
        for y in stamp.rows.clone() {
            let first = stamp.pixel(y, stamp.columns.start, at);
            let row = &stamp.spot[y * spots.nx..][stamp.columns.clone()];
            model[first..first + row.len()].iter_mut().zip(row).for_each(|(m, s)| *m += flux * s);
        }
    }
}
