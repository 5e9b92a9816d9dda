//! The engine's stages on the test device, one after another, against every reference patch.

use super::case::Case;
use spextral::backend::{Decorrelate, PatchResults};
use spextral::geometry::Patch;
use spextral::gpu::Gpu;
use spextral::plan::Batch;
use spextral::stages::goodness::Goodness;
use spextral::stages::normal_equations::PatchPrior;
use testkit::{Engine, Reference, allowed, gpu_with_default_limits, in_each_precision, on, worst};

/// Results of the stages for a batch, spectra `[patch, core fibre, nbin]`.
#[derive(Debug, PartialEq)]
struct Found {
    x: Vec<f64>,
    flux: Vec<f64>,
    ivar: Vec<f64>,
    /// R's rows, `half` bins to each side.
    resolution: Vec<f64>,
    goodness: Vec<Vec<Goodness>>,
    status: PatchResults,
}

fn run(engine: &Engine, case: &Case, batch: &Batch, half: usize) -> Found {
    let ccd = case.ccd();
    let ccd = engine.load(&ccd);
    let traces = engine.traces(&case.psf, case.fibres(), &case.wave, case.shape.tails).unwrap();
    let spots = engine.spots(&traces, 0..case.wave.len()).unwrap();
    let normal = engine
        .normal_equations(batch, &ccd, &traces, &spots, PatchPrior { regularize: 0.0, largest_weight: None })
        .unwrap();
    let (x, solved) = engine.solve(batch, &normal).unwrap();
    let (schur, factored) = engine.schur(batch, &normal).unwrap();
    let (modes, converged) = engine.jacobi(batch, &schur, batch.nbin).unwrap();
    let found = engine.decorrelate(batch, Decorrelate::Signal, &modes, &x, half).unwrap();
    let model = engine.model(batch, &traces, &spots, &x).unwrap();
    let goodness = engine.goodness(batch, &ccd, &traces, &spots, &model, case.psf.psferr).unwrap();
    let status = [solved, factored, converged].map(|s| s.wait().unwrap()).concat();
    Found {
        x: x.host().unwrap().to_vec(),
        flux: found.flux.host().unwrap().to_vec(),
        ivar: found.ivar.host().unwrap().to_vec(),
        resolution: found.resolution.host().unwrap().to_vec(),
        goodness,
        status,
    }
}

#[test]
fn every_reference_patch_is_within_1e_3_sigma() {
    for gpu in in_each_precision() {
        references(&gpu);
    }
}

fn references(gpu: &Gpu) {
    let engine = on(gpu);
    // On patch-masked the reference is 4e-6 sigma, 3e-6 in ivar and 3e-7 in R from the truth.
    let [most_flux, most_ivar, most_r] =
        [(1e-3, 5e-6), (2e-4, 4e-6), (2e-5, 4e-7)].map(|(f32, f64)| allowed(gpu, f32, f64));
    for name in Reference::ALL {
        let (mut case, reference) = Case::reference(name);
        let nbin = reference.nbin;
        case.batch.patches[0].core_bins = 0..nbin;
        let found = run(&engine, &case, &case.batch, nbin - 1);
        assert!(found.status.iter().all(Result::is_ok), "{name}: {:?}", found.status);
        let (flux, ivar, r) = (reference.array("FLUX_FULL"), reference.array("IVAR_FULL"), reference.array("RBLOCKS"));
        let usable: Vec<usize> = (0..flux.len()).filter(|&k| found.goodness[0][k].pixmask_fraction < 0.5).collect();
        let largest = |error: &dyn Fn(usize) -> f64| {
            usable.iter().map(|&k| error(k)).fold(0.0, |m, e| if e > m || e.is_nan() { e } else { m })
        };
        let d_flux = largest(&|k| (found.flux[k] - flux[k]).abs() * ivar[k].sqrt());
        let d_ivar = largest(&|k| (found.ivar[k] / ivar[k] - 1.0).abs());
        // Row i of R begins at column i - half of the stored band.
        let row = |k: usize| &found.resolution[k * (2 * nbin - 1) + nbin - 1 - k % nbin..][..nbin];
        let d_r = largest(&|k| worst(row(k), &r[k * nbin..(k + 1) * nbin]));
        note!(
            "{}, {name}: {} bins, flux {d_flux:.1e} sigma, ivar {d_ivar:.1e}, R {d_r:.1e}",
            gpu.precision(),
            usable.len()
        );
        assert!(usable.len() > flux.len() / 4, "{name}: only {} usable bins", usable.len());
        assert!(d_flux < most_flux && d_ivar < most_ivar && d_r < most_r, "{name}: {d_flux:e} {d_ivar:e} {d_r:e}");
        let (chi2pix, masked) = (reference.array("CHI2PIX"), reference.array("PIXMASK_FRACTION"));
        for (k, (chi2pix, masked)) in chi2pix.into_iter().zip(masked).enumerate() {
            let full = (reference.core0 + k / 50) * nbin + reference.pad + k % 50;
            let ours = &found.goodness[0][full];
            if ours.off_ccd == 0.0 {
                assert!((ours.chi2pix - chi2pix).abs() < 1e-3 * (1.0 + chi2pix), "{name} {k}: {ours:?} {chi2pix}");
                assert!((ours.pixmask_fraction - masked).abs() < 1e-5, "{name} {k}: {ours:?} {masked}");
            }
        }
    }
}

#[test]
fn a_patch_has_the_same_bits_in_any_order_and_any_batch() {
    let gpu = gpu_with_default_limits();
    let engine = on(&gpu);
    let case = Case::synthetic(false);
    let count = case.batch.len();
    let together = run(&engine, &case, &case.batch, 5);
    let reversed = case.batch.patches.iter().rev().cloned().collect();
    let reversed = run(&engine, &case, &Batch { patches: reversed, ..case.batch.clone() }, 5);
    let part = |all: &[f64], k: usize| all[k * all.len() / count..(k + 1) * all.len() / count].to_vec();
    let of_patch = |found: &Found, k: usize| Found {
        x: part(&found.x, k),
        flux: part(&found.flux, k),
        ivar: part(&found.ivar, k),
        resolution: part(&found.resolution, k),
        goodness: vec![found.goodness[k].clone()],
        status: (0..3).map(|stage| found.status[stage * count + k].clone()).collect(),
    };
    for k in 0..count {
        let alone = Batch { patches: vec![case.batch.patches[k].clone()], ..case.batch.clone() };
        let alone = run(&engine, &case, &alone, 5);
        assert!(alone.flux.iter().all(|f| f.is_finite()));
        assert_eq!(alone, of_patch(&together, k), "patch {k}");
        assert_eq!(alone, of_patch(&reversed, count - 1 - k), "patch {k} in reverse order");
    }
}

#[test]
fn a_patch_that_is_not_positive_definite_is_named_and_the_others_are_solved() {
    let gpu = gpu_with_default_limits();
    let engine = on(&gpu);
    let mut case = Case::synthetic(false);
    // Beside the weight of this pixel that of the others is lost in rounding.
    let Patch { rows, columns, .. } = &case.batch.patches[1];
    let at = [rows, columns].map(|range| (range.start + range.end) / 2);
    case.ivar[at[0] * case.psf.npix_x + at[1]] = 1e12;
    let found = run(&engine, &case, &case.batch, 5);
    let failed: Vec<bool> = found.status[..3].iter().map(Result::is_err).collect();
    assert_eq!(failed, [false, true, false], "{:?}", found.status);
}
