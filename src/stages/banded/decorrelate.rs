//! Q of the fibres of a bundle, each in the narrowest band that serves it.

use super::complement::{Complement, Recursion, complements};
use super::frontier;
use super::normal::BandedNormal;
use super::parameters::SolverParameters;
use super::root::{BandedRoot, root};
use super::{BandFailure, CouplingError};
use rayon::prelude::*;
use std::ops::Range;

/// Up to so many tolerances the next band is likely to serve; beyond it S in the widest band shows which one does.
const NEAR: f64 = 30.0;

/// The share of the tolerance that a band is predicted to leave before it is tried.
const PREDICTED: f64 = 0.7;

/// The narrowest band tried where the first gave no S at all.
const AFTER_NONE: usize = 48;

/// The share of the tolerance that fibres beyond the frontier may take: told values are 0.1 to 10 times the error.
const BEYOND_FRONTIER: f64 = 0.2;

/// The fibres of a bundle that are decorrelated.
pub struct Wanted<'a> {
    /// The fibres that S is formed for, whatever is selected.
    pub core: Range<usize>,
    /// Those to be decorrelated, of the core.
    pub fibres: &'a [usize],
    /// Diagonals of Q to each side.
    pub half: usize,
    /// Whether the error of a fibre's bin counts.
    pub counts: &'a (dyn Fn(usize, usize) -> bool + Sync),
}

/// The two parts of the work, which are timed apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The recursion over fibres.
    Complements,
    /// Roots of S_f.
    Roots,
}

/// Runs a part of the work on the clock of its stage.
pub type Timed<'a> = &'a dyn Fn(Part, &mut dyn FnMut());

/// Q of a fibre.
#[derive(Clone, Debug)]
pub struct Decorrelated {
    /// Q.
    pub root: BandedRoot,
    /// Half bandwidth of its S.
    pub kept: usize,
    /// The largest estimated error of flux at bins that count, sigma; infinite where it is no number.
    pub error: f64,
}

/// Why a bundle is not decorrelated.
#[derive(Clone, Debug, thiserror::Error, PartialEq)]
pub enum DecorrelationFailure {
    /// Fibres beyond the frontier of the recursion change flux.
    #[error(transparent)]
    Coupling(#[from] CouplingError),
    /// S is not positive definite in any band.
    #[error(transparent)]
    Band(#[from] BandFailure),
}

/// Q of the wanted fibres, and the median of S_ii / K_ii, the information that neighbours leave.
///
/// A fibre's band follows from its own estimates: first the narrowest, then the next if that is near, else the first of S in the
/// widest band whose residual promises the tolerance. So a fibre's bits do not depend on what is selected besides.
///
/// # Errors
/// [`DecorrelationFailure`]: a matrix is not positive definite, or fibres farther apart than the recursion holds still matter.
pub fn banded_decorrelation(
    normal: &BandedNormal,
    x: &[Vec<f64>],
    parameters: &SolverParameters,
    wanted: &Wanted,
    timed: Timed,
) -> Result<(Vec<Decorrelated>, f64), DecorrelationFailure> {
    let beyond = frontier::neglected(normal, x, parameters.frontier, wanted.core.clone(), wanted.counts);
    let largest = beyond.iter().copied().fold(0.0, f64::max);
    // Written so that a NaN is an error.
    let good = largest <= BEYOND_FRONTIER * parameters.tolerance;
    if !good {
        return Err(CouplingError::Frontier { distance: parameters.frontier + 1, error: largest }.into());
    }
    let rhs = frontier::near_rhs(normal, x, parameters.frontier);
    let s = |kept: usize| {
        let recursion = Recursion { kept, frontier: parameters.frontier, overlap: parameters.overlap };
        let mut found = Ok(vec![]);
        timed(Part::Complements, &mut || found = complements(normal, &rhs, recursion, wanted.core.clone()));
        found
    };
    let of = Choice { x, parameters, wanted, beyond: &beyond };
    let bands = parameters.bands;
    let narrow = s(bands[0]);
    let mut done: Vec<Option<Decorrelated>> = vec![None; wanted.fibres.len()];
    if let Ok(s) = &narrow {
        let all = |done: &mut Vec<Option<Decorrelated>>| {
            let fibres = done.par_iter_mut().zip(wanted.fibres);
            fibres.for_each(|(found, &fibre)| *found = Some(of.try_band(s, fibre)));
        };
        timed(Part::Roots, &mut || all(&mut done));
    }
    let near = |found: &Option<Decorrelated>| found.as_ref().is_some_and(|found| of.is_near(found));
    if bands.len() > 1
        && done.iter().any(near)
        && let Ok(next) = s(bands[1])
    {
        timed(Part::Roots, &mut || {
            let fibres = done.par_iter_mut().zip(wanted.fibres).filter(|(found, _)| near(found));
            fibres.for_each(|(found, &fibre)| of.keep_better(found, of.try_band(&next, fibre)));
        });
    }
    let open = |found: &Option<Decorrelated>| found.as_ref().is_none_or(|found| !of.serves(found));
    if bands.len() > 1 && done.iter().any(open) {
        match (s(bands[bands.len() - 1]), &narrow) {
            (Ok(wide), _) => {
                let narrow = narrow.as_ref().ok();
                timed(Part::Roots, &mut || {
                    let fibres = done.par_iter_mut().zip(wanted.fibres).filter(|(found, _)| open(found));
                    fibres.for_each(|(found, &fibre)| of.choose(found, narrow, &wide, fibre));
                });
            }
            // What the narrow bands gave stands, and is told.
            (Err(_), Ok(_)) => {}
            (Err(why), Err(_)) => return Err(why.into()),
        }
    }
    let information = narrow.as_ref().map_or(1.0, |s| of.information(normal, s));
    let all = done.into_iter().map(|found| found.ok_or_else(|| narrow.as_ref().expect_err("else it is tried").clone()));
    Ok((all.collect::<Result<_, _>>()?, information))
}

/// The choice of a band for each fibre.
struct Choice<'a> {
    x: &'a [Vec<f64>],
    parameters: &'a SolverParameters,
    wanted: &'a Wanted<'a>,
    /// What fibres beyond the frontier take, of the core.
    beyond: &'a [f64],
}

impl Choice<'_> {
    fn serves(&self, found: &Decorrelated) -> bool {
        found.error <= self.parameters.tolerance
    }

