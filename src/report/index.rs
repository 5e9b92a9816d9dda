//! The index of many frames: a row each with its verdict, the worst on top.

use super::statistics::{median, percent};
use super::summary::Report;
use super::text::{escaped, few_digits};
use super::warnings::{Severity, Warning};
use super::{header_facts, verdict::Verdict};
use std::cmp::Reverse;
use std::fmt::Write;

const STYLE: &str = include_str!("page.css");

/// Reasons that stand above the table.
const WORST: usize = 10;

/// One frame of an index.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexRow {
    link: String,
    name: String,
    title: String,
    verdict: Verdict,
    /// The reasons against it, notes left out, the most serious first.
    reasons: Vec<Warning>,
    /// Medians of S/N and chi2pix, and the masked bins in percent.
    figures: [f64; 3],
}

impl Report {
    /// Returns the row of an index whose link leads to the frame's page.
    pub fn index_row(&self, link: String) -> IndexRow {
        let statistics = &self.statistics;
        IndexRow {
            link,
            name: self.material.name.clone(),
            title: header_facts::title(&self.material.frame.header),
            verdict: self.verdict.clone(),
            reasons: self.warnings.iter().filter(|w| w.severity != Severity::Note).cloned().collect(),
            figures: [
                median(&statistics.by_fibre(&statistics.snr)),
                median(&statistics.chi2pix),
                percent(&statistics.masked),
            ],
        }
    }
}

/// Makes the page of an index: self-contained but for its links.
pub fn index(mut rows: Vec<IndexRow>) -> String {
    rows.sort_by_key(|row| (Reverse(row.verdict.light), Reverse(row.reasons.len())));
    let count = |name: &str| rows.iter().filter(|row| row.verdict.light.name() == name).count();
    let [green, amber, red] = ["green", "amber", "red"].map(count);
    let mut table = String::new();
    for row in &rows {
        let [link, name, title, verdict] =
            [&row.link, &row.name, &row.title, &row.verdict.sentence].map(|s| escaped(s));
        let [snr, chi2, masked] = row.figures.map(few_digits);
        let light = row.verdict.light.name();
        let _ = writeln!(
            table,
            "<tr><td><a href=\"{link}\">{name}</a><br><small>{title}</small></td><td class=\"verdict {light}\">{verdict}</td>\
             <td class=\"n\">{snr}</td><td class=\"n\">{chi2}</td><td class=\"n\">{masked}</td></tr>"
        );
    }
    let worst = worst(&rows);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>spextral: {n} frames</title>\n<style>\n{STYLE}td.verdict {{ font-size: 14px; }}\n</style>\n</head>\n<body>\n\
         <header><p class=\"brand\">spextral report</p><h1>{n} frames</h1>\
         <p class=\"sub\">{red} not good, {amber} usable with care, {green} good; the worst on top</p></header>\n\
         <main>{worst}<h2>All frames</h2><div class=\"card wide\"><table class=\"facts\"><thead><tr><th scope=\"col\">frame</th><th scope=\"col\">verdict</th>\
         <th scope=\"col\" class=\"n\">median S/N</th><th scope=\"col\" class=\"n\">chi2pix</th>\
         <th scope=\"col\" class=\"n\">masked, %</th></tr></thead><tbody>\n{table}</tbody></table></div></main>\n</body>\n</html>\n",
        n = rows.len(),
    )
}

/// Lists the most serious reasons of all frames: those of a frame come after the first ones of others.
fn worst(rows: &[IndexRow]) -> String {
    let mut all: Vec<(Reverse<Severity>, usize, usize)> = Vec::new();
    for (k, row) in rows.iter().enumerate() {
        all.extend(row.reasons.iter().enumerate().map(|(place, reason)| (Reverse(reason.severity), place, k)));
    }
    all.sort();
    let mut list = String::new();
    for (_, place, k) in all.into_iter().take(WORST) {
        let (row, reason) = (&rows[k], &rows[k].reasons[place]);
        let class = if reason.severity == Severity::Grave { "bad" } else { "note" };
        let [link, name, text] = [&row.link, &row.name, &reason.text].map(|s| escaped(s));
        let _ = writeln!(list, "<li class=\"{class}\"><a href=\"{link}\">{name}</a>: {text}</li>");
    }
    match list.is_empty() {
        true => "<p class=\"verdict green\">Nothing weighs against any frame.</p>".into(),
        false => format!("<h2>The worst</h2><ul class=\"warnings\">{list}</ul>"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{frame, material};

    #[test]
    fn the_worst_frame_is_on_top_and_links_to_its_page() {
        let good = Report::new(material(frame(6, 20)));
        let mut wrong = frame(6, 20);
        wrong.spectra.update(|s| s.chi2pix.fill(3.0)).unwrap();
        let wrong = Report::new(material(wrong));
        let page = index(vec![good.index_row("good.html".into()), wrong.index_row("a\"b.html".into())]);
        let [good, wrong] = ["href=\"good.html\"", "href=\"a&quot;b.html\""].map(|link| page.find(link).unwrap());
        let [reason, table] =
            ["a&quot;b.html\">frame.fits</a>: The median chi2pix", "<table"].map(|text| page.find(text).unwrap());
        assert!(reason < table, "reasons stand above the table");
        assert!(wrong < good && page.contains("1 not good, 0 usable with care, 1 good"), "{page}");
    }
}
