//! Lines identified by their pattern: which peak of a spectrum is which line of a list.
//!
//! Two bright peaks and two lines of the list make a scale; a third number bends it. The scale on which most peaks have a line, and most
//! bright ones, is the right one if chance does not explain it.

use crate::stages::legendre::{legendre, legendre_fit};
use rayon::prelude::*;

/// Brightest peaks of which pairs are tried, and of which a scale is first judged.
const ANCHORS: usize = 8;
const JUDGES: usize = 24;
/// Lines of a long list.
const LONG: usize = 150;
/// Distance of a pair's peaks, at least, as a part of the rows.
const APART: f64 = 0.15;
/// Largest change of the dispersion from the middle to an end, and distance at first as a part of the rows and in rows.
const BEND: f64 = 0.2;
const COARSE: [f64; 2] = [0.003, 1.5];
/// Distance in the end, rows.
const FINE: f64 = 0.6;
/// Chance that the list has the line of a peak.
const LISTED: f64 = 0.8;
/// Scales that are refined.
const REFINED: usize = 150;
/// Least logarithm of the odds against chance, and against another scale.
const ODDS: [f64; 2] = [12.0, 4.0];
/// Fewest lines.
pub(super) const FEWEST: usize = 5;
/// Departure of the ends from a given range, as a part of it.
const ROUGH: f64 = 0.25;

/// Measured peaks, listed lines, and the knowledge of their scale.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    /// Rows of the peaks, ascending.
    pub rows: &'a [f64],
    /// Their brightness.
    pub bright: &'a [f64],
    /// Wavelengths of the list, ascending.
    pub lines: &'a [f64],
    /// Rows of the frame.
    pub ny: usize,
    /// Wavelengths of the ends, roughly, in either order.
    pub range: Option<[f64; 2]>,
}

/// A scale and its matches.
#[derive(Clone, Debug, Default)]
pub(super) struct Scale {
    /// Coefficients of the wavelength by row, the argument -1 to 1 over the frame.
    coeff: Vec<f64>,
    /// Pairs of a peak and a line.
    pub matches: Vec<[usize; 2]>,
    /// Logarithm of the odds against chance.
    pub odds: f64,
}

