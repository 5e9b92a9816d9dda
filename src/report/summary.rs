//! Everything that a report states about a frame.

use super::noise::{ErrorScale, Layout};
use super::read::Material;
use super::residual::CcdResidual;
use super::statistics::Statistics;
use super::verdict::Verdict;
use super::warnings::{self, Warning};

/// A report, ready to be written.
#[derive(Debug)]
pub struct Report {
    pub(super) material: Material,
    pub(super) statistics: Statistics,
    pub(super) warnings: Vec<Warning>,
    pub(super) verdict: Verdict,
    /// Scatter of the residual, and percentage of its pixels beyond 5 sigma.
    pub(super) scatter: Option<[f64; 2]>,
    /// Scale of the errors, where the residual gives it.
    pub(super) errors: Option<ErrorScale>,
}

impl Report {
    /// Evaluates the files.
    pub fn new(material: Material) -> Self {
        let frame = &material.frame;
        let layout = Layout {
            nwave: frame.spectra.nwave,
            nspec: frame.spectra.nspec,
            along_x: frame.header.contains("SPXDISP"),
        };
        let of_ccd = |ccd: &CcdResidual| rayon::join(|| ccd.scatter(), || ErrorScale::of(ccd, layout));
        let (statistics, of_ccd) = rayon::join(|| Statistics::of(frame), || material.ccd.as_ref().map(of_ccd));
        let (scatter, errors) = of_ccd.unzip();
        let errors = errors.flatten();
        let warnings = warnings::all(&material, &statistics, scatter, errors.as_ref());
        let verdict = Verdict::of(&statistics, &warnings);
        Self { material, statistics, warnings, verdict, scatter, errors }
    }

    /// Returns the verdict on the frame.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// Returns the problems of the frame, the most serious first.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Returns the ends of an axis of wavelengths: half a bin beyond the outermost.
    pub(super) fn wave_axis(&self) -> [f64; 2] {
        let wave = self.material.frame.scale();
        let (first, last) = (wave[0], wave[wave.len() - 1]);
        let half = 0.5 * (last - first) / (wave.len() - 1).max(1) as f64;
        let half = if half > 0.0 { half } else { 0.5 };
        [first - half, last + half]
    }

    /// Returns the ends of an axis of fibres: half a fibre beyond the outermost.
    pub(super) fn fibre_axis(&self) -> [f64; 2] {
        [-0.5, self.statistics.fibres.len() as f64 - 0.5]
    }
}
