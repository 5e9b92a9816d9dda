//! The effect of a GH-0-0 that is not 1, as in specex's files, on the spots of a PSF.

use super::legendre::{legendre, unit};
use super::spots::spot;
use super::traces::{param, shape_series};
use crate::geometry::SpotShape;
use crate::psf::{LegendreSeries, Psf};

/// Fibres and wavelengths at which spots are compared, evenly over the PSF.
const FIBRES: usize = 25;
const WAVES: usize = 17;

/// Returns the median and the largest difference of spots made with GH-0-0 of the PSF from those with 1. Each is the largest
/// over the pixels of a spot at the centre of a pixel, as a fraction of the peak. Spots off the CCD do not count.
pub fn gh00_effect(psf: &Psf) -> [f64; 2] {
    let (shape, series) = (SpotShape::new(psf, false), shape_series(psf, false));
    let step = (psf.wave_max - psf.wave_min) / (WAVES - 1) as f64;
    let fibres = (0..psf.nfibre).step_by(psf.nfibre.div_ceil(FIBRES)).filter(|fibre| !psf.defects().has(*fibre));
    let [mut as_it_is, mut with_one] = [(); 2].map(|()| vec![0.0; shape.size()]);
    let mut found = Vec::with_capacity(FIBRES * WAVES);
    for (fibre, k) in fibres.flat_map(|fibre| (0..WAVES).map(move |k| (fibre, k))) {
        let wave = psf.wave_min + step * k as f64;
        let value = |series: &&LegendreSeries| legendre(series.of(fibre), unit(series.domain, wave));
        if !(0.0..psf.npix_y as f64).contains(&value(&&psf.trace_y)) {
            continue;
        }
        let mut params: Vec<f64> = series.iter().map(value).collect();
        spot(&shape, (0.0, 0.0), &params, &mut as_it_is);
        params[param::GH] = 1.0;
        spot(&shape, (0.0, 0.0), &params, &mut with_one);
        let peak = with_one.iter().copied().fold(0.0, f64::max);
        let most = as_it_is.iter().zip(&with_one).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        if peak > 0.0 {
            found.push(most / peak);
        }
    }
    found.sort_by(f64::total_cmp);
    let at = |k: usize| found.get(k).copied().unwrap_or(0.0);
    [at(found.len() / 2), at(found.len().saturating_sub(1))]
}
