//! The section of the page on the CCD: the residual as a heat map, and its outliers at full resolution.

use super::error::ReportError;
use super::figures::{Axes, Caption, data_url, heatmap};
use super::html::Page;
use super::residual::CcdResidual;
use super::summary::Report;
use super::text::few_digits;
use crate::base::option_name::OptionName::{Image, Model};
use std::fmt::Write;

/// Most columns and rows of the heat map: a page stays below 5 MB, and screens are not larger.
const MOST_PIXELS: usize = 860;
/// Outliers shown.
const OUTLIERS: usize = 6;

/// Adds the residual of the CCD.
pub fn residual(report: &Report, page: &mut Page) -> Result<(), ReportError> {
    page.heading("CCD residual");
    let Some(ccd) = &report.material.ccd else {
        page.missing(&format!("Not available: needs the CCD and its model. Extract with <code>{Model} MODEL</code>, then pass <code>{Image} PREPROC {Model} MODEL</code>."));
        return Ok(());
    };
    let region = ccd.modelled();
    let map = ccd.heatmap(&region, MOST_PIXELS);
    page.note_reduction(
        "CCD residual",
        map.factor,
        "the worst pixel; masked if one is masked, unless one in use is beyond 5 σ",
    );
    let [columns, rows] = region.map(|r| [r.start as f64 - 0.5, r.end as f64 - 0.5]);
    let [width, height] = [columns, rows].map(|r| r[1] - r[0]);
    // A narrow strip of few fibres lies on its side: its wavelengths run along the page.
    let lying = height > 2.0 * width;
    let (map, axes, labels) = match lying {
        true => (map.transposed(), Axes { x: rows, y: columns }, ["CCD row", "CCD column"]),
        false => (map, Axes { x: columns, y: rows }, ["CCD column", "CCD row"]),
    };
    let aspect = if lying { width / height } else { height / width };
    let [scatter, beyond] = report.scatter.unwrap_or([f64::NAN; 2]).map(few_digits);
    let text = format!(
        "(image − model)·√ivar. Of the pixels in use and modelled, 68 % are within {scatter} σ, {beyond} % beyond 5 σ. Noise alone: 1 and 0."
    );
    let text = match ccd.beside_others {
        true => format!(
            "{text} Pixels near fibres of the bundle that were not extracted count as masked: the model lacks their light."
        ),
        false => text,
    };
    let alt = "Image of the residual of the CCD in units of sigma: blue below, red above, green for masked pixels.";
    let caption = Caption { id: "residual", title: "Residual, σ", text: &text, alt, labels, over: "ccd" };
    page.add(heatmap(&caption, &map, &axes, "σ", &[-8.0, -5.0, -2.0, 0.0, 2.0, 5.0, 8.0], Some(aspect))?);
    outliers(ccd, page)
}

fn outliers(ccd: &CcdResidual, page: &mut Page) -> Result<(), ReportError> {
    page.push("<h3>Where the model is worst</h3><p class=\"hint\">Pixels in use, at full resolution: image and model on one scale, and the residual.</p><div class=\"places\">");
    for outlier in ccd.worst(OUTLIERS) {
        let (x, y) = (outlier.x, outlier.y);
        let caption = format!("{:+.1} σ at column {x}, row {y}", outlier.chi);
        let _ = write!(page.html, "<figure><figcaption><h3>{caption}</h3></figcaption><div class=\"triple\">");
        for (name, map) in ["image", "model", "residual"].into_iter().zip(ccd.close_up(&ccd.around(&outlier))) {
            let (alt, url) = (format!("{name} about column {x}, row {y}"), data_url(&map)?);
            let _ = write!(page.html, "<div><img alt=\"{alt}\" src=\"{url}\">{name}</div>");
        }
        page.push("</div></figure>");
    }
    page.push("</div>\n");
    Ok(())
}
