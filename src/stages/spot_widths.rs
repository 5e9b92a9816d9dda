//! The widths of spots by their second moments, for PSFs that have no widths of their own.

use super::spots::SpotModel;
use super::traces::{legendre, legendre_fit, shape_series, unit};
use crate::psf::{LegendreSeries, Psf, PsfError};
use rayon::prelude::*;

/// Wavelengths at which spots of a fibre are measured, and terms of the series of their widths.
const WAVES: usize = 9;
const TERMS: usize = 4;

/// A spot's centroid from the centre of its window and its standard deviations, pixels, x before y.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// Centroid.
    pub centroid: [f64; 2],
    /// Standard deviations without the share of a pixel's own width, 1/12.
    pub sigma: [f64; 2],
}

impl Moments {
    /// Measures a spot `[ny, nx]`; None without light.
    pub fn of(spot: &[f64], nx: usize) -> Option<Self> {
        let ny = spot.len() / nx;
        let total: f64 = spot.iter().sum();
        if total.is_nan() || total <= 0.0 {
            return None;
        }
        let axis = |n: usize, place: fn(usize, usize) -> usize| {
            let at = |k: usize| place(k, nx) as f64 - (n / 2) as f64;
            let mean = spot.iter().enumerate().map(|(k, p)| p * at(k)).sum::<f64>() / total;
            let square = spot.iter().enumerate().map(|(k, p)| p * (at(k) - mean).powi(2)).sum::<f64>() / total;
            (mean, (square - 1.0 / 12.0).max(0.0).sqrt())
        };
        let (x, y) = (axis(nx, |k, nx| k % nx), axis(ny, |k, nx| k / nx));
        Some(Self { centroid: [x.0, y.0], sigma: [x.1, y.1] })
    }
}

/// Returns the PSF with `sigma_x` and `sigma_y` measured on its spots.
///
/// # Errors
/// [`PsfError`] if the series cannot be.
pub fn with_measured_widths(mut psf: Psf) -> Result<Psf, PsfError> {
    let domain = [psf.wave_min, psf.wave_max];
    let step = (domain[1] - domain[0]) / (WAVES - 1) as f64;
    let waves: Vec<f64> = (0..WAVES).map(|k| domain[0] + step * k as f64).collect();
    let (model, series) = (SpotModel::new(&psf, false), shape_series(&psf, false));
    let of_fibre = |fibre: usize| -> [Vec<f64>; 2] {
        let mut spot = vec![0.0; model.shape().size()];
        let mut points: [Vec<f64>; 3] = Default::default();
        for &wave in &waves {
            let value = |series: &&LegendreSeries| legendre(series.of(fibre), unit(series.domain, wave));
            let params: Vec<f64> = series.iter().map(value).collect();
            model.spot((0.0, 0.0), &params, &mut spot);
            if let Some(moments) = Moments::of(&spot, model.shape().nx()) {
                points[0].push(unit(domain, wave));
                points[1].push(moments.sigma[0]);
                points[2].push(moments.sigma[1]);
            }
        }
        let [u, x, y] = points;
        [legendre_fit(&u, &x, TERMS), legendre_fit(&u, &y, TERMS)]
    };
    let all: Vec<[Vec<f64>; 2]> = (0..psf.nfibre).into_par_iter().map(of_fibre).collect();
    let [x, y] = [0, 1].map(|axis| {
        let coeff = all.iter().flat_map(|of_fibre| of_fibre[axis].iter().copied()).collect();
        LegendreSeries { domain, ncoeff: TERMS, coeff }
    });
    psf.update(|parts| (parts.sigma_x, parts.sigma_y) = (x, y))?;
    Ok(psf)
}
