//! The picture of a fit: residual, shifts of the traces, chi2 by line and fibre, widths.

use super::canvas::{Canvas, Panel, Shape};
use super::colour::INK;
use super::error::PlotError;
use super::heatmap::{Grid, Heatmap};
use super::psf::{draw_widths, spread, waves};
use super::scale::Scale;
use crate::fit::Fitted;
use crate::psf::{LegendreSeries, Psf};
use crate::stages::legendre::{legendre, unit};
use plotters::style::RGBColor;

/// Size of the picture, pixels.
const SIZE: (u32, u32) = (1700, 1180);
/// Noise at which colours of the residual end.
const SIGMA: f64 = 5.0;
/// Fibres and wavelengths whose shifts are drawn, and the longest one as a part of the CCD.
const FIBRES: usize = 24;
const WAVES: usize = 10;
const LONGEST: f64 = 0.05;
/// chi2 per pixel from dark to bright, and its shades.
const CHI2: [f64; 2] = [0.5, 2.5];
const SHADES: usize = 8;
/// Colour of arrows, and of spots that did not count.
const ARROW: RGBColor = RGBColor(31, 87, 160);
const LOST: RGBColor = RGBColor(200, 40, 40);

/// Draws the fit of a PSF from its start as a PNG file.
///
/// # Errors
/// [`PlotError::Draw`] if the drawing library fails.
pub fn fit_png(start: &Psf, fitted: &Fitted) -> Result<Vec<u8>, PlotError> {
    Canvas::png(SIZE, |canvas| {
        draw_residual(fitted, canvas)?;
        draw_shifts(start, fitted, canvas)?;
        draw_chi2(fitted, canvas)?;
        draw_widths(&fitted.psf.clone().as_in_file(), fitted.psf.dispersion, canvas)
    })
}

fn draw_residual(fitted: &Fitted, canvas: &Canvas) -> Result<(), PlotError> {
    let psf = &fitted.psf;
    let step = fitted.bundles.iter().map(|bundle| bundle.residual.step).max().unwrap_or(1).max(1);
    let [width, height] = [psf.npix_x, psf.npix_y].map(|n| n.div_ceil(step));
    let mut values = vec![0.0f64; width * height];
    for map in fitted.bundles.iter().map(|bundle| &bundle.residual).filter(|map| map.step == step) {
        for (k, row) in map.values.chunks_exact(map.width.max(1)).enumerate().take(height) {
            let to = values[k * width..].iter_mut().take(width).skip(map.x0 / step);
            to.zip(row).filter(|(_, chi)| **chi != 0.0).for_each(|(to, chi)| {
                let chi = f64::from(*chi);
                // Where regions overlap, that of the bundle whose light it is.
                if *to == 0.0 || chi.abs() < to.abs() {
                    *to = chi;
                }
            });
        }
    }
    let map = Heatmap::of(&Grid::new(width, values), Scale::about_zero(SIGMA));
    let title = format!("residual over its noise, of {step} x {step} pixels the largest, -{SIGMA:.0} to {SIGMA:.0}");
    let panel = Panel { x: across(psf), y: along(psf), ..panel([30, 20, 900, 610], &title) };
    canvas.heatmap(&panel, &map)
}

fn across(psf: &Psf) -> [f64; 2] {
    [-0.5, psf.npix_x as f64 - 0.5]
}

fn along(psf: &Psf) -> [f64; 2] {
    [-0.5, psf.npix_y as f64 - 0.5]
}

fn panel(place: [i32; 4], title: &str) -> Panel<'_> {
    let labels = ["pixel across the dispersion", "pixel along the dispersion"];
    Panel { place, title, labels, x: [0.0, 1.0], y: [0.0, 1.0] }
}

fn draw_shifts(start: &Psf, fitted: &Fitted, canvas: &Canvas) -> Result<(), PlotError> {
    let psf = &fitted.psf;
    let value = |series: &LegendreSeries, row: usize, wave: f64| legendre(series.of(row), unit(series.domain, wave));
    let mut arrows = Vec::new();
    for row in spread(psf.nfibre, FIBRES) {
        for wave in waves(psf, WAVES) {
            let at = [&start.trace_x, &start.trace_y].map(|series| value(series, row, wave));
            let to = [&psf.trace_x, &psf.trace_y].map(|series| value(series, row, wave));
            arrows.push((at, [to[0] - at[0], to[1] - at[1]]));
        }
    }
    let longest = arrows.iter().map(|(_, d)| d[0].hypot(d[1])).fold(0.0, f64::max);
    let ends = [across(psf), along(psf)];
    let size = |axis: usize| LONGEST * (ends[axis][1] - ends[axis][0]) / longest.max(1e-12);
    let line = |(at, d): &([f64; 2], [f64; 2])| {
        let to = (at[0] + d[0] * size(0), at[1] + d[1] * size(1));
        Shape::Line(ARROW, 2, vec![(at[0], at[1]), to])
    };
    let tails = Shape::Points(ARROW, 3, arrows.iter().map(|(at, _)| (at[0], at[1])).collect());
    let shapes: Vec<Shape> = arrows.iter().map(line).chain([tails]).collect();
    let title = format!("shifts of the traces from the start, from the dots on; the longest {longest:.3} pixels");
    canvas.curves(&Panel { x: ends[0], y: ends[1], ..panel([980, 20, SIZE.0 as i32 - 10, 610], &title) }, &shapes)
}

fn draw_chi2(fitted: &Fitted, canvas: &Canvas) -> Result<(), PlotError> {
    let psf = &fitted.psf;
    let scale = Scale::linear(CHI2[0], CHI2[1]);
    let mut shades: Vec<Vec<(f64, f64)>> = vec![Vec::new(); SHADES];
    let mut lost = Vec::new();
    for spot in fitted.bundles.iter().flat_map(|bundle| &bundle.spots) {
        let at = (psf.on_scale(spot.fibre, spot.wave), psf.number(spot.fibre) as f64);
        match spot.reason {
            Some(_) => lost.push(at),
            None => {
                let place = scale.place(spot.chi2 / spot.pixels.max(1) as f64).clamp(0.0, 1.0);
                shades[((place * SHADES as f64) as usize).min(SHADES - 1)].push(at);
            }
        }
    }
    let colour = |k: usize| scale.colour((k as f64 + 0.5) / SHADES as f64);
    let points = shades.into_iter().enumerate().map(|(k, points)| Shape::Points(colour(k), 3, points));
    let shapes: Vec<Shape> = points.chain([Shape::Points(LOST, 2, lost)]).collect();
    let first = psf.fibermin as f64;
    let title =
        format!("chi2 per pixel of spots, dark {} to bright {}; red: spots that did not count", CHI2[0], CHI2[1]);
    let panel = Panel {
        place: [30, 650, 900, SIZE.1 as i32 - 30],
        title: &title,
        labels: ["wavelength, Å", "fibre"],
        x: [psf.wave_min, psf.wave_max],
        y: [first - 1.0, first + psf.nfibre as f64],
    };
    canvas.curves(&panel, &shapes)?;
    canvas.text("widths of five fibres on the right: of the fitted PSF", (30, SIZE.1 as i32 - 26), 17, INK)
}
