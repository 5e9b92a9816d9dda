//! Full rows of R sum to 1: a spectrum that is flat stays so. Of a file's R this holds only as far as its 2 HSIZEY + 1
//! diagonals hold the row, so the sum is taken here over all bins of the bundle or the patch, those beyond the grid's ends too.

use super::worlds::{Sky, config, world};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use spextral::engine::{Decorrelate, Engine, EngineError};
use spextral::extract::Solver;
use spextral::plan::{Batch, batches, bundles, half_bandwidth, patches};
use spextral::stages::banded::{
    self, Choice, Coupling, banded_complements, banded_flux, banded_normal_equations, banded_root,
};
use spextral::stages::normal_equations::Prior;
use spextral::stages::spots::SpotSource;
use std::cell::Cell;

/// Largest distance of a row's sum from 1.
const ROUNDING: f64 = 1e-6;

/// A row of R is judged where the bin has weight.
fn check_row(sum: f64, ivar: f64, what: impl FnOnce() -> String) -> Result<usize, String> {
    if !(ivar.is_finite() && ivar > 0.0) {
        return Ok(0);
    }
    if (sum - 1.0).abs() < ROUNDING { Ok(1) } else { Err(format!("{}: a row sums to {sum}, ivar {ivar:e}", what())) }
}

/// Full rows of all patches of a frame; the number of rows with weight.
pub fn check_patches(sky: &Sky, engine: &Engine) -> Result<usize, String> {
    let options = &sky.options.patches;
    let ccd = engine.load(sky.ccd());
    let failed = |e: EngineError| e.to_string();
    let mut rows = 0;
    for bundle in bundles(sky.psf.nfibre, 0, sky.psf.nfibre, options.bundlesize).map_err(|e| e.to_string())? {
        let pad = options.padding();
        let wave = sky.grid.padded(pad, pad + options.nwavestep);
        let traces = engine.traces(&sky.psf, bundle.fibres.clone(), &wave, sky.options.psf_tails).map_err(failed)?;
        let spots = engine.spots(&traces, 0..wave.len()).map_err(failed)?;
        let positions = traces.positions();
        let wanted = 0..bundle.fibres.len();
        let all = patches(options, &positions, &wanted, sky.grid.nwave(), (sky.psf.npix_y, sky.psf.npix_x));
        let bandwidth = |nspec| half_bandwidth(&positions, nspec, options.patch_bins());
        for batch in batches(all, bandwidth, |batch| engine.batch_size(batch, Decorrelate::Signal)) {
            let prior = Prior::new(sky.options.regularize);
            let normal = engine.normal_equations(&batch, &ccd, &traces, &spots, prior).map_err(failed)?;
            rows += check_batch(engine, &batch, &normal)?;
        }
    }
    Ok(rows)
}

fn check_batch(engine: &Engine, batch: &Batch, normal: &spextral::engine::NormalField) -> Result<usize, String> {
    let failed = |e: EngineError| e.to_string();
    let (x, solved) = engine.solve(batch, normal).map_err(failed)?;
    let (schur, factored) = engine.schur(batch, normal).map_err(failed)?;
    let (modes, converged) = engine.jacobi(batch, &schur, batch.nbin).map_err(failed)?;
    let half = batch.nbin - 1;
    let out = engine.decorrelate(batch, Decorrelate::Signal, &modes, &x, half).map_err(failed)?;
    let status = [solved, factored, converged].map(|s| s.wait().map(|all| all.iter().map(Result::is_ok).collect()));
    let status: Vec<Vec<bool>> = status.into_iter().collect::<Result<_, _>>().map_err(failed)?;
    let (ivar, r) = (out.ivar.host().map_err(failed)?, out.resolution.host().map_err(failed)?);
    let mut rows = 0;
    for (k, row) in r.chunks_exact(2 * half + 1).enumerate() {
        let (patch, bin) = (k / (batch.core.len() * batch.nbin), k % batch.nbin);
        if status.iter().all(|of_stage| of_stage[patch]) {
            rows += check_row(row.iter().sum(), ivar[k], || format!("patch {patch}, bin {bin}"))?;
        }
    }
    Ok(rows)
}

/// Full rows of a bundle of all fibres in bands, whose bins are few enough for the widest band; the number of rows with
/// weight, 0 where the bands do not serve.
fn check_bands(sky: &Sky) -> Result<usize, String> {
    const TOLERANCE: f64 = 1e-5;
    let wave = sky.grid.padded(20, 20);
    let spots = SpotSource::new(&sky.psf, 0..sky.psf.nfibre, &wave, sky.options.psf_tails);
    let half = banded::half_bandwidth(&spots.positions());
    if Choice::check_width(half, sky.grid.step()).is_err() {
        return Ok(0);
    }
    if Coupling::measure(&spots, half).check(TOLERANCE).is_err() {
        return Ok(0);
    }
    let normal = banded_normal_equations(&spots, sky.ccd(), half, Prior::new(sky.options.regularize));
    let choice = Choice::measure(&normal, TOLERANCE, sky.grid.step(), 20).map_err(|e| e.to_string())?;
    let Ok((x, _)) = banded_flux(&normal, &choice) else { return Ok(0) };
    let widest = wave.len() - 1;
    let mut rows = 0;
    for bands in &choice.bands {
        let Ok(s) = banded_complements(&normal, *bands, &choice) else { continue };
        for (f, (s, x)) in s.iter().zip(&x).enumerate() {
            let root = banded_root(s, x, widest, &choice);
            for i in 0..wave.len() {
                let element = |j: usize| root.diagonals[i.min(j) * (widest + 1) + i.abs_diff(j)];
                let sum = (0..wave.len()).map(element).sum::<f64>() / root.ones[i];
                let ivar = root.ones[i].powi(2);
                rows += check_row(sum, ivar, || format!("fibre {f}, bin {i}, bands {bands:?}, half bandwidth {half}"))?;
            }
        }
    }
    Ok(rows)
}

#[test]
fn full_rows_of_the_resolution_sum_to_1_in_patches() {
    let rows = Cell::new(0);
    TestRunner::new(config(40))
        .run(&world(), |world| {
            let found = check_patches(&world.make(), &Engine::cpu());
            rows.set(rows.get() + found.map_err(TestCaseError::fail)?);
            Ok(())
        })
        .unwrap();
    assert!(rows.get() > 1000, "{} rows", rows.get());
}

#[test]
fn full_rows_of_the_resolution_sum_to_1_in_bands() {
    let rows = Cell::new(0);
    TestRunner::new(config(40))
        .run(&world(), |mut world| {
            world.grid.2 = world.grid.2.min(50);
            world.options.solver = Solver::Banded;
            let found = check_bands(&world.make());
            rows.set(rows.get() + found.map_err(TestCaseError::fail)?);
            Ok(())
        })
        .unwrap();
    assert!(rows.get() > 1000, "{} rows", rows.get());
}
