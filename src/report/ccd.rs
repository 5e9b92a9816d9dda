//! The page's part about the CCD: the residual as a picture, and the worst places at full resolution.

use super::figures::{Ends, Words, map, short};
use super::page::Page;
use super::residual::Ccd;
use super::{Report, ReportError};
use crate::base::option_name::OptionName::{Image, Model};
use std::fmt::Write;

/// Pixels of a side of the residual's picture: the page stays under 5 MB with it, and screens are not larger.
const MOST_PIXELS: usize = 1032;
/// Worst places shown.
const PLACES: usize = 6;
/// The residual, or how to get it.
///
/// # Errors
/// [`ReportError::Draw`].
pub fn residual(report: &Report, page: &mut Page) -> Result<(), ReportError> {
    page.heading("CCD residual");
    let Some(ccd) = &report.material.ccd else {
        page.missing(&format!("Not here: it needs the CCD image and its model. Extract with <code>{Model} MODEL</code>, then give the report <code>{Image} PREPROC {Model} MODEL</code>."));
        return Ok(());
    };
    let part = ccd.modelled();
    let picture = ccd.residual(&part, MOST_PIXELS);
    page.note_reduction(
        "CCD residual",
        picture.factor,
        "the worst pixel; masked where one is masked, unless one in use is beyond 5 σ",
    );
    let edges = part.clone().map(|r| [r.start as f64 - 0.5, r.end as f64 - 0.5]);
    // A strip of few fibres lies down: its wavelengths run along the page.
    let lying = part[1].len() > 2 * part[0].len();
    let (picture, edges, labels) = match lying {
        true => (picture.transposed(), [edges[1], edges[0]], ["CCD row", "CCD column"]),
        false => (picture, edges, ["CCD column", "CCD row"]),
    };
    let [width, beyond] = report.scatter.unwrap_or([f64::NAN; 2]);
    let text = format!(
        "(image − model)·√ivar. Of the pixels in use and modelled, 68 % are within {} σ, {} % beyond 5 σ. Noise alone: 1 and 0.",
        short(width),
        short(beyond)
    );
    let alt = "Image of the residual of the CCD in units of sigma: blue below, red above, green where masked.";
    let words = Words { id: "residual", title: "Residual, σ", text: &text, alt, labels, over: "ccd" };
    let [x, y] = edges;
    let aspect = Some((y[1] - y[0]) / (x[1] - x[0]));
    page.add(map(&words, &picture, &Ends { x, y }, "σ", &[-8.0, -5.0, -2.0, 0.0, 2.0, 5.0, 8.0], aspect)?);
    worst_places(ccd, page)
}

fn worst_places(ccd: &Ccd, page: &mut Page) -> Result<(), ReportError> {
    page.html.push_str("<h3>Where the model is worst</h3><p class=\"hint\">Pixels in use, at full resolution: image and model on one scale, and the residual.</p><div class=\"places\">");
    for place in ccd.worst(PLACES) {
        let part = ccd.around(&place);
        let caption = format!("{:+.1} σ at column {}, row {}", place.chi, place.x, place.y);
        let _ = write!(page.html, "<figure><figcaption><h3>{caption}</h3></figcaption><div class=\"triple\">");
        for (name, picture) in ["image", "model", "residual"].into_iter().zip(ccd.close_up(&part)) {
            let alt = format!("{name} about column {}, row {}", place.x, place.y);
            let _ = write!(page.html, "<div><img alt=\"{alt}\" src=\"{}\">{name}</div>", picture.data_url()?);
        }
        page.html.push_str("</div></figure>");
    }
    page.html.push_str("</div>\n");
    Ok(())
}
