//! The page: all sections in order, with style, script and data.

use super::error::ReportError;
use super::figures::packed;
use super::html::Page;
use super::summary::Report;
use super::text::escaped;
use super::{ccd, header_facts, quality, spectra, tables, targets, traces};
use crate::plot::LEVELS;
use serde_json::{Value, json};

pub(super) const PAGE: &str = include_str!("page.html");
pub(super) const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = concat!(include_str!("page.js"), include_str!("spectrum.js"));

impl Report {
    /// Makes the page: self-contained HTML that loads nothing.
    ///
    /// # Errors
    /// [`ReportError::Draw`] if a picture cannot be encoded.
    pub fn html(&self) -> Result<String, ReportError> {
        // The sections that take long are made side by side.
        let (spectra, (residual, rest)) =
            rayon::join(|| self.spectra(), || rayon::join(|| self.residual(), || self.goodness()));
        let (mut page, spectra) = spectra?;
        page.append(residual?);
        page.append(rest?);

        let (name, frame) = (&self.material.name, &self.material.frame);
        let known = header_facts::title(&frame.header);
        let title = if known.is_empty() { name.clone() } else { known };
        let subtitle = format!("{name}: {} fibres by {} bins", frame.spectra.nspec, frame.spectra.nwave);
        let reduced = match page.reduced.is_empty() {
            true => "Nothing on this page is down-sampled.".into(),
            false => format!("Down-sampled: {}.", page.reduced.join("; ")),
        };
        let footer = format!(
            "{reduced} Heat maps have {LEVELS} levels; spectra are complete, in steps of a third of their errors. Made by spextral {}; this page is self-contained and loads nothing.",
            env!("CARGO_PKG_VERSION")
        );
        let data = json!({
            "wave": packed(frame.scale()), "fibres": self.statistics.fibres, "views": page.views, "spectra": spectra,
        });
        let parts = [
            ("{{title}}", escaped(&title)),
            ("{{subtitle}}", escaped(&subtitle)),
            ("{{footer}}", escaped(&footer)),
            ("{{style}}", STYLE.into()),
            ("{{script}}", SCRIPT.into()),
            ("{{body}}", page.html),
            // No `<`, so that no text can end the element of the data.
            ("{{data}}", data.to_string().replace('<', "\\u003c")),
        ];
        Ok(parts.iter().fold(PAGE.to_string(), |page, (placeholder, text)| page.replace(placeholder, text)))
    }

    /// Makes the sections from the verdict to the spectra, and the spectra for the script.
    fn spectra(&self) -> Result<(Page, Value), ReportError> {
        let mut page = Page::default();
        tables::verdict(self, &mut page);
        tables::key_numbers(self, &mut page);
        tables::warnings(self, &mut page);
        spectra::all_spectra(self, &mut page)?;
        let spectra = spectra::single_spectra(self, &mut page);
        Ok((page, spectra))
    }

    /// Makes the sections from the signal to the traces.
    fn residual(&self) -> Result<Page, ReportError> {
        let mut page = Page::default();
        quality::signal(self, &mut page);
        targets::targets(self, &mut page);
        ccd::residual(self, &mut page)?;
        traces::traces(self, &mut page);
        Ok(page)
    }

    /// Makes the sections from the goodness on.
    fn goodness(&self) -> Result<Page, ReportError> {
        let mut page = Page::default();
        quality::goodness(self, &mut page)?;
        quality::resolution(self, &mut page)?;
        quality::masks(self, &mut page);
        quality::chi(self, &mut page);
        tables::run(self, &mut page);
        tables::all_fibres(self, &mut page);
        Ok(page)
    }
}
