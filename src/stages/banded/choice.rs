//! The choice of a band of S for each block of bins of a fibre.

use super::block::{BlockRoot, block_roots, cores};
use super::complement::{Complement, Recursion, complements};
use super::frontier;
use super::normal::BandedNormal;
use super::parameters::{OVER_ESTIMATE, SolverParameters};
use super::root::{BandedRoot, joined};
use super::{BandFailure, WIDEST_CODE, scalar};
use rayon::prelude::*;
use std::ops::Range;

/// The share of the tolerance that a band is to promise before it is tried: the error was up to twice what is estimated.
const PROMISED: f64 = 0.4;

/// Bands of S for fibres that the first bands do not serve: the narrowest costs a third of the widest.
const WIDE: [usize; 2] = [32, 64];

/// Bands of S where fibres share much light, of which the first serves most blocks.
const CROWDED: [usize; 3] = [32, 48, 64];

/// Most open blocks of a fibre for which S is formed around each alone, at two fifths of the cost of all bins.
const FEW: usize = 2;

/// Fibres for which S is formed together in a wider band, if one of them is open.
pub(super) const TILE: usize = 8;

/// The fibres of a bundle that are decorrelated.
pub struct Wanted<'a> {
    /// The fibres that S is formed for, whatever is selected.
    pub core: Range<usize>,
    /// Fibres around some of them that matter to them; None for all.
    pub around: Option<usize>,
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
    /// Half bandwidth of its S: the widest of its blocks.
    pub kept: usize,
}

/// The choice of a band for each fibre.
pub(super) struct Choice<'a> {
    pub(super) normal: &'a BandedNormal,
    pub(super) x: &'a [Vec<f64>],
    pub(super) parameters: &'a SolverParameters,
    pub(super) wanted: &'a Wanted<'a>,
    /// Fibres of the recursion's frontier.
    pub(super) frontier: usize,
    /// y less what is beyond the frontier.
    pub(super) rhs: Vec<Vec<f64>>,
    /// Terms that S_f x_f of the core's fibres lacks for it; empty where there are none.
    pub(super) made_up_for: Vec<Vec<f64>>,
    /// How far they may be off by bin, sigma; empty where there are none.
    pub(super) beyond: Vec<Vec<f64>>,
    /// Whether S is formed around the wanted fibres alone: few need so wide a frontier.
    pub(super) in_tiles: bool,
    pub(super) timed: Timed<'a>,
}

/// Q of a block in the best band so far.
#[derive(Clone)]
struct Tried {
    root: BlockRoot,
    kept: usize,
    /// The largest estimated error at bins that count, the block's ends apart, sigma.
    error: f64,
}

/// S of a fibre in a wider band.
#[derive(Clone)]
struct Wider {
    s: Complement,
    /// The only block that it serves; None for all.
    block: Option<usize>,
}

/// Blocks of a fibre.
type Blocks = Vec<Option<Tried>>;

