//! Traces on the GPU: the host expands the series in chunks of bins in f64, and the device evaluates them in f32 or f64.
//!
//! Most of a position is linear in the bin. That part is a product of integers, which is exact; what remains of a chunk is a
//! polynomial of a pixel or two.

use super::args::kernel_args;
use super::{Buffer, Gpu, GpuError, Precision, Reals, Recording, Variant};
use crate::psf::{LegendreSeries, Psf};
use crate::stages::traces::{legendre, shape_series, unit};
use rayon::prelude::*;
use std::ops::Range;

/// Invocations of a workgroup, one per value.
const THREADS: usize = 64;

/// Largest distance of a position from the linear part of its chunk, pixels. In f32 sums up to 2 px are rounded by 6e-8 px, and
/// about four roundings add up.
const REACH: f64 = 2.0;

/// Steps of a slope per pixel, a power of two.
const SLOPE_STEPS: f64 = 65_536.0;

/// The largest slope, pixels per bin: its product with a chunk's bins stays within an i32.
const STEEPEST: f64 = 256.0;

/// Deviation of wavelengths from an even grid, in steps, up to which a position's linear part is linear in the bin.
const EVEN: f64 = 1e-6;

/// Bins of the longest chunk.
const LONGEST_CHUNK: usize = 64;

/// Terms of a chunk's polynomial below this are dropped, in units in the last place at one pixel.
const NEGLIGIBLE: f64 = 0.01;

/// Positions and shapes of the spots of `nfibre` fibres at `nbin` wavelengths, on a device.
#[derive(Clone, Debug)]
pub struct Traces {
    /// Number of fibres.
    pub nfibre: usize,
    /// Number of wavelength bins.
    pub nbin: usize,
    /// Nearest pixel of each spot, `[2, nfibre, nbin]`, x before y.
    pub pixel: Buffer<i32>,
    /// Trace minus `pixel`, in pixels in [-0.5, 0.5), `[2, nfibre, nbin]`.
    pub offset: Reals,
    /// Other parameters, `[nparam, nfibre, nbin]`, in the order of [`crate::stages::traces::param`].
    pub shape: Reals,
}

kernel_args! {
    struct Args {
        nfibre: u32,
        nbin: u32,
        chunk: u32,
        terms: u32,
        nparam: u32,
        ncoeff: u32,
    }
}

pub(super) fn variants() -> Vec<Variant> {
    vec![variant()]
}

fn variant() -> Variant {
    Variant::new("traces").set("THREADS", THREADS)
}

/// Evaluates the traces and spot shapes of `fibres` (rows of the PSF) at `wave` (Angstrom); the twin of
/// [`crate::stages::traces::traces`], from which positions in f32 differ by up to 2e-6 px.
///
/// # Errors
/// [`GpuError::TooLarge`] if an output exceeds a binding, [`GpuError::OutOfMemory`] if the device is full.
pub fn traces(gpu: &Gpu, psf: &Psf, fibres: Range<usize>, wave: &[f64], with_tails: bool) -> Result<Traces, GpuError> {
    let (nfibre, nbin) = (fibres.len(), wave.len());
    let expansion = Expansion::new([&psf.trace_x, &psf.trace_y], fibres.clone(), wave, gpu.precision());
    let series = shape_series(psf, with_tails);
    let ncoeff = series.iter().map(|s| s.ncoeff).max().unwrap_or(0);
    let args = Args {
        nfibre: nfibre as u32,
        nbin: nbin as u32,
        chunk: expansion.chunk as u32,
        terms: expansion.terms as u32,
        nparam: series.len() as u32,
        ncoeff: ncoeff as u32,
    };
    let pixel = gpu.zeros("pixel", 2 * nfibre * nbin)?;
    let offset = gpu.reals("offset", 2 * nfibre * nbin)?;
    let shape = gpu.reals("shape", series.len() * nfibre * nbin)?;
    let mut recording = Recording::new();
    recording.dispatch(
        &gpu.kernel(&variant(), "positions")?,
        (2 * nfibre * nbin).div_ceil(THREADS),
        &args,
        &[
            gpu.upload_reals("local", &expansion.local)?.named("local"),
            gpu.upload("base", &expansion.base)?.named("base"),
            gpu.upload("slope", &expansion.slope)?.named("slope"),
            gpu.upload_reals("chunks", &expansion.chunks)?.named("chunks"),
            pixel.named("pixel"),
            offset.named("offset"),
        ],
    )?;
    let units: Vec<f64> = series.iter().flat_map(|s| wave.iter().map(|&w| unit(s.domain, w))).collect();
    let padded = |s: &LegendreSeries, fibre: usize, k: usize| s.of(fibre).get(k).copied().unwrap_or(0.0);
    let of_fibre = |s, fibre| (0..ncoeff).map(move |k| padded(s, fibre, k));
    let coeff: Vec<f64> = series.iter().flat_map(|s| fibres.clone().flat_map(move |f| of_fibre(s, f))).collect();
    recording.dispatch(
        &gpu.kernel(&variant(), "shapes")?,
        (series.len() * nfibre * nbin).div_ceil(THREADS),
        &args,
        &[
            gpu.upload_reals("unit", &units)?.named("unit"),
            gpu.upload_reals("coeff", &coeff)?.named("coeff"),
            shape.named("shape"),
        ],
    )?;
    gpu.run(recording)?;
    Ok(Traces { nfibre, nbin, pixel, offset, shape })
}

