//! Traces on the GPU: the host expands the series in chunks of bins in f64, and the device evaluates them in f32 or f64.

use super::args::kernel_args;
use super::{Buffer, Gpu, GpuError, Precision, Reals, Recording, Variant};
use crate::psf::{LegendreSeries, Psf};
use crate::stages::traces::{legendre, shape_series, unit};
use std::ops::Range;

/// Invocations of a workgroup, one per value.
const THREADS: usize = 64;

/// Largest distance of a position from its chunk's integer, pixels: sums up to 8 px are rounded by 2.4e-7 px in f32, and about
/// four roundings add up.
const REACH: f64 = 8.0;

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
        gpu.real_bytes(nbin + terms + series.len() * (nbin + nfibre * ncoeff)) + 8 * (nfibre * nchunk) as u64;
    // Uploads are held twice until they are done.
    [pixels + gpu.real_bytes((2 + series.len()) * spots), 2 * uploaded + pixels]
}

/// Series expanded around the centres of chunks of bins, less an integer per chunk.
struct Expansion {
    /// Bins per chunk.
    chunk: usize,
    /// Terms per polynomial.
    terms: usize,
    /// Coordinate of each bin in its chunk, -1..=1, `[nbin]`.
    local: Vec<f64>,
    /// The integers, `[series, nfibre, nchunk]`.
    base: Vec<i32>,
    /// Polynomials in `local`, lowest power first, `[series, nfibre, nchunk, terms]`.
    chunks: Vec<f64>,
}

impl Expansion {
    fn new(series: [&LegendreSeries; 2], fibres: Range<usize>, wave: &[f64], precision: Precision) -> Self {
        let chunk = chunk_length(series, &fibres, wave);
        let ranges: Vec<(f64, f64)> = wave.chunks(chunk).map(centre_and_half).collect();
        let local = |(k, &w): (usize, &f64)| {
            let (centre, half) = ranges[k / chunk];
            if half == 0.0 { 0.0 } else { (w - centre) / half }
        };
        let local = wave.iter().enumerate().map(local).collect();
        let most = series.iter().map(|s| s.ncoeff).max().unwrap_or(0).max(1);
        let mut base = Vec::new();
        let mut polynomials = Vec::new();
        for s in series {
            for fibre in fibres.clone() {
                let derivatives = derivatives(s.of(fibre));
                for &range in &ranges {
                    let mut polynomial = expand(&derivatives, s.domain, range);
                    let nearest = (polynomial[0] + 0.5).floor();
                    polynomial[0] -= nearest;
                    polynomial.resize(most, 0.0);
                    base.push(nearest as i32);
                    polynomials.push(polynomial);
                }
            }
        }
        let negligible = NEGLIGIBLE * precision.epsilon();
        let used = |p: &Vec<f64>| p.iter().rposition(|c| c.abs() > negligible).map_or(1, |k| k + 1);
        let terms = polynomials.iter().map(used).max().unwrap_or(1);
        let chunks = polynomials.iter().flat_map(|p| p[..terms].iter().copied()).collect();
        Self { chunk, terms, local, base, chunks }
    }
}

/// Returns the longest chunk, a power of two of bins, in which every position is within [`REACH`] of the centre's.
fn chunk_length(series: [&LegendreSeries; 2], fibres: &Range<usize>, wave: &[f64]) -> usize {
    let fits = |length: usize| {
        let near = |s: &LegendreSeries, fibre: usize, bins: &[f64]| {
            let at = |w: f64| legendre(s.of(fibre), unit(s.domain, w));
            let centre = at(centre_and_half(bins).0);
            [bins[0], bins[bins.len() - 1]].iter().all(|&w| (at(w) - centre).abs() <= REACH)
        };
        let of_series = |s: &LegendreSeries| wave.chunks(length).all(|bins| fibres.clone().all(|f| near(s, f, bins)));
        series.into_iter().all(of_series)
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

/// Returns the Taylor polynomial of a series around a chunk's centre, in the chunk's coordinate -1..=1; zero for a series
/// without coefficients.
fn expand(derivatives: &[Vec<f64>], domain: [f64; 2], (centre, half): (f64, f64)) -> Vec<f64> {
    let u = unit(domain, centre);
    let step = 2.0 * half / (domain[1] - domain[0]);
    let mut power = 1.0;
    let term = |(m, derivative): (usize, &Vec<f64>)| {
        if m > 0 {
            power *= step / m as f64;
        }
        legendre(derivative, u) * power
    };
    derivatives.iter().enumerate().map(term).collect()
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
            let position = f64::from(expansion.base[at]) + f64::from(value);
            let error = (position - legendre(series.of(0), unit(series.domain, w))).abs();
            assert!(error < 2e-6, "bin {b}: {error:e} px");
        }
        assert_eq!(expansion.base.len(), 2 * nchunk);
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
