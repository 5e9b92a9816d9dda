//! What a GPU computes in: f32 where it serves the PSF, the grid and the tolerance, which is seen before any work, else f64.

use super::{ExtractError, Options};
use crate::backend::Engine;
use crate::geometry::WaveGrid;
use crate::gpu::Precision;
use crate::psf::Psf;
use crate::stages::banded::BandedNormal;

/// Below this fraction of its diagonal element a pivot has lost too many of f32's digits. Steps of 0.8 Angstrom on DESI's
/// CCDs have 8e-3, of 0.6 Angstrom 2e-4.
const LEAST_PIVOT_F32: f64 = 1e-4;

/// Errors of flux below this, sigma, are not asked of f32: beside masks it is 2e-4 off, sometimes more.
const FINEST_F32: f64 = 5e-4;

/// The smallest pivot over its diagonal element that leaves enough digits.
pub(super) fn least_pivot(precision: Precision) -> f64 {
    LEAST_PIVOT_F32 * precision.epsilon() / Precision::F32.epsilon()
}

/// The device in f64, where `engine` is in f32 and was not told to stay so.
pub(super) fn finer(engine: &Engine, options: &Options) -> Option<Engine> {
    if options.precision.is_some() || !engine.has_finer() {
        return None;
    }
    engine.in_f64().inspect_err(|error| tracing::warn!("{error}")).ok()
}

/// The engine in f64 where that was asked for, or where f32 would not serve `grid` and the device has it; None for `engine`
/// as it is.
///
/// # Errors
/// f64 was asked for, and the device has none.
pub(super) fn choose(
    psf: &Psf,
    grid: &WaveGrid,
    options: &Options,
    engine: &Engine,
) -> Result<Option<Engine>, ExtractError> {
    if engine.precision() == Precision::F64 {
        return Ok(None);
    }
    if options.precision == Some(Precision::F64) {
        return Ok(Some(engine.in_f64()?));
    }
    if options.precision.is_some() || !engine.has_finer() {
        return Ok(None);
    }
    let Some(why) = beyond_f32(psf, grid, options) else { return Ok(None) };
    let finer = finer(engine, options);
    if finer.is_some() {
        tracing::warn!("the device computes in f64: {why}");
    }
    Ok(finer)
}

/// Why f32 would not serve, as far as the PSF on a CCD without defects tells.
fn beyond_f32(psf: &Psf, grid: &WaveGrid, options: &Options) -> Option<String> {
    if let Some(tolerance) = options.tolerance.filter(|&t| t < FINEST_F32) {
        return Some(format!("f32 does not keep to {tolerance:.0e} sigma"));
    }
    let fibres = [0, psf.nfibre / 2, psf.nfibre - 1];
    let pivots = fibres.map(|fibre| smallest_pivot(&super::banded::fibre_alone(psf, fibre, grid.wave(), options)));
    let least = pivots.into_iter().fold(f64::MAX, f64::min);
    // Written so that a NaN is beyond it.
    let good = least >= LEAST_PIVOT_F32;
    let step = grid.step();
    (!good).then(|| format!("by {step:.2} Angstrom a condition of about {:.0e} is beyond f32", 1.0 / least))
}

/// The smallest pivot of a fibre's K over its diagonal element; not positive where K is not positive definite.
fn smallest_pivot(normal: &BandedNormal) -> f64 {
    let (half, k) = (normal.half, &normal.diagonal[0]);
    let width = half + 1;
    let n = k.len() / width;
    // Element d of column j is L D at (j + d, j).
    let mut columns = k.clone();
    let mut least = f64::MAX;
    for j in 0..n {
        let pivot = columns[j * width];
        least = least.min(pivot / k[j * width]);
        for d in 1..=half.min(n - 1 - j) {
            let factor = columns[j * width + d] / pivot;
            for e in d..=half.min(n - 1 - j) {
                columns[(j + d) * width + e - d] -= factor * columns[j * width + e];
            }
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::synthetic::Synthetic;

    #[test]
    fn the_finer_the_grid_the_smaller_the_pivots_and_f32_serves_the_coarse_ones() {
        let psf = Synthetic { nfibre: 3, bundlesize: 3, npix_y: Some(240), ..Synthetic::default() }.build().unwrap();
        let grid = |step: f64| WaveGrid::new(psf.wave_min + 20.0, psf.wave_min + 20.0 + 60.0 * step, step).unwrap();
        let reason = |step: f64, options: &Options| beyond_f32(&psf, &grid(step), options);
        let options = Options::default();
        assert_eq!([1.2, 0.8].map(|step| reason(step, &options)), [None, None]);
        assert!(reason(0.3, &options).unwrap().contains("by 0.30 Angstrom"));
        let strict = Options { tolerance: Some(1e-4), ..options };
        assert_eq!(reason(0.8, &strict).unwrap(), "f32 does not keep to 1e-4 sigma");
    }

    #[test]
    fn pivots_are_those_of_a_dense_factor() {
        let psf = Synthetic { nfibre: 1, bundlesize: 1, npix_y: Some(240), ..Synthetic::default() }.build().unwrap();
        let wave: Vec<f64> = (0..40).map(|k| psf.wave_min + 30.0 + 0.7 * f64::from(k)).collect();
        let normal = crate::extract::banded::fibre_alone(&psf, 0, &wave, &Options::default());
        let width = normal.half + 1;
        let element = |i: usize, j: usize| match i.abs_diff(j) {
            d if d < width => normal.diagonal[0][i.min(j) * width + d],
            _ => 0.0,
        };
        let dense = nalgebra::DMatrix::from_fn(40, 40, element);
        let l = dense.clone().cholesky().unwrap().l();
        let expected = (0..40).map(|i| l[(i, i)].powi(2) / dense[(i, i)]).fold(f64::MAX, f64::min);
        assert!((smallest_pivot(&normal) / expected - 1.0).abs() < 1e-9);
    }
}
