//! Sections of the page on the spectra: a heat map of all of them, and a chooser of single ones.

use super::error::ReportError;
use super::figures::{Axes, Caption, Curve, Figure, Kind, curves, heatmap, room};
use super::html::Page;
use super::packed_spectra;
use super::statistics::percentile;
use super::summary::Report;
use super::text::{escaped, few_digits};
use crate::fits::{Line, night_sky_lines};
use crate::plot::{Grid, Heatmap, Keep, Scale, selection};
use serde_json::{Value, json};

/// Most columns and rows of the heat map: spectra themselves are complete.
const MOST_BINS: [usize; 2] = [1450, 520];
/// Lines of the sky that the page can name, the brightest.
const SKY_LINES: usize = 60;

/// Makes the heat map of the flux of all fibres, on a scale for faint spectra and sky lines.
pub fn flux_map(report: &Report) -> Heatmap {
    let s = &report.material.frame.spectra;
    let flux = s.flux.iter().zip(&s.ivar).map(|(&f, &w)| if w > 0.0 { f } else { f64::NAN }).collect();
    let grid = Grid::new(s.nwave, flux).reduced(MOST_BINS, Keep::Mean);
    // Masked bins have unbounded noise: they do not set the scale.
    let usable = || s.flux.iter().zip(&report.statistics.masked).filter(|(_, masked)| !**masked).map(|(&f, _)| f);
    let [low, median, high] = [0.001, 0.5, 0.9995].map(|share| percentile(usable(), share));
    let level = if median.is_finite() { median.abs().max(1.0) } else { 1.0 };
    let (low, high) = (low.min(0.0), high.max(level));
    let (low, high) = if low.is_finite() && high.is_finite() { (low, high) } else { (0.0, 1.0) };
    Heatmap::of(&grid, Scale::asinh(low, high, 0.5 * level))
}

/// Adds the flux of all fibres.
pub fn all_spectra(report: &Report, page: &mut Page) -> Result<(), ReportError> {
    page.heading("All spectra");
    let map = flux_map(report);
    page.note_reduction("all spectra", map.factor, "the mean");
    let caption = Caption {
        id: "flux",
        title: "Flux, electron/Å",
        text: "Flux of every fibre; sky lines run from top to bottom. Click on a fibre for its spectrum below; the mark is at the one shown. Figures over wavelength zoom together.",
        alt: "Image of all spectra: wavelength from left to right, fibres from bottom to top, brighter for more flux.",
        labels: ["wavelength, Å", "fibre"],
        over: "wave",
    };
    let axes = Axes { x: report.wave_axis(), y: report.fibre_axis() };
    page.add(heatmap(&caption, &map, &axes, "electron/Å", &map.scale.decades(), None)?);
    Ok(())
}

/// Adds single spectra; returns them for the script.
pub fn single_spectra(report: &Report, page: &mut Page) -> Value {
    let (frame, statistics) = (&report.material.frame, &report.statistics);
    let (s, n) = (&frame.spectra, frame.spectra.nwave);
    let kinds = selection::kinds(frame);
    let snr = statistics.by_fibre(&statistics.snr);
    let about = |row: usize| {
        let kind = if kinds[row].is_empty() { String::new() } else { format!("{}, ", kinds[row]) };
        format!("{kind}median S/N {}", few_digits(snr[row]))
    };
    let about: Vec<String> = (0..s.nspec).map(about).collect();
    page.heading("Single spectra");
    let names = statistics.fibres.iter().zip(&about);
    let options: String =
        names.map(|(fibre, about)| format!("<option>fibre {fibre}: {}</option>", escaped(about))).collect();
    let controls = include_str!("controls.html").replace("{{options}}", &options);
    let brightness = |row: &usize| snr[*row].max(0.0);
    // The first of the brightest, whose picture needs no script.
    let first = (0..s.nspec).rev().max_by(|a, b| brightness(a).total_cmp(&brightness(b))).unwrap_or(0);
    let bins = first * n..(first + 1) * n;
    let flux = bins.clone().map(|i| if s.ivar[i] > 0.0 { s.flux[i] } else { f64::NAN }).collect();
    let mut figure = one_spectrum(report, flux, bins);
    figure.html = figure.html.replacen("<div class=\"plot\">", &format!("{controls}<div class=\"plot\">"), 1);
    figure.set("kind", "spectrum");
    figure.set("height", 380);
    figure.set("first", first);
    page.add(figure);
    let expected = report.material.truth.as_ref().map(|truth| &truth.expected[..]);
    let factor = frame.header.get_f64("HELIOCOR").filter(|factor| (0.99..1.01).contains(factor)).unwrap_or(1.0);
    let [low, high] = report.wave_axis();
    let mut lines: Vec<Line> = night_sky_lines();
    lines.retain(|line| (low..high).contains(&line.wave));
    lines.sort_by(|a, b| b.weight.unwrap_or(0.0).total_cmp(&a.weight.unwrap_or(0.0)));
    let line = |line: &Line| json!([(100.0 * factor * line.wave).round() / 100.0, line.ion]);
    let lines: Vec<Value> = lines.iter().take(SKY_LINES).map(line).collect();
    let packed = packed_spectra::packed(s, expected);
    json!({ "about": about, "truth": expected.is_some(), "packed": packed, "lines": lines })
}

/// Makes the static figure of one spectrum; `bins` are its place in the frame's arrays.
fn one_spectrum(report: &Report, flux: Vec<f64>, bins: std::ops::Range<usize>) -> Figure {
    let frame = &report.material.frame;
    let usable = || bins.clone().filter(|&i| !report.statistics.masked[i]).map(|i| frame.spectra.flux[i]);
    let y = room([percentile(usable(), 0.002), percentile(usable(), 0.998)], true);
    let mut shown = vec![Curve::new("flux", Kind::Line, 0, flux)];
    if let Some(truth) = &report.material.truth {
        shown.push(Curve::new("R·truth", Kind::Line, 1, truth.expected[bins.clone()].to_vec()));
    }
    let caption = Caption {
        id: "spectrum",
        title: "Flux with its error, electron/Å",
        text: "The band is one standard deviation; grey bins are masked. Its address is this page with #fibre=NUMBER.",
        alt: "One spectrum with its errors.",
        labels: ["wavelength, Å", "electron/Å"],
        over: "wave",
    };
    curves(&caption, frame.scale(), &Axes { x: report.wave_axis(), y }, &shown)
}
