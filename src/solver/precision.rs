//! Prediction whether f32 serves, from the PSF on a CCD without defects.

use super::{Job, Options};
use crate::geometry::Ccd;
use crate::gpu::Precision;
use crate::psf::Psf;
use crate::stages::banded::{BandedNormal, banded_normal_equations, half_bandwidth, scalar};
use crate::stages::normal_equations::Prior;
use crate::stages::spots::SpotSource;
use crate::stages::traces::{legendre, unit};
use rayon::prelude::*;

/// Below this fraction of its diagonal element a pivot keeps too few of f32's digits. Steps of 0.8 Angstrom on DESI's
/// CCDs have 8e-3, of 0.6 Angstrom 2e-4.
const LEAST_PIVOT_F32: f64 = 1e-4;

/// Noise of a deconvolved bin over that of a bin alone above which f32 does not serve. Flux is off by about its square times
/// rounding times the signal to noise. Steps of 0.6 Angstrom on DESI's CCDs have 7 and are 2e-4 sigma off, of 0.5 Angstrom 42
/// and 4e-3.
const MOST_GAIN_F32: f64 = 20.0;

/// Such a gain of a bin of a patch as it is, beside masks, too. Patches are off by more than bands: at S/N 100 by 2e-3 sigma in
/// flux and 4e-4 in ivar at a gain of 19. Patches of DESI's CCDs have 5 to 10 by 0.8 Angstrom, most of them more by 0.6.
pub(super) const MOST_GAIN_OF_PATCH_F32: f64 = 10.0;

/// Errors of flux below this, sigma, are not for f32: beside masks it is 2e-4 off, sometimes more.
const FINEST_F32: f64 = 5e-4;

/// Returns the smallest pivot over its diagonal element that leaves enough digits.
pub(super) fn least_pivot(precision: Precision) -> f64 {
    LEAST_PIVOT_F32 * precision.epsilon() / Precision::F32.epsilon()
}

/// Whether bins are too noisy before they are decorrelated for results of a precision.
pub(super) fn is_too_noisy(job: &Job, precision: Precision) -> bool {
    precision == Precision::F32 && job.noise_gain() > MOST_GAIN_F32
}

/// Returns why f32 would not serve a job, if it would not.
pub(super) fn beyond_f32(job: &Job) -> Option<String> {
    job.facts().beyond_f32.get_or_init(|| predict(job)).clone()
}

fn predict(job: &Job) -> Option<String> {
    let (psf, options) = (job.psf, job.options);
    if let Some(tolerance) = options.tolerance.filter(|&t| t < FINEST_F32) {
        return Some(format!("f32 does not keep to {tolerance:.0e} sigma"));
    }
    let step = job.grid.step();
    if is_too_noisy(job, Precision::F32) {
        let gain = job.noise_gain();
        return Some(format!(
            "by {step:.2} Angstrom deconvolved bins are {gain:.0} times noisier than alone, beyond f32"
        ));
    }
    let fibres = [0, psf.nfibre / 2, psf.nfibre - 1];
    let pivot = |fibre: usize| smallest_pivot(&fibre_alone(psf, fibre, job.grid.wave(), options));
    let pivots: Vec<f64> = fibres.into_par_iter().map(pivot).collect();
    let least = pivots.into_iter().fold(f64::MAX, f64::min);
    // Written so that a NaN is beyond it.
    let good = least >= LEAST_PIVOT_F32;
    (!good).then(|| format!("by {step:.2} Angstrom a condition of about {:.0e} is beyond f32", 1.0 / least))
}

/// Forms the normal equations of a fibre that is alone on a CCD without defects, as narrow as possible.
pub(super) fn fibre_alone(psf: &Psf, fibre: usize, wave: &[f64], options: &Options) -> BandedNormal {
    let mut psf = psf.clone();
    let x = |&w: &f64| legendre(psf.trace_x.of(fibre), unit(psf.trace_x.domain, w));
    let ends = wave.iter().map(x).fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(x), high.max(x)));
    let margin = psf.half_x + 1;
    let (first, shift) = (fibre * psf.trace_x.ncoeff, ends.0.floor() - margin as f64);
    // A trace whose positions f64 does not hold stays where it is.
    psf.update(|parts| parts.trace_x.coeff[first] -= shift).ok();
    let (ny, nx) = (psf.npix_y, (ends.1 - ends.0).ceil().min(psf.npix_x as f64) as usize + 2 * margin + 1);
    let (image, ivar) = (vec![0.0; ny * nx], vec![1.0; ny * nx]);
    let spots = SpotSource::new(&psf, fibre..fibre + 1, wave, options.psf_tails);
    let half = half_bandwidth(&spots.positions(), 0);
    let ccd = Ccd::new(ny, nx, image, ivar).expect("both planes are made here");
    banded_normal_equations(&spots, &ccd, half, 0, Prior::new(options.regularize, 1.0))
}

/// Returns the smallest pivot of a fibre's K over its diagonal element; not positive if K is not positive definite.
fn smallest_pivot(normal: &BandedNormal) -> f64 {
    scalar::factor(&mut normal.diagonal[0].clone(), normal.half)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::WaveGrid;
    use crate::simulate::synthetic::Synthetic;

    #[test]
    fn the_finer_the_grid_the_smaller_the_pivots_and_f32_serves_the_coarse_ones() {
        let psf = Synthetic { nfibre: 3, bundlesize: 3, npix_y: Some(240), ..Synthetic::default() }.build().unwrap();
        let (ny, nx) = (psf.npix_y, psf.npix_x);
        let ccd = Ccd::new(ny, nx, vec![0.0; ny * nx], vec![1.0; ny * nx]).unwrap();
        let grid = |step: f64| WaveGrid::new(psf.wave_min + 20.0, psf.wave_min + 20.0 + 60.0 * step, step).unwrap();
        let reason = |step: f64, options: &Options| beyond_f32(&Job::new(&psf, &ccd, &grid(step), options).unwrap());
        let options = Options::default();
        assert_eq!([1.2, 0.8].map(|step| reason(step, &options)), [None, None]);
        assert!(reason(0.3, &options).unwrap().contains("by 0.30 Angstrom"));
        for step in [0.75, 0.65, 0.6, 0.55, 0.5, 0.45] {
            let gain = Job::new(&psf, &ccd, &grid(step), &options).unwrap().noise_gain();
            let told = reason(step, &options).is_some_and(|why| why.contains("times noisier than alone"));
            assert_eq!(told, gain > 20.0, "by {step} the noise gain is {gain}");
        }
        let strict = Options { tolerance: Some(1e-4), ..options };
        assert_eq!(reason(0.8, &strict).unwrap(), "f32 does not keep to 1e-4 sigma");
    }
}
