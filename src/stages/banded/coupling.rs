//! Measured coupling of spots: with how many of its neighbours a fibre shares light.

use crate::stages::aligned::AlignedSpots;
use crate::stages::normal_equations::overlap_lanes;
use crate::stages::overlap::BRIGHT_OVER_FAINT;
use crate::stages::simd::{Kernel, Octet, Simd, dispatch};
use crate::stages::spots::SpotSource;
use rayon::prelude::*;

/// Signal to noise of the brightest bins: what leaks from one into a neglected fibre is that many sigma times the coupling.
const BRIGHTEST: f64 = 1e4;

/// Most neighbours to each side with which a fibre may share light.
pub const MOST_NEIGHBOURS: usize = 8;

/// How strongly spots overlap, relative: `s_i . s_j / (|s_i| |s_j|)`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Coupling {
    /// Of neighbouring fibres at most.
    pub neighbours: f64,
    /// Of fibres farther apart than K has blocks for at most.
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
    /// Fibres share light with more of their neighbours than there is code for.
    #[error(
        "spots of fibres {reach} apart overlap by {found:.1e}, more than {allowed:.1e}: the banded solver goes to \
         {MOST_NEIGHBOURS} neighbours to each side"
    )]
    TooFar {
        /// The largest distance in fibres.
        reach: usize,
        /// Their relative overlap.
        found: f64,
        /// Largest allowed.
        allowed: f64,
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
    /// Checks that what is neglected beyond the neighbours stays below `tolerance` sigma.
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

/// The largest relative overlap of spots by the distance of their fibres.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overlaps {
    /// Of fibres d + 1 apart.
    of_distance: Vec<f64>,
}

impl Overlaps {
    /// Measures the overlaps of a bundle's fibres within `half` bins, where the traces of a pair come closest, at their
    /// ends and in their middle.
    pub fn measure(spots: &SpotSource, half: usize) -> Self {
        let (nfibre, nbin) = (spots.nfibre(), spots.nbin());
        let width = spots.shape().nx() as i64;
        let pairs: Vec<(usize, usize)> = (0..nfibre).flat_map(|f| (f + 1..nfibre).map(move |g| (f, g))).collect();
        let apart = |(f, g): (usize, usize), bin: usize| spots.corner(f, bin).1 - spots.corner(g, bin).1;
        let distance = |pair: (usize, usize), bin: usize| apart(pair, bin).abs();
        let of_pair = |&pair: &(usize, usize)| {
            // Traces are smooth: those far apart on the same side all along do not meet between.
            let mut along = (0..=8).map(|k| apart(pair, k * (nbin - 1) / 8));
            let side = apart(pair, 0).signum();
            if along.all(|apart| apart * side > 4 * width) {
                return 0.0;
            }
            let closest = (0..nbin).min_by_key(|&bin| distance(pair, bin)).unwrap_or(0);
            let places = [closest, 0, nbin / 2, nbin - 1].into_iter().filter(|&bin| distance(pair, bin) < width);
            places.map(|bin| largest_overlap(spots, pair, bin, half)).fold(0.0, f64::max)
        };
        let overlaps: Vec<f64> = pairs.par_iter().map(of_pair).collect();
        let mut of_distance = vec![0.0f64; nfibre.saturating_sub(1)];
        for ((f, g), overlap) in pairs.iter().zip(overlaps) {
            of_distance[g - f - 1] = of_distance[g - f - 1].max(overlap);
        }
        Self { of_distance }
    }

    /// Returns the overlap of neighbours, and the largest of fibres more than `distances` apart.
    pub fn coupling(&self, distances: usize) -> Coupling {
        let neighbours = self.of_distance.first().copied().unwrap_or(0.0);
        Coupling { neighbours, beyond: self.of_distance.iter().skip(distances).copied().fold(0.0, f64::max) }
    }

    /// Returns the largest distance at which fibres share light: what is neglected beyond it stays below `tolerance` sigma even
    /// beside a bin that saturates.
    ///
    /// # Errors
    /// [`CouplingError::TooFar`] if it is larger than [`MOST_NEIGHBOURS`].
    pub fn reach(&self, tolerance: f64) -> Result<usize, CouplingError> {
        let allowed = tolerance / BRIGHT_OVER_FAINT;
        let reach = self.of_distance.iter().rposition(|&overlap| overlap > allowed).map_or(0, |d| d + 1);
        if reach > MOST_NEIGHBOURS {
            return Err(CouplingError::TooFar { reach, found: self.of_distance[reach - 1], allowed });
        }
        Ok(reach)
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
    dispatch(Products { own: &own, at: bin - from, other: &other, skip: partners.start - first })
}

struct Products<'a> {
    own: &'a AlignedSpots,
    at: usize,
    other: &'a AlignedSpots,
    skip: usize,
}

impl Kernel for Products<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f64 {
        let own = norm(simd, self.own, self.at);
        let mut largest = 0.0f64;
        for j in self.skip..self.other.y.len() {
            let mut lanes = Octet::default();
            overlap_lanes(simd, (self.own, self.at), self.own.stamp(self.at), self.other, j, &mut lanes);
            let relative = simd.sum(simd.load(&lanes)) / (own * norm(simd, self.other, j));
            // Spots that cover nothing have no norm.
            largest = if relative.is_finite() { largest.max(relative) } else { largest };
        }
        largest
    }
}

#[inline(always)]
fn norm<S: Simd>(simd: S, spots: &AlignedSpots, j: usize) -> f64 {
    let mut sum = simd.splat(0.0);
    for p in spots.stamp(j) {
        sum = simd.mul_add(simd.load(p), simd.load(p), sum);
    }
    simd.sum(sum).sqrt()
}
