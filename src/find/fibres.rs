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
/// How far a gap that may hold fibres without light is from a whole number of distances of neighbours, at most. The smaller values
/// serve where there is room for more fibres than are missing; gaps of bundles may be among them.
const WHOLE: [f64; 3] = [0.25, 0.1, 0.04];

/// Most fibres without light next to each other.
const MOST_DARK: usize = 4;

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
    /// fibres lacks, where the gaps of whole distances hold as many.
    fn insert_dark(&mut self, options: &FindOptions, nx: usize) -> Result<(), FindError> {
        let mut dark = options.broken_fibres.clone();
        dark.sort_unstable();
        dark.dedup();
        if dark.is_empty() {
            let missing = options.nfibre.map_or(0, |n| n.saturating_sub(self.at.len()));
            // Few next to each other come first.
            let choices = (1..=MOST_DARK).flat_map(|most| WHOLE.map(|within| (within, most)));
            let holding = |rooms: &Vec<(usize, usize)>| rooms.iter().map(|(_, room)| room).sum::<usize>() == missing;
            let rooms = match missing {
                0 => Some(vec![]),
                _ => choices.map(|(within, most)| self.rooms_of(within, most)).find(holding),
            };
            let Some(rooms) = rooms.filter(|_| options.nfibre.is_none_or(|n| n >= self.at.len())) else {
                return Err(FindError::Count {
                    found: self.at.len(),
                    wanted: options.nfibre.unwrap_or(0),
                    gaps: self.gaps(),
                });
            };
            for (k, room) in rooms {
                let first = k + 1 + dark.len();
                dark.extend(first..first + room);
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
                (Some(a), Some(b)) => match room((b - a) / step, WHOLE[0]) {
                    Some(room) => a + (b - a) / (room + 1) as f64,
                    None if b - a < 3.0 * step => 0.5 * (a + b),
                    // At the end of a bundle it is nearer to one of the two.
                    None => a + step,
                },
                (Some(a), None) => a + step,
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

    /// Returns the fibres after which there is a gap that may hold others without light, and how many.
    pub fn rooms(&self) -> Vec<(usize, usize)> {
        self.rooms_of(WHOLE[0], MOST_DARK)
    }

    /// Returns the middles of gaps that may hold fibres without light, and how many.
    fn gaps(&self) -> Vec<(f64, usize)> {
        self.rooms().into_iter().map(|(k, room)| (0.5 * (self.at[k] + self.at[k + 1]), room)).collect()
    }

    /// Returns the fibres after which there is a gap of a whole number of distances, within a part of one, and how many fibres,
    /// at most `most`, it may hold.
    fn rooms_of(&self, within: f64, most: usize) -> Vec<(usize, usize)> {
        let of = |k: usize| {
            let room = room((self.at[k + 1] - self.at[k]) / self.pitch(k + 1), within)?;
            (room <= most).then_some((k, room))
        };
        (0..self.at.len().saturating_sub(1)).filter_map(of).collect()
    }
}

/// Returns how many fibres a gap of so many distances may hold, if it is a whole number of at least two within a part of one.
fn room(distances: f64, within: f64) -> Option<usize> {
    let whole = distances.round();
    (whole >= 2.0 && (distances - whole).abs() < within).then_some(whole as usize - 1)
}
