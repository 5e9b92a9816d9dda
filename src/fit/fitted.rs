//! All bundles of a PSF fitted, and the PSF that they make.

use super::bundle::Bundle;
use super::{ArcFrame, BundleFit, FitOptions, FitTimes};
use crate::base::cancel::CancelToken;
use crate::base::median::median;
use crate::fits::Line;
use crate::psf::{LegendreSeries, Psf, PsfError, PsfParts};
use crate::stages::legendre::{legendre, polynomials, unit};
use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
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
    /// Fibres have a range of wavelengths each.
    #[error("its fibres have a range of wavelengths each: fit the PSF of each range in a file of its own")]
    Ranges,
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

/// A fitted PSF and the fits of its bundles.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// The PSF; bundles without a fit have the start's.
    pub psf: Psf,
    /// The bundles in order.
    pub bundles: Vec<BundleFit>,
    /// Where the time went.
    pub times: FitTimes,
}

impl Fitted {
    /// Returns the fit with positions, widths and shifts along x and y of the files; the PSF stays as it is.
    #[must_use]
    pub fn in_file(mut self) -> Self {
        let turn = |pair: &mut [f64; 2]| *pair = self.psf.dispersion.in_file(*pair);
        for bundle in &mut self.bundles {
            bundle.shifts.iter_mut().for_each(turn);
            bundle.spots.iter_mut().for_each(|spot| turn(&mut spot.at));
            bundle.errors.iter_mut().for_each(|error| [&mut error.at, &mut error.widths].into_iter().for_each(turn));
        }
        self
    }

    /// Returns STATUS of every fibre: 0 fitted, 2 as in the start. One without light follows its bundle, and is 0, too.
    pub fn status(&self) -> Vec<f64> {
        let mut status = vec![2.0; self.psf.nfibre];
        for bundle in self.bundles.iter().filter(|bundle| bundle.outcome.is_ok()) {
            status[bundle.fibres.clone()].fill(0.0);
        }
        status
    }

    /// Returns the fibres without light, rows of the PSF: their traces follow the bundle, their shapes are the bundle's.
    pub fn dark_fibres(&self) -> Vec<usize> {
        let fitted = self.bundles.iter().filter(|bundle| bundle.outcome.is_ok());
        fitted.flat_map(|bundle| bundle.dead.iter().copied()).collect()
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
    if start.ranges.is_some() {
        return Err(FitError::Ranges);
    }
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
    let mut inside: Vec<Line> = lines.iter().filter(|line| start.reaches(line.wave)).cloned().collect();
    inside.dedup_by(|a, b| a.wave == b.wave);
    if inside.len() < 4 {
        return Err(FitError::Lines { lines: inside.len(), low: start.wave_min, high: start.wave_max });
    }
    let chosen = options.fibres.clone().unwrap_or(0..start.nfibre);
    let groups = groups_of(start, options.bundlesize, &chosen);
    if groups.is_empty() {
        let last = chosen.end.saturating_sub(1);
        return Err(FitError::Fibres { first: chosen.start, last, most: start.nfibre - 1 });
    }
    let done = AtomicUsize::new(0);
    let fitted: Vec<(BundleFit, Option<Series>, FitTimes)> = groups
        .par_iter()
        .map(|own| {
            let fit = |options: &FitOptions| {
                let mut bundle = Bundle::new(start, own.clone(), frames, &inside, options, cancel);
                let outcome = bundle.fit();
                let begin = Instant::now();
                let record = bundle.record(outcome);
                bundle.times.record = begin.elapsed();
                let series = record.outcome.is_ok().then(|| bundle.series());
                (record, series, bundle.times)
            };
            let mut fitted = fit(options);
            let is_bad = fitted.0.outcome.is_ok() && misfit(&fitted.0) > MISFIT - 1.0;
            if is_bad && options.degree_across.is_none() && own.len() > 2 {
                let mut curved = fit(&FitOptions { degree_across: Some(2), ..options.clone() });
                let is_better = misfit(&curved.0) < CURED * misfit(&fitted.0);
                if is_better && curved.0.lost.len() <= fitted.0.lost.len() {
                    std::mem::swap(&mut fitted, &mut curved);
                }
                fitted.2.add(&curved.2);
            }
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, groups.len());
            fitted
        })
        .collect();
    let psf = assemble(start, options, &fitted)?;
    let mut times = FitTimes::default();
    fitted.iter().for_each(|(.., of_bundle)| times.add(of_bundle));
    Ok(Fitted { psf, bundles: fitted.into_iter().map(|(record, ..)| record).collect(), times })
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

/// Coefficients of a bundle's own fibres: traces along x and y, then the shape terms, `[fibre][coefficient]`.
type Series = Vec<Vec<Vec<f64>>>;

impl Bundle<'_> {
    /// Returns the Legendre series of the own fibres: a fibre's place is a number, so that they are exact.
    fn series(&self) -> Series {
        let layout = &self.model.layout;
        let trace = |axis: usize| {
            let of = |f: usize| self.model.theta[layout.trace(axis, f)..][..layout.orders[axis]].to_vec();
            self.model.own.clone().map(of).collect()
        };
        let degrees = self.model.monomials.iter().map(|m| m.1 + 1).max().unwrap_or(1);
        let shape = |term: usize| {
            let of = |f: usize| {
                let mut coeff = vec![0.0; degrees];
                for (m, &(a, b)) in self.model.monomials.iter().enumerate() {
                    coeff[b] += self.model.theta[layout.shape(term, m)] * self.model.z[f].powi(a as i32);
                }
                coeff
            };
            self.model.own.clone().map(of).collect()
        };
        [trace(0), trace(1)].into_iter().chain((0..layout.terms).map(shape)).collect()
    }
}