impl Known<'_> {
    fn unit(&self, row: f64) -> f64 {
        2.0 * row / (self.ny.max(2) - 1) as f64 - 1.0
    }

    fn wave(&self, coeff: &[f64], row: f64) -> f64 {
        legendre(coeff, self.unit(row))
    }

    /// Angstrom per row, without sign.
    fn step(&self, coeff: &[f64], row: f64) -> f64 {
        (self.wave(coeff, row + 0.5) - self.wave(coeff, row - 0.5)).abs()
    }

    fn nearest(&self, wave: f64) -> usize {
        let k = self.lines.partition_point(|line| *line < wave).min(self.lines.len() - 1);
        if k > 0 && wave - self.lines[k - 1] < (self.lines[k] - wave).abs() { k - 1 } else { k }
    }

    /// Returns the pairs within `rows` rows, one per line, of ascending peaks, and the odds of that many.
    fn judge(&self, coeff: &[f64], rows: f64, of: &[usize]) -> Scale {
        let ends = [0.0, (self.ny - 1) as f64].map(|row| self.wave(coeff, row));
        let [low, high] = [ends[0].min(ends[1]), ends[0].max(ends[1])];
        let inside = self.lines.partition_point(|w| *w <= high) - self.lines.partition_point(|w| *w < low);
        // Chance that a line is so near by accident.
        let chance = 1.0 - (-2.0 * rows * inside as f64 / self.ny as f64).exp();
        let mut matches: Vec<[usize; 2]> = Vec::new();
        let mut last = f64::MAX;
        for &k in of {
            let wave = self.wave(coeff, self.rows[k]);
            let line = self.nearest(wave);
            let off = (self.lines[line] - wave).abs() / self.step(coeff, self.rows[k]).max(1e-12);
            if off >= rows {
                continue;
            }
            // Peaks ascend, so that only the one before can have the same line.
            match matches.last_mut() {
                Some(pair) if pair[1] == line => {
                    if off < last {
                        (*pair, last) = ([k, line], off);
                    }
                }
                _ => {
                    matches.push([k, line]);
                    last = off;
                }
            }
        }
        let (hits, misses) = (matches.len() as f64, (of.len() - matches.len()) as f64);
        let chance = chance.clamp(1e-6, 0.999);
        let odds = hits * (LISTED / chance + 1.0 - LISTED).ln() + misses * (1.0 - LISTED).ln();
        Scale { coeff: coeff.to_vec(), matches, odds }
    }

    /// Whether a linear scale is near the range that is given, or has enough lines at all.
    fn is_possible(&self, low: f64, high: f64) -> bool {
        let [low, high] = [low.min(high), low.max(high)];
        if let Some(range) = self.range {
            let [from, to] = [range[0].min(range[1]), range[0].max(range[1])];
            let most = ROUGH * (to - from);
            return (low - from).abs() < most && (high - to).abs() < most;
        }
        let inside = self.lines.partition_point(|w| *w <= high) - self.lines.partition_point(|w| *w < low);
        low > 0.0 && inside >= FEWEST
    }

    /// Returns the coefficients of scales through two pairs, bent by degrees.
    fn bent(&self, at: [f64; 2], waves: [f64; 2], coarse: f64) -> impl Iterator<Item = Vec<f64>> + '_ {
        let u = at.map(|row| self.unit(row));
        let slope = (waves[1] - waves[0]) / (u[1] - u[0]);
        let half = 0.5 * self.ny as f64;
        let step = 2.0 * coarse / half;
        let count = (0.5 * BEND / step).ceil() as i64;
        (-count..=count).map(move |k| {
            // w + slope (u - u0) + bend slope (u - u0)(u - u1), as a Legendre series.
            let bend = k as f64 * step * slope;
            let constant = waves[0] - slope * u[0] + bend * u[0] * u[1];
            vec![constant + bend / 3.0, slope - bend * (u[0] + u[1]), bend * 2.0 / 3.0]
        })
    }

    /// Fits the scale anew to ever nearer pairs.
    fn refined(&self, scale: &Scale, coarse: f64, all: &[usize]) -> Scale {
        let mut coeff = scale.coeff.clone();
        for (within, degree) in [(coarse, 2), (0.7 * coarse, 3), (0.4 * coarse, 3), (1.0, 4), (FINE, 5), (FINE, 6)] {
            let pairs = self.judge(&coeff, f64::max(within, FINE), all).matches;
            if pairs.len() < FEWEST {
                return Scale::default();
            }
            let u: Vec<f64> = pairs.iter().map(|[k, _]| self.unit(self.rows[*k])).collect();
            let waves: Vec<f64> = pairs.iter().map(|[_, line]| self.lines[*line]).collect();
            let terms = (degree + 1).min(2 * pairs.len() / 5 + 1).max(3);
            coeff = legendre_fit(&u, &waves, terms);
        }
        // A scale that turns back is none.
        let steps = (0..20).map(|k| self.wave(&coeff, k as f64 * (self.ny - 1) as f64 / 19.0)).collect::<Vec<_>>();
        let turns = steps.windows(3).any(|w| (w[1] - w[0]) * (w[2] - w[1]) <= 0.0);
        if turns { Scale::default() } else { self.judge(&coeff, FINE, all) }
    }

    /// Returns the brightest peaks.
    fn brightest(&self, most: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        order.sort_by(|&a, &b| self.bright[b].total_cmp(&self.bright[a]));
        order.truncate(most);
        order.sort_unstable();
        order
    }

    /// Returns the best scales on which two peaks are two lines.
    fn scales_of(&self, at: [f64; 2], coarse: f64, judges: &[usize]) -> Vec<Scale> {
        let mut found = Vec::new();
        for (&a, &b) in self.lines.iter().flat_map(|a| self.lines.iter().map(move |b| (a, b))) {
            let slope = (b - a) / (at[1] - at[0]);
            let end = |row: f64| a + slope * (row - at[0]);
            if slope != 0.0 && self.is_possible(end(0.0), end((self.ny - 1) as f64)) {
                let scales = self.bent(at, [a, b], coarse).map(|coeff| self.judge(&coeff, coarse, judges));
                found.extend(scales.max_by(|a, b| a.odds.total_cmp(&b.odds)));
            }
        }
        best_of(found)
    }

    /// Finds the scale; the error has the best matches that chance may explain.
    pub fn solve(&self) -> Result<Scale, usize> {
        let all: Vec<usize> = (0..self.rows.len()).collect();
        // Fewer peaks for long lists: the work grows as the square of either.
        let anchors = self.brightest(if self.lines.len() > LONG { ANCHORS / 2 } else { ANCHORS });
        let judges = self.brightest(JUDGES);
        let coarse = (COARSE[0] * self.ny as f64).max(COARSE[1]);
        let pairs = anchors.iter().enumerate().flat_map(|(n, &i)| anchors[..n].iter().map(move |&j| (j, i)));
        let pairs: Vec<[f64; 2]> = pairs.map(|(j, i)| [self.rows[j], self.rows[i]]).collect();
        let apart = pairs.into_par_iter().filter(|at| at[1] - at[0] >= APART * self.ny as f64);
        let found: Vec<Vec<Scale>> = apart.map(|at| self.scales_of(at, coarse, &judges)).collect();
        let found = best_of(found.concat());
        let mut fine: Vec<Scale> = found.iter().map(|scale| self.refined(scale, coarse, &all)).collect();
        fine.retain(|scale| scale.matches.len() >= FEWEST);
        fine.sort_by(|a, b| b.odds.total_cmp(&a.odds));
        let Some(best) = fine.first() else { return Err(0) };
        let far = |other: &&Scale| {
            let ends = [0.0, (self.ny - 1) as f64];
            ends.iter().any(|&row| {
                let off = self.wave(&other.coeff, row) - self.wave(&best.coeff, row);
                off.abs() > (0.02 * self.ny as f64).max(10.0) * self.step(&best.coeff, row)
            })
        };
        let second = fine.iter().find(far).map_or(0.0, |scale| scale.odds);
        if best.odds > ODDS[0] && best.odds > second + ODDS[1] { Ok(best.clone()) } else { Err(best.matches.len()) }
    }

    /// Returns the wavelength at a row on a scale.
    pub fn on(&self, scale: &Scale, row: f64) -> f64 {
        self.wave(&scale.coeff, row)
    }
}

/// Returns the best of some scales, in order.
fn best_of(mut scales: Vec<Scale>) -> Vec<Scale> {
    scales.sort_by(|a, b| b.odds.total_cmp(&a.odds));
    scales.truncate(REFINED);
    scales
}