    fn is_near(&self, found: &Decorrelated) -> bool {
        !self.serves(found) && found.error <= NEAR * self.parameters.tolerance
    }

    /// Q in the band of `s`, `[core fibre]`.
    fn try_band(&self, s: &[Complement], fibre: usize) -> Decorrelated {
        self.try_one(&s[fibre - self.wanted.core.start], fibre)
    }

    fn try_one(&self, s: &Complement, fibre: usize) -> Decorrelated {
        let mut root = root(s, &self.x[fibre], self.wanted.half, &self.parameters.accuracy);
        let beyond = self.beyond[fibre - self.wanted.core.start];
        root.truncation_error.iter_mut().for_each(|told| *told += beyond);
        let told = root.truncation_error.iter().enumerate().filter(|(bin, _)| (self.wanted.counts)(fibre, *bin));
        let error = told.map(|(_, e)| if e.is_finite() { *e } else { f64::INFINITY }).fold(0.0, f64::max);
        Decorrelated { root, kept: s.band, error }
    }

    fn keep_better(&self, found: &mut Option<Decorrelated>, more: Decorrelated) {
        if found.as_ref().is_none_or(|found| more.error < found.error) {
            *found = Some(more);
        }
    }

    /// Tries the bands of a wide S that promise the tolerance, from the narrowest.
    fn choose(
        &self,
        found: &mut Option<Decorrelated>,
        narrow: Option<&Vec<Complement>>,
        wide: &[Complement],
        fibre: usize,
    ) {
        let at = fibre - self.wanted.core.start;
        let x = &self.x[fibre];
        let counts = |bin: usize| (self.wanted.counts)(fibre, bin);
        // Sigma per residual, as the best band so far has it.
        let scale = found.as_ref().zip(narrow).and_then(|(found, narrow)| {
            let known = if found.kept == narrow[at].band { narrow[at].clone() } else { wide[at].cut(found.kept) };
            let rest = known.largest_residual(x, counts);
            (found.error.is_finite() && rest > 0.0).then(|| found.error / rest)
        });
        let tried = found.as_ref().map_or(0, |found| found.kept);
        let bands = self.parameters.bands;
        for &kept in bands.iter().filter(|&&kept| kept > tried) {
            let last = kept == bands[bands.len() - 1];
            let s = wide[at].cut(kept);
            let promising = match scale {
                Some(scale) => scale * s.largest_residual(x, counts) <= PREDICTED * self.parameters.tolerance,
                None => kept >= AFTER_NONE,
            };
            if last || promising {
                self.keep_better(found, self.try_one(&s, fibre));
            }
            if found.as_ref().is_some_and(|found| self.serves(found)) {
                return;
            }
        }
    }

    /// The median of S_ii / K_ii at bins that count.
    fn information(&self, normal: &BandedNormal, s: &[Complement]) -> f64 {
        let ratio = |(fibre, s): (usize, &Complement), bin: usize| {
            s.matrix[bin * (s.band + 1)] / normal.diagonal[fibre][bin * (normal.half + 1)]
        };
        let of_fibre = |(fibre, s)| {
            let bins = (0..normal.n).filter(move |&bin| (self.wanted.counts)(fibre, bin));
            bins.map(move |bin| ratio((fibre, s), bin))
        };
        let mut all: Vec<f64> = self.wanted.core.clone().zip(s).flat_map(of_fibre).collect();
        if all.is_empty() {
            return 1.0;
        }
        let middle = all.len() / 2;
        *all.select_nth_unstable_by(middle, f64::total_cmp).1
    }
}