/// Puts the bundles into a PSF; series of bundles without a fit are the start's.
fn assemble(
    start: &Psf,
    options: &FitOptions,
    fitted: &[(BundleFit, Option<Series>, FitTimes)],
) -> Result<Psf, PsfError> {
    let degree = |along: usize| options.gh_degree.unwrap_or(along);
    let (degree_x, degree_y) = (degree(start.gh_degree_x), degree(start.gh_degree_y));
    let domain = start.sigma_x.domain;
    let along = options.legendre_degree.map_or(0, |degree| degree + 1);
    let ncoeff = start.table_rows().iter().map(|(_, series)| series.ncoeff).max().unwrap_or(1).max(along);
    let again = |series: &LegendreSeries| on_domain(series, domain, ncoeff, start.nfibre);
    let zero = LegendreSeries { domain, ncoeff, coeff: vec![0.0; ncoeff * start.nfibre] };
    let mut gh = Vec::new();
    for i in 0..=degree_x {
        for j in 0..=degree_y {
            let inside = i <= start.gh_degree_x && j <= start.gh_degree_y;
            gh.push(if inside { again(&start.gh[i * (start.gh_degree_y + 1) + j]) } else { zero.clone() });
        }
    }
    let mut parts = PsfParts {
        sigma_x: again(&start.sigma_x),
        sigma_y: again(&start.sigma_y),
        gh,
        gh_degree_x: degree_x,
        gh_degree_y: degree_y,
        ..start.clone().into_parts()
    };
    if let Some(tails) = &mut parts.tails {
        tails.series_mut().into_iter().for_each(|series| *series = on_domain(series, domain, ncoeff, start.nfibre));
    }
    for (record, series, _) in fitted {
        let Some(series) = series else { continue };
        for (k, fibre) in record.fibres.clone().enumerate() {
            parts.trace_x.set(fibre, &series[0][k]);
            parts.trace_y.set(fibre, &series[1][k]);
            let padded = |coeff: &[f64]| {
                let mut all = coeff.to_vec();
                all.resize(ncoeff, 0.0);
                all
            };
            parts.sigma_x.set(fibre, &padded(&series[2][k]));
            parts.sigma_y.set(fibre, &padded(&series[3][k]));
            parts.gh[0].set(fibre, &padded(&[1.0]));
            for (term, gh) in parts.gh[1..].iter_mut().enumerate() {
                gh.set(fibre, &padded(&series[4 + term][k]));
            }
        }
    }
    Psf::new(parts)
}

/// Returns a series on another domain with as many or more coefficients: the same polynomials.
fn on_domain(series: &LegendreSeries, domain: [f64; 2], ncoeff: usize, nfibre: usize) -> LegendreSeries {
    let fibres = 0..nfibre;
    if series.domain == domain {
        let padded = |fibre| series.of(fibre).iter().copied().chain(std::iter::repeat(0.0)).take(ncoeff);
        return LegendreSeries { domain, ncoeff, coeff: fibres.flat_map(padded).collect() };
    }
    // At as many Chebyshev nodes as coefficients a polynomial is known exactly.
    let node = |k: usize| (std::f64::consts::PI * (k as f64 + 0.5) / ncoeff as f64).cos();
    let table = DMatrix::from_fn(ncoeff, ncoeff, |k, j| polynomials(ncoeff, node(k))[j]).lu();
    let coeff = fibres.flat_map(|fibre| {
        let at = |k: usize| {
            let wave = domain[0] + 0.5 * (node(k) + 1.0) * (domain[1] - domain[0]);
            legendre(series.of(fibre), unit(series.domain, wave))
        };
        let values = DVector::from_fn(ncoeff, |k, _| at(k));
        table.solve(&values).map_or(vec![0.0; ncoeff], |c| c.iter().copied().collect())
    });
    LegendreSeries { domain, ncoeff, coeff: coeff.collect() }
}
