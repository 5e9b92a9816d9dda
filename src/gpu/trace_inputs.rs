//! The host's part of the traces: series expanded in chunks of bins in f64, kept for the frames that come next.

use super::Precision;
use crate::psf::{LegendreSeries, Psf};
use crate::stages::traces::{shape_series, unit};
use rayon::prelude::*;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Largest distance of a position from its chunk's integer, pixels: sums up to 8 px are rounded by 2.4e-7 px in f32, and about
/// four roundings add up.
const REACH: f64 = 8.0;

/// Bins of the longest chunk.
const LONGEST_CHUNK: usize = 64;

/// Terms of a chunk's polynomial below this are dropped, in units in the last place at one pixel.
const NEGLIGIBLE: f64 = 0.01;

/// Most bytes that are kept: of 500 fibres in 2400 bins they are 20 MB.
const MOST_BYTES: usize = 256 << 20;

/// Inputs made so far.
static MADE: AtomicU64 = AtomicU64::new(0);

/// Those used last come last.
static KEPT: Mutex<VecDeque<Arc<TraceInputs>>> = Mutex::new(VecDeque::new());

/// All that the device takes to evaluate the traces of some fibres.
#[derive(Debug)]
pub(super) struct TraceInputs {
    key: Key,
    /// Theirs alone in this process.
    pub number: u64,
    /// Bins per chunk: those of the longest chunk, a power of two, in which every position of the PSF is within [`REACH`] of the
    /// centre's.
    pub chunk: usize,
    /// Terms per polynomial.
    pub terms: usize,
    /// Coordinate of each bin in its chunk, -1..=1, `[nbin]`.
    pub local: Vec<f64>,
    /// The integer of each chunk, `[series, nfibre, nchunk]`.
    pub base: Vec<i32>,
    /// Polynomials in `local`, lowest power first, `[series, nfibre, nchunk, terms]`.
    pub chunks: Vec<f64>,
    /// Shape parameters.
    pub nparam: usize,
    /// Coefficients per shape parameter.
    pub ncoeff: usize,
    /// Coordinate of each bin on the domain of each shape parameter, `[nparam, nbin]`.
    pub units: Vec<f64>,
    /// Legendre coefficients of the shape parameters, `[nparam, nfibre, ncoeff]`.
    pub coeff: Vec<f64>,
}

/// PSF, fibres, wavelengths and precision that the inputs follow from.
#[derive(Debug)]
struct Key {
    fibres: Range<usize>,
    wave: Vec<f64>,
    precision: Precision,
    /// x and y of all fibres of the PSF, as chunks are as long for all.
    positions: [LegendreSeries; 2],
    /// The shape parameters, of `fibres` alone.
    shapes: Vec<LegendreSeries>,
}

/// Returns a series of some fibres alone.
fn cut(series: &LegendreSeries, fibres: &Range<usize>) -> LegendreSeries {
    let coeff = series.coeff[fibres.start * series.ncoeff..fibres.end * series.ncoeff].to_vec();
    LegendreSeries { coeff, ..series.clone() }
}

impl Key {
    fn is(&self, psf: &Psf, fibres: &Range<usize>, wave: &[f64], with_tails: bool, precision: Precision) -> bool {
        let same = |(known, series): (&LegendreSeries, &&LegendreSeries)| {
            let coeff = series.coeff.get(fibres.start * series.ncoeff..fibres.end * series.ncoeff);
            (known.domain, known.ncoeff, Some(&known.coeff[..])) == (series.domain, series.ncoeff, coeff)
        };
        let series = shape_series(psf, with_tails);
        (&self.fibres, self.precision, &self.wave[..]) == (fibres, precision, wave)
            && self.shapes.len() == series.len()
            && self.positions[0] == psf.trace_x
            && self.positions[1] == psf.trace_y
            && self.shapes.iter().zip(&series).all(same)
    }
}

