//! Errors of flux, from what devices estimate.

use super::Job;
use crate::backend::{Estimates, FibreRow};
use crate::gpu::Precision;
use crate::stages::banded::OVER_ESTIMATE;
use crate::stages::goodness::MASKED;

/// Factor on the estimated error of flux in f32, where the estimate is in part rounding. With 4 and without
/// [`ROUNDING_BY_GAIN`], flux of 15 in 1660 worlds of random PSFs, light and masks was 1.3 to 7 times the tolerance off.
const OVER_ESTIMATE_F32: f64 = 8.0;

/// The fraction of flux that f32's roundings are worth, which no band mends.
const ROUNDING_F32: f64 = 1.5e-6;

/// Error of flux in f32 over its signal to noise and the square of the noise gain: half of f32's epsilon.
const ROUNDING_BY_GAIN: f64 = 6e-8;

/// The fraction of flux that results in f32 may be off beside the tolerance.
const ALLOWED_OF_SIGNAL: f64 = 3e-6;

/// The part of the error of a mostly masked bin that the bin beside it has. Without it, flux of 2 in 4000 random worlds was twice
/// to five times as far off as was reported.
const LEAK_OF_MASKED: f64 = 0.25;

/// The most that leaks, sigma: patches do not mend it.
const MOST_LEAK: f64 = 0.1;

/// ivar from which on a bin has no result, as devices mark it: nothing leaks from it.
const NO_RESULT: f64 = 1e38;

/// How errors follow from the estimates of a job.
pub(super) struct Errors {
    precision: Precision,
    tolerance: f64,
    /// Error by rounding in f32 over the signal to noise, beyond what results in f32 may be off.
    rounding: f64,
    /// The first bin of the grid on the padded one, and bins of the grid.
    first: usize,
    nwave: usize,
}

impl Errors {
    /// Prepares the errors of a job's results in a precision.
    pub fn of(job: &Job, precision: Precision, tolerance: f64) -> Self {
        let rounding = (ROUNDING_BY_GAIN * job.noise_gain().powi(2) - ALLOWED_OF_SIGNAL).max(0.0);
        Self { precision, tolerance, rounding, first: job.beyond_ends(), nwave: job.grid.nwave() }
    }

    /// Returns the largest estimated error of a fibre's flux, sigma.
    pub fn largest(&self, row: &FibreRow) -> f64 {
        let (mut largest, mut is_any_above) = (0.0, false);
        let most = OVER_ESTIMATE_F32.max(OVER_ESTIMATE);
        let is_f64 = self.precision == Precision::F64;
        row.estimates(self.first, |of| {
            // Most bins are known not to be the worst before their root is taken.
            if self.rounding > 0.0 || !of.are_within(largest / most) {
                let counted = (0..of.len()).filter(|&bin| !is_masked(&of, bin)).map(|bin| self.error_of(&of, bin));
                largest = counted.fold(largest, f64::max);
            }
            is_any_above |= is_f64 && !of.are_within(self.tolerance / most);
        });
        // Only then masked bins may raise it.
        if is_any_above { self.of_bins(row).into_iter().fold(largest, f64::max) } else { largest }
    }

    /// Returns the estimated errors of a fibre's flux at the bins of the grid, sigma, 0 unless most of the spot is on good pixels.
    /// Mostly masked bins may be off: they have a mask bit. Their errors leak into the bins beside them; in f32 they are rounding,
    /// which does not.
    pub fn of_bins(&self, row: &FibreRow) -> Vec<f64> {
        let mut all = Vec::with_capacity(self.nwave);
        row.estimates(self.first, |of| {
            let leaks = |bin: usize| self.precision == Precision::F64 && of.ivar.at(bin) < NO_RESULT;
            let error = |bin: usize| match is_masked(&of, bin) {
                true if !leaks(bin) => (0.0, true),
                masked => (self.error_of(&of, bin), masked),
            };
            all.extend((0..of.len()).map(error));
        });
        with_leaks(&all)
    }

