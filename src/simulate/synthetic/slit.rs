//! The variation of a DESI-like PSF over the CCD: traces, widths and Hermite terms as low polynomials along the slit.

use super::parameters::Synthetic;
use crate::psf::LegendreSeries;
use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64;
use std::f64::consts::PI;

/// Columns and rows of the CCD on which these numbers were measured.
const DESI_NPIX: [f64; 2] = [4114.0, 4128.0];
/// Coefficients of a trace's series.
const TRACE_NCOEFF: usize = 7;
/// Scatter of a bundle's widths, as a fraction of the width.
const WIDTH_SCATTER: f64 = 0.01;
/// Scatter of a bundle's Hermite terms, as a fraction of the term.
const TERM_SCATTER: f64 = 0.15;

/// Draws a normal deviate, clamped to 3 so that no seed swaps two traces.
pub fn clipped_normal(rng: &mut Pcg64) -> f64 {
    let value: f64 = StandardNormal.sample(rng);
    value.clamp(-3.0, 3.0)
}

/// A Hermite term (i, j): its series in mid-slit, and the part in proportion to v.
type Term = (usize, usize, [f64; 4], [f64; 4]);

/// The terms above 1e-3 somewhere on DESI's r camera. Orders odd in x change sign across the slit.
const TERMS: [Term; 19] = [
    (1, 0, [0.0; 4], [0.013, 0.012, 0.020, 0.003]),
    (2, 0, [-0.002, 0.006, 0.0, 0.0], [-0.009, 0.001, 0.015, 0.0]),
    (3, 0, [0.0; 4], [0.012, 0.012, 0.015, 0.004]),
    (4, 0, [-0.002, 0.004, -0.015, 0.003], [0.001, -0.003, 0.0, 0.0]),
    (6, 0, [0.0054, 0.0, -0.0008, 0.0], [0.0; 4]),
    (0, 1, [-0.003, 0.011, 0.010, 0.014], [-0.005, -0.006, 0.010, 0.0]),
    (1, 1, [-0.011, -0.004, -0.001, -0.010], [0.030, 0.030, -0.045, -0.020]),
    (2, 1, [-0.009, 0.010, 0.016, 0.001], [0.005, 0.012, 0.010, 0.003]),
    (3, 1, [0.0; 4], [-0.010, -0.009, -0.003, -0.001]),
    (0, 2, [0.028, 0.022, -0.017, 0.017], [-0.002, 0.008, 0.0, 0.0]),
    (1, 2, [0.0; 4], [0.012, -0.006, 0.010, 0.0]),
    (2, 2, [-0.0085, 0.0140, -0.0225, 0.001], [0.0, 0.008, -0.010, 0.002]),
    (4, 2, [0.0129, 0.0014, -0.0007, -0.0019], [-0.001, 0.002, 0.004, 0.0]),
    (0, 3, [-0.0080, 0.0148, 0.0043, 0.0087], [-0.002, 0.001, 0.006, 0.006]),
    (2, 3, [0.0, 0.002, 0.006, 0.003], [-0.001, 0.006, 0.0, 0.004]),
    (0, 4, [0.0086, 0.0090, -0.0073, 0.0016], [0.003, 0.002, -0.001, 0.0]),
    (2, 4, [0.0131, 0.0026, -0.0038, -0.0013], [-0.002, -0.001, 0.003, 0.0]),
    (4, 4, [0.0013, 0.0013, -0.0022, 0.0], [-0.001, 0.0, 0.0, 0.0]),
    (0, 6, [0.0064, 0.0007, -0.0002, 0.0], [0.0; 4]),
];

/// The fibres along the slit, and the random stream of their scatter.
pub struct Slit<'a> {
    parameters: &'a Synthetic,
    domain: [f64; 2],
    /// Each fibre's position, -1 for the first and 1 for the last.
    v: Vec<f64>,
    rng: Pcg64,
}

impl<'a> Slit<'a> {
    /// Makes the slit of fibres at `positions` (pixels along x, ascending), for series on `domain` (Angstrom).
    pub fn new(parameters: &'a Synthetic, domain: [f64; 2], positions: &[f64], rng: Pcg64) -> Self {
        let (first, last) = (positions[0], positions[positions.len() - 1]);
        let half = if last > first { 0.5 * (last - first) } else { 1.0 };
        let v = positions.iter().map(|x| (x - 0.5 * (first + last)) / half).collect();
        Self { parameters, domain, v, rng }
    }

