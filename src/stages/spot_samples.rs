//! A Gauss-Hermite PSF as oversampled images on a grid of fibres and wavelengths.

use super::spot_widths::with_measured_widths;
use super::spots::sum_of_profiles;
use super::traces::{legendre, param, shape_series, unit};
use crate::geometry::SpotShape;
use crate::psf::{Form, LegendreSeries, Psf, PsfError, Remainder, SpotGrid, SpotImages, SpotImagesParts, SpotNorm};
use rayon::prelude::*;
use std::sync::Arc;

/// A grid of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GridSize {
    /// Samples per CCD pixel along either axis, odd.
    pub oversampling: usize,
    /// Fibres whose spots are sampled, evenly over the PSF; other fibres lie between.
    pub positions: usize,
    /// Wavelengths, evenly over the PSF's range.
    pub waves: usize,
}

impl Default for GridSize {
    fn default() -> Self {
        Self { oversampling: 9, positions: 11, waves: 11 }
    }
}

/// Samples the spots of a Gauss-Hermite PSF, without tails, on a grid of images: integrals over parts of a pixel. Slit positions
/// are rows of the PSF.
///
/// # Errors
/// [`PsfError::Images`] if the PSF is of another kind, `oversampling` is even, or the grid has fewer than 2 x 2 images.
pub fn sampled(psf: &Psf, size: GridSize) -> Result<Psf, PsfError> {
    let GridSize { oversampling: r, positions, waves } = size;
    if psf.form != Form::GaussHermite {
        return Err(PsfError::Images(format!("only GAUSS-HERMITE PSFs are sampled, not {}", psf.form.name())));
    }
    if r % 2 == 0 || positions < 2 || waves < 2 {
        let what = format!(
            "{positions} x {waves} images of {r} samples per pixel: at least 2 x 2 are needed, and an odd number of samples"
        );
        return Err(PsfError::Images(what));
    }
    let last = psf.nfibre - 1;
    let mut places: Vec<usize> = (0..positions).map(|k| (k * last + (positions - 1) / 2) / (positions - 1)).collect();
    places.dedup();
    // A single fibre has the same spots on both sides.
    let rows: Vec<f64> = if last == 0 { vec![0.0, 1.0] } else { places.iter().map(|p| *p as f64).collect() };
    let step = (psf.wave_max - psf.wave_min) / (waves - 1) as f64;
    let waves: Vec<f64> = (0..waves).map(|k| psf.wave_min + step * k as f64).collect();
    let whole = SpotShape::new(psf, false);
    let [nx, ny] = [r * whole.nx(), r * whole.ny()];
    let shape = SpotShape { half_x: nx / 2, half_y: ny / 2, ..whole };
    let series = shape_series(psf, false);
    let mut samples = vec![0.0; rows.len() * waves.len() * nx * ny];
    samples.par_chunks_mut(nx * ny).enumerate().for_each(|(k, image)| {
        let (fibre, wave) = ((rows[k / waves.len()] as usize).min(last), waves[k % waves.len()]);
        let value = |series: &&LegendreSeries| legendre(series.of(fibre), unit(series.domain, wave));
        let mut params: Vec<f64> = series.iter().map(value).collect();
        params[param::SIGMA_X] *= r as f64;
        params[param::SIGMA_Y] *= r as f64;
        sum_of_profiles(&shape, (0.0, 0.0), &params, image);
    });
    let centre = [0.5 * (ny as f64 - 1.0), 0.5 * (nx as f64 - 1.0)];
    let remainder = Remainder::Linear;
    let images = SpotImages::new(SpotImagesParts {
        waves: vec![waves; rows.len()],
        positions: rows,
        breaks: Vec::new(),
        ny,
        nx,
        samples,
        oversampling: r,
        centre,
        remainder,
        norm: SpotNorm::Window,
    })?;
    let domain = psf.trace_y.domain;
    let position = LegendreSeries { domain, ncoeff: 1, coeff: (0..psf.nfibre).map(|fibre| fibre as f64).collect() };
    let ends = [0.5 * (domain[0] + domain[1]), 0.5 * (domain[1] - domain[0])];
    let wave = LegendreSeries { domain, ncoeff: 2, coeff: ends.repeat(psf.nfibre) };
    let mut parts = psf.clone().into_parts();
    [parts.half_y, parts.half_x] = images.half_size();
    (parts.gh, parts.gh_degree_x, parts.gh_degree_y, parts.tails) = (Vec::new(), 0, 0, None);
    [parts.wave_min, parts.wave_max] = domain;
    parts.form = Form::Grid(Box::new(SpotGrid { images: Arc::new(images), position, wave }));
    with_measured_widths(Psf::new(parts)?)
}