impl TraceInputs {
    /// Returns the inputs for `fibres` (rows of the PSF) at `wave` (Angstrom), made at the first call.
    pub fn of(psf: &Psf, fibres: Range<usize>, wave: &[f64], with_tails: bool, precision: Precision) -> Arc<Self> {
        let is = |known: &Arc<Self>| known.key.is(psf, &fibres, wave, with_tails, precision);
        let lock = || KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        let known = {
            let mut kept = lock();
            kept.iter().rposition(is).and_then(|at| kept.remove(at)).inspect(|known| kept.push_back(known.clone()))
        };
        known.unwrap_or_else(|| {
            let made = Arc::new(Self::new(psf, fibres, wave, with_tails, precision));
            let mut kept = lock();
            kept.push_back(made.clone());
            while kept.iter().map(|known| known.bytes()).sum::<usize>() > MOST_BYTES && kept.len() > 1 {
                kept.pop_front();
            }
            made
        })
    }

    fn bytes(&self) -> usize {
        let Self { key, local, base, chunks, units, coeff, .. } = self;
        let of_key = key.wave.len() + key.positions.iter().chain(&key.shapes).map(|s| s.coeff.len()).sum::<usize>();
        8 * (of_key + local.len() + chunks.len() + units.len() + coeff.len()) + 4 * base.len()
    }

    fn new(psf: &Psf, fibres: Range<usize>, wave: &[f64], with_tails: bool, precision: Precision) -> Self {
        let positions = [&psf.trace_x, &psf.trace_y];
        let Expansion { chunk, terms, local, base, chunks } =
            Expansion::new(positions, (psf.nfibre, fibres.clone()), wave, precision);
        let series = shape_series(psf, with_tails);
        let ncoeff = series.iter().map(|s| s.ncoeff).max().unwrap_or(0);
        let units = series.iter().flat_map(|s| wave.iter().map(|&w| unit(s.domain, w))).collect();
        let padded = |s: &LegendreSeries, fibre: usize, k: usize| s.of(fibre).get(k).copied().unwrap_or(0.0);
        let of_fibre = |s, fibre| (0..ncoeff).map(move |k| padded(s, fibre, k));
        let coeff = series.iter().flat_map(|s| fibres.clone().flat_map(move |f| of_fibre(s, f))).collect();
        let shapes = series.iter().map(|s| cut(s, &fibres)).collect();
        let key = Key { fibres, wave: wave.to_vec(), precision, positions: positions.map(Clone::clone), shapes };
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        Self { key, number, chunk, terms, local, base, chunks, nparam: series.len(), ncoeff, units, coeff }
    }
}

/// Series expanded around the centres of chunks of bins, less an integer per chunk; see [`TraceInputs`].
struct Expansion {
    chunk: usize,
    terms: usize,
    local: Vec<f64>,
    base: Vec<i32>,
    chunks: Vec<f64>,
}

