//! Chunks: some rows of a bundle with the light of its fibres, and which of them are used.

use super::bundle::{Blend, Field};
use super::moves::Moves;
use crate::base::median::median;

/// Rows of a chunk.
const ROWS: f64 = 32.0;
/// Parts of the CCD along the dispersion that get as many chunks.
const ZONES: usize = 8;
/// Lines nearer to each other than this are one, pixels.
const BLEND: f64 = 1.0;

/// Step of bins in widths of the PSF: a row of spots so near to each other is smooth to 1e-4.
const SPACING: f64 = 1.35;

/// The spectrum of a fibre in a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spectrum {
    /// A smooth continuum and lines.
    Lines,
    /// Every bin free.
    Free,
}

/// Some rows of a bundle.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    /// First and last wavelength, Angstrom.
    pub wave: [f64; 2],
    /// Rows per Angstrom, without a sign.
    pub dispersion: f64,
    /// Step of free bins, and of the points of light of a continuum, Angstrom.
    pub step: f64,
    /// Lines whose light reaches it.
    pub lines: Vec<Blend>,
    /// Per fibre of the field.
    pub spectra: Vec<Spectrum>,
    /// Whether the list describes it.
    pub trusted: bool,
}

impl Chunk {
    /// Middle wavelength.
    pub fn middle(&self) -> f64 {
        0.5 * (self.wave[0] + self.wave[1])
    }

    /// Cuts a field into chunks, and keeps those with most light of each part of the CCD.
    pub fn choose(field: &Field) -> Vec<Self> {
        let all = Self::all(field);
        let mut scored: Vec<(f64, Self)> = all.into_iter().map(|chunk| (chunk.light(field), chunk)).collect();
        scored.retain(|(light, _)| *light > 0.0);
        let ends = scored.iter().map(|(_, c)| c.middle()).fold([f64::MAX, f64::MIN], |[a, b], w| [a.min(w), b.max(w)]);
        let zone = |chunk: &Self| {
            let part = (chunk.middle() - ends[0]) / (ends[1] - ends[0]).max(f64::MIN_POSITIVE);
            ((part * ZONES as f64) as usize).min(ZONES - 1)
        };
        let most = field.options.chunks.div_ceil(ZONES);
        let mut chosen: Vec<Self> = Vec::new();
        for k in 0..ZONES {
            let mut of_zone: Vec<&(f64, Self)> = scored.iter().filter(|(_, chunk)| zone(chunk) == k).collect();
            of_zone.sort_by(|a, b| b.0.total_cmp(&a.0));
            chosen.extend(of_zone.into_iter().take(most).map(|(_, chunk)| chunk.clone()));
        }
        chosen.sort_by(|a, b| a.middle().total_cmp(&b.middle()));
        chosen
    }

    fn all(field: &Field) -> Vec<Self> {
        let (psf, middle) = (field.psf, (field.own.start + field.own.end) / 2);
        let row = |wave: f64| Moves::trace(psf, field.fibres.start + middle, wave)[1] + field.start[1];
        let (low, high) = (psf.wave_min, psf.wave_max);
        let count = (2 * psf.npix_y).max(16);
        let waves: Vec<f64> = (0..=count).map(|k| low + (high - low) * k as f64 / count as f64).collect();
        let inside = |wave: &&f64| (0.0..psf.npix_y as f64 - 1.0).contains(&row(**wave));
        let waves: Vec<f64> = waves.iter().filter(inside).copied().collect();
        let Some((first, last)) = waves.first().zip(waves.last()) else { return Vec::new() };
        let rows = (row(*last) - row(*first)).abs();
        let dispersion = rows / (last - first);
        let count = (rows / ROWS).round().max(1.0) as usize;
        if !(dispersion.is_finite() && dispersion > 0.0 && rows > 4.0) {
            return Vec::new();
        }
        let edge = |k: usize| first + (last - first) * k as f64 / count as f64;
        let sigma = field.sigma_y(first + 0.5 * (last - first));
        let chunk = |k: usize| {
            let wave = [edge(k), edge(k + 1)];
            let dispersion = (row(wave[1]) - row(wave[0])).abs() / (wave[1] - wave[0]);
            let dispersion = if dispersion > 0.0 { dispersion } else { rows / (last - first) };
            let lines = field.blends(wave, dispersion, BLEND);
            let kind = if field.lines.is_empty() { Spectrum::Free } else { Spectrum::Lines };
            let step = SPACING * sigma / dispersion;
            Self { wave, dispersion, step, lines, spectra: vec![kind; field.fibres.len()], trusted: true }
        };
        (0..count).map(chunk).collect()
    }

    /// Returns the squared signal over noise of the light about the traces, of the median fibre: a few bright stars do not decide.
    fn light(&self, field: &Field) -> f64 {
        let (region, shift) = (&field.region, field.start);
        let of_fibre = |k: usize| {
            let place = |wave: f64| {
                let trace = Moves::trace(field.psf, field.fibres.start + k, wave);
                [trace[0] + shift[0], trace[1] + shift[1]]
            };
            let ends = self.wave.map(place);
            let rows = ends[0][1].min(ends[1][1]).max(0.0) as usize..ends[0][1].max(ends[1][1]).max(0.0) as usize;
            let x = 0.5 * (ends[0][0] + ends[1][0]) - f64::from(region.x0);
            let columns = (x - 1.0).max(0.0) as usize..((x + 3.0).max(0.0) as usize).min(region.nx);
            let mut sum = 0.0;
            for y in rows.start..rows.end.min(region.ny) {
                for column in columns.clone() {
                    let pixel = y * region.nx + column;
                    sum += region.weight(pixel) * region.data[pixel].max(0.0).powi(2);
                }
            }
            sum
        };
        median(field.own.clone().map(of_fibre).collect())
    }
}