impl Choice<'_> {
    /// Returns Q of the wanted fibres, and the median of S_ii / K_ii.
    pub(super) fn run(&self) -> Result<(Vec<Decorrelated>, f64), BandFailure> {
        let narrowest = self.parameters.bands[0];
        let (first, wide) = match self.parameters.crowded {
            true => (narrowest.max(CROWDED[0]), &CROWDED[..]),
            false => (narrowest, &WIDE[..]),
        };
        let blocks = vec![None; cores(self.normal.n).count()];
        let mut done: Vec<Blocks> = vec![blocks; self.wanted.fibres.len()];
        let whole = |s: Vec<Complement>| s.into_iter().map(|s| vec![Wider { s, block: None }]).collect();
        let narrow: Result<Vec<Vec<Wider>>, _> = match self.in_tiles {
            true => self.wider(first, &done),
            false => self.complements(first, 0..self.normal.diagonal.len(), self.wanted.core.clone()).map(whole),
        };
        let choose = |done: &mut [Blocks], s: &[Vec<Wider>]| {
            self.roots(done, |blocks, fibre| {
                s[self.at(fibre)].iter().for_each(|wider| self.choose(blocks, &wider.s, wider.block, fibre));
            });
        };
        if let Ok(s) = &narrow {
            choose(&mut done, s);
        }
        let mut failure = None;
        for &kept in wide.iter().filter(|kept| **kept > first) {
            match self.wider(kept, &done) {
                Ok(s) => choose(&mut done, &s),
                Err(why) => failure = Some(why),
            }
        }
        if let Ok(s) = &narrow {
            self.roots(&mut done, |blocks, fibre| {
                for Wider { s, block } in &s[self.at(fibre)] {
                    let is_without = |&k: &usize| blocks[k].is_none() && block.is_none_or(|only| k == only);
                    let without = (0..blocks.len()).filter(is_without).collect();
                    self.try_all(blocks, without, s, None, fibre);
                }
            });
        }
        let none = || narrow.as_ref().err().or(failure.as_ref()).expect("else there is one").clone();
        let joined = |(blocks, fibre): (Blocks, &usize)| {
            let blocks = blocks.into_iter().collect::<Option<Vec<_>>>().ok_or_else(none)?;
            Ok(self.joined(blocks, *fibre))
        };
        let found = done.into_iter().zip(self.wanted.fibres).map(joined).collect::<Result<_, _>>()?;
        Ok((found, narrow.as_ref().map_or(1.0, |s| self.information(s))))
    }

    /// S_f of some fibres in a band, when all others of `among` are eliminated; its right-hand side has what the recursion lacks.
    fn complements(
        &self,
        kept: usize,
        among: Range<usize>,
        wanted: Range<usize>,
    ) -> Result<Vec<Complement>, BandFailure> {
        tracing::debug!("S of {} fibres in a band of {kept} bins by a frontier of {}", wanted.len(), self.frontier);
        let recursion = Recursion { kept, frontier: self.frontier, overlap: self.parameters.overlap };
        let mut found = Ok(vec![]);
        (self.timed)(Part::Complements, &mut || {
            found = complements(self.normal, &self.rhs, recursion, among.clone(), wanted.clone());
        });
        let mut found = found?;
        for (s, lacks) in found.iter_mut().zip(&self.made_up_for[self.at(wanted.start)..]) {
            s.rhs.iter_mut().zip(lacks).for_each(|(z, t)| *z += t);
        }
        Ok(found)
    }

    /// Forms S_f in a wider band for the core's fibres that are close to an open one, by a recursion over the fibres around.
    fn wider(&self, kept: usize, done: &[Blocks]) -> Result<Vec<Vec<Wider>>, BandFailure> {
        let core = &self.wanted.core;
        // Tiles are fixed: a fibre's S does not depend on which others are open.
        let (tile, around) = self.wanted.around.map_or((core.len(), usize::MAX), |around| (TILE, around));
        let mut found: Vec<Vec<Wider>> = vec![vec![]; core.len()];
        for first in core.clone().step_by(tile.max(1)) {
            let wanted = first..(first + tile).min(core.end);
            let fibres = done.iter().zip(self.wanted.fibres).filter(|(_, fibre)| wanted.contains(fibre));
            // Nor does it on how many blocks of others are.
            let parts: Vec<(usize, Vec<Option<usize>>)> =
                fibres.map(|(blocks, &fibre)| (fibre, self.parts(&self.open(blocks, fibre)))).collect();
            let mut all: Vec<Option<usize>> = parts.iter().flat_map(|(_, parts)| parts).copied().collect();
            all.sort_unstable();
            all.dedup();
            let among = first.saturating_sub(around)..wanted.end.saturating_add(around).min(self.normal.diagonal.len());
            for block in all {
                // S of the fibres between the first and the last is the same whatever others are formed.
                let of_these = parts.iter().filter(|(_, parts)| parts.contains(&block)).map(|(fibre, _)| *fibre);
                let these: Vec<usize> = of_these.collect();
                let (low, high) = these.iter().fold((usize::MAX, 0), |(l, h), &f| (l.min(f), h.max(f)));
                let s = match block {
                    None => self.complements(kept, among.clone(), low..high + 1)?,
                    Some(k) => self.around_block(kept, k, among.clone(), low..high + 1)?,
                };
                for (fibre, s) in (low..).zip(s).filter(|(fibre, _)| these.contains(fibre)) {
                    found[self.at(fibre)].push(Wider { s, block });
                }
            }
        }
        Ok(found)
    }

    /// The blocks that S of a fibre is formed around, or None for all bins.
    fn parts(&self, open: &[usize]) -> Vec<Option<usize>> {
        match open.len() {
            0 => vec![],
            1..=FEW if self.parameters.crowded => open.iter().map(|&k| Some(k)).collect(),
            _ => vec![None],
        }
    }

    /// S_f of some fibres in a wider band, right for the bins from which block k is computed; elsewhere 0.
    fn around_block(
        &self,
        kept: usize,
        k: usize,
        among: Range<usize>,
        wanted: Range<usize>,
    ) -> Result<Vec<Complement>, BandFailure> {
        let (n, overlap) = (self.normal.n, self.parameters.overlap);
        let core = cores(n).nth(k).expect("there is such a block");
        // The bins of the block's own overlap are coupled to those of a band more, which the cut must not reach.
        let margin = 2 * overlap + kept;
        let bins = core.start.saturating_sub(margin)..(core.end + margin).min(n);
        tracing::debug!("S of {} fibres in a band of {kept} bins around block {k}", wanted.len());
        let cut = self.normal.cut(&among, &bins);
        let rhs: Vec<Vec<f64>> = self.rhs[among.clone()].iter().map(|rhs| rhs[bins.clone()].to_vec()).collect();
        let recursion = Recursion { kept, frontier: self.frontier, overlap };
        let within = wanted.start - among.start..wanted.end - among.start;
        let mut found = Ok(vec![]);
        (self.timed)(Part::Complements, &mut || {
            found = complements(&cut, &rhs, recursion, 0..among.len(), within.clone());
        });
        let whole = |(s, lacks): (Complement, &Vec<f64>)| {
            let (mut matrix, mut rhs) = (vec![0.0; n * (kept + 1)], vec![0.0; n]);
            matrix[bins.start * (kept + 1)..bins.end * (kept + 1)].copy_from_slice(&s.matrix);
            rhs[bins.clone()].copy_from_slice(&s.rhs);
            if let Some(t) = lacks.get(bins.clone()) {
                rhs[bins.clone()].iter_mut().zip(t).for_each(|(z, t)| *z += t);
            }
            Complement { band: s.band, matrix, rhs }
        };
        let of_bin = |why| match why {
            BandFailure::Pivot { what, fibre, bin } => {
                BandFailure::Pivot { what, fibre: fibre + among.start, bin: bin + bins.start }
            }
            other => other,
        };
        let lacks = &self.made_up_for[self.at(wanted.start)..];
        Ok(found.map_err(of_bin)?.into_iter().zip(lacks).map(whole).collect())
    }

    /// Works on all wanted fibres.
    fn roots(&self, done: &mut [Blocks], work: impl Fn(&mut Blocks, usize) + Sync) {
        (self.timed)(Part::Roots, &mut || {
            done.par_iter_mut().zip(self.wanted.fibres).for_each(|(blocks, &fibre)| work(blocks, fibre));
        });
    }

    /// A fibre's place in the core.
    pub(super) fn at(&self, fibre: usize) -> usize {
        fibre - self.wanted.core.start
    }

    /// Returns the bins whose errors count for a block: those that it is computed from. Estimates bound the errors around a bin
    /// as a whole, not one by one.
    fn around(&self, core: &Range<usize>) -> Range<usize> {
        let overlap = self.parameters.overlap;
        core.start.saturating_sub(overlap)..(core.end + overlap).min(self.normal.n)
    }

    /// Returns the largest estimate of a band's error that serves a bin, sigma.
    fn allowed(&self, fibre: usize, bin: usize) -> f64 {
        let all = self.parameters.tolerance / OVER_ESTIMATE;
        // Bands mend nothing of what lies beyond the frontier: half of the tolerance is theirs in any case.
        all - self.beyond(fibre, bin).min(0.5 * all)
    }

    /// Returns how far what lies beyond the frontier may change a bin, sigma.
    fn beyond(&self, fibre: usize, bin: usize) -> f64 {
        self.beyond[self.at(fibre)].get(bin).copied().unwrap_or(0.0)
    }

    /// The blocks with an estimated error above the tolerance in them or around them, and those that there is no Q of.
    fn open(&self, blocks: &Blocks, fibre: usize) -> Vec<usize> {
        let seam = |k: usize| match (blocks.get(k), blocks.get(k + 1)) {
            (Some(Some(block)), Some(Some(next))) => block.root.seam(&next.root),
            _ => 0.0,
        };
        // Written so that a NaN is bad.
        let is_good = |told: f64, bin: usize| told <= self.allowed(fibre, bin);
        let counts = |bin: usize| (self.wanted.counts)(fibre, bin);
        let is_open = |&k: &usize| {
            let Some(Tried { root, .. }) = &blocks[k] else { return true };
            let around = self.around(&root.core);
            let is_near_good = |block: &Tried| {
                let (core, told) = (&block.root.core, &block.root.truncation_error);
                let near = around.start.max(core.start)..around.end.min(core.end);
                near.into_iter().all(|bin| is_good(told[bin - core.start], bin) || !counts(bin))
            };
            let own = blocks.iter().flatten().all(is_near_good);
            let (first, last) = (root.core.start, root.core.end - 1);
            let before = k > 0 && counts(first) && !is_good(root.truncation_error[0] + seam(k - 1), first);
            let after = counts(last) && !is_good(root.truncation_error[last - first] + seam(k), last);
            !own || before || after
        };
        (0..blocks.len()).filter(is_open).collect()
    }

    /// Tries some blocks in one band.
    fn try_all(&self, blocks: &mut Blocks, which: Vec<usize>, s: &Complement, rest: Option<&[f64]>, fibre: usize) {
        if which.is_empty() {
            return;
        }
        let x = &self.x[fibre];
        let own;
        let rest = match rest {
            Some(rest) => rest,
            None => {
                own = s.residual(x);
                &own
            }
        };
        let half = self.wanted.half.min(WIDEST_CODE);
        let all: Vec<Range<usize>> = cores(x.len()).collect();
        let cores: Vec<Range<usize>> = which.iter().map(|&k| all[k].clone()).collect();
        let roots = block_roots(s, (x, rest), &cores, half, &self.parameters.accuracy);
        for (k, root) in which.into_iter().zip(roots) {
            let told =
                root.core.clone().zip(&root.truncation_error).filter(|(bin, _)| (self.wanted.counts)(fibre, *bin));
            let error = told.map(|(_, e)| if e.is_finite() { *e } else { f64::INFINITY }).fold(0.0, f64::max);
            if blocks[k].as_ref().is_none_or(|best| error < best.error) {
                blocks[k] = Some(Tried { root, kept: s.band, error });
            }
        }
    }

    /// Tries open blocks in the bands of S that promise the tolerance, from the narrowest. The narrowest of all and the widest of
    /// all are tried whatever they promise.
    fn choose(&self, blocks: &mut Blocks, s: &Complement, only: Option<usize>, fibre: usize) {
        let x = &self.x[fibre];
        if s.band == self.parameters.bands[0] {
            let all = (0..blocks.len()).filter(|&k| only.is_none_or(|only| k == only)).collect();
            return self.try_all(blocks, all, s, None, fibre);
        }
        let cores: Vec<Range<usize>> = cores(x.len()).collect();
        let mut factor: Option<Vec<f64>> = None;
        let mut open = self.open(blocks, fibre);
        open.retain(|&k| only.is_none_or(|only| k == only));
        for &kept in self.parameters.bands.iter().filter(|&&kept| kept <= s.band) {
            if open.is_empty() {
                return;
            }
            let mut tried: Vec<usize> = open.clone();
            tried.retain(|&k| blocks[k].as_ref().is_none_or(|tried| tried.kept < kept));
            let part = s.cut(kept);
            let rest = part.residual(x);
            if kept < WIDE[WIDE.len() - 1] {
                let factor =
                    factor.get_or_insert_with(|| frontier::factored(&self.normal.diagonal[fibre], self.normal.half));
                let promised = self.promised(factor, &rest);
                tried.retain(|&k| {
                    let mut counted = self.around(&cores[k]).filter(|&bin| (self.wanted.counts)(fibre, bin));
                    counted.all(|bin| promised[bin] <= PROMISED * self.allowed(fibre, bin))
                });
            }
            self.try_all(blocks, tried.clone(), &part, Some(&rest), fibre);
            let still = self.open(blocks, fibre);
            open.retain(|k| !tried.contains(k) || still.contains(k));
        }
    }

    /// Estimates what `S^-1/2 (z - S x) / 2` will be, sigma, by the factor of K_ff. It was 0.8 to 2.3 times that, in the mean 1.2.
    fn promised(&self, factor: &[f64], rest: &[f64]) -> Vec<f64> {
        let solved = scalar::solve(factor, self.normal.half, rest);
        rest.iter().zip(solved).map(|(rest, solved)| 0.5 * (rest * solved).abs().sqrt()).collect()
    }

    fn joined(&self, blocks: Vec<Tried>, fibre: usize) -> Decorrelated {
        let kept = blocks.iter().map(|tried| tried.kept).max().unwrap_or(0);
        let blocks: Vec<BlockRoot> = blocks.into_iter().map(|tried| tried.root).collect();
        let mut root = joined(&blocks, self.wanted.half);
        root.truncation_error.iter_mut().enumerate().for_each(|(bin, error)| *error += self.beyond(fibre, bin));
        Decorrelated { root, kept }
    }

    /// The median of S_ii / K_ii at bins that count.
    fn information(&self, s: &[Vec<Wider>]) -> f64 {
        let normal = self.normal;
        let ratio = |(fibre, s): (usize, &Complement), bin: usize| {
            s.matrix[bin * (s.band + 1)] / normal.diagonal[fibre][bin * (normal.half + 1)]
        };
        let mut all = vec![];
        for (fibre, s) in self.wanted.core.clone().zip(s) {
            let Some(Wider { s, .. }) = s.first() else { continue };
            let bins = (0..normal.n).filter(|&bin| (self.wanted.counts)(fibre, bin));
            all.extend(bins.map(|bin| ratio((fibre, s), bin)));
        }
        if all.is_empty() {
            return 1.0;
        }
        let middle = all.len() / 2;
        *all.select_nth_unstable_by(middle, f64::total_cmp).1
    }
}
