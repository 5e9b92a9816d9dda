//! The page in the making: its body, and the data of its script.

use super::figures::Figure;
use serde_json::Value;
use std::fmt::Write;

/// The body of the page and the data of its script.
#[derive(Default)]
pub struct Page {
    /// The body so far.
    pub html: String,
    /// The figures as the script gets them.
    pub views: Vec<Value>,
    /// Remarks on what was down-sampled.
    pub reduced: Vec<String>,
}

impl Page {
    /// Adds sections that were made apart.
    pub fn append(&mut self, sections: Self) {
        self.push(&sections.html);
        self.views.extend(sections.views);
        self.reduced.extend(sections.reduced);
    }

    pub fn push(&mut self, html: &str) {
        self.html.push_str(html);
    }

    pub fn heading(&mut self, text: &str) {
        let _ = writeln!(self.html, "<h2>{text}</h2>");
    }

    /// Adds the remark that a section needs more files.
    pub fn missing(&mut self, html: &str) {
        let _ = writeln!(self.html, "<p class=\"missing\">{html}</p>");
    }

    pub fn add(&mut self, figure: Figure) {
        self.push(&figure.html);
        self.views.push(figure.view);
    }

    pub fn side_by_side(&mut self, figures: [Figure; 2]) {
        self.push("<div class=\"grid\">");
        figures.into_iter().for_each(|figure| self.add(figure));
        self.push("</div>\n");
    }

    pub fn note_reduction(&mut self, figure: &str, factor: [usize; 2], how: &str) {
        if factor != [1, 1] {
            self.reduced.push(format!("{figure}: one pixel stands for {} x {} ({how})", factor[0], factor[1]));
        }
    }
}
