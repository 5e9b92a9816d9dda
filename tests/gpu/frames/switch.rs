//! One switch per stage finds the wrong kernel.

use super::faults::{options, tiny};
use spextral::backend::Stage;
use spextral::extract::{Extraction, Options, Solver};
use spextral::gpu::fault_injection::{Fault, Faults};
use spextral::gpu::{OpenOptions, Precision};
use testkit::{cpu, on_except, open_with_f64};

/// Differences of right results in f64, in units of [`distance`]. A stage that is wrong by 1 % gives more than a hundred times
/// as much.
const RIGHT: f64 = 1e-6;

/// The largest difference of two extractions: flux in sigma; ivar and chi2pix relative; R, pixmask_fraction absolute.
fn distance(ours: &Extraction, twin: &Extraction) -> f64 {
    let (a, b) = (&ours.spectra, &twin.spectra);
    let bin = |k: usize| {
        let chi2 = (a.chi2pix[k] - b.chi2pix[k]).abs() / (1.0 + b.chi2pix[k]);
        let weight = (a.ivar[k] / b.ivar[k] - 1.0).abs();
        let masked = (a.pixmask_fraction[k] - b.pixmask_fraction[k]).abs();
        [(a.flux[k] - b.flux[k]).abs() * b.ivar[k].sqrt(), weight, chi2, masked].into_iter().fold(0.0, f64::max)
    };
    let bins = (0..a.flux.len()).map(bin).fold(0.0, f64::max);
    a.resolution.iter().zip(b.resolution.iter()).map(|(a, b)| (a - b).abs()).fold(bins, f64::max)
}

/// Asserts that with each stage wrong in turn exactly the extraction with that stage on the CPU is right.
#[track_caller]
fn the_switch_finds(stages: &[Stage], solver: Solver) {
    let faults = Faults::counting();
    let gpu = open_with_f64(&OpenOptions { faults: faults.clone(), ..OpenOptions::default() });
    let (small, options) = (tiny(), Options { precision: Some(Precision::F64), ..options(solver) });
    let twin = small.extract(&options, &cpu());
    // A fallback that made up for the wrong stage would be reported: such an extraction is not right either.
    let is_right = |on_cpu: &[Stage]| {
        let ours = small.try_extract(&options, &on_except(&gpu, on_cpu));
        ours.is_ok_and(|ours| ours.summary.fallbacks.is_empty() && distance(&ours, &twin) < RIGHT)
    };
    for &stage in stages {
        faults.fail(0..0, Fault::Lost);
        assert!(is_right(&[]) && is_right(&[stage]), "{}: all stages are right", stage.name());
        faults.make_wrong(stage.name());
        assert!(!is_right(&[]) && faults.met() > 0, "{} is wrong, which does not show", stage.name());
        for &on_cpu in stages {
            assert_eq!(is_right(&[on_cpu]), on_cpu == stage, "{} is wrong, {on_cpu:?} on the CPU", stage.name());
        }
    }
}

#[test]
fn the_run_with_the_wrong_stage_on_the_cpu_is_right_in_bands() {
    the_switch_finds(&Stage::BANDED, Solver::Banded);
}

#[test]
fn the_run_with_the_wrong_stage_on_the_cpu_is_right_in_patches() {
    the_switch_finds(&Stage::PATCHES, Solver::Patches);
}
