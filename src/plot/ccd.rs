//! The upper half of the picture: a cut-out of the CCD, its model, and the residual in sigma.

use super::canvas::{Canvas, Panel};
use super::error::PlotError;
use super::heatmap::{Grid, Heatmap};
use super::picture::Picture;
use super::scale::Scale;
use super::selection::CutOut;

/// Left, top, right and bottom of the first panel, and distance of the next, pixels.
const PLACE: [i32; 4] = [10, 60, 532, 694];
const PITCH: i32 = 600;
/// Electrons up to which the scale is about linear: some read noises, so that noise has little contrast.
const SOFTENING: f64 = 30.0;
/// Residual with the full colour, sigma.
const LIMIT: f64 = 5.0;

/// Draws data, model and residual side by side.
pub fn draw(picture: &Picture, cut: &CutOut, canvas: &Canvas) -> Result<(), PlotError> {
    let (nx, ccd) = (picture.psf.npix_x, &picture.preproc.ccd);
    let grid = |value: &dyn Fn(usize) -> f64| {
        let cells = cut.rows.clone().flat_map(|y| cut.columns.clone().map(move |x| y * nx + x));
        Grid::new(cut.columns.len(), cells.map(value).collect())
    };
    let image = |i: usize| f64::from(ccd.image()[i]);
    let model = |i: usize| f64::from(picture.model[i]);
    let residual = |i: usize| match f64::from(ccd.ivar()[i]) {
        ivar if ivar > 0.0 => (image(i) - model(i)) * ivar.sqrt(),
        _ => f64::NAN,
    };
    let model = grid(&model);
    let electrons = Scale::asinh(-10.0, model.values.iter().copied().fold(0.0, f64::max), SOFTENING);
    let sigmas = Scale::about_zero(LIMIT);
    let panels = [
        ("CCD image, electron", grid(&image), electrons, electrons.decades()),
        ("model, electron", model, electrons, electrons.decades()),
        (
            "(image - model) / sigma, masked pixels grey",
            grid(&residual),
            sigmas,
            [-1.0, -0.5, 0.0, 0.5, 1.0].map(|t| t * LIMIT).to_vec(),
        ),
    ];
    // Pixel x covers x - 0.5 to x + 0.5.
    let [x, y] = [&cut.columns, &cut.rows].map(|r| [r.start as f64 - 0.5, r.end as f64 - 0.5]);
    for (k, (title, grid, scale, ticks)) in panels.into_iter().enumerate() {
        let [left, top, right, bottom] = PLACE;
        let shift = PITCH * k as i32;
        let place = [left + shift, top, right + shift, bottom];
        let panel = Panel { place, title, labels: ["CCD column", "CCD row"], x, y };
        canvas.heatmap(&panel, &Heatmap::of(&grid, scale))?;
        canvas.colour_bar(right + shift, top + 30, bottom - 48, &scale, &ticks)?;
    }
    Ok(())
}
