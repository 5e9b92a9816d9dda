//! The page: what is shown, in which order, and in which words.

use super::figures::{Figure, escaped, short};
use super::heatmap::packed;
use super::statistics::{by_fibre, percent, percentile};
use super::warnings::{Severity, chi_moments};
use super::{Report, ReportError, ccd, header_facts, sections};
use crate::plot::choice;
use serde_json::{Value, json};
use std::fmt::Write;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Figures and words as they gather.
#[derive(Default)]
pub struct Page {
    /// The body so far.
    pub html: String,
    /// What the script is told of its figures.
    pub views: Vec<Value>,
    /// What was made smaller, in words.
    pub reduced: Vec<String>,
}

impl Page {
    pub fn heading(&mut self, text: &str) {
        let _ = writeln!(self.html, "<h2>{text}</h2>");
    }

    pub fn add(&mut self, figure: Figure) {
        self.html.push_str(&figure.html);
        self.views.push(figure.view);
    }

    pub fn side_by_side(&mut self, figures: impl IntoIterator<Item = Figure>) {
        self.html.push_str("<div class=\"grid\">");
        figures.into_iter().for_each(|figure| self.add(figure));
        self.html.push_str("</div>\n");
    }

    pub fn missing(&mut self, text: &str) {
        let _ = writeln!(self.html, "<p class=\"missing\">{text}</p>");
    }

    pub fn note_reduction(&mut self, what: &str, factor: [usize; 2], how: &str) {
        if factor != [1, 1] {
            self.reduced.push(format!("{what}: one pixel stands for {} x {} ({how})", factor[0], factor[1]));
        }
    }
}

/// The whole page.
pub fn html(report: &Report) -> Result<String, ReportError> {
    let mut page = Page::default();
    tiles(report, &mut page);
    list_warnings(report, &mut page);
    sections::spectra_map(report, &mut page)?;
    let spectra = sections::chooser(report, &mut page);
    sections::signal(report, &mut page);
    ccd::residual(report, &mut page)?;
    sections::goodness(report, &mut page)?;
    sections::truth(report, &mut page);
    header_facts(report, &mut page);
    table(report, &mut page);

    let header = &report.material.frame.header;
    let known = header_facts::title(header);
    let title = if known.is_empty() { report.material.name.clone() } else { known };
    let s = &report.material.frame.spectra;
    let subtitle = format!("{}: {} fibres by {} bins", report.material.name, s.nspec, s.nwave);
    let reduced = match page.reduced.is_empty() {
        true => "Nothing on this page is down-sampled.".into(),
        false => format!("Down-sampled: {}.", page.reduced.join("; ")),
    };
    let footer = format!(
        "{reduced} Pictures have {} levels; spectra and curves are in full. Made by spextral {}; this page asks for nothing from elsewhere.",
        super::heatmap::LEVELS,
        env!("CARGO_PKG_VERSION")
    );
    let data = json!({
        "wave": packed(report.material.frame.wave.iter().copied()), "fibres": report.numbers.fibres,
        "views": page.views, "spectra": spectra,
    });
    // `<` never ends the element that holds the data.
    let data = data.to_string().replace('<', "\\u003c");
    let parts = [
        ("{{title}}", escaped(&title)),
        ("{{subtitle}}", escaped(&subtitle)),
        ("{{footer}}", escaped(&footer)),
        ("{{style}}", STYLE.into()),
        ("{{script}}", SCRIPT.into()),
        ("{{body}}", page.html),
        ("{{data}}", data),
    ];
    Ok(parts.iter().fold(PAGE.to_string(), |page, (place, text)| page.replace(place, text)))
}

fn tiles(report: &Report, page: &mut Page) {
    let (n, numbers) = (report.material.frame.spectra.nwave, &report.numbers);
    let median = |values: &[f64]| percentile(values.iter().copied(), 0.5);
    let lit: Vec<f64> = by_fibre(&numbers.snr, n);
    let mut tiles = vec![
        ("median S/N a bin", short(median(&lit)), ""),
        ("masked bins", short(percent(numbers.masked.iter())), " %"),
        ("median chi2pix", short(median(&numbers.chi2pix)), ""),
        ("resolution σ, median", short(median(&numbers.sigma)), " Å"),
    ];
    if let Some([width, beyond]) = report.scatter {
        tiles.push(("CCD residual, scatter", short(width), " σ"));
        tiles.push(("pixels beyond 5 σ", short(beyond), " %"));
    }
    if let Some(truth) = &report.material.truth {
        tiles.push(("chi against the truth, scatter", short(chi_moments(&truth.chi)[1]), ""));
    }
    page.html.push_str("<dl class=\"tiles\">");
    for (name, value, unit) in tiles {
        let _ = write!(page.html, "<div><dt>{name}</dt><dd>{value}<small>{unit}</small></dd></div>");
    }
    page.html.push_str("</dl>\n");
}

fn list_warnings(report: &Report, page: &mut Page) {
    page.heading("Warnings");
    page.html.push_str("<ul class=\"warnings\">");
    for warning in &report.warnings {
        let class = if warning.severity == Severity::Bad { "bad" } else { "note" };
        let _ = write!(page.html, "<li class=\"{class}\">{}</li>", escaped(&warning.text));
    }
    if report.warnings.is_empty() {
        page.html.push_str("<li class=\"fine\">Nothing out of the ordinary.</li>");
    }
    page.html.push_str("</ul>\n");
}

fn header_facts(report: &Report, page: &mut Page) {
    page.heading("Run");
    page.html.push_str("<div class=\"card wide\"><table class=\"facts\"><thead><tr><th scope=\"col\">card</th><th scope=\"col\">what</th><th scope=\"col\">value</th></tr></thead><tbody>");
    for [keyword, name, value] in header_facts::cards(&report.material.frame.header) {
        let [keyword, name, value] = [keyword, name, value].map(|text| escaped(&text));
        let _ =
            write!(page.html, "<tr><th scope=\"row\"><code>{keyword}</code></th><td>{name}</td><td>{value}</td></tr>");
    }
    page.html.push_str("</tbody></table></div>\n");
}

fn table(report: &Report, page: &mut Page) {
    let (numbers, n) = (&report.numbers, report.material.frame.spectra.nwave);
    let kinds = choice::kinds(&report.material.frame);
    let [snr, chi2, sigma] = [&numbers.snr, &numbers.chi2pix, &numbers.sigma].map(|values| by_fibre(values, n));
    page.html.push_str("<details class=\"card wide\"><summary>All fibres as a table</summary><table><thead><tr>");
    for (name, class) in [
        ("fibre", "n"),
        ("kind", ""),
        ("median S/N", "n"),
        ("masked, %", "n"),
        ("median chi2pix", "n"),
        ("median σ, Å", "n"),
    ] {
        let _ = write!(page.html, "<th scope=\"col\" class=\"{class}\">{name}</th>");
    }
    page.html.push_str("</tr></thead><tbody>");
    for (row, masked) in numbers.masked.chunks(n).enumerate() {
        let kind = escaped(kinds.get(row).map(|k| k.trim()).unwrap_or_default());
        let _ = write!(page.html, "<tr><th scope=\"row\" class=\"n\">{}</th><td>{kind}</td>", numbers.fibres[row]);
        for value in [snr[row], percent(masked.iter()), chi2[row], sigma[row]] {
            let _ = write!(page.html, "<td class=\"n\">{}</td>", short(value));
        }
        page.html.push_str("</tr>\n");
    }
    page.html.push_str("</tbody></table></details>\n");
}
