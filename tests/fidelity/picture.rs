//! The page's pictures: how many bins are how wrong, and the distribution of chi.

use crate::errors::Kind;
use crate::runs::Outcome;
use crate::scenes::Scene;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::error::Error;
use std::fs::File;
use std::path::Path;

const SIZE: (u32, u32) = (900, 520);
const FONT: &str = "fidelity";
const INK: RGBColor = RGBColor(45, 45, 55);
/// Colours for all kinds of eyes (Okabe and Ito).
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(240, 228, 66),
    RGBColor(110, 110, 110),
];
/// Limits of the errors drawn, sigma.
const ERRORS: [f64; 2] = [1e-9, 1.0];
/// Chi up to which the histogram goes, and its bars a unit.
const CHI: f64 = 5.0;
const BARS: f64 = 5.0;

type Done = [(Scene, Vec<Outcome>)];
type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// Draws into a PNG file.
fn picture(path: &Path, draw: impl FnOnce(&Area) -> Result<(), Box<dyn Error>>) -> Result<(), String> {
    let registered = plotters::style::register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
    assert!(registered.is_ok(), "the font that is built in must parse");
    let mut pixels = vec![0; (3 * SIZE.0 * SIZE.1) as usize];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, SIZE).into_drawing_area();
        let drawn = area.fill(&WHITE).map_err(|e| Box::from(e.to_string())).and_then(|()| draw(&area));
        drawn
            .and_then(|()| Ok(area.present().map_err(|e| e.to_string())?))
            .map_err(|e| format!("{}: {e}", path.display()))?;
    }
    encode(path, &pixels).map_err(|e| format!("{}: {e}", path.display()))
}

/// Writes a PNG file of few colours: small enough to be kept with the page.
fn encode(path: &Path, pixels: &[u8]) -> Result<(), Box<dyn Error>> {
    let mut encoder = png::Encoder::new(File::create(path)?, SIZE.0, SIZE.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::High);
    encoder.write_header()?.write_image_data(pixels)?;
    Ok(())
}

fn text(size: i32) -> TextStyle<'static> {
    (FONT, size).into_font().color(&INK)
}

/// Draws the fraction of bins with a larger error, over the error in sigma, of the scene with most bins.
pub fn errors(path: &Path, done: &Done) -> Result<(), String> {
    let bins =
        |outcomes: &[Outcome]| outcomes.iter().flat_map(|o| &o.from_exact).map(|d| d.of(Kind::All).count()).max();
    let Some((scene, outcomes)) = done.iter().max_by_key(|(_, outcomes)| bins(outcomes)) else { return Ok(()) };
    let smallest = 0.5 / bins(outcomes).unwrap_or(1).max(1) as f64;
    picture(path, |area| {
        let mut chart = ChartBuilder::on(area)
            .caption(format!("{}: distance from the exact solution", scene.name), text(22))
            .margin(14)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d((ERRORS[0]..ERRORS[1]).log_scale(), (smallest..1.0).log_scale())?;
        let exponent = |v: &f64| format!("{v:.0e}");
        chart
            .configure_mesh()
            .x_desc("error of flux, σ")
            .y_desc("fraction of bins that are worse")
            .x_label_formatter(&exponent)
            .y_label_formatter(&exponent)
            .light_line_style(WHITE.mix(0.0))
            .label_style(text(15))
            .axis_desc_style(text(17))
            .draw()?;
        for (outcome, colour) in outcomes.iter().filter(|o| o.from_exact.is_some()).zip(COLOURS) {
            let curve = outcome.from_exact.as_ref().map(|d| d.of(Kind::All).exceedance()).unwrap_or_default();
            let points = curve.into_iter().map(|(x, y)| (x.clamp(ERRORS[0], ERRORS[1]), y));
            chart
                .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
                .label(outcome.run.as_str())
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 22, y)], colour.stroke_width(3)));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .border_style(INK.mix(0.3))
            .background_style(WHITE.mix(0.9))
            .label_font(text(16))
            .draw()?;
        Ok(())
    })
}

/// Chi of all bins of all scenes with a truth, by run, beside the unit normal distribution.
pub fn chi(path: &Path, done: &Done) -> Result<(), String> {
    let mut runs: Vec<(String, Vec<f64>)> = Vec::new();
    for outcome in done.iter().flat_map(|(_, outcomes)| outcomes).filter(|o| !o.chis.is_empty()) {
        match runs.iter_mut().find(|(name, _)| *name == outcome.run) {
            Some((_, chis)) => chis.extend(&outcome.chis),
            None => runs.push((outcome.run.clone(), outcome.chis.clone())),
        }
    }
    let normal = |x: f64| (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
    picture(path, |area| {
        let mut chart = ChartBuilder::on(area)
            .caption("chi = (flux - R truth) √ivar", text(22))
            .margin(14)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(-CHI..CHI, (1e-6f64..1.0).log_scale())?;
        chart
            .configure_mesh()
            .x_desc("chi")
            .y_desc("density")
            .y_label_formatter(&|v| format!("{v:.0e}"))
            .light_line_style(WHITE.mix(0.0))
            .label_style(text(15))
            .axis_desc_style(text(17))
            .draw()?;
        let curve = (0..=400).map(|i| CHI * (i as f64 / 200.0 - 1.0)).map(|x| (x, normal(x)));
        chart
            .draw_series(LineSeries::new(curve, INK.stroke_width(1)))?
            .label("unit normal")
            .legend(|(x, y)| PathElement::new([(x, y), (x + 22, y)], INK));
        for (k, ((name, chis), colour)) in runs.iter().zip(COLOURS).enumerate() {
            let points: Vec<(f64, f64)> = density(chis).into_iter().filter(|(_, d)| *d > 0.0).collect();
            // Side by side, as they would hide each other.
            let aside = 0.03 * k as f64;
            let marks = points.into_iter().map(|(x, d)| Circle::new((x + aside, d), 4, colour.filled()));
            let label = format!("{name}, {} bins", chis.len());
            chart.draw_series(marks)?.label(label).legend(move |(x, y)| Circle::new((x + 11, y), 4, colour.filled()));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerMiddle)
            .border_style(INK.mix(0.3))
            .background_style(WHITE.mix(0.9))
            .label_font(text(16))
            .draw()?;
        Ok(())
    })
}

/// The density of some numbers in bars, (middle, density).
fn density(values: &[f64]) -> Vec<(f64, f64)> {
    let mut counts = vec![0usize; (2.0 * CHI * BARS) as usize];
    for value in values {
        if let Some(count) = counts.get_mut(((value + CHI) * BARS).floor() as usize).filter(|_| *value >= -CHI) {
            *count += 1;
        }
    }
    let of = |(k, count)| ((k as f64 + 0.5) / BARS - CHI, count as f64 * BARS / values.len() as f64);
    counts.into_iter().enumerate().map(of).collect()
}
