//! The upper half of the picture: a cut-out of the CCD, the model of it, and what is left in sigma.

use super::choice::CutOut;
use super::colour::{Asinh, MASKED, RESIDUAL_LIMIT, residual, viridis};
use super::{Area, FONT, Failure, INK, Picture};
use plotters::prelude::*;

/// Width of a panel's colour bar with its labels, pixels.
const BAR: i32 = 92;
/// Colours a bar is made of.
const BAR_STEPS: usize = 128;
/// Electrons up to which colours are linear: some read noises, so that noise has little contrast.
const SOFTENING: f64 = 30.0;

/// Draws data, model and residual side by side.
pub fn draw(picture: &Picture, cut: &CutOut, area: &Area) -> Result<(), Failure> {
    let panels = area.split_evenly((1, 3));
    let nx = picture.psf.npix_x;
    let image = |x: usize, y: usize| f64::from(picture.preproc.ccd.image()[y * nx + x]);
    let model = |x: usize, y: usize| f64::from(picture.model[y * nx + x]);
    let ivar = |x: usize, y: usize| f64::from(picture.preproc.ccd.ivar()[y * nx + x]);
    let brightest = cells(cut).map(|(x, y)| model(x, y)).fold(0.0, f64::max);
    let scale = Asinh::new(-10.0, brightest, SOFTENING);
    let ticks: Vec<(f64, String)> = scale.ticks().into_iter().map(|t| (scale.place(t), format!("{t}"))).collect();
    panel(&panels[0], "CCD image, electron", cut, |x, y| scale.colour(image(x, y)))?;
    colour_bar(&panels[0], viridis, &ticks)?;
    panel(&panels[1], "model, electron", cut, |x, y| scale.colour(model(x, y)))?;
    colour_bar(&panels[1], viridis, &ticks)?;
    let sigmas = |x: usize, y: usize| match ivar(x, y) {
        w if w > 0.0 => residual((image(x, y) - model(x, y)) * w.sqrt()),
        _ => MASKED,
    };
    panel(&panels[2], "(image - model) / sigma, masked pixels grey", cut, sigmas)?;
    let limit = RESIDUAL_LIMIT;
    let ticks: Vec<(f64, String)> = (-2..=2)
        .map(|k| 0.5 * limit * f64::from(k))
        .map(|value| (0.5 + 0.5 * value / limit, format!("{value}")))
        .collect();
    colour_bar(&panels[2], |t| residual(limit * (2.0 * t - 1.0)), &ticks)
}

fn cells(cut: &CutOut) -> impl Iterator<Item = (usize, usize)> + '_ {
    cut.rows.clone().flat_map(|y| cut.columns.clone().map(move |x| (x, y)))
}

fn panel(area: &Area, title: &str, cut: &CutOut, colour: impl Fn(usize, usize) -> RGBColor) -> Result<(), Failure> {
    // Pixel x covers x - 0.5 to x + 0.5.
    let edges = |r: &std::ops::Range<usize>| r.start as f64 - 0.5..r.end as f64 - 0.5;
    let mut chart = ChartBuilder::on(area)
        .margin_left(10)
        .margin_right(BAR)
        .caption(title, (FONT, 22).into_font().color(&INK))
        .x_label_area_size(50)
        .y_label_area_size(70)
        .build_cartesian_2d(edges(&cut.columns), edges(&cut.rows))?;
    chart
        .configure_mesh()
        .disable_mesh()
        .x_desc("CCD column")
        .y_desc("CCD row")
        .x_labels(5)
        .y_labels(6)
        .x_label_formatter(&|v| format!("{v:.0}"))
        .y_label_formatter(&|v| format!("{v:.0}"))
        .label_style((FONT, 17).into_font().color(&INK))
        .axis_style(INK)
        .draw()?;
    chart.draw_series(cells(cut).map(|(x, y)| {
        let (left, low) = (x as f64 - 0.5, y as f64 - 0.5);
        Rectangle::new([(left, low), (left + 1.0, low + 1.0)], colour(x, y).filled())
    }))?;
    Ok(())
}

/// A bar right of a panel, labelled at places of 0..=1.
fn colour_bar(area: &Area, colour: impl Fn(f64) -> RGBColor, ticks: &[(f64, String)]) -> Result<(), Failure> {
    let (width, height) = area.dim_in_pixel();
    let (left, top, bottom) = (width as i32 - BAR + 14, 38, height as i32 - 51);
    let row = |t: f64| bottom - ((bottom - top) as f64 * t).round() as i32;
    for step in 0..BAR_STEPS {
        let at = |s: usize| row(s as f64 / BAR_STEPS as f64);
        let corners = [(left, at(step + 1)), (left + 16, at(step))];
        area.draw(&Rectangle::new(corners, colour((step as f64 + 0.5) / BAR_STEPS as f64).filled()))?;
    }
    area.draw(&Rectangle::new([(left, top), (left + 16, bottom)], INK.stroke_width(1)))?;
    for (place, label) in ticks {
        let y = row(*place);
        area.draw(&PathElement::new([(left + 16, y), (left + 20, y)], INK.stroke_width(1)))?;
        area.draw(&Text::new(label.clone(), (left + 24, y - 8), (FONT, 16).into_font().color(&INK)))?;
    }
    Ok(())
}
