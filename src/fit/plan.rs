//! The bundles of a fit: independent of each other, so that threads and processes may share them.

use super::bundle::Bundle;
use super::fitted::assemble;
use super::{ArcFrame, BundleFit, FitOptions, FitTimes, Fitted, FittedBundle};
use crate::base::cancel::CancelToken;
use crate::base::median::median;
use crate::fits::Line;
use crate::psf::{Psf, PsfError};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// A gap between fibres, in median distances of neighbours.
const GAP: f64 = 1.4;
/// Most fibres of a bundle: their shapes are linear across it, or parabolas.
const MOST: usize = 40;
/// Reduced chi2 above which shapes may be curved across a bundle, and the share of what is above 1 that is left if they are.
const MISFIT: f64 = 1.05;
const CURED: f64 = 0.7;

/// Reason why no fit begins.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FitError {
    /// A frame has not the CCD of the start.
    #[error(
        "arc frame {frame} has {found:?} rows and columns, the start PSF's CCD has {needed:?}; give frames of its camera"
    )]
    Shape {
        /// The frame, from 0.
        frame: usize,
        /// Its rows and columns.
        found: [usize; 2],
        /// Rows and columns of the start.
        needed: [usize; 2],
    },
    /// Too few lines are on the CCD.
    #[error(
        "{lines} lines of the list are within the start PSF's range {low} to {high} Angstrom, at least 4 are needed; give a list of the lamp"
    )]
    Lines {
        /// Number of lines.
        lines: usize,
        /// Lower end, Angstrom.
        low: f64,
        /// Upper end, Angstrom.
        high: f64,
    },
    /// There is no frame.
    #[error("there is no arc frame; give at least one")]
    NoFrame,
    /// No fibre is chosen.
    #[error("fibres {first} to {last} are none of the start PSF's, which has rows 0 to {most}; choose others")]
    Fibres {
        /// The first chosen.
        first: usize,
        /// The last chosen.
        last: usize,
        /// The last of the start.
        most: usize,
    },
    /// The result is no PSF.
    #[error("the fitted PSF cannot be: {0}; give another start")]
    Psf(#[from] PsfError),
}

/// The bundles of a fit whose inputs fit together.
#[derive(Clone, Debug)]
pub struct FitPlan {
    bundles: Vec<Range<usize>>,
    /// Lines within the start's range.
    lines: Vec<Line>,
    options: FitOptions,
}

impl FitPlan {
    /// Checks the inputs and cuts the fibres into bundles.
    ///
    /// # Errors
    /// [`FitError`] if the inputs do not fit together.
    pub fn new(start: &Psf, frames: &[ArcFrame], lines: &[Line], options: &FitOptions) -> Result<Self, FitError> {
        let needed = [start.npix_y, start.npix_x];
        for (frame, arc) in frames.iter().enumerate() {
            let found = [arc.ccd.ny(), arc.ccd.nx()];
            if found != needed {
                let [found, needed] = [found, needed].map(|shape| start.dispersion.in_file(shape));
                return Err(FitError::Shape { frame, found, needed });
            }
        }
        if frames.is_empty() {
            return Err(FitError::NoFrame);
        }
        let mut inside: Vec<Line> = lines.iter().filter(|line| start.has(line.wave)).cloned().collect();
        inside.dedup_by(|a, b| a.wave == b.wave);
        if inside.len() < 4 {
            let ranges = || (0..start.nfibre).map(|fibre| start.range(fibre));
            let (low, high) =
                (ranges().map(|r| r[0]).fold(f64::MAX, f64::min), ranges().map(|r| r[1]).fold(0.0, f64::max));
            return Err(FitError::Lines { lines: inside.len(), low, high });
        }
        let chosen = options.fibres.clone().unwrap_or(0..start.nfibre);
        let groups = groups_of(start, options.bundlesize, &chosen);
        if groups.is_empty() {
            let last = chosen.end.saturating_sub(1);
            return Err(FitError::Fibres { first: chosen.start, last, most: start.nfibre - 1 });
        }
        Ok(Self { bundles: groups, lines: inside, options: options.clone() })
    }

    /// Returns the number of bundles.
    pub fn bundles(&self) -> usize {
        self.bundles.len()
    }

    /// Fits the bundles that `is_own` names in parallel, each by one thread; `done` gets each as soon as it is.
    pub fn fit(
        &self,
        start: &Psf,
        frames: &[ArcFrame],
        is_own: &(dyn Fn(usize) -> bool + Sync),
        cancel: &CancelToken,
        done: &(dyn Fn(FittedBundle) + Sync),
    ) {
        let own: Vec<usize> = (0..self.bundles.len()).filter(|&number| is_own(number)).collect();
        own.into_par_iter().for_each(|number| done(self.fit_bundle(number, start, frames, cancel)));
    }