impl Expansion {
    /// Expands the series of `fibres`, some of `all`.
    fn new(
        series: [&LegendreSeries; 2],
        (all, fibres): (usize, Range<usize>),
        wave: &[f64],
        precision: Precision,
    ) -> Self {
        let chunk = chunk_length(series, all, wave);
        let ranges: Vec<(f64, f64)> = wave.chunks(chunk).map(centre_and_half).collect();
        let local = |(k, &w): (usize, &f64)| {
            let (centre, half) = ranges[k / chunk];
            if half == 0.0 { 0.0 } else { (w - centre) / half }
        };
        let local = wave.iter().enumerate().map(local).collect();
        let most = series.iter().map(|s| s.ncoeff).max().unwrap_or(0).max(1);
        let centres = series.map(|s| basis(s, ranges.iter().map(|(centre, _)| *centre)));
        let of_fibre = |(k, fibre): (usize, usize)| {
            let (s, derivatives) = (series[k], derivatives(series[k].of(fibre)));
            let (mut base, mut polynomials) = (Vec::with_capacity(ranges.len()), vec![0.0; most * ranges.len()]);
            for ((c, (_, half)), polynomial) in ranges.iter().enumerate().zip(polynomials.chunks_exact_mut(most)) {
                expand(&derivatives, s.domain, (&centres[k][c * s.ncoeff..], *half), polynomial);
                let nearest = (polynomial[0] + 0.5).floor();
                polynomial[0] -= nearest;
                base.push(nearest as i32);
            }
            (base, polynomials)
        };
        let rows: Vec<(usize, usize)> = (0..2).flat_map(|k| fibres.clone().map(move |f| (k, f))).collect();
        let (base, polynomials): (Vec<_>, Vec<_>) = rows.into_par_iter().map(of_fibre).unzip();
        let negligible = NEGLIGIBLE * precision.epsilon();
        let used = |p: &[f64]| p.iter().rposition(|c| c.abs() > negligible).map_or(1, |k| k + 1);
        let of_row = |row: &Vec<f64>| row.chunks_exact(most).map(used).max().unwrap_or(1);
        let terms = polynomials.par_iter().map(of_row).max().unwrap_or(1);
        let chunks = polynomials.iter().flat_map(|row| row.chunks_exact(most).flat_map(|p| &p[..terms]));
        Self { chunk, terms, local, base: base.concat(), chunks: chunks.copied().collect() }
    }
}

/// Returns the longest chunk, a power of two of bins, in which every position of all fibres is within [`REACH`] of the centre's:
/// it does not depend on which of them go together.
fn chunk_length(series: [&LegendreSeries; 2], nfibre: usize, wave: &[f64]) -> usize {
    let fits = |length: usize| {
        let places = || wave.chunks(length).flat_map(|bins| [centre_and_half(bins).0, bins[0], bins[bins.len() - 1]]);
        let at_places = series.map(|s| basis(s, places()));
        let is_near = |s: &LegendreSeries, values: &[f64], fibre: usize| {
            let at = |k: usize| sum(s.of(fibre), &values[k * s.ncoeff..]);
            (0..places().count()).step_by(3).all(|k| [1, 2].iter().all(|end| (at(k + end) - at(k)).abs() <= REACH))
        };
        let of_fibre = |f: usize| series.iter().zip(&at_places).all(|(s, values)| is_near(s, values, f));
        of_fibre(0) && (1..nfibre).into_par_iter().all(of_fibre)
    };
    let mut length = LONGEST_CHUNK;
    while length > 1 && !fits(length) {
        length /= 2;
    }
    length
}

/// Returns the values of a series' polynomials at some wavelengths, `[wave, ncoeff]`.
fn basis(series: &LegendreSeries, wave: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut all = Vec::new();
    for w in wave {
        let (u, mut before, mut current) = (unit(series.domain, w), 0.0, 1.0);
        for k in 0..series.ncoeff {
            all.push(current);
            let n = k as f64;
            let next = ((2.0 * n + 1.0) * u * current - n * before) / (n + 1.0);
            (before, current) = (current, next);
        }
    }
    all
}

/// Returns a series, or a derivative with fewer coefficients, where its polynomials have the values `basis`.
fn sum(coeff: &[f64], basis: &[f64]) -> f64 {
    coeff.iter().zip(basis).map(|(c, p)| c * p).sum()
}

/// Returns centre and half length of a chunk's wavelengths.
fn centre_and_half(wave: &[f64]) -> (f64, f64) {
    let (first, last) = (wave[0], wave[wave.len() - 1]);
    (0.5 * (first + last), 0.5 * (last - first))
}

/// Returns a Legendre series and all its derivatives in u, by `P_k' = sum over j = k-1, k-3, .. of (2j + 1) P_j`.
fn derivatives(coeff: &[f64]) -> Vec<Vec<f64>> {
    let mut all = vec![coeff.to_vec()];
    for _ in 1..coeff.len() {
        let last = &all[all.len() - 1];
        let sum = |j: usize| (2 * j + 1) as f64 * last[j + 1..].iter().step_by(2).sum::<f64>();
        all.push((0..last.len() - 1).map(sum).collect());
    }
    all
}

