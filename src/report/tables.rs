//! Sections of the page without figures: key numbers, warnings, header cards, all fibres.

use super::header_facts;
use super::html::Page;
use super::statistics::{median, percent};
use super::summary::Report;
use super::text::{escaped, few_digits};
use super::verdict::Verdict;
use super::warnings::Severity;
use crate::plot::selection;
use crate::shift::Quantity;
use std::fmt::Write;

/// Adds the verdict.
pub fn verdict(report: &Report, page: &mut Page) {
    let Verdict { light, sentence } = report.verdict();
    let _ = writeln!(page.html, "<p class=\"verdict {}\" role=\"status\">{}</p>", light.name(), escaped(sentence));
}

/// Adds the key numbers.
pub fn key_numbers(report: &Report, page: &mut Page) {
    let statistics = &report.statistics;
    let mut tiles = vec![
        ("median S/N per bin", median(&statistics.by_fibre(&statistics.snr)), "", "the sky's light included"),
        ("masked bins", percent(&statistics.masked), " %", "few; with a bad amplifier 25"),
        ("median chi2pix", median(&statistics.chi2pix), "", "a good fit: 0.7 to 1.1"),
        ("resolution σ, median", median(&statistics.sigma), " Å", "that of the spectrograph"),
    ];
    if let Some([width, beyond]) = report.scatter {
        tiles.push(("CCD residual, scatter", width, " σ", "noise alone: 1"));
        tiles.push(("pixels beyond 5 σ", beyond, " %", "noise alone: 0.00006"));
    }
    if let Some(errors) = &report.errors {
        tiles.push(("error scale", errors.whole, "", "right errors: 0.95 to 1.05"));
    }
    if let Some(fit) = &report.material.psf_fit {
        let of = |quantity: Quantity| fit.means[quantity as usize].map(|departure| departure.mean);
        let names =
            [(Quantity::X, "traces off in x", 1.0, " pixels"), (Quantity::Y, "traces off in y", 1.0, " pixels")];
        let widths =
            [(Quantity::SigmaX, "width along x", 100.0, " %"), (Quantity::SigmaY, "width along y", 100.0, " %")];
        for (quantity, name, factor, unit) in names.into_iter().chain(widths) {
            if let Some(mean) = of(quantity) {
                tiles.push((name, factor * mean, unit, "a PSF that fits: 0"));
            }
        }
    }
    if let Some(truth) = &report.material.truth {
        tiles.push(("chi against the truth, scatter", truth.moments().mean_std().1, "", "noise alone: 1"));
    }
    page.push("<dl class=\"tiles\">");
    for (name, value, unit, expected) in tiles {
        let value = few_digits(value);
        let _ = write!(
            page.html,
            "<div><dt>{name}</dt><dd>{value}<small>{unit}</small></dd><dd class=\"expected\">{expected}</dd></div>"
        );
    }
    page.push("</dl>\n");
}

/// Adds the warnings.
pub fn warnings(report: &Report, page: &mut Page) {
    page.heading("Reasons, by weight");
    page.push("<ul class=\"warnings\">");
    for warning in &report.warnings {
        let class = if warning.severity == Severity::Note { "note" } else { "bad" };
        let _ = write!(page.html, "<li class=\"{class}\">{}</li>", escaped(&warning.text));
    }
    if report.warnings.is_empty() {
        page.push("<li class=\"fine\">Nothing out of the ordinary.</li>");
    }
    page.push("</ul>\n");
}

/// Adds the header cards.
pub fn run(report: &Report, page: &mut Page) {
    page.heading("Run");
    page.push("<div class=\"card wide\"><table class=\"facts\"><thead><tr><th scope=\"col\">card</th><th scope=\"col\">meaning</th><th scope=\"col\">value</th></tr></thead><tbody>");
    for card in header_facts::cards(&report.material.frame.header) {
        let [keyword, meaning, value] = card.map(|text| escaped(&text));
        let _ = write!(
            page.html,
            "<tr><th scope=\"row\"><code>{keyword}</code></th><td>{meaning}</td><td>{value}</td></tr>"
        );
    }
    page.push("</tbody></table></div>\n");
}

/// Adds the table of all fibres.
pub fn all_fibres(report: &Report, page: &mut Page) {
    let statistics = &report.statistics;
    let kinds = selection::kinds(&report.material.frame);
    let medians = |values: &[f64]| statistics.by_fibre(values);
    let columns = [
        ("median S/N", medians(&statistics.snr)),
        ("masked, %", statistics.masked_by_fibre()),
        ("median chi2pix", medians(&statistics.chi2pix)),
        ("median σ, Å", medians(&statistics.sigma)),
    ];
    page.push("<details class=\"card wide\"><summary>All fibres as a table</summary><table><thead><tr>");
    page.push("<th scope=\"col\" class=\"n\">fibre</th><th scope=\"col\">kind</th>");
    for (name, _) in &columns {
        let _ = write!(page.html, "<th scope=\"col\" class=\"n\">{name}</th>");
    }
    page.push("</tr></thead><tbody>");
    for (row, fibre) in statistics.fibres.iter().enumerate() {
        let kind = escaped(&kinds[row]);
        let _ = write!(page.html, "<tr><th scope=\"row\" class=\"n\">{fibre}</th><td>{kind}</td>");
        for (_, values) in &columns {
            let _ = write!(page.html, "<td class=\"n\">{}</td>", few_digits(values[row]));
        }
        page.push("</tr>\n");
    }
    page.push("</tbody></table></details>\n");
}
