//! Fibres of a flat: where they are in the middle of it, and which are missing.

use super::peaks;
use super::plane::{Plane, Profile};
use super::{FindError, FindOptions};
use crate::base::median::median;
use std::ops::Range;

/// Rows of a block that is looked at as one.
const ROWS: [usize; 2] = [8, 32];
/// Blocks over the frame, at least where it has the rows.
const BLOCKS: usize = 64;
/// Places along the dispersion at which fibres are counted.
const STRIPS: usize = 7;
/// Height of a fibre's peak relative to the usual one, at least.
const FAINT: f64 = 0.1;
/// How far a gap that may hold a fibre without light is from two distances of neighbours, at most. The smaller values serve
/// where there are more such gaps than fibres are missing; gaps of bundles may be among them.
const DOUBLE: [f64; 3] = [0.25, 0.1, 0.04];

/// Least gap, of usual distances, that takes a fibre without light: half of what two in a gap of three leave to the second.
const ROOM: f64 = 1.4;

/// The fibres where they were found.
#[derive(Clone, Debug)]
pub(super) struct Fibres {
    /// Place of every fibre across the dispersion, ascending.
    pub at: Vec<f64>,
    /// Whether it has light.
    pub lit: Vec<bool>,
    /// Their usual width.
    pub sigma: f64,
    /// The block of rows.
    pub block: usize,
}

/// Returns the blocks of rows of a frame.
pub(super) fn blocks(ny: usize) -> Vec<Range<usize>> {
    let height = (ny / BLOCKS).clamp(ROWS[0], ROWS[1]).min(ny.max(1));
    (0..ny / height).map(|k| k * height..(k + 1) * height).collect()
}

/// Finds the fibres of a flat.
///
/// # Errors
/// [`FindError::NoFibres`] if there are none, [`FindError::Count`] if they are not as many as they should be.
pub(super) fn find(flat: &Plane, profiles: &[Profile], options: &FindOptions) -> Result<Fibres, FindError> {
    let mut found: Vec<(usize, Vec<usize>)> = Vec::new();
    for strip in 0..STRIPS {
        // From the middle outwards: the first of equals is the nearest to it.
        let step = strip.div_ceil(2) as f64 / (STRIPS + 1) as f64;
        let place = if strip % 2 == 0 { 0.5 + step } else { 0.5 - step };
        let block = (place * profiles.len() as f64) as usize;
        let Some(profile) = profiles.get(block) else { continue };
        found.push((block, of_height(profile, peaks::find(profile))));
    }
    let often = |count: usize| found.iter().filter(|(_, tops)| tops.len() == count).count();
    // The largest number that is no accident: fibres vanish under a masked amplifier rather than appear.
    let counts = || found.iter().map(|(_, tops)| tops.len());
    let best = counts().filter(|&count| often(count) > 1).max().or_else(|| counts().max()).unwrap_or(0);
    let Some((block, tops)) = found.iter().find(|(_, tops)| tops.len() == best && best > 0) else {
        return Err(FindError::NoFibres);
    };
    let profile = &profiles[*block];
    let sigma = peaks::usual_width(profile, tops);
    let places: Vec<f64> = tops.iter().map(|&top| top as f64).collect();
    let mut at: Vec<f64> = peaks::fit(profile, &places, sigma).iter().map(|peak| peak.at).collect();
    at.sort_by(f64::total_cmp);
    let sigma = usual_sigma(profile, &at, sigma);
    let mut fibres = Fibres { lit: vec![true; at.len()], at, sigma, block: *block };
    fibres.insert_dark(options, flat.nx)?;
    Ok(fibres)
}

fn usual_sigma(profile: &Profile, at: &[f64], sigma: f64) -> f64 {
    let widths =
        peaks::fit(profile, at, sigma).into_iter().filter(|peak| peak.error.is_finite()).map(|peak| peak.sigma);
    let usual = median(widths.collect());
    if usual.is_finite() { usual } else { sigma }
}

