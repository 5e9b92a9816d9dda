//! Sections of the page on the spectra: a heat map of all of them, and a chooser of single ones.

use super::error::ReportError;
use super::figures::{Axes, Caption, Curve, Figure, Kind, curves, heatmap, packed, room};
use super::html::Page;
use super::statistics::percentile;
use super::summary::Report;
use super::text::{escaped, few_digits};
use super::warnings::flagged;
use crate::frame::specmask;
use crate::plot::{Grid, Heatmap, Keep, Scale, selection};
use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};
use std::fmt::Write;

/// Most columns and rows of the heat map. A page of 500 fibres on the survey's 2326 bins has 4.4 MB; pages shall stay
/// below 5 MB on any grid.
const MOST_BINS: [usize; 2] = [2400, 520];
/// Spectra in the page, and how many of them may come from warnings.
const SPECTRA: usize = 25;
const FLAGGED: usize = 8;

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
        text: "Flux of every fibre; sky lines run from top to bottom. Click on a fibre for its spectrum below. Figures over wavelength zoom together.",
        alt: "Image of all spectra: wavelength from left to right, fibres from bottom to top, brighter for more flux.",
        labels: ["wavelength, Å", "fibre"],
        over: "wave",
    };
    let axes = Axes { x: report.wave_axis(), y: report.fibre_axis() };
    page.add(heatmap(&caption, &map, &axes, "electron/Å", &map.scale.decades(), None)?);
    Ok(())
}

/// Returns the script's bits of a bin's mask: SOMEBADPIX, ALLBADPIX, BAD2DFIT, NODATA, and no information.
fn page_bits(mask: u32, ivar: f64) -> u8 {
    let bits = [specmask::SOMEBADPIX, specmask::ALLBADPIX, specmask::BAD2DFIT, specmask::NODATA];
    let known = bits.iter().enumerate().filter(|(_, bit)| mask & **bit != 0).map(|(k, _)| 1 << k).sum::<u8>();
    known | if ivar > 0.0 { 0 } else { 16 }
}

/// Returns the rows of the spectra in the page: fibres of warnings, and others from bright to faint.
fn selected_rows(report: &Report) -> Vec<usize> {
    let nspec = report.material.frame.spectra.nspec;
    if nspec <= SPECTRA {
        return (0..nspec).collect();
    }
    let mut rows = flagged(&report.statistics);
    rows.truncate(FLAGGED);
    for selected in selection::spectra(&report.material.frame, SPECTRA) {
        if rows.len() < SPECTRA && !rows.contains(&selected.row) {
            rows.push(selected.row);
        }
    }
    if rows.is_empty() {
        rows.push(0);
    }
    rows.sort_unstable();
    rows
}

/// Adds single spectra; returns them for the script.
pub fn single_spectra(report: &Report, page: &mut Page) -> Vec<Value> {
    let (frame, statistics) = (&report.material.frame, &report.statistics);
    let (s, n) = (&frame.spectra, frame.spectra.nwave);
    let kinds = selection::kinds(frame);
    let snr = statistics.by_fibre(&statistics.snr);
    let rows = selected_rows(report);
    let bins = |row: usize| row * n..(row + 1) * n;
    let with_information = |row: usize, value: &dyn Fn(usize) -> f64| -> Vec<f64> {
        bins(row).map(|i| if s.ivar[i] > 0.0 { value(i) } else { f64::NAN }).collect()
    };
    let flux = |row: usize| with_information(row, &|i| s.flux[i]);
    let about = |row: usize| {
        let kind = if kinds[row].is_empty() { String::new() } else { format!("{}, ", kinds[row]) };
        format!("{kind}median S/N {}", few_digits(snr[row]))
    };
    let spectra = rows.iter().map(|&row| {
        let mask: Vec<u8> = bins(row).map(|i| page_bits(s.mask[i], s.ivar[i])).collect();
        let sigma = with_information(row, &|i| s.ivar[i].powf(-0.5));
        json!({
            "row": row, "fibre": statistics.fibres[row], "about": about(row), "flux": packed(&flux(row)),
            "sigma": packed(&sigma), "mask": BASE64_STANDARD.encode(mask),
            "truth": report.material.truth.as_ref().map(|t| packed(&t.expected[bins(row)])),
        })
    });
    let spectra: Vec<Value> = spectra.collect();
    page.heading("Single spectra");
    let which = if rows.len() == s.nspec {
        "All fibres.".into()
    } else {
        page.reduced.push(format!("single spectra: {} of {} fibres", rows.len(), s.nspec));
        format!("{} of the {} fibres: those of warnings, and others from bright to faint.", rows.len(), s.nspec)
    };
    let mut options = String::new();
    for &row in &rows {
        let _ = write!(options, "<option>fibre {}: {}</option>", statistics.fibres[row], escaped(&about(row)));
    }
    let controls = format!(
        "<div class=\"controls needs-script\"><label for=\"fibre\">Spectrum</label> <select id=\"fibre\">{options}</select>\
         <button type=\"button\" id=\"previous\">Previous</button><button type=\"button\" id=\"next\">Next</button>\
         <label><input type=\"checkbox\" id=\"whole\"> bright lines in full</label></div>"
    );
    let brightness = |k: &usize| snr[rows[*k]].max(0.0);
    let first = (0..rows.len()).max_by(|a, b| brightness(a).total_cmp(&brightness(b))).unwrap_or(0);
    let mut figure = one_spectrum(report, &which, flux(rows[first]), bins(rows[first]));
    figure.html = figure.html.replacen("<div class=\"plot\">", &format!("{controls}<div class=\"plot\">"), 1);
    figure.set("kind", "spectrum");
    figure.set("height", 360);
    figure.set("first", first);
    page.add(figure);
    spectra
}

/// Makes the static figure of one spectrum; `bins` are its place in the frame's arrays.
fn one_spectrum(report: &Report, which: &str, flux: Vec<f64>, bins: std::ops::Range<usize>) -> Figure {
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
        text: &format!("{which} The band is one standard deviation; grey bins are masked."),
        alt: "One spectrum with its errors.",
        labels: ["wavelength, Å", "electron/Å"],
        over: "wave",
    };
    curves(&caption, frame.scale(), &Axes { x: report.wave_axis(), y }, &shown)
}
