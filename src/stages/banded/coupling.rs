//! Measured coupling of spots: the banded solver requires that spots overlap within a fibre and with the next one only.

use crate::stages::aligned::AlignedSpots;
use crate::stages::normal_equations::overlap_lanes;
use crate::stages::simd::{Kernel, Octet, Simd, dispatch};
use crate::stages::spots::SpotSource;
use rayon::prelude::*;

/// Signal to noise of the brightest bins: what leaks from one into a neglected fibre is that many sigma times the coupling.
const BRIGHTEST: f64 = 1e4;

/// How strongly spots overlap, relative: `s_i . s_j / (|s_i| |s_j|)`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Coupling {
    /// Of neighbouring fibres at most.
    pub neighbours: f64,
    /// Of fibres two or more apart at most.
    pub beyond: f64,
}

/// Why a bundle cannot be solved in bands.
#[derive(Clone, Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum CouplingError {
    /// Fibres two or more apart overlap.
    #[error(
        "spots of fibres two or more apart overlap by {found:.1e}, the banded solver allows {allowed:.1e} for a tolerance of \
         {tolerance:.0e} sigma"
    )]
    SecondNeighbours {
        /// Largest relative overlap.
        found: f64,
        /// Largest allowed.
        allowed: f64,
        /// The tolerance, sigma.
        tolerance: f64,
    },
    /// Bins are correlated over more bins than there is code for.
    #[error(
        "bins are coupled over {needed} bins by a step of {step:.2} Angstrom, the banded solver goes to \
         {most}, which a coarser step would keep to"
    )]
    TooWide {
        /// The band it takes.
        needed: usize,
        /// The widest band there is code for.
        most: usize,
        /// Step of the grid, Angstrom.
        step: f64,
    },
}

impl Coupling {
    /// Measures the coupling of a bundle's fibres within `half` bins, where the traces of a pair come closest, at their
    /// ends and in their middle.
    pub fn measure(spots: &SpotSource, half: usize) -> Self {
        let (nfibre, nbin) = (spots.nfibre(), spots.nbin());
        let width = spots.shape().nx() as i64;
        let pairs: Vec<(usize, usize)> = (0..nfibre).flat_map(|f| (f + 1..nfibre).map(move |g| (f, g))).collect();
        let distance = |(f, g): (usize, usize), bin: usize| (spots.corner(f, bin).1 - spots.corner(g, bin).1).abs();
        let of_pair = |&pair: &(usize, usize)| {
            let closest = (0..nbin).min_by_key(|&bin| distance(pair, bin)).unwrap_or(0);
            let places = [closest, 0, nbin / 2, nbin - 1].into_iter().filter(|&bin| distance(pair, bin) < width);
            places.map(|bin| largest_overlap(spots, pair, bin, half)).fold(0.0, f64::max)
        };
        let overlaps: Vec<f64> = pairs.par_iter().map(of_pair).collect();
        let largest = |neighbours: bool| {
            let of_kind = pairs.iter().zip(&overlaps).filter(|((f, g), _)| (g - f == 1) == neighbours);
            of_kind.map(|(_, overlap)| *overlap).fold(0.0, f64::max)
        };
        Self { neighbours: largest(true), beyond: largest(false) }
    }

    /// Checks that what is neglected stays below `tolerance` sigma.
    ///
    /// # Errors
    /// Fibres two or more apart are coupled too strongly.
    pub fn check(&self, tolerance: f64) -> Result<(), CouplingError> {
        let allowed = tolerance / BRIGHTEST;
        if self.beyond <= allowed {
            return Ok(());
        }
        Err(CouplingError::SecondNeighbours { found: self.beyond, allowed, tolerance })
    }
}

/// The largest relative overlap of the spot of the pair's first fibre at `bin` with those of its second within `half` bins.
fn largest_overlap(spots: &SpotSource, (f, g): (usize, usize), bin: usize, half: usize) -> f64 {
    let (mut own, mut other) = (AlignedSpots::default(), AlignedSpots::default());
    let from = bin / 8 * 8;
    spots.evaluate(f, from..(from + 8).min(spots.nbin()), &mut own);
    let partners = bin.saturating_sub(half)..(bin + half + 1).min(spots.nbin());
    let first = partners.start / 8 * 8;
    spots.evaluate(g, first..partners.end, &mut other);
    dispatch(Overlaps { own: &own, at: bin - from, other: &other, skip: partners.start - first })
}

struct Overlaps<'a> {
    own: &'a AlignedSpots,
    at: usize,
    other: &'a AlignedSpots,
    skip: usize,
}

impl Kernel for Overlaps<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f64 {
        let product = |spots: &AlignedSpots, j: usize| {
            let mut lanes = Octet::default();
            overlap_lanes(simd, (self.own, self.at), self.own.stamp(self.at), spots, j, &mut lanes);
            simd.sum(simd.load(&lanes))
        };
        let norm = |spots: &AlignedSpots, j: usize| {
            let square = |sum, p: &Octet| simd.mul_add(simd.load(p), simd.load(p), sum);
            simd.sum(spots.stamp(j).iter().fold(simd.splat(0.0), square)).sqrt()
        };
        let own = norm(self.own, self.at);
        let relative = |j: usize| product(self.other, j) / (own * norm(self.other, j));
        // Spots that cover nothing have no norm.
        (self.skip..self.other.y.len()).map(relative).filter(|c| c.is_finite()).fold(0.0, f64::max)
    }
}
