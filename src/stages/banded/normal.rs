//! Normal equations of a whole bundle in banded blocks: K_ff of every fibre, K_{f+d,f} of every pair that overlaps.
//!
//! Spots are evaluated where they are used. Blocks of bins are small enough that the spots of neighbouring fibres stay in a
//! core's own cache.

use super::products::{Products, Rows};
use super::window::{Pixels, Window};
use crate::geometry::Ccd;
use crate::geometry::Positions;
use crate::stages::aligned::AlignedSpots;
use crate::stages::normal_equations::Prior;
use crate::stages::simd::dispatch;
use crate::stages::spots::SpotSource;
use rayon::prelude::*;
use std::collections::VecDeque;
use std::ops::Range;

/// Bins of a block, a multiple of eight.
const BLOCK: usize = 128;

/// K, y of a bundle of fibres on `n` bins, prior included. Which fibres are too far apart to overlap is for
/// [`super::Overlaps`] to show.
#[derive(Debug, PartialEq)]
pub struct BandedNormal {
    /// Bins.
    pub n: usize,
    /// Half bandwidth of every block, bins.
    pub half: usize,
    /// K_ff of every fibre, `[n, half + 1]`: element d of bin i is K_ff[i + d, i].
    pub diagonal: Vec<Vec<f64>>,
    /// K_{f+d,f} of pairs of fibres at `[d - 1][f]`, `[n, 2 half + 1]`: element k of bin i is K_{f+d,f}[i, i + k - half].
    pub pairs: Vec<Vec<Vec<f64>>>,
    /// y of every fibre, `[n]`.
    pub rhs: Vec<Vec<f64>>,
}

impl BandedNormal {
    /// K_fg of two fibres, and whether it is as it is kept or transposed; None if they do not overlap.
    pub(crate) fn pair(&self, f: usize, g: usize) -> Option<(&[f64], bool)> {
        let apart = f.abs_diff(g).checked_sub(1)?;
        self.pairs.get(apart).map(|pairs| (&pairs[f.min(g)][..], f > g))
    }

    /// Returns the equations of some fibres and bins, as if there were no others.
    pub(super) fn cut(&self, fibres: &Range<usize>, bins: &Range<usize>) -> Self {
        let (n, half, width) = (bins.len(), self.half, 2 * self.half + 1);
        let own = |diagonal: &Vec<f64>| {
            let mut rows = diagonal[bins.start * (half + 1)..bins.end * (half + 1)].to_vec();
            for (i, row) in rows.chunks_exact_mut(half + 1).enumerate() {
                row[(n - i).min(half + 1)..].fill(0.0);
            }
            rows
        };
        let pair = |pair: &Vec<f64>| {
            let mut rows = pair[bins.start * width..bins.end * width].to_vec();
            for (i, row) in rows.chunks_exact_mut(width).enumerate() {
                row[..half.saturating_sub(i)].fill(0.0);
                row[(n - i + half).min(width)..].fill(0.0);
            }
            rows
        };
        // Pairs at [d - 1][f] are those of f and f + d.
        let pairs_of = |(pairs, d): (&Vec<Vec<f64>>, usize)| {
            pairs[fibres.start..fibres.end.saturating_sub(d).max(fibres.start)].iter().map(pair).collect()
        };
        Self {
            n,
            half,
            diagonal: self.diagonal[fibres.clone()].iter().map(own).collect(),
            pairs: self.pairs.iter().zip(1..).map(pairs_of).collect(),
            rhs: self.rhs[fibres.clone()].iter().map(|rhs| rhs[bins.clone()].to_vec()).collect(),
        }
    }
}

/// The largest distance in bins at which spots of the same fibre or of fibres at most `reach` apart overlap.
pub fn half_bandwidth(positions: &Positions, reach: usize) -> usize {
    let to = |f: usize| (f + 1..positions.nfibre.min(f + reach + 1)).flat_map(move |g| [(f, g), (g, f)]);
    let pairs = (0..positions.nfibre).flat_map(|f| std::iter::once((f, f)).chain(to(f)));
    pairs.filter_map(|(f, g)| positions.reach(f, g, positions.nbin)).max().unwrap_or(0)
}

/// Forms the normal equations of the bundle whose spots are `spots` on the pixels of `ccd`. Fibres more than `reach` apart do
/// not overlap.
pub fn banded_normal_equations(spots: &SpotSource, ccd: &Ccd, half: usize, reach: usize, prior: Prior) -> BandedNormal {
    let mut forming = Forming::new(spots, ccd, half, reach, prior);
    forming.fill(|_| true);
    forming.normal
}

/// Normal equations that are formed in parts.
pub(crate) struct Forming<'a, 'b> {
    spots: &'a SpotSource<'b>,
    ccd: &'a Ccd<'a>,
    reach: usize,
    prior: Prior,
    /// K and y, 0 where they are not formed.
    pub(crate) normal: BandedNormal,
    /// The fraction of each spot on pixels that are used, `[fibre][n]`; 0 likewise.
    pub(crate) coverage: Vec<Vec<f64>>,
    /// Whether each block of bins is formed.
    done: Vec<bool>,
}