/// Returns the bytes of the output of [`traces`], and of its scratch buffers.
pub(crate) fn bytes(gpu: &Gpu, psf: &Psf, fibres: Range<usize>, wave: &[f64], with_tails: bool) -> [u64; 2] {
    let (nfibre, nbin) = (fibres.len(), wave.len());
    let series = shape_series(psf, with_tails);
    let most = |all: &[&LegendreSeries]| all.iter().map(|s| s.ncoeff).max().unwrap_or(0);
    let (positions, ncoeff) = ([&psf.trace_x, &psf.trace_y], most(&series));
    let nchunk = nbin.div_ceil(chunk_length(positions, &fibres, wave));
    let spots = nfibre * nbin;
    let pixels = 8 * spots as u64;
    let terms = 2 * nfibre * nchunk * most(&positions).max(1);
    let uploaded =
        gpu.real_bytes(nbin + terms + series.len() * (nbin + nfibre * ncoeff)) + 16 * (nfibre * nchunk) as u64;
    // Uploads are held twice until they are done.
    [pixels + gpu.real_bytes((2 + series.len()) * spots), 2 * uploaded + pixels]
}

/// Series expanded around the centres of chunks of bins, less an integer and a line per chunk.
struct Expansion {
    /// Bins per chunk.
    chunk: usize,
    /// Terms per polynomial.
    terms: usize,
    /// Coordinate of each bin in its chunk, -1..=1, `[nbin]`.
    local: Vec<f64>,
    /// The integers, `[series, nfibre, nchunk]`.
    base: Vec<i32>,
    /// The slopes, 1 / [`SLOPE_STEPS`] px per bin, `[series, nfibre, nchunk]`.
    slope: Vec<i32>,
    /// Polynomials in `local`, lowest power first, `[series, nfibre, nchunk, terms]`.
    chunks: Vec<f64>,
}

/// Bins of one chunk.
#[derive(Clone, Copy)]
struct Chunk {
    centre: f64,
    half: f64,
    /// Its bins less one.
    last: usize,
}

impl Chunk {
    fn all(wave: &[f64], length: usize) -> Vec<Self> {
        let of = |bins: &[f64]| {
            let (centre, half) = centre_and_half(bins);
            Self { centre, half, last: bins.len() - 1 }
        };
        wave.chunks(length).map(of).collect()
    }

    /// Returns the slope of the line through a position's ends in the chunk; 0 if it is too steep.
    fn slope(self, ends: [f64; 2]) -> i32 {
        let slope = (ends[1] - ends[0]) / self.last.max(1) as f64;
        if slope.abs() <= STEEPEST { (slope * SLOPE_STEPS).round() as i32 } else { 0 }
    }

