//! The lower half of the picture: spectra with their errors beside the truth, and the distribution of chi.

use super::choice::{self, Chosen, CutOut};
use super::{Area, FONT, Failure, INK, Picture, PlotError};
use crate::compare::{TrueSpectra, resolve_truth};
use plotters::prelude::*;
use std::ops::Range;

/// Spectra shown.
const COUNT: usize = 3;
/// Bins shown of each: few enough to tell them apart.
const BINS: usize = 260;
/// Height of the line above a panel, and width of an entry of its legend, pixels.
const HEADING: i32 = 36;
const LEGEND_ENTRY: i32 = 190;
/// Width of the histogram of chi, pixels.
const HISTOGRAM_WIDTH: i32 = 470;
/// Sigmas from the continuum to the top of a faint spectrum's panel: few enough for the errors to show.
const CEILING: f64 = 25.0;
/// Colour of the extracted flux.
const FLUX: RGBColor = RGBColor(31, 87, 160);
/// Colour of its error.
const ERROR: RGBColor = RGBColor(186, 208, 236);
/// Colour of the truth.
const TRUTH: RGBColor = RGBColor(214, 72, 24);
/// Chi up to which the histogram goes, and its bins a unit.
const CHI_LIMIT: f64 = 5.0;
const PER_CHI: f64 = 4.0;

/// Draws the spectra, and chi where the truth is known.
pub fn draw(picture: &Picture, cut: &CutOut, area: &Area) -> Result<(), Failure> {
    let truth = picture.truth.map(|truth| resolve_truth(picture.frame, truth)).transpose();
    let truth = truth.map_err(PlotError::Truth)?;
    let (width, _) = area.dim_in_pixel();
    let mut left = area.clone();
    if let Some(truth) = &truth {
        let (spectra, right) = area.split_horizontally(width as i32 - HISTOGRAM_WIDTH);
        histogram(&truth.chi, &right)?;
        left = spectra;
    }
    let all = choice::spectra(picture.frame, COUNT);
    let bins = shown(&picture.frame.wave, cut.wave, choice::bins_on_ccd(picture, &all));
    for (chosen, strip) in all.iter().zip(left.split_evenly((COUNT, 1))) {
        spectrum(picture, truth.as_ref(), chosen, bins.clone(), &strip)?;
    }
    Ok(())
}

/// Bins to show: those about `middle` among the `usable` ones.
fn shown(wave: &[f64], middle: f64, usable: Range<usize>) -> Range<usize> {
    let count = BINS.min(usable.len());
    let centre = wave.partition_point(|&w| w < middle);
    let first = centre.saturating_sub(count / 2).clamp(usable.start, usable.end - count);
    first..first + count
}

fn spectrum(
    picture: &Picture,
    truth: Option<&TrueSpectra>,
    chosen: &Chosen,
    bins: Range<usize>,
    area: &Area,
) -> Result<(), Failure> {
    let (frame, n) = (picture.frame, picture.frame.wave.len());
    let at = |values: &[f64], j: usize| values[chosen.row * n + j];
    let sigma = |j: usize| match at(&frame.spectra.ivar, j) {
        w if w > 0.0 => w.powf(-0.5),
        _ => 0.0,
    };
    let level = median(bins.clone().map(|j| at(&frame.spectra.flux, j)));
    let top = (level + (0.8 * level).max(CEILING * median(bins.clone().map(sigma)))).max(1.0);
    // Lines brighter than the panel are cut flat at its top.
    let clip = |value: f64| value.clamp(-0.06 * top, top);
    let points = |value: &dyn Fn(usize) -> f64| -> Vec<(f64, f64)> {
        bins.clone().map(|j| (frame.wave[j], clip(value(j)))).filter(|p| p.1.is_finite()).collect()
    };
    let mut chart = ChartBuilder::on(area)
        .margin_left(10)
        .margin_right(24)
        .margin_top(HEADING)
        .x_label_area_size(44)
        .y_label_area_size(80)
        .build_cartesian_2d(frame.wave[bins.start]..frame.wave[bins.end - 1], -0.06 * top..top)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(RGBColor(232, 232, 236))
        .x_desc("wavelength, Angstrom")
        .y_desc("electron / Angstrom")
        .x_labels(10)
        .y_labels(5)
        .x_label_formatter(&|v| format!("{v:.0}"))
        .y_label_formatter(&|v| format!("{v:.0}"))
        .label_style((FONT, 17).into_font().color(&INK))
        .axis_style(INK)
        .draw()?;
    let upper = points(&|j| at(&frame.spectra.flux, j) + sigma(j));
    let lower = points(&|j| at(&frame.spectra.flux, j) - sigma(j));
    let band: Vec<(f64, f64)> = upper.into_iter().chain(lower.into_iter().rev()).collect();
    chart.draw_series([Polygon::new(band, ERROR.filled())])?;
    chart.draw_series(LineSeries::new(points(&|j| at(&frame.spectra.flux, j)), FLUX.stroke_width(2)))?;
    let mut legend = vec![("extracted flux", FLUX, 3), ("its 1 sigma error", ERROR, 10)];
    if let Some(truth) = truth {
        chart.draw_series(LineSeries::new(points(&|j| at(&truth.expected, j)), TRUTH.stroke_width(1)))?;
        legend.push(("truth x resolution", TRUTH, 3));
    }
    let kind = if chosen.kind.is_empty() { String::new() } else { format!(" ({})", chosen.kind) };
    let cut = bins.clone().any(|j| at(&frame.spectra.flux, j) > top);
    let note = if cut { "; bright lines are cut" } else { "" };
    let label = format!("fibre {}{kind}, median S/N {:.1} a bin{note}", chosen.fibre, chosen.snr);
    area.draw(&Text::new(label, (92, 10), (FONT, 20).into_font().color(&INK)))?;
    draw_legend(&legend, area)
}

