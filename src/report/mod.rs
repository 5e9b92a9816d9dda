//! A report on one frame: a page that opens anywhere by itself, and a picture for a quick look.
//!
//! The page shows what the files allow: the frame alone; with the CCD and the model of it the residual; with the truth chi.

mod ccd;
mod figures;
mod header_facts;
mod heatmap;
mod overview;
mod page;
mod read;
mod residual;
mod sections;
mod statistics;
mod warnings;

pub use read::{Material, Sources};
pub use warnings::{Severity, Warning};

use crate::compare::CompareError;
use crate::fits::FitsError;
use statistics::Numbers;
use std::path::PathBuf;
use thiserror::Error;

/// Why there is no report.
#[derive(Debug, Error)]
pub enum ReportError {
    /// A file cannot be read.
    #[error(transparent)]
    Fits(#[from] FitsError),
    /// The model has another shape than the image.
    #[error(
        "{}: MODEL has {} x {} pixels, IMAGE of {} has {} x {}: give the model that was extracted from this image",
        model.display(), found[0], found[1], image.display(), expected[0], expected[1]
    )]
    Shape {
        /// The model's file.
        model: PathBuf,
        /// Its columns and rows.
        found: [usize; 2],
        /// The image's file.
        image: PathBuf,
        /// Its columns and rows.
        expected: [usize; 2],
    },
    /// A file of another frame.
    #[error(
        "{} is of another frame: its {keyword} is {found}, that of {} is {expected}; give the files of one extraction",
        path.display(), frame.display()
    )]
    OtherFrame {
        /// The file.
        path: PathBuf,
        /// The card that tells.
        keyword: &'static str,
        /// Its value.
        found: String,
        /// The frame's file.
        frame: PathBuf,
        /// Its value there.
        expected: String,
    },
    /// The truth is not of this frame.
    #[error("{} cannot judge {}: {source}", truth.display(), frame.display())]
    Truth {
        /// The truth's file.
        truth: PathBuf,
        /// The frame's file.
        frame: PathBuf,
        /// Why.
        source: Box<CompareError>,
    },
    /// No bin can be judged by the truth.
    #[error("no bin of {} can be judged by {}: their grids differ, or all bins are masked or at an end; extract on the truth's grid", frame.display(), truth.display())]
    NothingJudged {
        /// The truth's file.
        truth: PathBuf,
        /// The frame's file.
        frame: PathBuf,
    },
    /// A picture cannot be made.
    #[error("a picture of the report cannot be drawn: {0}")]
    Draw(String),
}

/// A report, ready to be written.
#[derive(Debug)]
pub struct Report {
    material: Material,
    numbers: Numbers,
    warnings: Vec<Warning>,
    /// Scatter of the residual, and percent of its pixels beyond 5 sigma.
    scatter: Option<[f64; 2]>,
}

impl Report {
    /// Looks at what was read.
    pub fn new(material: Material) -> Self {
        let numbers = Numbers::of(&material.frame);
        let scatter = material.ccd.as_ref().map(residual::Ccd::scatter);
        let warnings = warnings::all(&material, &numbers, scatter);
        Self { material, numbers, warnings, scatter }
    }

    /// What one should know before using the spectra.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The page: HTML with everything in it, that asks for nothing from elsewhere.
    ///
    /// # Errors
    /// [`ReportError::Draw`].
    pub fn html(&self) -> Result<String, ReportError> {
        page::html(self)
    }

    /// One picture of the frame, as a PNG file.
    ///
    /// # Errors
    /// [`ReportError::Draw`].
    pub fn png(&self) -> Result<Vec<u8>, ReportError> {
        overview::png(self)
    }
}

#[cfg(test)]
mod tests;
