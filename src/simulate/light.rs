//! The light of a frame: the night sky and targets, an arc lamp, a flat lamp, or spectra of a file.

use super::objects::Target;
use super::random::{Purpose, stream};
use super::request::{Light, MARGIN, SimulateError, Simulation};
use super::{model_sky, sky};
use crate::fits::{Line, Truth};
use crate::geometry::gradient;
use crate::psf::Psf;
use rand_distr::{Distribution, Normal};
use rayon::prelude::*;
use std::borrow::Cow;
use std::ops::Range;

/// Spread of the lines of a list without weights: standard deviation of ln(electrons).
const LINE_SPREAD: f64 = 1.8;
/// Faintest and brightest such line, electrons per electron of the median one.
const LINE_RANGE: [f64; 2] = [0.015, 50.0];
/// Scatter of a line from fibre to fibre, beyond that of the throughput.
const SPOT_SCATTER: f64 = 0.01;
/// Electrons per Angstrom of a flat lamp in 1000 s.
const FLAT: f64 = 20_000.0;

impl Light {
    /// Returns FLAVOR and OBSTYPE of the header.
    pub(super) fn names(&self) -> [&'static str; 2] {
        match self {
            Self::Sky | Self::ModelSky | Self::Spectra(_) => ["science", "SCIENCE"],
            Self::Arc { .. } => ["arc", "ARC"],
            Self::Flat => ["flat", "FLAT"],
        }
    }

    /// Computes wavelengths on the PSF's scale, `[nwave]`, and electrons per bin or line, `[nspec, nwave]`, exact in f32.
    pub(super) fn spectra(
        &self,
        psf: &Psf,
        request: &Simulation,
        fibres: Range<usize>,
        targets: &[Target],
    ) -> Result<(Vec<f64>, Vec<f64>), SimulateError> {
        let lit = &targets[fibres.clone()];
        let camera = |wave: f64| throughput(psf, wave);
        match self {
            Self::Sky | Self::ModelSky => {
                let brightness = if *self == Self::Sky { sky::spectrum } else { model_sky::spectrum };
                let wave = request.grid(psf)?;
                let (of_all, widths) = (brightness(&wave), request.widths(&wave));
                let flux = per_fibre(lit, wave.len(), |k, target, flux| {
                    let own = psf.wavelengths(fibres.start + k..fibres.start + k + 1, &wave);
                    let sky = if psf.has_own_wavelengths() { &brightness(&own) } else { &of_all };
                    let (object, stretch) = (target.spectrum(&own), psf.stretch(fibres.start + k));
                    let of_table = psf.waves.is_some().then(|| gradient(&own, 1.0));
                    for (j, f) in flux.iter_mut().enumerate() {
                        let width = of_table.as_ref().map_or(widths[j] * stretch, |widths| widths[j]);
                        let electrons = (sky[j] + object[j]) * width * request.exptime / 1000.0;
                        *f = electrons * target.throughput * camera(wave[j]);
                    }
                });
                Ok((wave, flux))
            }
            Self::Flat => {
                let wave = request.grid(psf)?;
                let electrons: Vec<f64> =
                    request.widths(&wave).into_iter().map(|width| FLAT * width * request.exptime / 1000.0).collect();
                let flux = per_fibre(lit, wave.len(), |_, target, flux| {
                    let bins = flux.iter_mut().zip(&wave).zip(&electrons);
                    bins.for_each(|((f, w), electrons)| *f = electrons * target.throughput * camera(*w));
                });
                Ok((wave, flux))
            }
            Self::Arc { lines, electrons } => {
                if psf.has_own_wavelengths() {
                    return arc_of_ranges(psf, request, fibres, lit, lines, *electrons);
                }
                let lines: Vec<&Line> = lines.iter().filter(|line| psf.reaches(line.wave)).collect();
                if lines.is_empty() {
                    return Err(SimulateError::NoLine { low: psf.wave_min, high: psf.wave_max });
                }
                let wave: Vec<f64> = lines.iter().map(|line| line.wave).collect();
                let bright = brightness(&lines, *electrons, request.seed);
                let flux = per_fibre(lit, wave.len(), |k, target, flux| {
                    let rng = &mut stream(request.seed, Purpose::Lamp, fibres.start + k);
                    let scatter = Normal::new(1.0, SPOT_SCATTER).expect("the scatter is a positive constant");
                    // A broken fibre has throughput 0, and every fibre draws the same numbers whatever others are lit.
                    for ((f, bright), w) in flux.iter_mut().zip(&bright).zip(&wave) {
                        *f = bright * scatter.sample(rng).max(0.0) * target.throughput * camera(*w);
                    }
                });
                Ok((wave, flux))
            }
            Self::Spectra(truth) => {
                let (found, nspec) = (truth.fibres.len(), lit.len());
                if found != 1 && found != nspec {
                    return Err(SimulateError::Spectra { found, nspec });
                }
                if let Some(at) = truth.flux.iter().position(|f| !(0.0..1e12).contains(f)) {
                    let (row, bin) = (at / truth.nwave(), at % truth.nwave());
                    return Err(SimulateError::NoLight { row, bin, value: truth.flux[at] });
                }
                let truth = &*in_order(psf, &fibres, truth)?;
                let wave = if psf.has_own_wavelengths() { on_scale(psf, &fibres, truth)? } else { truth.wave.clone() };
                let ends = [wave.first(), wave.last()].map(|wave| *wave.unwrap_or(&f64::NAN));
                // A truth of this program has a margin beyond the range, on a short CCD far beyond it.
                let step = wave.get(1).map_or(0.0, |second| second - wave[0]).min(0.1 * (psf.wave_max - psf.wave_min));
                let margin = (MARGIN as f64 + 0.5) * step;
                let is_near = |wave: &f64| (psf.wave_min - margin..=psf.wave_max + margin).contains(wave);
                if !ends.iter().all(|wave| psf.reaches(*wave) || is_near(wave)) || !wave.is_sorted() {
                    let (min, max, low, high) = (ends[0], ends[1], psf.wave_min, psf.wave_max);
                    return Err(SimulateError::Range { min, max, low, high });
                }
                let flux = per_fibre(lit, wave.len(), |k, _, flux| {
                    let row = if found == 1 { 0 } else { k };
                    flux.copy_from_slice(&truth.flux[row * flux.len()..][..flux.len()]);
                });
                Ok((wave, flux))
            }
        }
    }
}