impl<'a, 'b> Forming<'a, 'b> {
    /// Makes room, see [`banded_normal_equations`].
    pub(crate) fn new(spots: &'a SpotSource<'b>, ccd: &'a Ccd<'a>, half: usize, reach: usize, prior: Prior) -> Self {
        let (n, nfibre) = (spots.nbin(), spots.nfibre());
        let zeros = |rows: usize, width: usize| vec![vec![0.0; n * width]; rows];
        let normal = BandedNormal {
            n,
            half,
            diagonal: zeros(nfibre, half + 1),
            pairs: (1..=reach).map(|d| zeros(nfibre.saturating_sub(d), 2 * half + 1)).collect(),
            rhs: zeros(nfibre, 1),
        };
        Self { spots, ccd, reach, prior, normal, coverage: zeros(nfibre, 1), done: vec![false; n.div_ceil(BLOCK)] }
    }

    /// Forms the blocks of bins that are wanted and not there yet.
    pub(crate) fn fill(&mut self, wanted: impl Fn(&Range<usize>) -> bool) {
        let Self { spots, ccd, reach, prior, .. } = *self;
        let BandedNormal { n, half, diagonal, pairs, rhs } = &mut self.normal;
        let (n, half) = (*n, *half);
        let block = |first: usize| Block { bins: first..(first + BLOCK).min(n), rows: vec![] };
        let mut blocks: Vec<Block> = (0..n).step_by(BLOCK).map(block).collect();
        // Pairs with the fibres below, the nearest first.
        let mut pairs: Vec<_> = pairs.iter_mut().map(|pairs| pairs.iter_mut()).collect();
        for (fibre, ((diagonal, rhs), coverage)) in diagonal.iter_mut().zip(rhs).zip(&mut self.coverage).enumerate() {
            let below = pairs.iter_mut().take(fibre).map(|pairs| pairs.next().expect("one fibre each"));
            let mut below: Vec<_> = below.map(|pair| pair.chunks_mut(BLOCK * (2 * half + 1))).collect();
            let sums = rhs.chunks_mut(BLOCK).zip(coverage.chunks_mut(BLOCK));
            let parts = diagonal.chunks_mut(BLOCK * (half + 1)).zip(sums);
            for (block, (diagonal, (rhs, coverage))) in blocks.iter_mut().zip(parts) {
                let pairs = below.iter_mut().map(|pair| pair.next().expect("as many as of the diagonal")).collect();
                block.rows.push(Rows { diagonal, pairs, rhs, flux_weight: vec![0.0; block.bins.len()], coverage });
            }
        }
        let (mut these, mut done) = (vec![], self.done.iter_mut());
        for block in blocks {
            let done = done.next().expect("one per block");
            if !*done && wanted(&block.bins) {
                *done = true;
                these.push(block);
            }
        }
        these.into_par_iter().for_each(|block| block.fill(spots, ccd, half, reach, prior));
    }
}

/// The part of K and y at some bins of all fibres.
struct Block<'a> {
    bins: Range<usize>,
    rows: Vec<Rows<'a>>,
}

impl Block<'_> {
    fn fill(self, spots: &SpotSource, ccd: &Ccd, half: usize, reach: usize, prior: Prior) {
        // Partners lie up to `half` bins before and after; spots come in eights.
        let (bins, margin) = (self.bins, half.next_multiple_of(8));
        let around = bins.start.saturating_sub(margin)..(bins.end + margin).min(spots.nbin());
        let window = Window::of(spots, around.clone(), ccd);
        let pixels = Pixels::of(&window, ccd);
        // The spots of this fibre and of those below it, the nearest first.
        let mut stamps: VecDeque<AlignedSpots> = (0..=reach).map(|_| AlignedSpots::default()).collect();
        for (fibre, mut rows) in self.rows.into_iter().enumerate() {
            stamps.rotate_right(1);
            spots.evaluate_unscaled(fibre, around.clone(), &mut stamps[0]);
            let skip = bins.start - around.start;
            let (own, below) = stamps.make_contiguous().split_first().expect("its own");
            dispatch(Products { own, below, window: &window, pixels: &pixels, half, skip, out: &mut rows });
            add_prior(&mut rows, half, prior);
        }
    }
}

/// Adds `alpha^2 + Prior::FLOOR` to the diagonal, see [`crate::stages::normal_equations`].
fn add_prior(rows: &mut Rows, half: usize, prior: Prior) {
    let columns = rows.diagonal.chunks_exact_mut(half + 1).zip(&rows.flux_weight).zip(&*rows.coverage);
    for ((column, &weight), &coverage) in columns {
        let alpha = prior.alpha(weight, coverage);
        column[0] += alpha * alpha + Prior::FLOOR;
    }
}
