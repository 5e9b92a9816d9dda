//! Peaks of a profile, and Gaussians of pixels fitted to all of them at once.

use super::plane::Profile;
use crate::base::median::median;
use libm::erf;
use nalgebra::{Matrix3, Vector3};

/// Least height of a peak in its noise, and over the valley beside it as a part of its own.
const SIGNAL: f64 = 8.0;
const PROMINENT: f64 = 0.05;
/// Sweeps over all peaks: neighbours share light.
const SWEEPS: usize = 8;
/// Half of the window of a peak, in sigma.
const WINDOW: f64 = 2.6;
/// Narrowest and widest Gaussian, relative to the usual one.
const WIDTHS: [f64; 2] = [0.5, 2.0];

/// A Gaussian of pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Peak {
    pub at: f64,
    pub sigma: f64,
    /// Its sum.
    pub sum: f64,
    /// Error of `at`; infinite where nothing holds the peak.
    pub error: f64,
    /// Sum over its error.
    pub signal: f64,
}

/// Finds the pixels of peaks that stand out of the noise, and of each other.
pub(super) fn find(profile: &Profile) -> Vec<usize> {
    let filled = profile.clone().filled();
    let value = &filled.value;
    let n = value.len();
    let mut sorted = value.clone();
    sorted.sort_by(f64::total_cmp);
    let floor = sorted.get(n / 10).copied().unwrap_or(0.0);
    let usual = profile.noise();
    let noise = |i: usize| if profile.is_good(i) { profile.var[i].sqrt() } else { usual };
    let is_top = |i: &usize| {
        let i = *i;
        let below = i == 0 || value[i - 1] < value[i];
        below && (i + 1 == n || value[i + 1] <= value[i]) && value[i] - floor > SIGNAL * noise(i)
    };
    let mut tops: Vec<usize> = (0..n).filter(is_top).collect();
    loop {
        // The least prominent of neighbours is no peak.
        let weakest = tops.windows(2).enumerate().filter_map(|(k, pair)| {
            let valley = value[pair[0]..=pair[1]].iter().copied().fold(f64::MAX, f64::min);
            let lower = k + usize::from(value[pair[1]] < value[pair[0]]);
            let over = value[tops[lower]] - valley;
            let needed = (5.0 * noise(tops[lower])).max(PROMINENT * (value[tops[lower]] - floor));
            (over < needed).then_some((over, lower))
        });
        let Some((_, lower)) = weakest.min_by(|a, b| a.0.total_cmp(&b.0)) else { return tops };
        tops.remove(lower);
    }
}

/// Estimates the usual width of peaks by the curvature at their tops.
pub(super) fn usual_width(profile: &Profile, tops: &[usize]) -> f64 {
    let of = |&i: &usize| {
        let [a, b, c] = [i.checked_sub(1)?, i, i + 1].map(|k| profile.value.get(k).copied().unwrap_or(0.0));
        let good = [i - 1, i, i + 1].iter().all(|&k| k < profile.var.len() && profile.is_good(k));
        (good && a > 0.0 && c > 0.0).then(|| (2.0 * b.ln() - a.ln() - c.ln()).max(1e-3))
    };
    let curvature = median(tops.iter().filter_map(of).collect());
    // A pixel widens a Gaussian by 1/12.
    if curvature.is_finite() { (1.0 / curvature - 1.0 / 12.0).clamp(0.16, 400.0).sqrt() } else { 1.0 }
}

/// Values of a Gaussian with sum 1 on a pixel, and its derivatives by place and width.
fn gauss(pixel: f64, at: f64, sigma: f64) -> [f64; 3] {
    let [a, b] = [-0.5, 0.5].map(|half| (pixel + half - at) / sigma);
    let density = |e: f64| (-0.5 * e * e).exp() * 0.398_942_280_401_432_7;
    let root = std::f64::consts::FRAC_1_SQRT_2;
    let [p, q] = [density(a), density(b)];
    [0.5 * (erf(b * root) - erf(a * root)), (p - q) / sigma, (a * p - b * q) / sigma]
}

/// Fits Gaussians to a profile, all at once, from places and one width. Those without light stay where they are.
pub(super) fn fit(profile: &Profile, places: &[f64], sigma: f64) -> Vec<Peak> {
    let n = profile.value.len();
    let mut peaks: Vec<Peak> = places
        .iter()
        .map(|&at| {
            let top = profile.value.get(at.round().max(0.0) as usize).copied().unwrap_or(0.0);
            Peak { at, sigma, sum: 2.5 * sigma * top.max(0.0), error: f64::INFINITY, signal: 0.0 }
        })
        .collect();
    let window = |peak: &Peak, half: f64| {
        let clip = |v: f64| v.clamp(0.0, n as f64) as usize;
        clip((peak.at - half * peak.sigma).round())..clip((peak.at + half * peak.sigma).round() + 1.0)
    };
    let mut model = vec![0.0; n];
    let put = |model: &mut [f64], peak: &Peak, sign: f64| {
        for i in window(peak, 5.0) {
            model[i] += sign * peak.sum * gauss(i as f64, peak.at, peak.sigma)[0];
        }
    };
    peaks.iter().for_each(|peak| put(&mut model, peak, 1.0));
    for sweep in 0..SWEEPS {
        for (k, place) in places.iter().enumerate() {
            put(&mut model, &peaks[k], -1.0);
            let peak = &mut peaks[k];
            let (mut normal, mut right) = (Matrix3::<f64>::zeros(), Vector3::<f64>::zeros());
            let mut core = 0.0;
            for i in window(peak, WINDOW).filter(|&i| profile.is_good(i)) {
                let [value, by_at, by_sigma] = gauss(i as f64, peak.at, peak.sigma);
                let weight = 1.0 / profile.var[i];
                let d = Vector3::new(value, peak.sum * by_at, peak.sum * by_sigma);
                normal += weight * d * d.transpose();
                right += weight * (profile.value[i] - model[i] - peak.sum * value) * d;
                core += value;
            }
            (peak.error, peak.signal) = (f64::INFINITY, 0.0);
            if core > 0.6 {
                // The sum alone, then all: a wrong sum would turn the other two away.
                let alone = right[0] / normal[(0, 0)];
                let few = sweep == 0 || peak.sum <= 0.0;
                if let (false, Some(inverse)) = (few, normal.try_inverse()) {
                    let step = inverse * right;
                    peak.sum += step[0];
                    peak.at = (peak.at + step[1].clamp(-0.5, 0.5)).clamp(place - 3.0 * sigma, place + 3.0 * sigma);
                    let wide = peak.sigma + step[2].clamp(-0.2 * sigma, 0.2 * sigma);
                    peak.sigma = wide.clamp(WIDTHS[0] * sigma, WIDTHS[1] * sigma);
                    (peak.error, peak.signal) = (inverse[(1, 1)].sqrt(), peak.sum / inverse[(0, 0)].sqrt());
                } else {
                    peak.sum += alone;
                }
                if peak.sum <= 0.0 || peak.sum.is_nan() {
                    *peak = Peak { at: *place, sigma, sum: 0.0, error: f64::INFINITY, signal: 0.0 };
                }
            }
            put(&mut model, &peaks[k], 1.0);
        }
    }
    peaks
}
