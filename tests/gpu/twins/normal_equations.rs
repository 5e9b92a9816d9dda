//! normal_equations.wgsl against its twin.

use super::case::Case;
use spextral::gpu::patch::Patches;
use spextral::gpu::{GpuError, normal_equations as device};
use spextral::stages::normal_equations::{NormalEquations, PatchPrior, normal_equations};
use testkit::{allowed, gpu_with_default_limits, in_each_precision, largest, worst};

struct Twin {
    band: Vec<f64>,
    rhs: Vec<f64>,
    flux_weight: Vec<f64>,
}

fn twin(case: &Case, prior: PatchPrior) -> Twin {
    let (n, len) = (case.batch.n(), case.batch.band_len());
    let count = case.batch.len();
    let (mut band, mut rhs) = (vec![0.0; count * len], vec![0.0; count * n]);
    let (mut flux_weight, mut alpha) = (vec![0.0; count * n], vec![0.0; n]);
    for (k, patch) in case.batch.patches.iter().enumerate() {
        let out = NormalEquations {
            band: &mut band[k * len..(k + 1) * len],
            rhs: &mut rhs[k * n..(k + 1) * n],
            flux_weight: &mut flux_weight[k * n..(k + 1) * n],
            alpha: &mut alpha,
        };
        normal_equations(&case.view(patch), &case.ccd().cut(patch), case.batch.half_bandwidth, prior, out);
    }
    Twin { band, rhs, flux_weight }
}

#[test]
fn k_y_and_flux_weight_are_within_3e_6_of_the_twin() {
    for gpu in in_each_precision() {
        for (tails, regularize, largest_weight) in [(false, 0.0, None), (true, 0.03, None), (false, 0.0, Some(5.0))] {
            let case = Case::synthetic(tails);
            let prior = PatchPrior { regularize, largest_weight };
            let spots = case.spots_on(&gpu);
            let priors = vec![prior.of(0.0); case.batch.len()];
            let patches = Patches::with_priors(&case.batch, &spots, &priors).unwrap();
            let found = device::normal_equations(&patches, &case.ccd_on(&gpu)).unwrap();
            let expected = twin(&case, prior);
            let compare = |found: Vec<f64>, expected: &[f64]| worst(&found, expected) / largest(expected);
            let weights = found.flux_weight.download().unwrap();
            let errors = [
                compare(found.band.download().unwrap(), &expected.band),
                compare(found.rhs.download().unwrap(), &expected.rhs),
                compare(weights.into_iter().step_by(2).collect(), &expected.flux_weight),
            ];
            note!("{errors:?}");
            assert!(errors.iter().all(|&e| e < allowed(&gpu, 3e-6, 1e-13)), "{errors:?}");
        }
    }
}

#[test]
fn unknowns_without_pixels_have_the_prior_alone() {
    let gpu = gpu_with_default_limits();
    let mut case = Case::synthetic(false);
    case.ivar.fill(0.0);
    let spots = case.spots_on(&gpu);
    let patches = Patches::new(&case.batch, &spots).unwrap();
    let found = device::normal_equations(&patches, &case.ccd_on(&gpu)).unwrap();
    let width = case.batch.half_bandwidth + 1;
    for (k, value) in found.band.download().unwrap().into_iter().enumerate() {
        assert_eq!(value as f32, if k % width == width - 1 { 1e-15 } else { 0.0 });
    }
}

#[test]
fn a_patch_beyond_its_bundle_is_refused() {
    let gpu = gpu_with_default_limits();
    let mut case = Case::synthetic(false);
    let spots = case.spots_on(&gpu);
    case.batch.patches[0].bin0 = case.wave.len();
    assert!(matches!(Patches::new(&case.batch, &spots), Err(GpuError::Length { .. })));
}
