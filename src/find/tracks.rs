//! Lines of an arc: peaks along every fibre, linked from fibre to fibre.

use super::follow::Traces;
use super::peaks::{self, Peak};
use super::plane::{Plane, Profile};
use crate::base::median::median;

/// Half of the profile across a fibre, in sigma.
const ACROSS: f64 = 2.5;
/// Largest shift of a line from fibre to fibre, rows.
const SHIFT: i64 = 60;
/// Distances, rows, within which a peak is of a line: before and after the shift is known to a fraction.
const NEAR: [f64; 2] = [3.0, 1.2];
/// Most lines.
const MOST: usize = 200;

/// A line of the arc: its peak in every fibre.
#[derive(Clone, Debug)]
pub(super) struct Track {
    pub peaks: Vec<Option<Peak>>,
    /// Its usual electrons.
    pub bright: f64,
}

/// Returns the light of every fibre by row.
fn spectra(arc: &Plane, traces: &Traces) -> Vec<Profile> {
    let spectrum = |fibre: usize| {
        let mut profile = Profile::default();
        for y in 0..arc.ny {
            let (at, sigma) = (traces.at(fibre, y as f64), traces.sigma(fibre, y as f64));
            let ends = [at - ACROSS * sigma, at + ACROSS * sigma].map(|x| (x + 0.5).clamp(0.0, arc.nx as f64) as usize);
            let (mut sum, mut power, mut cover, mut all) = (0.0, 0.0, 0.0, 0.0);
            for x in ends[0]..ends[1] {
                let value = (-0.5 * ((x as f64 - at) / sigma).powi(2)).exp() / (2.506_628 * sigma);
                all += value;
                let weight = f64::from(arc.ivar[y * arc.nx + x]);
                if weight > 0.0 {
                    sum += value * f64::from(arc.data[y * arc.nx + x]);
                    power += value * value;
                    cover += value * value / weight;
                }
            }
            let enough = power > 0.0 && all > 0.5 && power > 0.1 / sigma;
            profile.value.push(if enough { sum / power } else { 0.0 });
            profile.var.push(if enough { cover / (power * power) } else { f64::INFINITY });
        }
        without_continuum(profile)
    };
    (0..traces.len()).map(spectrum).collect()
}

/// Subtracts the running median: a lamp may have a continuum.
fn without_continuum(mut profile: Profile) -> Profile {
    const HALF: usize = 40;
    let n = profile.value.len();
    let value = profile.value.clone();
    for block in (0..n).step_by(HALF) {
        let near = block.saturating_sub(HALF)..(block + 2 * HALF).min(n);
        let level = median(near.filter(|&i| profile.is_good(i)).map(|i| value[i]).collect());
        if level.is_finite() {
            profile.value[block..(block + HALF).min(n)].iter_mut().for_each(|v| *v -= level);
        }
    }
    profile
}

fn peaks_of(spectrum: &Profile, lit: bool) -> Vec<Peak> {
    let tops = if lit { peaks::find(spectrum) } else { Vec::new() };
    if tops.is_empty() {
        return Vec::new();
    }
    let sigma = peaks::usual_width(spectrum, &tops);
    let places: Vec<f64> = tops.iter().map(|&top| top as f64).collect();
    let mut found = peaks::fit(spectrum, &places, sigma);
    found.retain(|peak| peak.error < 0.3);
    found.sort_by(|a, b| a.at.total_cmp(&b.at));
    found
}

/// Returns the whole shift that puts the light of one fibre on that of another.
fn shift(from: &Profile, to: &Profile) -> f64 {
    let level = |p: &Profile| -> Vec<f64> {
        let noise = p.noise();
        p.value.iter().map(|v| (v.max(0.0) / noise).ln_1p()).collect()
    };
    let (a, b) = (level(from), level(to));
    let n = a.len() as i64;
    let sum = |lag: i64| -> f64 {
        let rows = 0.max(-lag)..n.min(n - lag).max(0.max(-lag));
        rows.map(|y| a[y as usize] * b[(y + lag) as usize]).sum()
    };
    let most = SHIFT.min(n / 4);
    let lags = (-most..=most).map(|lag| (sum(lag), lag));
    // Of equals the smallest.
    lags.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.abs().cmp(&a.1.abs()))).map_or(0.0, |best| best.1 as f64)
}

/// Finds the lines, from the fibre that has the most peaks among those in the middle; returns them and that fibre.
pub(super) fn find(arc: &Plane, traces: &Traces) -> (Vec<Track>, usize) {
    let n = traces.len();
    let spectra = spectra(arc, traces);
    let peaks: Vec<Vec<Peak>> = spectra.iter().zip(&traces.lit).map(|(s, lit)| peaks_of(s, *lit)).collect();
    let middle = n / 3..(2 * n).div_ceil(3);
    let nearest = |f: usize| f.abs_diff(n / 2);
    let first = middle.max_by_key(|&f| (peaks[f].len(), usize::MAX - nearest(f))).unwrap_or(0);
    let usual = median(peaks.iter().zip(&traces.lit).filter(|(_, lit)| **lit).map(|(p, _)| p.len() as f64).collect());
    let mut seeds = peaks[first].clone();
    seeds.sort_by(|a, b| b.sum.total_cmp(&a.sum));
    seeds.truncate(MOST);
    let mut tracks: Vec<Vec<Option<Peak>>> = vec![vec![None; n]; seeds.len()];
    tracks.iter_mut().zip(&seeds).for_each(|(track, peak)| track[first] = Some(*peak));
    for order in [(first + 1..n).collect::<Vec<_>>(), (0..first).rev().collect()] {
        let mut at: Vec<f64> = seeds.iter().map(|peak| peak.at).collect();
        let mut before = first;
        for fibre in order {
            // A dark fibre, or one without its lines, has no shift.
            if 3.0 * (peaks[fibre].len() as f64) < usual || peaks[fibre].is_empty() {
                continue;
            }
            let lag = shift(&spectra[before], &spectra[fibre]);
            let nearest = |y: f64, within: f64| {
                let k = peaks[fibre].partition_point(|peak| peak.at < y);
                let near = [k.checked_sub(1), Some(k)].into_iter().flatten().filter_map(|k| peaks[fibre].get(k));
                near.filter(|peak| (peak.at - y).abs() < within)
                    .min_by(|a, b| (a.at - y).abs().total_cmp(&(b.at - y).abs()))
                    .copied()
            };
            let off: Vec<[f64; 2]> =
                at.iter().filter_map(|&y| nearest(y + lag, NEAR[0]).map(|peak| [y, peak.at - y - lag])).collect();
            if off.is_empty() {
                continue;
            }
            let whole = median(off.iter().map(|o| o[1]).collect());
            for (track, y) in tracks.iter_mut().zip(&mut at) {
                *y += lag + whole;
                track[fibre] = nearest(*y, NEAR[1]);
                if let Some(peak) = track[fibre] {
                    *y = peak.at;
                }
            }
            before = fibre;
        }
    }
    let lit = traces.lit.iter().filter(|lit| **lit).count();
    let mut whole = Vec::new();
    for of in tracks {
        let sums: Vec<f64> = of.iter().flatten().map(|peak| peak.sum).collect();
        if 2 * sums.len() > lit {
            whole.push(Track { peaks: of, bright: median(sums) });
        }
    }
    whole.sort_by(|a, b| place(a, first).total_cmp(&place(b, first)));
    (whole, first)
}

/// Row of a line in the fibre from which it was followed.
pub(super) fn place(track: &Track, first: usize) -> f64 {
    track.peaks[first].map_or(0.0, |peak| peak.at)
}