    fn fit_bundle(&self, number: usize, start: &Psf, frames: &[ArcFrame], cancel: &CancelToken) -> FittedBundle {
        let (own, options) = (&self.bundles[number], &self.options);
        let fit = |options: &FitOptions| {
            let mut bundle = Bundle::new(start, own.clone(), frames, &self.lines, options, cancel);
            let outcome = bundle.fit();
            let begin = Instant::now();
            let record = bundle.record(outcome);
            bundle.times.record = begin.elapsed();
            let series = record.outcome.is_ok().then(|| bundle.series());
            FittedBundle { number, record, series, times: bundle.times }
        };
        let mut fitted = fit(options);
        let is_bad = fitted.record.outcome.is_ok() && misfit(&fitted.record) > MISFIT - 1.0;
        if is_bad && options.degree_across.is_none() && own.len() > 2 {
            let mut curved = fit(&FitOptions { degree_across: Some(2), ..options.clone() });
            let is_better = misfit(&curved.record) < CURED * misfit(&fitted.record);
            if is_better && curved.record.lost.len() <= fitted.record.lost.len() {
                std::mem::swap(&mut fitted, &mut curved);
            }
            fitted.times.add(&curved.times);
        }
        fitted
    }

    /// Puts all bundles, in any order, into a PSF.
    ///
    /// # Errors
    /// [`FitError::Psf`] if they make none.
    pub fn assemble(&self, start: &Psf, mut fitted: Vec<FittedBundle>) -> Result<Fitted, FitError> {
        fitted.sort_by_key(|bundle| bundle.number);
        let psf = assemble(start, &self.options, &fitted)?;
        let mut times = FitTimes::default();
        fitted.iter().for_each(|bundle| times.add(&bundle.times));
        Ok(Fitted { psf, bundles: fitted.into_iter().map(|bundle| bundle.record).collect(), times })
    }
}

/// Fits a PSF to arc frames of one camera, from a start that is right to some pixels. Lines need not be in the frames.
///
/// Bundles are fitted in parallel, each by one thread. A bundle that cannot be fitted keeps the start's PSF.
///
/// # Errors
/// [`FitError`] if the inputs do not fit together.
pub fn fit_psf(
    start: &Psf,
    frames: &[ArcFrame],
    lines: &[Line],
    options: &FitOptions,
    cancel: &CancelToken,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Fitted, FitError> {
    let plan = FitPlan::new(start, frames, lines, options)?;
    let fitted = Mutex::new(Vec::new());
    plan.fit(start, frames, &|_| true, cancel, &collect(&fitted, plan.bundles(), progress));
    plan.assemble(start, fitted.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Returns a listener that keeps bundles and reports how many of `total` there are.
pub(crate) fn collect<'a>(
    fitted: &'a Mutex<Vec<FittedBundle>>,
    total: usize,
    progress: &'a (dyn Fn(usize, usize) + Sync),
) -> impl Fn(FittedBundle) + Sync + 'a {
    move |bundle| {
        let mut fitted = fitted.lock().unwrap_or_else(PoisonError::into_inner);
        fitted.push(bundle);
        progress(fitted.len(), total);
    }
}

/// Returns how far the reduced chi2 of a fit is above 1, or infinity of none.
fn misfit(fit: &BundleFit) -> f64 {
    fit.outcome.as_ref().map_or(f64::INFINITY, |quality| (quality.reduced_chi2 - 1.0).abs())
}

/// Returns the bundles of the chosen fibres: sizes count from the first of them, gaps are those of all.
fn groups_of(psf: &Psf, size: Option<usize>, chosen: &Range<usize>) -> Vec<Range<usize>> {
    let inside = |group: Range<usize>| group.start.max(chosen.start)..group.end.min(chosen.end);
    let of = |group: Range<usize>| group.start.saturating_add(chosen.start)..group.end.saturating_add(chosen.start);
    let all: Vec<Range<usize>> = match size {
        Some(_) => groups(psf, size).into_iter().map(of).map(inside).collect(),
        None => groups(psf, None).into_iter().map(inside).collect(),
    };
    all.into_iter().map(|group| group.start..group.end.min(psf.nfibre)).filter(|group| !group.is_empty()).collect()
}

/// Returns bundles of a size, or those between gaps, cut where they are long.
pub(crate) fn groups(psf: &Psf, size: Option<usize>) -> Vec<Range<usize>> {
    let of_size = |whole: Range<usize>, size: usize| {
        let size = size.max(1);
        whole.clone().step_by(size).map(move |first| first..(first + size).min(whole.end))
    };
    if let Some(size) = size {
        return of_size(0..psf.nfibre, size).collect();
    }
    let place = |fibre: usize| psf.trace_x.of(fibre)[0];
    let sense = (place(psf.nfibre.saturating_sub(1)) - place(0)).signum();
    let x: Vec<f64> = (0..psf.nfibre).map(|fibre| sense * place(fibre)).collect();
    let usual = median(x.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect());
    let running = |most: &mut f64, x: f64| {
        *most = most.max(x);
        Some(*most)
    };
    // A gap is from all fibres before to all behind: where two have changed places there is none.
    let before: Vec<f64> = x.iter().copied().scan(f64::MIN, running).collect();
    let behind: Vec<f64> = x.iter().rev().map(|x| -x).scan(f64::MIN, running).collect();
    let gap = |k: usize| -behind[psf.nfibre - 1 - k] - before[k - 1];
    let cuts = (1..psf.nfibre).filter(|&k| gap(k) > GAP * usual);
    let ends: Vec<usize> = [0].into_iter().chain(cuts).chain([psf.nfibre]).collect();
    let long = |pair: &[usize]| {
        let count = pair[1] - pair[0];
        of_size(pair[0]..pair[1], count.div_ceil(count.div_ceil(MOST)))
    };
    ends.windows(2).flat_map(long).collect()
}
