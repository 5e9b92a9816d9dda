//! Failures of a report.

use crate::compare::CompareError;
use crate::fits::FitsError;
use crate::plot::PlotError;
use std::path::PathBuf;
use thiserror::Error;

/// Reason why there is no report.
#[derive(Debug, Error)]
#[non_exhaustive]
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
    /// A file belongs to another frame.
    #[error(
        "{} is of another frame: its {keyword} is {found}, that of {} is {expected}; give the files of one extraction",
        path.display(), frame.display()
    )]
    OtherFrame {
        /// The file.
        path: PathBuf,
        /// The card that differs.
        keyword: &'static str,
        /// Its value.
        found: Box<str>,
        /// The frame's file.
        frame: PathBuf,
        /// Its value there.
        expected: Box<str>,
    },
    /// The truth belongs to another frame.
    #[error("{} cannot judge {}: {source}", truth.display(), frame.display())]
    Truth {
        /// The truth's file.
        truth: PathBuf,
        /// The frame's file.
        frame: PathBuf,
        /// The reason.
        source: Box<CompareError>,
    },
    /// The truth can judge no bin.
    #[error("no bin of {} can be judged by {}: their grids differ, or all bins are masked or at an end; extract on the truth's grid", frame.display(), truth.display())]
    NothingJudged {
        /// The truth's file.
        truth: PathBuf,
        /// The frame's file.
        frame: PathBuf,
    },
    /// A picture cannot be made.
    #[error(transparent)]
    Draw(Box<PlotError>),
}

impl From<PlotError> for ReportError {
    fn from(error: PlotError) -> Self {
        Self::Draw(Box::new(error))
    }
}
