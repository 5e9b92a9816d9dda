//! Q of the fibres of a bundle, each in the narrowest band that serves it.

use super::complement::{Complement, Recursion, complements};
use super::frontier::{self, Neglected, larger};
use super::normal::BandedNormal;
use super::parameters::SolverParameters;
use super::root::{BandedRoot, root};
use super::{BandFailure, CouplingError};
use rayon::prelude::*;
use std::ops::Range;

/// Where fibres share much light, S is formed in the first of the wide bands at once, and this part of it tried first.
const CROWDED: usize = 16;

/// The share of the tolerance that a band is predicted to leave before it is tried.
const PREDICTED: f64 = 0.7;

/// Bands of S for fibres that the first bands do not serve: the narrower costs a third of the wider.
const WIDE: [usize; 2] = [32, 64];

/// The share of the tolerance that fibres beyond the frontier may take before they are made up for.
const BEYOND_FRONTIER: f64 = 0.5;

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
pub type Timed<'a> = &'a (dyn Fn(Part, &mut dyn FnMut()) + Sync);

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
/// A fibre's band follows from its own estimates: first the narrowest, then the first part of S in a wide band whose residual
/// promises the tolerance. So a fibre's bits do not depend on what is selected besides.
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
    let mut why = None;
    for frontier in frontier::candidates(normal.pairs.len()) {
        let mut neglected = vec![];
        timed(Part::Complements, &mut || {
            neglected = frontier::neglected(normal, x, frontier, wanted.core.clone(), wanted.counts);
        });
        let largest = neglected.iter().map(|neglected| neglected.error).fold(0.0, larger);
        tracing::debug!("a frontier of {frontier} lacks {largest:.1e} sigma");
        let good = largest <= BEYOND_FRONTIER * parameters.tolerance;
        if !good {
            why = Some(CouplingError::Frontier { distance: frontier + 1, error: largest }.into());
            continue;
        }
        let rhs = frontier::near_rhs(normal, x, frontier);
        match (Choice { normal, x, parameters, wanted, frontier, rhs, neglected, timed }).run() {
            // K less its farther couplings need not be positive definite.
            Err(failure) => why = Some(failure.into()),
            Ok(found) => return Ok(found),
        }
    }
    Err(why.expect("there is a frontier"))
}

/// The choice of a band for each fibre.
struct Choice<'a> {
    normal: &'a BandedNormal,
    x: &'a [Vec<f64>],
    parameters: &'a SolverParameters,
    wanted: &'a Wanted<'a>,
    /// Fibres of the recursion's frontier.
    frontier: usize,
    /// y less what is beyond the frontier.
    rhs: Vec<Vec<f64>>,
    /// The terms that S_f of the core lacks for it.
    neglected: Vec<Neglected>,
    timed: Timed<'a>,
}

