//! The index of many frames: a row each with its verdict, the worst on top.

use super::statistics::{median, percent};
use super::summary::Report;
use super::text::{escaped, few_digits};
use super::{header_facts, verdict::Verdict};
use std::cmp::Reverse;
use std::fmt::Write;

const STYLE: &str = include_str!("page.css");

/// One frame of an index.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexRow {
    link: String,
    name: String,
    title: String,
    verdict: Verdict,
    /// Number of reasons against it.
    reasons: usize,
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
            reasons: self.warnings.len(),
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
    rows.sort_by_key(|row| (Reverse(row.verdict.light), Reverse(row.reasons)));
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
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>spextral: {n} frames</title>\n<style>\n{STYLE}td.verdict {{ font-size: 14px; }}\n</style>\n</head>\n<body>\n\
         <header><p class=\"brand\">spextral report</p><h1>{n} frames</h1>\
         <p class=\"sub\">{red} not good, {amber} usable with care, {green} good; the worst on top</p></header>\n\
         <main><div class=\"card wide\"><table class=\"facts\"><thead><tr><th scope=\"col\">frame</th><th scope=\"col\">verdict</th>\
         <th scope=\"col\" class=\"n\">median S/N</th><th scope=\"col\" class=\"n\">chi2pix</th>\
         <th scope=\"col\" class=\"n\">masked, %</th></tr></thead><tbody>\n{table}</tbody></table></div></main>\n</body>\n</html>\n",
        n = rows.len(),
    )
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
        assert!(wrong < good && page.contains("1 not good, 0 usable with care, 1 good"), "{page}");
    }
}
