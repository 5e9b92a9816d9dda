//! Outcomes of a bundle at a rung of the bands.

use super::{Excess, Step};
use crate::backend::FibreRow;
use crate::solver::BundleSpectra;
use crate::solver::banded::Task;

/// A bundle, or a window of a long one, that bands serve.
pub(super) struct Served {
    pub(super) index: usize,
    /// Spectra on the padded grid that are not part of the bundle's yet.
    pub(super) rows: Vec<FibreRow>,
    /// The bundle's spectra so far; None if there are none.
    pub(super) spectra: Option<Box<BundleSpectra>>,
    pub(super) in_f32: bool,
    /// The largest estimated error of flux, sigma.
    pub(super) error: f64,
    /// Where it is above the tolerance.
    pub(super) above: Vec<Excess>,
    /// The part of the information on a fibre that its neighbours leave.
    pub(super) information: Option<f64>,
}

/// Outcomes of a bundle at a rung of the bands.
pub(super) enum Next<'j> {
    /// Its spectra.
    Served(Served),
    /// Another attempt at this rung.
    Again(Box<Task<'j>>),
    /// Another rung.
    Move(usize, Step),
}

impl Next<'_> {
    pub(super) fn bundle(&self) -> usize {
        match self {
            Self::Served(served) => served.index,
            Self::Move(k, _) => *k,
            Self::Again(task) => task.index,
        }
    }

    /// Joins what became of the windows of a bundle: it is served if all are.
    pub(super) fn joined(parts: Vec<Self>) -> Self {
        let mut parts = parts.into_iter();
        let first = parts.next().expect("a bundle has a window");
        parts.fold(first, |all, part| match (all, part) {
            (Self::Served(mut all), Self::Served(more)) => {
                // Spectra, if there are any, are the first part's.
                all.rows.extend(more.rows);
                all.error = all.error.max(more.error);
                all.above.extend(more.above);
                all.information = all.information.into_iter().chain(more.information).reduce(f64::min);
                Self::Served(all)
            }
            (Self::Served(..), part) => part,
            (all, _) => all,
        })
    }
}