    /// Returns trace x: lines bow outwards, by 6 px at the ends of DESI's slit.
    pub fn trace_x(&self, positions: &[f64], npix_x: usize) -> LegendreSeries {
        let scale = npix_x as f64 / DESI_NPIX[0];
        self.series(TRACE_NCOEFF, |fibre, v| {
            let bow = |amplitude: f64, turns: f64| scale * amplitude * (PI * turns * v).sin();
            [
                positions[fibre],
                scale * (-0.48 + 4.4 * v + 1.2 * v.powi(3)),
                bow(6.1, 0.83),
                bow(0.45, 0.8),
                bow(-1.9, 0.66),
                bow(-0.19, 0.7),
                bow(0.15, 0.8),
            ]
        })
    }

    /// Returns trace y: from 114 rows below the CCD to 50 above it in mid-slit. It smiles by 119 rows at the ends of
    /// DESI's slit; a shorter slit is the middle of that arc.
    pub fn trace_y(&self, npix: [usize; 2]) -> LegendreSeries {
        let [length, scale] = [0, 1].map(|k| npix[k] as f64 / DESI_NPIX[k]);
        self.series(TRACE_NCOEFF, |_, v| {
            let smile = |middle: f64, rise: f64| scale * (middle + rise * (length * v).powi(2));
            [
                smile(1972.6, 119.0),
                smile(2137.8, 19.0),
                smile(58.7, 2.8),
                smile(10.9, -7.3),
                smile(1.34, -1.0),
                smile(-2.23, 1.0),
                smile(-0.39, 0.3),
            ]
        })
    }

    /// Draws the width along columns, pixels.
    pub fn sigma_x(&mut self) -> LegendreSeries {
        self.width(self.parameters.sigma_x, |v| {
            let towards_ends = 0.045 * v * v + 0.01 * v;
            [1.0, towards_ends, 0.075 * v.powi(4) - 0.065, 0.01 + 0.025 * v * v]
        })
    }

    /// Draws the width along rows, pixels.
    pub fn sigma_y(&mut self) -> LegendreSeries {
        self.width(self.parameters.sigma_y, |v| [1.0, 0.085 + 0.01 * v, 0.03 * v.powi(4), -0.018])
    }

    /// Draws all GH-i-j up to the degree: 1 for GH-0-0, [`TERMS`], 0 for the rest.
    pub fn hermite_terms(&mut self) -> Vec<LegendreSeries> {
        let orders = self.parameters.gh_degree + 1;
        let mut gh = vec![self.constant(0.0); orders * orders];
        gh[0] = self.constant(1.0);
        for (i, j, middle, slope) in TERMS {
            // Drawn for terms beyond the degree too, so that a lower degree leaves the other terms unchanged.
            let factors = self.bundle_factors::<4>(TERM_SCATTER);
            if i < orders && j < orders {
                gh[i * orders + j] = self.series(self.shape_ncoeff(), |fibre, v| {
                    let factor = &factors[fibre / self.parameters.bundlesize];
                    std::array::from_fn::<f64, 4, _>(|k| {
                        self.parameters.gh_amplitude * factor[k] * (middle[k] + v * slope[k])
                    })
                });
            }
        }
        gh
    }

    /// Returns a series of one value for every fibre and wavelength.
    pub fn constant(&self, value: f64) -> LegendreSeries {
        self.series(self.shape_ncoeff(), |_, _| [value])
    }

    /// Draws a width: `sigma` times the series of `profile(v)`, scattered by bundle.
    fn width(&mut self, sigma: f64, profile: impl Fn(f64) -> [f64; 4]) -> LegendreSeries {
        let factors = self.bundle_factors::<1>(WIDTH_SCATTER);
        self.series(self.shape_ncoeff(), |fibre, v| {
            profile(v).map(|c| sigma * factors[fibre / self.parameters.bundlesize][0] * c)
        })
    }

    /// Draws factors `1 + scatter * normal`, `[nbundle, N]`.
    fn bundle_factors<const N: usize>(&mut self, scatter: f64) -> Vec<[f64; N]> {
        let nbundle = self.parameters.nfibre.div_ceil(self.parameters.bundlesize);
        (0..nbundle).map(|_| std::array::from_fn(|_| 1.0 + scatter * clipped_normal(&mut self.rng))).collect()
    }

    fn shape_ncoeff(&self) -> usize {
        self.parameters.legendre_degree + 1
    }

    /// Makes a series of `ncoeff` coefficients per fibre from `value(fibre, v)`, truncated or padded with 0.
    fn series<const N: usize>(&self, ncoeff: usize, value: impl Fn(usize, f64) -> [f64; N]) -> LegendreSeries {
        let mut coeff = vec![0.0; ncoeff * self.v.len()];
        for ((fibre, &v), row) in self.v.iter().enumerate().zip(coeff.chunks_mut(ncoeff)) {
            for (c, value) in row.iter_mut().zip(value(fibre, v)) {
                *c = value;
            }
        }
        LegendreSeries { domain: self.domain, ncoeff, coeff }
    }
}