/// Computes the arc of fibres with wavelengths of their own. Every line of every fibre has a place on the scale, where that fibre
/// alone is lit.
fn arc_of_ranges(
    psf: &Psf,
    request: &Simulation,
    fibres: Range<usize>,
    lit: &[Target],
    lines: &[Line],
    electrons: f64,
) -> Result<(Vec<f64>, Vec<f64>), SimulateError> {
    let all: Vec<&Line> = lines.iter().collect();
    let bright = brightness(&all, electrons, request.seed);
    let mut places: Vec<(f64, usize, usize)> = Vec::new();
    for (k, fibre) in fibres.clone().enumerate() {
        let of_line = |(line, of): (usize, &Line)| (psf.on_scale(fibre, of.wave), k, line);
        places.extend(lines.iter().enumerate().map(of_line).filter(|(at, ..)| psf.reaches(*at)));
    }
    if places.is_empty() {
        let ranges = || fibres.clone().map(|fibre| psf.range(fibre));
        let [low, high] = [ranges().map(|r| r[0]).fold(f64::MAX, f64::min), ranges().map(|r| r[1]).fold(0.0, f64::max)];
        return Err(SimulateError::NoLine { low, high });
    }
    places.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let flux = per_fibre(lit, places.len(), |k, target, flux| {
        let rng = &mut stream(request.seed, Purpose::Lamp, fibres.start + k);
        let scatter = Normal::new(1.0, SPOT_SCATTER).expect("the scatter is a positive constant");
        for (f, (at, _, line)) in flux.iter_mut().zip(&places).filter(|(_, place)| place.1 == k) {
            *f = bright[*line] * scatter.sample(rng).max(0.0) * target.throughput * throughput(psf, *at);
        }
    });
    Ok((places.into_iter().map(|(at, ..)| at).collect(), flux))
}

