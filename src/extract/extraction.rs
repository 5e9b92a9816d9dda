//! The result of an extraction: spectra, model image and summary.

use crate::backend::Stage;
use crate::base::number::runs;
use crate::base::option_name::{OptionName, Remedy};
use crate::frame::Spectra;
use crate::gpu::MemoryUse;
use crate::plan::Groups;
use crate::solver::{Record, Solver};
use serde::{Deserialize, Serialize};
use std::ops::Deref;
use std::time::Duration;

/// Result of an extraction.
#[derive(Clone, Debug)]
pub struct Extraction {
    /// The spectra on the requested grid.
    pub spectra: Spectra,
    /// The model image in electron, `[ny, nx]`, if requested.
    pub model: Option<Vec<f32>>,
    /// Device, fallbacks and times.
    pub summary: Summary,
}

/// Summary of an extraction: the ladder's record, the device, the empty bins, the times.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The device that computed it.
    pub device: String,
    /// Memory planned and used on a GPU.
    pub device_memory: Option<MemoryUse>,
    /// Counts of bundles and patches, and the fallbacks.
    pub record: Record,
    /// Groups of fibres that are solved together, of all fibres of the PSF.
    pub groups: Groups,
    /// Largest relative overlap of spots of different groups.
    pub overlap: f64,
    /// The worst cut through overlapping fibres.
    pub forced_cut: Option<String>,
    /// Fibres with rows of R that are cut off, by the number of its diagonals or by the ends of the grid.
    pub cut_rows: Vec<CutRows>,
    /// Bins without information.
    pub no_information: usize,
    /// Fibres without any good pixel.
    pub dark: Dark,
    /// Bins without information that have good pixels: not solved, or with numbers beyond what a file holds or f64 resolves.
    pub no_result: usize,
    /// How well the spectra fit the pixels; None without information.
    pub fit: Option<Fit>,
    /// Time spent in each stage; on a GPU see [`crate::backend::Engine::with_exact_times`].
    pub stage_time: Vec<(Stage, Duration)>,
}

/// Rows of R of one fibre that sum to less than 0.99: they are wider than the stored diagonals, or reach beyond the grid.
/// Bins within HSIZEY of its ends do not count.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CutRows {
    /// The fibre, a row of the PSF.
    pub fibre: usize,
    /// Such rows.
    pub rows: usize,
    /// The smallest sum of a row.
    pub least: f64,
}

/// How well spectra fit the pixels in all.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// Median over the fibres of their median chi2pix.
    pub chi2pix: f64,
    /// Whether no frame with the right weights and PSF has so large or so small a value.
    pub is_odd: bool,
}

impl Fit {
    /// Electrons of the fullest pixel of any CCD.
    const FULL_WELL: f64 = 3e5;

    /// Judges a median: noise alone gives 1. The error of the PSF, a fraction of the light, divides it by 1 + F^2 N at most in a
    /// pixel of N electrons.
    pub fn new(chi2pix: f64, psferr: f64) -> Self {
        let least = 0.3 / (1.0 + psferr * psferr * Self::FULL_WELL);
        Self { chi2pix, is_odd: !(least..3.0).contains(&chi2pix) }
    }

    /// Returns the message of what is odd, and of what may be wrong; None if nothing is.
    pub fn sentence(&self, is_regularized: bool) -> Option<String> {
        let is = if self.chi2pix < 1.0 { "smaller" } else { "larger" };
        let or = if is_regularized { format!(", and {} small enough", OptionName::Regularize) } else { String::new() };
        self.is_odd.then(|| {
            format!(
                "the median chi2pix is {:.2e}, far {is} than 1: pixels scatter otherwise than their weights say; is IVAR the inverse \
                 variance in electron^-2, and the PSF of this frame{or}?",
                self.chi2pix
            )
        })
    }
}

/// Fibres of which no good pixel is left, rows of the PSF, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dark {
    /// Those with all of their pixels masked or of ivar 0.
    pub masked: Vec<usize>,
    /// Those beside the CCD throughout.
    pub off_ccd: Vec<usize>,
}

impl Dark {
    /// Returns all of them, ascending.
    pub fn fibres(&self) -> Vec<usize> {
        let mut all = [&self.masked[..], &self.off_ccd].concat();
        all.sort_unstable();
        all
    }

    /// Returns a warning, None if there is no such fibre; `nspec` fibres are extracted.
    pub fn sentence(&self, nspec: usize) -> Option<String> {
        let all = self.masked.len() + self.off_ccd.len() == nspec;
        let kinds = [
            (&self.masked, "no good pixel: all are masked, or have ivar 0"),
            (&self.off_ccd, "no pixel: the PSF has the traces beside the CCD on this grid"),
        ];
        let part = |(fibres, what): (&Vec<usize>, &str)| match &fibres[..] {
            [] => None,
            [one] => Some(format!("fibre {one} has {what}")),
            many => Some(format!("fibres {} have {what}", card_of(many))),
        };
        let parts: Vec<String> = kinds.into_iter().filter_map(part).collect();
        let start = if all { "nothing is left to extract, the frame is empty: " } else { "" };
        (!parts.is_empty()).then(|| format!("{start}{}; their bins have ivar 0", parts.join("; ")))
    }
}

/// Lists fibres, runs of them as ranges: `0-4,7`.
pub(super) fn card_of(fibres: &[usize]) -> String {
    runs(&fibres.iter().map(|&fibre| fibre as i64).collect::<Vec<_>>()).join(",")
}

impl Deref for Summary {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.record
    }
}

impl Summary {
    /// Whether any bundle or patch has a solution.
    pub fn has_results(&self) -> bool {
        self.banded > 0 || self.failed < self.patches
    }

    /// Returns None if the solver requested served all bundles, else a clause that names the others.
    pub fn is_by(&self, requested: Solver) -> Option<String> {
        let other = requested == Solver::Banded && !self.in_patches.is_empty();
        other.then(|| {
            let (fibres, of) = (card_of(&self.in_patches), self.banded + self.in_patches.len());
            let n = self.in_patches.len();
            let asked = Remedy::Set(OptionName::Solver, "banded");
            format!(
                "{asked} did not serve {n} of {of} bundles (first fibres {fibres}), which were extracted in patches"
            )
        })
    }

    /// The precision of the results: the value of the card SPXPREC.
    pub fn precision(&self) -> &'static str {
        match (self.in_f32, self.banded + self.patches) {
            (0, _) => "f64",
            (some, all) if some < all => "f32, some bundles or patches in f64",
            _ => "f32",
        }
    }

    /// The solver that served: the value of the card SPXSOLV.
    pub fn solver(&self) -> &'static str {
        match (self.banded, self.patches) {
            (_, 0) => "banded",
            (0, _) => "patches",
            _ => "banded, some bundles in patches",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_solver_that_was_requested_and_did_not_serve_is_told_with_its_bundles() {
        let record = Record { banded: 2, in_patches: vec![0, 25, 75], ..Record::default() };
        let summary = Summary { record, ..Summary::default() };
        assert_eq!((summary.is_by(Solver::Auto), summary.is_by(Solver::Patches)), (None, None));
        let clause = summary.is_by(Solver::Banded).unwrap();
        assert!(clause.contains("solver banded did not serve 3 of 5 bundles (first fibres 0,25,75)"), "{clause}");
        let banded = Summary { record: Record { banded: 2, ..Record::default() }, ..Summary::default() };
        assert_eq!(banded.is_by(Solver::Banded), None);
    }
}