    /// Returns half of what a slope adds up to over the chunk, pixels.
    fn half_rise(self, slope: i32) -> f64 {
        0.5 * f64::from(slope) / SLOPE_STEPS * self.last as f64
    }
}

impl Expansion {
    fn new(series: [&LegendreSeries; 2], fibres: Range<usize>, wave: &[f64], precision: Precision) -> Self {
        let (chunk, even) = (chunk_length(series, &fibres, wave), is_even(wave));
        let all = Chunk::all(wave, chunk);
        let local = |(k, &w): (usize, &f64)| {
            let Chunk { centre, half, .. } = all[k / chunk];
            if half == 0.0 { 0.0 } else { (w - centre) / half }
        };
        let local = wave.iter().enumerate().map(local).collect();
        let most = series.iter().map(|s| s.ncoeff).max().unwrap_or(0).max(1);
        let traces: Vec<(&LegendreSeries, usize)> =
            series.into_iter().flat_map(|s| fibres.clone().map(move |fibre| (s, fibre))).collect();
        let count = traces.len() * all.len();
        let (mut base, mut slope) = (vec![0; count], vec![0; count]);
        let mut polynomials = vec![0.0; count * most];
        let of_trace = (base.par_chunks_mut(all.len().max(1)), slope.par_chunks_mut(all.len().max(1)));
        let of_trace = (of_trace, polynomials.par_chunks_mut((all.len() * most).max(1)), &traces).into_par_iter();
        of_trace.for_each(|((base, slope), polynomials, (s, fibre))| {
            let derivatives = derivatives(s.of(*fibre));
            for (k, (of, polynomial)) in all.iter().zip(polynomials.chunks_exact_mut(most)).enumerate() {
                if even {
                    slope[k] = of.slope(ends(s, *fibre, of));
                }
                expand(&derivatives, s.domain, (of.centre, of.half), polynomial);
                let half_rise = of.half_rise(slope[k]);
                polynomial[0] -= half_rise;
                if let Some(linear) = polynomial.get_mut(1) {
                    *linear -= half_rise;
                }
                let nearest = (polynomial[0] + 0.5).floor();
                polynomial[0] -= nearest;
                base[k] = nearest as i32;
            }
        });
        let negligible = NEGLIGIBLE * precision.epsilon();
        let used = |p: &[f64]| p.iter().rposition(|c| c.abs() > negligible).map_or(1, |k| k + 1);
        let terms = polynomials.chunks_exact(most).map(used).max().unwrap_or(1);
        let chunks = polynomials.chunks_exact(most).flat_map(|p| &p[..terms]).copied().collect();
        Self { chunk, terms, local, base, slope, chunks }
    }
}

/// Whether wavelengths are even, so that a line in the bin is one in the wavelength.
fn is_even(wave: &[f64]) -> bool {
    let [first, .., last] = wave else { return true };
    let step = (last - first) / (wave.len() - 1) as f64;
    let off = |(k, w): (usize, &f64)| (w - (first + step * k as f64)).abs();
    wave.iter().enumerate().all(|bin| off(bin) <= EVEN * step.abs())
}

/// Returns a position at a chunk's first and last bin, pixels.
fn ends(series: &LegendreSeries, fibre: usize, chunk: &Chunk) -> [f64; 2] {
    let at = |w: f64| legendre(series.of(fibre), unit(series.domain, w));
    [at(chunk.centre - chunk.half), at(chunk.centre + chunk.half)]
}