impl Choice<'_> {
    fn run(&self) -> Result<(Vec<Decorrelated>, f64), BandFailure> {
        let (narrowest, crowded) = (self.parameters.bands[0], self.parameters.crowded);
        let (first, part) =
            if crowded { (narrowest.max(WIDE[0]), narrowest.max(CROWDED)) } else { (narrowest, narrowest) };
        let mut done: Vec<Option<Decorrelated>> = vec![None; self.wanted.fibres.len()];
        let open = |found: &Option<Decorrelated>| found.as_ref().is_none_or(|found| !self.serves(found));
        let narrow = self.complements(first);
        if let Ok(s) = &narrow {
            self.roots(&mut done, open, |found, fibre| {
                let s = &s[self.at(fibre)];
                *found = Some(if part < s.band { self.try_one(&s.cut(part), fibre) } else { self.try_one(s, fibre) });
                self.choose(found, s, fibre);
            });
        }
        let mut failure = None;
        for kept in WIDE.into_iter().filter(|kept| *kept > first) {
            if done.iter().any(open) {
                match self.complements(kept) {
                    Ok(s) => self.roots(&mut done, open, |found, fibre| self.choose(found, &s[self.at(fibre)], fibre)),
                    Err(why) => failure = Some(why),
                }
            }
        }
        let none = || narrow.as_ref().err().or(failure.as_ref()).expect("else there is one").clone();
        let found = done.into_iter().map(|found| found.ok_or_else(none)).collect::<Result<_, _>>()?;
        Ok((found, narrow.as_ref().map_or(1.0, |s| self.information(s))))
    }

    /// S_f of the core in a band; its right-hand side has what the recursion lacks.
    fn complements(&self, kept: usize) -> Result<Vec<Complement>, BandFailure> {
        tracing::debug!("S in a band of {kept} bins by a frontier of {}", self.frontier);
        let recursion = Recursion { kept, frontier: self.frontier, overlap: self.parameters.overlap };
        let mut found = Ok(vec![]);
        (self.timed)(Part::Complements, &mut || {
            found = complements(self.normal, &self.rhs, recursion, self.wanted.core.clone());
        });
        let mut found = found?;
        for (s, neglected) in found.iter_mut().zip(&self.neglected) {
            s.rhs.iter_mut().zip(&neglected.t).for_each(|(z, t)| *z += t);
        }
        Ok(found)
    }

    /// Works on some of the wanted fibres.
    fn roots(
        &self,
        done: &mut [Option<Decorrelated>],
        which: impl Fn(&Option<Decorrelated>) -> bool + Sync,
        work: impl Fn(&mut Option<Decorrelated>, usize) + Sync,
    ) {
        (self.timed)(Part::Roots, &mut || {
            let fibres = done.par_iter_mut().zip(self.wanted.fibres).filter(|(found, _)| which(found));
            fibres.for_each(|(found, &fibre)| work(found, fibre));
        });
    }

    /// A fibre's place in the core.
    fn at(&self, fibre: usize) -> usize {
        fibre - self.wanted.core.start
    }

    fn serves(&self, found: &Decorrelated) -> bool {
        found.error <= self.parameters.tolerance
    }

    fn try_one(&self, s: &Complement, fibre: usize) -> Decorrelated {
        let mut root = root(s, &self.x[fibre], self.wanted.half, &self.parameters.accuracy);
        root.truncation_error.iter_mut().for_each(|error| *error *= self.parameters.over_estimate);
        let told = root.truncation_error.iter().enumerate().filter(|(bin, _)| (self.wanted.counts)(fibre, *bin));
        let error = told.map(|(_, e)| if e.is_finite() { *e } else { f64::INFINITY }).fold(0.0, f64::max);
        Decorrelated { root, kept: s.band, error }
    }

    /// Tries the wider bands of S that promise the tolerance, from the narrowest.
    fn choose(&self, found: &mut Option<Decorrelated>, s: &Complement, fibre: usize) {
        let x = &self.x[fibre];
        let counts = |bin: usize| (self.wanted.counts)(fibre, bin);
        // Sigma per residual, as the best band so far has it.
        let scale = found.as_ref().and_then(|found| {
            let rest = s.cut(found.kept).largest_residual(x, counts);
            (found.error.is_finite() && rest > 0.0).then(|| found.error / rest)
        });
        let tried = found.as_ref().map_or(0, |found| found.kept);
        for &kept in self.parameters.bands.iter().filter(|&&kept| kept > tried && kept <= s.band) {
            if found.as_ref().is_some_and(|found| self.serves(found)) {
                return;
            }
            let part = s.cut(kept);
            let promising = match scale {
                Some(scale) => scale * part.largest_residual(x, counts) <= PREDICTED * self.parameters.tolerance,
                None => kept == s.band,
            };
            if promising || kept == WIDE[WIDE.len() - 1] {
                keep_better(found, self.try_one(&part, fibre));
            }
        }
    }

    /// The median of S_ii / K_ii at bins that count.
    fn information(&self, s: &[Complement]) -> f64 {
        let normal = self.normal;
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

/// Keeps the better of two.
fn keep_better(found: &mut Option<Decorrelated>, more: Decorrelated) {
    if found.as_ref().is_none_or(|found| more.error < found.error) {
        *found = Some(more);
    }
}