/// Returns spectra in the order of the lit fibres; a single one is for all.
fn in_order<'a>(psf: &Psf, fibres: &Range<usize>, truth: &'a Truth) -> Result<Cow<'a, Truth>, SimulateError> {
    let numbers: Vec<i64> = fibres.clone().map(|fibre| psf.number(fibre)).collect();
    if truth.fibres.len() == 1 || truth.fibres == numbers {
        return Ok(Cow::Borrowed(truth));
    }
    let row = |number: &i64| {
        let ends = truth.fibres.iter().fold([i64::MAX, i64::MIN], |[low, high], n| [low.min(*n), high.max(*n)]);
        let missing = SimulateError::NoSpectrum { number: *number, first: ends[0], last: ends[1] };
        truth.fibres.iter().position(|of| of == number).ok_or(missing)
    };
    let rows = numbers.iter().map(row).collect::<Result<Vec<usize>, _>>()?;
    let nwave = truth.nwave();
    let sorted = |values: &[f64]| rows.iter().flat_map(|row| values[row * nwave..][..nwave].to_vec()).collect();
    let wave = if truth.wave.len() == nwave { truth.wave.clone() } else { sorted(&truth.wave) };
    let flux = sorted(&truth.flux);
    Ok(Cow::Owned(Truth { fibres: numbers, wave, flux }))
}

/// Returns the bins on the scale of spectra whose fibres have wavelengths of their own.
fn on_scale(psf: &Psf, fibres: &Range<usize>, truth: &Truth) -> Result<Vec<f64>, SimulateError> {
    let nwave = truth.nwave();
    if nwave == 0 || truth.wave.len() != fibres.len() * nwave {
        return Err(SimulateError::Ranges);
    }
    let row = |k: usize| {
        let own = &truth.wave[k * nwave..(k + 1) * nwave];
        own.iter().map(|&wave| psf.on_scale(fibres.start + k, wave)).collect::<Vec<f64>>()
    };
    let first = row(0);
    let apart = 1e-4 * (first[nwave - 1] - first[0]).abs() / nwave as f64;
    let agrees = |k: usize| row(k).iter().zip(&first).all(|(a, b)| (a - b).abs() <= apart);
    if (1..fibres.len()).all(agrees) { Ok(first) } else { Err(SimulateError::Ranges) }
}

/// Fills the spectra of the lit fibres in parallel and rounds them to f32. The truth file is f32, and must hold exactly
/// the light on the CCD.
fn per_fibre(lit: &[Target], nwave: usize, fill: impl Fn(usize, &Target, &mut [f64]) + Sync) -> Vec<f64> {
    let mut flux = vec![0.0; lit.len() * nwave];
    flux.par_chunks_mut(nwave).zip(lit).enumerate().for_each(|(k, (flux, target))| {
        fill(k, target, flux);
        flux.iter_mut().for_each(|f| *f = f64::from(*f as f32));
    });
    flux
}

/// Returns the electrons of each line: by its weight, or drawn where no line of the list has one.
fn brightness(lines: &[&Line], electrons: f64, seed: u64) -> Vec<f64> {
    let mut weights: Vec<f64> = lines.iter().filter_map(|line| line.weight).collect();
    if weights.is_empty() {
        let rng = &mut stream(seed, Purpose::Lines, 0);
        let spread = Normal::new(0.0, LINE_SPREAD).expect("the spread is a positive constant");
        let draw = |_: &&Line| electrons * f64::exp(spread.sample(rng)).clamp(LINE_RANGE[0], LINE_RANGE[1]);
        return lines.iter().map(draw).collect();
    }
    weights.sort_by(f64::total_cmp);
    let median = weights[weights.len() / 2];
    // Of a list with weights, a line without one is among its faintest.
    lines.iter().map(|line| electrons * line.weight.unwrap_or(weights[0]) / median).collect()
}

/// Returns the throughput of the camera relative to its middle; it falls by a third to either end.
fn throughput(psf: &Psf, wave: f64) -> f64 {
    let u = 2.0 * (wave - psf.wave_min) / (psf.wave_max - psf.wave_min) - 1.0;
    1.0 - 0.33 * u.clamp(-1.0, 1.0).powi(2)
}