    /// Returns the estimated error of a bin's flux, sigma.
    fn error_of(&self, of: &Estimates, bin: usize) -> f64 {
        let truncation = of.truncation_error.at(bin);
        let error = match self.precision {
            Precision::F32 => {
                let signal = of.flux.at(bin).abs() * of.ivar.at(bin).sqrt();
                let of_truncation = OVER_ESTIMATE_F32 * (truncation - ROUNDING_F32 * signal);
                of_truncation.max(0.0) + self.rounding * signal
            }
            Precision::F64 => OVER_ESTIMATE * truncation,
        };
        // An error that is no number is the largest.
        if error.is_finite() { error.max(0.0) } else { f64::INFINITY }
    }
}

/// Whether most of a bin's spot is on bad pixels.
fn is_masked(of: &Estimates, bin: usize) -> bool {
    // Written so that a NaN is masked.
    let is_good = of.pixmask_fraction.at(bin) < MASKED;
    !is_good
}

/// Returns the errors of bins, 0 of masked ones, given with their own. The bin beside a masked one has a part of its error, and what
/// leaks halves with each bin that is not masked.
fn with_leaks(all: &[(f64, bool)]) -> Vec<f64> {
    let mut errors: Vec<f64> = all.iter().map(|(error, masked)| if *masked { 0.0 } else { *error }).collect();
    let mut leak_along = |bins: &mut dyn Iterator<Item = usize>| {
        let mut leak = 0.0f64;
        for bin in bins {
            let (error, masked) = all[bin];
            if masked {
                leak = leak.max((LEAK_OF_MASKED * error).min(MOST_LEAK));
            } else {
                errors[bin] = errors[bin].max(leak);
                leak *= 0.5;
            }
        }
    };
    leak_along(&mut (0..all.len()));
    leak_along(&mut (0..all.len()).rev());
    errors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::real_array::RealArray;

    #[test]
    fn errors_of_masked_bins_leak_into_those_beside_them_and_halve_with_each() {
        let good = |error: f64| (error, false);
        let masked = |error: f64| (error, true);
        let all = [good(0.0), good(3.0), good(0.0), masked(0.32), masked(0.0), good(0.05), good(0.0), good(0.0)];
        assert_eq!(with_leaks(&all), [0.02, 3.0, 0.08, 0.0, 0.0, 0.08, 0.04, 0.02]);
        assert_eq!(with_leaks(&[good(0.0), masked(f64::INFINITY)]), [MOST_LEAK, 0.0]);
        assert_eq!(with_leaks(&[good(f64::INFINITY), good(1.0)]), [f64::INFINITY, 1.0]);
        assert_eq!(with_leaks(&[masked(1.0)]), [0.0]);
    }

    #[test]
    fn in_f32_rounding_by_noisy_bins_counts_with_the_signal_and_estimates_less_rounding_eight_times() {
        let error = |precision, rounding, truncation: f64| {
            let [truncation_error, flux, ivar, pixmask_fraction]: [RealArray; 4] =
                [truncation, -1e4, 0.25, 0.0].map(|value| vec![value].into());
            let of = Estimates {
                truncation_error: truncation_error.all(),
                flux: flux.all(),
                ivar: ivar.all(),
                pixmask_fraction: pixmask_fraction.all(),
            };
            Errors { precision, tolerance: 1e-3, rounding, first: 0, nwave: 1 }.error_of(&of, 0)
        };
        let is = |found: f64, expected: f64| assert!((found / expected - 1.0).abs() < 1e-12, "{found} {expected}");
        is(error(Precision::F32, 3e-6, 0.0), 0.015);
        is(error(Precision::F32, 0.0, 0.0085), 8.0 * 0.001);
        is(error(Precision::F64, 0.0, 0.001), 8.0 * 0.001);
        assert!(error(Precision::F64, 0.0, f64::NAN) == f64::INFINITY);
    }
}