/// Writes what the curves are, above the panel, at its right end.
fn draw_legend(legend: &[(&str, RGBColor, i32)], area: &Area) -> Result<(), Failure> {
    let (width, _) = area.dim_in_pixel();
    let mut x = width as i32 - LEGEND_ENTRY * legend.len() as i32;
    for (text, colour, thickness) in legend {
        area.draw(&key((x, 20), *colour, *thickness))?;
        area.draw(&Text::new(text.to_string(), (x + 28, 11), (FONT, 18).into_font().color(&INK)))?;
        x += LEGEND_ENTRY;
    }
    Ok(())
}

/// The key of a curve in the legend.
fn key((x, y): (i32, i32), colour: RGBColor, width: i32) -> Rectangle<(i32, i32)> {
    Rectangle::new([(x, y - width / 2), (x + 20, y + (width + 1) / 2)], colour.filled())
}

/// The middle of the finite values; 0 where there is none.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut finite: Vec<f64> = values.filter(|v| v.is_finite()).collect();
    finite.sort_by(f64::total_cmp);
    finite.get(finite.len() / 2).copied().unwrap_or(0.0)
}

fn histogram(chi: &[f64], area: &Area) -> Result<(), Failure> {
    let cells = (2.0 * CHI_LIMIT * PER_CHI) as usize;
    let mut counts = vec![0.0; cells];
    let judged: Vec<f64> = chi.iter().copied().filter(|c| !c.is_nan()).collect();
    for c in &judged {
        let cell = (c + CHI_LIMIT) * PER_CHI;
        if (0.0..cells as f64).contains(&cell) {
            counts[cell as usize] += PER_CHI / judged.len() as f64;
        }
    }
    let mean = judged.iter().sum::<f64>() / judged.len().max(1) as f64;
    let variance = judged.iter().map(|c| (c - mean).powi(2)).sum::<f64>() / judged.len().max(1) as f64;
    let title = format!("chi of {} bins: mean {mean:+.3}, std {:.3}", judged.len(), variance.sqrt());
    let mut chart = ChartBuilder::on(area)
        .margin_left(6)
        .margin_right(24)
        .caption(title, (FONT, 20).into_font().color(&INK))
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(-CHI_LIMIT..CHI_LIMIT, 0.0..0.46)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(RGBColor(232, 232, 236))
        .x_desc("(flux - R truth) / sigma")
        .y_desc("density")
        .x_labels(6)
        .y_labels(6)
        .x_label_formatter(&|v| format!("{v:+.0}"))
        .y_label_formatter(&|v| format!("{v:.1}"))
        .label_style((FONT, 17).into_font().color(&INK))
        .axis_style(INK)
        .draw()?;
    let left = |cell: usize| cell as f64 / PER_CHI - CHI_LIMIT;
    let bars = counts
        .iter()
        .enumerate()
        .map(|(cell, &density)| Rectangle::new([(left(cell), 0.0), (left(cell + 1), density)], ERROR.filled()));
    chart.draw_series(bars)?.label("extraction").legend(|p| key(p, ERROR, 8));
    let normal = (-100..=100).map(|k| {
        let x = CHI_LIMIT * f64::from(k) / 100.0;
        (x, (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt())
    });
    chart.draw_series(LineSeries::new(normal, TRUTH.stroke_width(2)))?.label("N(0, 1)").legend(|p| key(p, TRUTH, 2));
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.85))
        .label_font((FONT, 17).into_font().color(&INK))
        .draw()?;
    Ok(())
}
