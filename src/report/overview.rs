//! The picture for a quick look: all spectra, S/N, chi2pix, and the residual if it is known.

use super::error::ReportError;
use super::figures::room;
use super::header_facts;
use super::quality::CHI2_LIMIT;
use super::residual::LIMIT;
use super::spectra::flux_map;
use super::summary::Report;
use super::warnings::{Severity, Warning};
use crate::plot::colour::{CURVE, INK};
use crate::plot::{Canvas, Grid, Heatmap, Keep, Panel, PlotError, Scale, Shape};
use plotters::style::RGBColor;

/// Size of the picture, pixels.
const SIZE: (u32, u32) = (1600, 1240);
/// Colour of serious warnings.
const BAD: RGBColor = RGBColor(179, 38, 30);
/// Warnings written below, the first row of text, and the height of a row, pixels.
const WARNINGS: usize = 3;
const TEXT_TOP: i32 = 1130;
const TEXT_ROW: i32 = 26;

impl Report {
    /// Draws one picture of the frame as a PNG file.
    ///
    /// # Errors
    /// [`ReportError::Draw`] if the drawing library fails.
    pub fn png(&self) -> Result<Vec<u8>, ReportError> {
        Ok(Canvas::png(SIZE, |canvas| draw(self, canvas))?)
    }
}

fn draw(report: &Report, canvas: &Canvas) -> Result<(), PlotError> {
    let (frame, statistics) = (&report.material.frame, &report.statistics);
    let (nspec, nwave) = (frame.spectra.nspec, frame.spectra.nwave);
    let known = header_facts::title(&frame.header);
    let known = if known.is_empty() { known } else { format!(" ({known})") };
    canvas.text(&format!("{}{known}: {nspec} fibres by {nwave} bins", report.material.name), (24, 14), 25, INK)?;
    let (waves, fibres) = (report.wave_axis(), report.fibre_axis());
    let labels = ["wavelength, Å", "row of the frame"];
    let flux = Panel { place: [10, 50, 1590, 440], title: "flux, asinh scale", labels, x: waves, y: fibres };
    canvas.heatmap(&flux, &flux_map(report))?;

    let snr = statistics.by_wave(&statistics.snr, 0.5);
    let y = room(snr.iter().copied(), true);
    let (place, title) = ([10, 445, 800, 735], "median S/N per bin, against wavelength");
    let panel = Panel { place, title, labels: ["wavelength, Å", "S/N"], x: waves, y };
    canvas.curves(&panel, &[Shape::Line(CURVE, 1, frame.scale().iter().copied().zip(snr).collect())])?;
    let snr = statistics.by_fibre(&statistics.snr);
    let y = room(snr.iter().copied(), true);
    let (place, title) = ([800, 445, 1590, 735], "median S/N per bin, by fibre");
    let panel = Panel { place, title, labels: ["row of the frame", "S/N"], x: fibres, y };
    canvas.curves(&panel, &[Shape::Points(CURVE, 3, (0..nspec).map(|row| row as f64).zip(snr).collect())])?;

    let grid = Grid::new(nwave, statistics.chi2pix.clone()).reduced([720, 280], Keep::Farthest(1.0));
    let right = if report.material.ccd.is_some() { 800 } else { 1590 };
    let title = &format!("chi2pix, 0 to {CHI2_LIMIT}; grey: no value");
    let panel = Panel { place: [10, 740, right, 1120], title, labels, x: waves, y: fibres };
    canvas.heatmap(&panel, &Heatmap::of(&grid, Scale::linear(0.0, CHI2_LIMIT)))?;
    if let Some(ccd) = &report.material.ccd {
        let region = ccd.modelled();
        let map = ccd.heatmap(&region, 640).transposed();
        let title = &format!("CCD residual, -{LIMIT} σ blue to {LIMIT} σ red; green: masked");
        let [y, x] = region.map(|r| [r.start as f64 - 0.5, r.end as f64 - 0.5]);
        let panel = Panel { place: [800, 740, 1590, 1120], title, labels: ["CCD row", "CCD column"], x, y };
        canvas.heatmap(&panel, &map)?;
    }

    let text_of =
        |warning: &Warning| (warning.text.clone(), if warning.severity == Severity::Note { INK } else { BAD });
    let mut texts: Vec<(String, RGBColor)> = report.warnings.iter().take(WARNINGS).map(text_of).collect();
    match report.warnings.len().saturating_sub(WARNINGS) {
        0 if texts.is_empty() => texts.push(("Nothing out of the ordinary.".into(), INK)),
        0 => {}
        more => texts.push((format!("and {more} more warnings"), INK)),
    }
    for (k, (text, colour)) in texts.iter().enumerate() {
        canvas.text(text, (24, TEXT_TOP + TEXT_ROW * k as i32), 19, *colour)?;
    }
    Ok(())
}