/// Drops peaks that are faint beside the others.
fn of_height(profile: &Profile, tops: Vec<usize>) -> Vec<usize> {
    let usual = median(tops.iter().map(|&top| profile.value[top]).collect());
    tops.into_iter().filter(|&top| profile.value[top] > FAINT * usual).collect()
}

impl Fibres {
    /// Puts fibres without light into their places: those that the user names. Without names, those that a given number of
    /// fibres lacks, where the gaps of two distances are as many.
    fn insert_dark(&mut self, options: &FindOptions, nx: usize) -> Result<(), FindError> {
        let mut dark = options.broken_fibres.clone();
        dark.sort_unstable();
        dark.dedup();
        if dark.is_empty() {
            let missing = options.nfibre.map_or(0, |n| n.saturating_sub(self.at.len()));
            let mut choices = DOUBLE.iter().map(|within| self.doubles(*within));
            let doubles = choices.find(|doubles| doubles.len() == missing).unwrap_or_default();
            if options.nfibre.is_some_and(|n| n < self.at.len()) || missing != doubles.len() {
                return Err(FindError::Count {
                    found: self.at.len(),
                    wanted: options.nfibre.unwrap_or(0),
                    gaps: self.gaps(),
                });
            }
            if missing > 0 {
                dark = doubles.iter().enumerate().map(|(before, k)| k + 1 + before).collect();
            }
        }
        for fibre in dark {
            if fibre > self.at.len() {
                return Err(FindError::Broken { fibre, found: self.at.len() });
            }
            let step = self.pitch(fibre);
            let between = fibre.checked_sub(1).and_then(|k| Some([self.at[k], *self.at.get(fibre)?]));
            if let Some(between) = between.filter(|[a, b]| b - a < ROOM * step) {
                return Err(FindError::NoRoom { fibre, between, pitch: step, gaps: self.gaps() });
            }
            let at = match (fibre.checked_sub(1).map(|k| self.at[k]), self.at.get(fibre)) {
                (Some(a), Some(b)) if b - a < 3.0 * step => 0.5 * (a + b),
                // At the end of a bundle it is nearer to one of the two.
                (Some(a), Some(_) | None) => a + step,
                (None, Some(b)) => b - step,
                (None, None) => 0.5 * nx as f64,
            };
            self.at.insert(fibre, at);
            self.lit.insert(fibre, false);
        }
        match options.nfibre {
            Some(wanted) if wanted != self.at.len() => {
                Err(FindError::Count { found: self.at.len(), wanted, gaps: Vec::new() })
            }
            _ => Ok(()),
        }
    }

    /// Distance of neighbours near a fibre.
    fn pitch(&self, fibre: usize) -> f64 {
        let near = fibre.saturating_sub(12)..(fibre + 12).min(self.at.len());
        let steps: Vec<f64> = self.at[near].windows(2).map(|pair| pair[1] - pair[0]).collect();
        if steps.is_empty() { 1.0 } else { median(steps) }
    }

    /// Returns the fibres after which there is a gap that may hold one without light.
    pub fn rooms(&self) -> Vec<usize> {
        self.doubles(DOUBLE[0])
    }

    /// Returns the middles of gaps that may hold a fibre without light.
    fn gaps(&self) -> Vec<f64> {
        self.rooms().iter().map(|&k| 0.5 * (self.at[k] + self.at[k + 1])).collect()
    }

    /// Returns the fibres after which there is a gap of two distances, within a part of one.
    fn doubles(&self, within: f64) -> Vec<usize> {
        let is_double = |k: &usize| {
            let ratio = (self.at[k + 1] - self.at[*k]) / self.pitch(*k + 1);
            (ratio - 2.0).abs() < within
        };
        (0..self.at.len().saturating_sub(1)).filter(is_double).collect()
    }
}
