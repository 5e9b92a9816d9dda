//! Normal equations of a whole bundle in banded blocks: K_ff of every fibre, K_{f+1,f} of every pair of neighbours.

use crate::plan::Positions;
use crate::stages::aligned::{AlignedPixels, AlignedSpots};
use crate::stages::normal_equations::{Prior, overlap, weigh};
use crate::stages::patch::{PatchPixels, PatchSpots};
use crate::stages::simd::{Kernel, Octet, Simd, dispatch};
use rayon::prelude::*;

/// K, y of a bundle of fibres on `n` bins, prior included. Blocks of fibres two or more apart are not kept: that they
/// are zero is for [`super::Coupling`] to show.
#[derive(Debug, PartialEq)]
pub struct BandedNormal {
    /// Bins.
    pub n: usize,
    /// Half bandwidth of every block, bins.
    pub half: usize,
    /// K_ff of every fibre, `[n, half + 1]`: element d of bin i is K_ff[i + d, i].
    pub diagonal: Vec<Vec<f64>>,
    /// K_{f+1,f} of every pair of neighbours, `[n, 2 half + 1]`: element d of bin i is K_{f+1,f}[i, i + d - half].
    pub pairs: Vec<Vec<f64>>,
    /// y of every fibre, `[n]`.
    pub rhs: Vec<Vec<f64>>,
}

/// The largest distance in bins at which spots of the same fibre or of neighbours overlap.
pub fn half_bandwidth(positions: &Positions) -> usize {
    let pairs = (0..positions.nfibre).flat_map(|f| [(f, f), (f, f + 1), (f + 1, f)]);
    let present = pairs.filter(|(f, g)| *f.max(g) < positions.nfibre);
    present.filter_map(|(f, g)| positions.reach(f, g, positions.nbin)).max().unwrap_or(0)
}

/// Forms the normal equations of the bundle whose spots are `spots` (all its fibres and bins) on `pixels`.
pub fn banded_normal_equations(spots: &PatchSpots, pixels: &PatchPixels, half: usize, prior: Prior) -> BandedNormal {
    let pixels = AlignedPixels::new(pixels);
    let fibre = |f: usize| AlignedSpots::new(&PatchSpots { fibre0: spots.fibre0 + f, nspec: 1, ..*spots });
    let of_fibre = |f: usize| {
        let own = fibre(f);
        let below = f.checked_sub(1).map(fibre);
        dispatch(Products { own: &own, below: below.as_ref(), pixels: &pixels, half })
    };
    let mut blocks: Vec<Blocks> = (0..spots.nspec).into_par_iter().map(of_fibre).collect();
    let largest = blocks.iter().flat_map(|b| &b.flux_weight).copied().fold(f64::NEG_INFINITY, f64::max);
    let min_weight = prior.min_weight * largest;
    for block in &mut blocks {
        for (i, &weight) in block.flux_weight.iter().enumerate() {
            let alpha = if weight <= min_weight { min_weight - weight } else { prior.regularize };
            block.diagonal[i * (half + 1)] += alpha * alpha + 1e-15;
        }
    }
    let mut out = BandedNormal { n: spots.nbin, half, diagonal: vec![], pairs: vec![], rhs: vec![] };
    for block in blocks {
        out.diagonal.push(block.diagonal);
        out.pairs.extend(block.pair);
        out.rhs.push(block.rhs);
    }
    out
}

/// What one fibre contributes.
struct Blocks {
    diagonal: Vec<f64>,
    /// With the fibre below; None for the bundle's first.
    pair: Option<Vec<f64>>,
    rhs: Vec<f64>,
    flux_weight: Vec<f64>,
}

struct Products<'a> {
    own: &'a AlignedSpots,
    below: Option<&'a AlignedSpots>,
    pixels: &'a AlignedPixels,
    half: usize,
}

impl Kernel for Products<'_> {
    type Output = Blocks;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Blocks {
        let (n, half) = (self.own.y.len(), self.half);
        let mut weighted = vec![Octet::default(); self.own.size()];
        let mut out = Blocks {
            diagonal: vec![0.0; n * (half + 1)],
            pair: self.below.map(|_| vec![0.0; n * (2 * half + 1)]),
            rhs: vec![0.0; n],
            flux_weight: vec![0.0; n],
        };
        for i in 0..n {
            (out.rhs[i], out.flux_weight[i]) = weigh(simd, self.own, self.pixels, i, &mut weighted);
            for d in 0..=half.min(i) {
                out.diagonal[(i - d) * (half + 1) + d] = overlap(simd, (self.own, i), &weighted, self.own, i - d);
            }
            if let (Some(below), Some(pair)) = (self.below, &mut out.pair) {
                for j in i.saturating_sub(half)..=(i + half).min(n - 1) {
                    pair[i * (2 * half + 1) + j + half - i] = overlap(simd, (self.own, i), &weighted, below, j);
                }
            }
        }
        out
    }
}
