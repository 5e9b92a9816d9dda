//! Rows of wavelengths in every fibre, and widths along the dispersion, from the lines that were identified.

use super::polynomial::linear;
use super::tracks::Track;
use crate::base::median::median;
use crate::stages::legendre::{polynomials, unit};

/// Departure of a row that is no outlier, pixels.
const OFF: f64 = 0.05;
/// Powers of the slit in terms beyond a fibre's own row.
const ACROSS: usize = 3;
/// Largest degree, and lines per two degrees.
const DEGREE: usize = 6;
const TWO_DEGREES: usize = 5;
/// Part of the frame beyond the outermost lines that a solution may be trusted for.
const BEYOND: f64 = 0.12;

/// Rows of wavelengths.
#[derive(Clone, Debug)]
pub(super) struct Solution {
    coeff: Vec<f64>,
    fibres: usize,
    degree: usize,
    domain: [f64; 2],
    widths: Vec<f64>,
    /// Usual departure of a line, pixels.
    pub rms: f64,
    /// Wavelengths from end to end of the frame, ascending.
    pub ends: [f64; 2],
    /// Whether the lines leave an end of the frame without a solution.
    pub is_cut: bool,
}

impl Solution {
    /// Fits the lines, pairs of a track and a wavelength.
    pub fn fit(lines: &[(&Track, f64)], lit: &[bool], ny: usize) -> Self {
        let fibres = lit.len();
        let waves = || lines.iter().map(|(_, wave)| *wave);
        let domain = [waves().fold(f64::MAX, f64::min), waves().fold(f64::MIN, f64::max)];
        let degree = (2 * lines.len() / TWO_DEGREES).clamp(1, DEGREE);
        let mut solution = Self {
            coeff: Vec::new(),
            fibres,
            degree,
            domain,
            widths: Vec::new(),
            rms: 0.0,
            ends: domain,
            is_cut: false,
        };
        let (mut design, mut values, mut widths) = (Vec::new(), Vec::new(), [Vec::new(), Vec::new()]);
        for (track, wave) in lines {
            for (fibre, peak) in track.peaks.iter().enumerate() {
                if let Some(peak) = peak {
                    design.push(solution.terms(fibre, *wave));
                    values.push(peak.at);
                    widths[0].push(solution.width_terms(*wave));
                    widths[1].push(vec![(0, peak.sigma)]);
                }
            }
        }
        solution.coeff = linear(&design, &values, fibres + degree * ACROSS, OFF);
        let off: Vec<f64> = design
            .iter()
            .zip(&values)
            .map(|(row, y)| (y - row.iter().map(|(k, a)| a * solution.coeff[*k]).sum::<f64>()).abs())
            .collect();
        solution.rms = 1.48 * median(off);
        let sigma: Vec<f64> = widths[1].iter().map(|w| w[0].1).collect();
        solution.widths = linear(&widths[0], &sigma, 3, 0.02);
        solution.place_unseen();
        solution.find_ends(ny);
        solution
    }

    fn slit(&self, fibre: usize) -> f64 {
        let half = 0.5 * (self.fibres - 1) as f64;
        if half > 0.0 { (fibre as f64 - half) / half } else { 0.0 }
    }

    /// A row of its own per fibre; the rest is common, and changes slowly along the slit.
    fn terms(&self, fibre: usize, wave: f64) -> Vec<(usize, f64)> {
        let (u, z) = (polynomials(self.degree + 1, unit(self.domain, wave)), polynomials(ACROSS, self.slit(fibre)));
        let common = (0..self.degree * ACROSS).map(|k| (self.fibres + k, u[1 + k / ACROSS] * z[k % ACROSS]));
        [(fibre, 1.0)].into_iter().chain(common).collect()
    }

    fn width_terms(&self, wave: f64) -> Vec<(usize, f64)> {
        polynomials(3, unit(self.domain, wave)).into_iter().enumerate().collect()
    }

    /// Puts fibres in which no line was seen between their neighbours.
    fn place_unseen(&mut self) {
        // A coefficient without evidence is held at 0, far from any row of a frame.
        let seen: Vec<usize> = (0..self.fibres).filter(|&f| self.coeff[f].abs() > 1e-3).collect();
        for fibre in (0..self.fibres).filter(|f| !seen.contains(f)) {
            let after = seen.partition_point(|&k| k < fibre);
            self.coeff[fibre] = match [after.checked_sub(1).map(|k| seen[k]), seen.get(after).copied()] {
                [Some(a), Some(b)] => {
                    let part = (fibre - a) as f64 / (b - a) as f64;
                    (1.0 - part) * self.coeff[a] + part * self.coeff[b]
                }
                [Some(k), None] | [None, Some(k)] => self.coeff[k],
                [None, None] => 0.0,
            };
        }
    }

    /// Row of a wavelength in a fibre.
    pub fn row(&self, fibre: usize, wave: f64) -> f64 {
        self.terms(fibre, wave).iter().map(|(k, value)| self.coeff[*k] * value).sum()
    }

    /// Width along the dispersion at a wavelength.
    pub fn sigma(&self, wave: f64) -> f64 {
        let wave = wave.clamp(self.domain[0], self.domain[1]);
        self.width_terms(wave).iter().map(|(k, value)| self.widths[*k] * value).sum::<f64>().max(0.3)
    }

    /// Finds the wavelengths at the ends of the frame: the lowest and the highest of all fibres.
    fn find_ends(&mut self, ny: usize) {
        let span = self.domain[1] - self.domain[0];
        let rows = (self.row(self.fibres / 2, self.domain[1]) - self.row(self.fibres / 2, self.domain[0])).abs();
        let step = span / rows.max(1.0);
        let inside = |wave: f64| (0..self.fibres).any(|fibre| (-0.5..ny as f64 - 0.5).contains(&self.row(fibre, wave)));
        let most = BEYOND * ny as f64;
        let mut is_cut = false;
        let ends = [-1.0, 1.0].map(|sign| {
            let from = if sign < 0.0 { self.domain[0] } else { self.domain[1] };
            let steps = (1..=most as usize).find(|&k| !inside(from + sign * step * k as f64));
            is_cut |= steps.is_none();
            from + sign * step * steps.unwrap_or(most as usize) as f64
        });
        // Round numbers, not within the frame.
        self.ends = [(10.0 * ends[0]).floor() / 10.0, (10.0 * ends[1]).ceil() / 10.0];
        self.is_cut = is_cut;
    }
}
