//! Fibres followed along the dispersion: their places and widths by series of the row.

use super::fibres::Fibres;
use super::peaks::{self, Peak};
use super::plane::Profile;
use super::polynomial::{linear, series};
use crate::base::median::median;
use crate::stages::legendre::{legendre, polynomials};
use std::ops::Range;

/// Terms of a fibre's place along the row, at most, and blocks per term at least.
const TERMS: usize = 6;
const PER_TERM: usize = 3;
/// Departure of a place that is no outlier, pixels.
const OFF: f64 = 0.03;
/// Largest error of a place that counts, pixels.
const ERROR: f64 = 0.2;

/// The traces.
#[derive(Clone, Debug)]
pub(super) struct Traces {
    /// Coefficients of the place across the dispersion, by fibre.
    place: Vec<Vec<f64>>,
    /// Coefficients of the width: products of powers of row and fibre.
    width: Vec<f64>,
    /// Whether the fibre has light.
    pub lit: Vec<bool>,
    ny: usize,
}

/// A place in the frame.
type Seen = Option<Peak>;

impl Traces {
    /// Follows the fibres from the block where they were found to both ends.
    pub fn follow(fibres: &Fibres, profiles: &[Profile], blocks: &[Range<usize>], ny: usize) -> Self {
        let n = fibres.at.len();
        let mut seen: Vec<Vec<Seen>> = vec![vec![None; n]; profiles.len()];
        let upwards: Vec<usize> = (fibres.block..profiles.len()).collect();
        let downwards: Vec<usize> = (0..fibres.block).rev().collect();
        for order in [upwards, downwards] {
            let (mut at, mut slope) = (fibres.at.clone(), 0.0);
            for block in order {
                let guess: Vec<f64> = at.iter().map(|x| x + slope).collect();
                let found = peaks::fit(&profiles[block], &guess, fibres.sigma);
                let good = |k: &usize| fibres.lit[*k] && found[*k].error < ERROR && found[*k].signal > 5.0;
                let moved: Vec<f64> = (0..n).filter(good).map(|k| found[k].at - at[k]).collect();
                // Without most of the fibres there is a gap, beyond which they go on as before.
                let lit = fibres.lit.iter().filter(|lit| **lit).count();
                if 2 * moved.len() > lit {
                    let all = median(moved);
                    slope = if block == fibres.block { 0.0 } else { all.clamp(-2.0, 2.0) };
                    for k in 0..n {
                        let own = found[k].at - at[k];
                        // A place that jumps is one of a neighbour or of a cosmic ray.
                        let is_own = good(&k) && (own - all).abs() < 0.5 * fibres.sigma;
                        at[k] += if is_own { own } else { all };
                        seen[block][k] = is_own.then_some(found[k]);
                    }
                } else {
                    at = guess;
                }
            }
        }
        let middles: Vec<f64> = blocks.iter().map(|rows| 0.5 * (rows.start + rows.end - 1) as f64).collect();
        let mut traces = Self { place: Vec::new(), width: Vec::new(), lit: fibres.lit.clone(), ny };
        traces.place = traces.places(&seen, &middles, &fibres.at);
        traces.width = traces.widths(&seen, &middles, fibres.sigma);
        traces
    }

    /// Row as the argument of a series.
    fn unit(&self, y: f64) -> f64 {
        2.0 * y / (self.ny.max(2) - 1) as f64 - 1.0
    }

    /// Place of a fibre in the slit: -1 to 1.
    fn slit(&self, fibre: usize) -> f64 {
        let half = 0.5 * (self.lit.len() - 1) as f64;
        if half > 0.0 { (fibre as f64 - half) / half } else { 0.0 }
    }

    fn places(&self, seen: &[Vec<Seen>], middles: &[f64], first: &[f64]) -> Vec<Vec<f64>> {
        let n = self.lit.len();
        let own = |fibre: usize| -> (Vec<f64>, Vec<f64>) {
            let of = seen.iter().zip(middles).filter_map(|(of, y)| Some((self.unit(*y), of[fibre]?.at)));
            of.unzip()
        };
        let most = (seen.len() / PER_TERM).clamp(1, TERMS);
        let alone: Vec<Option<Vec<f64>>> = (0..n)
            .map(|fibre| {
                let (u, x) = own(fibre);
                (5 * u.len() >= 3 * seen.len()).then(|| series(&u, &x, most, OFF))
            })
            .collect();
        let whole: Vec<usize> = (0..n).filter(|&fibre| alone[fibre].is_some()).collect();
        (0..n)
            .map(|fibre| {
                if let Some(coeff) = &alone[fibre] {
                    return coeff.clone();
                }
                // The shape of its neighbours, at its own place.
                let after = whole.partition_point(|&k| k < fibre);
                let ends = [after.checked_sub(1).map(|k| whole[k]), whole.get(after).copied()];
                let mut coeff = match ends {
                    [Some(a), Some(b)] => {
                        let part = (first[fibre] - first[a]) / (first[b] - first[a]).max(1e-9);
                        let of = |k: &usize| alone[*k].clone().unwrap_or_default();
                        of(&a).iter().zip(of(&b)).map(|(a, b)| (1.0 - part) * a + part * b).collect()
                    }
                    [Some(k), None] | [None, Some(k)] => {
                        let mut coeff = alone[k].clone().unwrap_or_default();
                        coeff[0] += first[fibre] - first[k];
                        coeff
                    }
                    [None, None] => vec![first[fibre]; 1],
                };
                let (u, x) = own(fibre);
                if !u.is_empty() {
                    coeff[0] += median(u.iter().zip(&x).map(|(u, x)| x - legendre(&coeff, *u)).collect());
                }
                coeff
            })
            .collect()
    }

    fn widths(&self, seen: &[Vec<Seen>], middles: &[f64], usual: f64) -> Vec<f64> {
        let (mut design, mut values) = (Vec::new(), Vec::new());
        for (of, y) in seen.iter().zip(middles) {
            for (fibre, peak) in of.iter().enumerate() {
                if let Some(peak) = peak {
                    design.push(self.terms(fibre, *y));
                    values.push(peak.sigma);
                }
            }
        }
        let found = linear(&design, &values, WIDTH_TERMS.len(), 0.01);
        if found[0] > 0.0 { found } else { vec![usual, 0.0, 0.0, 0.0, 0.0, 0.0] }
    }

    fn terms(&self, fibre: usize, y: f64) -> Vec<(usize, f64)> {
        let (u, z) = (polynomials(3, self.unit(y)), polynomials(3, self.slit(fibre)));
        WIDTH_TERMS.iter().enumerate().map(|(k, [a, b])| (k, u[*a] * z[*b])).collect()
    }

    /// Place of a fibre across the dispersion at a row.
    pub fn at(&self, fibre: usize, y: f64) -> f64 {
        legendre(&self.place[fibre], self.unit(y))
    }

    /// Width of a fibre across the dispersion at a row.
    pub fn sigma(&self, fibre: usize, y: f64) -> f64 {
        let y = y.clamp(0.0, self.ny as f64);
        self.terms(fibre, y).iter().map(|(k, value)| self.width[*k] * value).sum::<f64>().max(0.3)
    }

    /// Number of fibres.
    pub fn len(&self) -> usize {
        self.lit.len()
    }
}

/// Degrees along row and slit of the terms of a width.
const WIDTH_TERMS: [[usize; 2]; 6] = [[0, 0], [1, 0], [2, 0], [0, 1], [0, 2], [1, 1]];