/// Returns the longest chunk, a power of two of bins, in which every position is within [`REACH`] of its line.
fn chunk_length(series: [&LegendreSeries; 2], fibres: &Range<usize>, wave: &[f64]) -> usize {
    let even = is_even(wave);
    let near = |s: &LegendreSeries, fibre: usize, chunk: &Chunk| {
        let centre = legendre(s.of(fibre), unit(s.domain, chunk.centre));
        let ends = ends(s, fibre, chunk);
        let slope = if even { chunk.slope(ends) } else { 0 };
        let rise = chunk.half_rise(slope);
        (ends[0] + rise - centre).abs() <= REACH && (ends[1] - rise - centre).abs() <= REACH
    };
    let fits = |length: usize| {
        let all = Chunk::all(wave, length);
        let of_fibre = |fibre: usize| series.iter().all(|s| all.iter().all(|chunk| near(s, fibre, chunk)));
        fibres.clone().into_par_iter().all(of_fibre)
    };
    let mut length = LONGEST_CHUNK;
    while length > 1 && !fits(length) {
        length /= 2;
    }
    length
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

/// Fills in the Taylor polynomial of a series around a chunk's centre, in the chunk's coordinate -1..=1; zero for a series
/// without coefficients.
fn expand(derivatives: &[Vec<f64>], domain: [f64; 2], (centre, half): (f64, f64), polynomial: &mut [f64]) {
    let u = unit(domain, centre);
    let step = 2.0 * half / (domain[1] - domain[0]);
    let mut power = 1.0;
    for (m, (derivative, term)) in derivatives.iter().zip(polynomial).enumerate() {
        if m > 0 {
            power *= step / m as f64;
        }
        *term = legendre(derivative, u) * power;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expansion_is_the_series_within_rounding_inside_and_outside_its_domain() {
        let coeff: Vec<f64> = (0..12).map(|k| 2000.0 / (1.0 + f64::from(k)).powi(3)).collect();
        let series = LegendreSeries { domain: [5000.0, 7000.0], ncoeff: coeff.len(), coeff };
        let wave: Vec<f64> = (0..2600).map(|b| 4950.0 + 0.8 * f64::from(b)).collect();
        let expansion = Expansion::new([&series, &series], 0..1, &wave, Precision::F32);
        assert!(expansion.terms < 12, "{} terms", expansion.terms);
        let nchunk = wave.len().div_ceil(expansion.chunk);
        for (b, &w) in wave.iter().enumerate() {
            let at = b / expansion.chunk;
            let terms = &expansion.chunks[at * expansion.terms..(at + 1) * expansion.terms];
            // In f32 and in the order of the shader.
            let local = expansion.local[b] as f32;
            let value = terms.iter().rev().fold(0.0f32, |sum, &c| sum * local + c as f32);
            let line = expansion.slope[at] * (b % expansion.chunk) as i32;
            let (whole, part) = (line >> 16, f64::from(line & 0xffff) / SLOPE_STEPS);
            let position = f64::from(expansion.base[at] + whole) + f64::from(value + part as f32);
            let error = (position - legendre(series.of(0), unit(series.domain, w))).abs();
            assert!(error < 5e-7, "bin {b}: {error:e} px");
        }
        assert_eq!(expansion.base.len(), 2 * nchunk);
    }

    #[test]
    fn chunks_are_long_on_an_even_grid_and_short_where_a_line_in_the_bin_is_none_in_the_wavelength() {
        let series = LegendreSeries { domain: [5000.0, 7000.0], ncoeff: 2, coeff: vec![2000.0, 2000.0] };
        let even: Vec<f64> = (0..300).map(|b| 5500.0 + 0.8 * f64::from(b)).collect();
        let logarithmic: Vec<f64> = (0..300).map(|b| 5500.0 * (1.5e-4 * f64::from(b)).exp()).collect();
        let length = |wave: &[f64]| chunk_length([&series, &series], &(0..1), wave);
        assert_eq!(length(&even), LONGEST_CHUNK);
        assert!((1..8).contains(&length(&logarithmic)), "{}", length(&logarithmic));
    }

    #[test]
    fn a_trace_too_steep_for_a_slope_is_a_polynomial_of_single_bins() {
        let series = LegendreSeries { domain: [5000.0, 5100.0], ncoeff: 2, coeff: vec![0.0, 1e6] };
        let wave: Vec<f64> = (0..64).map(|b| 5000.0 + 0.8 * f64::from(b)).collect();
        let expansion = Expansion::new([&series, &series], 0..1, &wave, Precision::F32);
        assert_eq!(expansion.chunk, 1);
        assert!(expansion.slope.iter().all(|slope| *slope == 0));
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
