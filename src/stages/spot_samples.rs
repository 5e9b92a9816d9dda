//! A PSF of any kind as oversampled images on a grid of fibres and wavelengths.

use super::spot_widths::with_measured_widths;
use super::spots::{SpotModel, sum_of_profiles};
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

/// Most samples of all images: 4 GB, as f64.
const MOST_SAMPLES: usize = 1 << 29;

impl Default for GridSize {
    fn default() -> Self {
        Self { oversampling: 9, positions: 11, waves: 11 }
    }
}

/// Samples the spots of a PSF, without tails, on a grid of images: integrals over parts of a pixel. Slit positions are rows of the PSF.
///
/// # Errors
/// [`PsfError::Images`] if `oversampling` is even, the grid has fewer than 2 x 2 images, or all have more than 5e8 samples.
pub fn sampled(psf: &Psf, size: GridSize) -> Result<Psf, PsfError> {
    let GridSize { oversampling: r, positions, waves } = size;
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
    // Between the pixels of a cut window light may lie beyond it.
    let margin = if psf.form == Form::GaussHermite { 0 } else { 2 };
    let [nx, ny] = [whole.nx(), whole.ny()].map(|n| r.saturating_mul(n + margin));
    let all = [rows.len(), waves.len(), ny, nx].into_iter().fold(1, usize::saturating_mul);
    if all > MOST_SAMPLES {
        let gigabytes = 8e-9 * all as f64;
        let what = format!(
            "{} x {} images of {ny} x {nx} samples, {gigabytes:.0} GB, more than {:.0} GB: take fewer samples per pixel or images",
            rows.len(),
            waves.len(),
            8e-9 * MOST_SAMPLES as f64
        );
        return Err(PsfError::Images(what));
    }
    let shape = SpotShape { half_x: nx / 2, half_y: ny / 2, ..whole };
    let (series, model) = (shape_series(psf, false), SpotModel::new(psf, false));
    let mut samples = vec![0.0; all];
    samples.par_chunks_mut(nx * ny).enumerate().for_each(|(k, image)| {
        let (fibre, wave) = ((rows[k / waves.len()] as usize).min(last), waves[k % waves.len()]);
        let value = |series: &&LegendreSeries| legendre(series.of(fibre), unit(series.domain, wave));
        let mut params: Vec<f64> = series.iter().map(value).collect();
        if psf.form != Form::GaussHermite {
            return divide(&model, &params, r, image);
        }
        params[param::SIGMA_X] *= r as f64;
        params[param::SIGMA_Y] *= r as f64;
        sum_of_profiles(&shape, (0.0, 0.0), &params, image);
    });
    let centre = [0.5 * (ny as f64 - 1.0), 0.5 * (nx as f64 - 1.0)];
    let remainder = Remainder::Linear;
    let norm = match &psf.form {
        Form::Grid(grid) => grid.images.parts().norm,
        _ => SpotNorm::Window,
    };
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
        norm,
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
    with_measured_widths(Psf::new(parts)?)?.with_bad_fibres_of(psf)
}

/// Divides the pixels of a spot into `r x r` samples. Spots displaced by whole samples are pixels P at any whole sample. Samples F
/// follow from `P(n) - P(n + 1) = F(n - h) - F(n - h + r)`, `r = 2 h + 1`, from the far end on. So `r x r` samples together are
/// the pixel again. Excepted is what the window of the spot cuts off at one displacement and not at another. The image has one
/// more pixel on each side.
fn divide(model: &SpotModel, params: &[f64], r: usize, image: &mut [f64]) {
    let shape = model.shape();
    let (nx, width) = (shape.nx(), r * (shape.nx() + 2));
    let mut spot = vec![0.0; shape.size()];
    let offset = |phase: usize| (phase as f64 - 0.5 * (r as f64 - 1.0)) / r as f64;
    for (y, x) in (0..r).flat_map(|y| (0..r).map(move |x| (y, x))) {
        model.spot((offset(x), offset(y)), params, &mut spot);
        for (k, pixel) in spot.iter().enumerate() {
            let (row, column) = (r * (k / nx + 2) - 1 - y, r * (k % nx + 2) - 1 - x);
            image[row * width + column] = *pixel;
        }
    }
    for step in [1, width] {
        let line = if step == 1 { width } else { image.len() / width };
        let firsts: Vec<usize> = (0..image.len() / line).map(|k| if step == 1 { k * width } else { k }).collect();
        for first in firsts {
            let pixels: Vec<f64> = image[first..].iter().step_by(step).take(line).copied().collect();
            let pixel = |n: usize| pixels.get(n).copied().unwrap_or(0.0);
            for n in (0..line).rev() {
                let beyond = if n + r < line { image[first + (n + r) * step] } else { 0.0 };
                image[first + n * step] = pixel(n + r / 2) - pixel(n + r / 2 + 1) + beyond;
            }
        }
    }
}
