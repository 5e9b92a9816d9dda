//! One picture for a quick look: all spectra, signal to noise, chi2pix, and the residual where it is known.

use super::heatmap::{Grid, Keep, Map, Scale};
use super::residual::LIMIT;
use super::sections::{CHI2_LIMIT, all_fibres, flux_map};
use super::statistics::{by_fibre, by_wave};
use super::warnings::Severity;
use super::{Report, ReportError, figures, header_facts};
use crate::plot::{Canvas, Failure, INK, Panel, Shape};
use plotters::style::RGBColor;

/// Size of the picture, pixels.
const SIZE: (u32, u32) = (1600, 1240);
/// Colours of curves, and of warnings that matter.
const CURVE: RGBColor = RGBColor(31, 87, 160);
const BAD: RGBColor = RGBColor(179, 38, 30);
/// Warnings written below.
const WARNINGS: usize = 3;

/// The picture as a PNG file.
pub fn png(report: &Report) -> Result<Vec<u8>, ReportError> {
    Canvas::png(SIZE, |canvas| draw(report, canvas)).map_err(|e| ReportError::Draw(e.to_string()))
}

fn draw(report: &Report, canvas: &Canvas) -> Result<(), Failure> {
    let s = &report.material.frame.spectra;
    let known = header_facts::title(&report.material.frame.header);
    let known = if known.is_empty() { known } else { format!(" ({known})") };
    let title = format!("{}{known}: {} fibres by {} bins", report.material.name, s.nspec, s.nwave);
    canvas.text(&title, (24, 14), 25, INK)?;
    let ends = all_fibres(report);
    let labels = ["wavelength, Å", "row of the frame"];
    let flux = Panel { place: [10, 50, 1590, 440], title: "flux, asinh scale", labels, x: ends.x, y: ends.y };
    image(canvas, &flux, &flux_map(report))?;

    let (n, wave) = (s.nwave, &report.material.frame.wave);
    let snr = by_wave(&report.numbers.snr, n, 0.5);
    let title = "median S/N a bin, against wavelength";
    let panel = Panel {
        place: [10, 445, 800, 735],
        title,
        labels: ["wavelength, Å", "S/N"],
        x: ends.x,
        y: figures::room(snr.iter().copied(), true),
    };
    canvas.curves(&panel, &[Shape::Line(CURVE, wave.iter().copied().zip(snr).collect())])?;
    let snr = by_fibre(&report.numbers.snr, n);
    let title = "median S/N a bin, by fibre";
    let panel = Panel {
        place: [800, 445, 1590, 735],
        title,
        labels: ["row of the frame", "S/N"],
        x: ends.y,
        y: figures::room(snr.iter().copied(), true),
    };
    canvas.curves(&panel, &[Shape::Points(CURVE, 3, (0..s.nspec).map(|row| row as f64).zip(snr).collect())])?;

    let grid = Grid::new(n, report.numbers.chi2pix.clone()).reduced([720, 280], Keep::Farthest(1.0));
    let title = format!("chi2pix, 0 to {CHI2_LIMIT}; grey: no number");
    let right = if report.material.ccd.is_some() { 800 } else { 1590 };
    let panel = Panel { place: [10, 740, right, 1120], title: &title, labels, x: ends.x, y: ends.y };
    image(canvas, &panel, &Map::of(&grid, Scale::linear(0.0, CHI2_LIMIT)))?;
    if let Some(ccd) = &report.material.ccd {
        let part = ccd.modelled();
        let title = format!("CCD residual, -{LIMIT} σ blue to {LIMIT} σ red; green: masked");
        let edges = part.clone().map(|r| [r.start as f64 - 0.5, r.end as f64 - 0.5]);
        let panel = Panel {
            place: [800, 740, 1590, 1120],
            title: &title,
            labels: ["CCD row", "CCD column"],
            x: edges[1],
            y: edges[0],
        };
        image(canvas, &panel, &ccd.residual(&part, 640).transposed())?;
    }
    for (k, warning) in report.warnings.iter().take(WARNINGS).enumerate() {
        let colour = if warning.severity == Severity::Bad { BAD } else { INK };
        canvas.text(&warning.text, (24, 1130 + 26 * k as i32), 19, colour)?;
    }
    let more = report.warnings.len().saturating_sub(WARNINGS);
    let last = match (report.warnings.len(), more) {
        (0, _) => "Nothing out of the ordinary.".into(),
        (_, 0) => return Ok(()),
        _ => format!("and {more} more warnings"),
    };
    canvas.text(&last, (24, 1130 + 26 * report.warnings.len().min(WARNINGS) as i32), 19, INK)
}

fn image(canvas: &Canvas, panel: &Panel, map: &Map) -> Result<(), Failure> {
    let palette = map.scale.palette();
    canvas.image(panel, |x, y| {
        let place = |share: f64, size: usize| ((share * size as f64) as usize).min(size - 1);
        let [r, g, b] = palette[usize::from(map.levels[place(y, map.height) * map.width + place(x, map.width)])];
        RGBColor(r, g, b)
    })
}