/// Writes the Taylor polynomial of a series around a chunk's centre, where its polynomials have the values `basis`, in the chunk's
/// coordinate -1..=1; zero for a series without coefficients.
fn expand(derivatives: &[Vec<f64>], domain: [f64; 2], (basis, half): (&[f64], f64), polynomial: &mut [f64]) {
    let step = 2.0 * half / (domain[1] - domain[0]);
    let mut power = 1.0;
    for (m, (term, derivative)) in polynomial.iter_mut().zip(derivatives).enumerate() {
        if m > 0 {
            power *= step / m as f64;
        }
        *term = sum(derivative, basis) * power;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::synthetic::Synthetic;
    use crate::stages::traces::legendre;

    #[test]
    fn an_expansion_is_the_series_within_rounding_inside_and_outside_its_domain() {
        let coeff: Vec<f64> = (0..12).map(|k| 2000.0 / (1.0 + f64::from(k)).powi(3)).collect();
        let series = LegendreSeries { domain: [5000.0, 7000.0], ncoeff: coeff.len(), coeff };
        let wave: Vec<f64> = (0..2600).map(|b| 4950.0 + 0.8 * f64::from(b)).collect();
        let expansion = Expansion::new([&series, &series], (1, 0..1), &wave, Precision::F32);
        assert!(expansion.terms < 12, "{} terms", expansion.terms);
        let nchunk = wave.len().div_ceil(expansion.chunk);
        for (b, &w) in wave.iter().enumerate() {
            let at = b / expansion.chunk;
            let terms = &expansion.chunks[at * expansion.terms..(at + 1) * expansion.terms];
            // In f32 and in the order of the shader.
            let local = expansion.local[b] as f32;
            let value = terms.iter().rev().fold(0.0f32, |sum, &c| sum * local + c as f32);
            let position = f64::from(expansion.base[at]) + f64::from(value);
            let error = (position - legendre(series.of(0), unit(series.domain, w))).abs();
            assert!(error < 2e-6, "bin {b}: {error:e} px");
        }
        assert_eq!(expansion.base.len(), 2 * nchunk);
    }

    #[test]
    fn inputs_are_made_once_and_those_of_some_fibres_are_a_part_of_all() {
        let psf = Synthetic { nfibre: 4, bundlesize: 2, npix_y: Some(160), ..Synthetic::default() }.build().unwrap();
        let wave: Vec<f64> = (0..50).map(|b| psf.wave_min + 20.0 + 0.8 * f64::from(b)).collect();
        let of = |psf: &Psf, fibres| TraceInputs::of(psf, fibres, &wave, false, Precision::F32);
        let (all, some) = (of(&psf, 0..4), of(&psf, 2..4));
        assert!(Arc::ptr_eq(&all, &of(&psf.clone(), 0..4)));
        assert_eq!(all.chunk, some.chunk);
        let half = all.base.len() / 4;
        assert_eq!(all.base[half..2 * half], some.base[..half], "x of the last two fibres");
        let mut other = psf.clone();
        other.update(|parts| parts.sigma_x.coeff[3 * parts.sigma_x.ncoeff] += 0.1).unwrap();
        assert!(!Arc::ptr_eq(&all, &of(&other, 0..4)));
        assert!(Arc::ptr_eq(&of(&psf, 0..2), &of(&other, 0..2)), "the other fibres are as they were");
    }

    #[test]
    fn derivatives_are_those_of_legendre_polynomials() {
        // P_3' = (15 u^2 - 3) / 2, P_3'' = 15 u, P_3''' = 15.
        let all = derivatives(&[0.0, 0.0, 0.0, 1.0]);
        let at = |m: usize| legendre(&all[m], 0.3);
        for (found, expected) in [(at(1), -0.825), (at(2), 4.5), (at(3), 15.0)] {
            assert!((found - expected).abs() < 1e-14);
        }
    }
}
