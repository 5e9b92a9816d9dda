//! Properties of every extraction, on any device: numbers, weights and full rows of R.

use crate::worlds::Sky;
use spextral::backend::{Decorrelate, Engine, EngineError, NormalField};
use spextral::extract::{Extraction, Job, ModelFlux, Options};
use spextral::frame::specmask;
use spextral::plan::{Batch, batches, half_bandwidth, patches};
use spextral::stages::normal_equations::PatchPrior;

/// Checks the properties of every extraction; the error is the first that does not hold.
pub fn sound(extraction: &Extraction) -> Result<(), String> {
    let s = &extraction.spectra;
    let fits = |what: &str, values: &[f64]| match values.iter().position(|v| !(*v as f32).is_finite()) {
        Some(k) => Err(format!("{what} is {} at bin {k}, mask {:#x}", values[k], s.mask[k % s.mask.len()])),
        None => Ok(()),
    };
    fits("flux", &s.flux)?;
    fits("ivar", &s.ivar)?;
    fits("R", &s.resolution.to_f64())?;
    fits("chi2pix", &s.chi2pix)?;
    if let Some(k) = extraction.model.iter().flatten().position(|v| !v.is_finite()) {
        return Err(format!("the model is not finite at pixel {k}"));
    }
    const NONE: u32 = specmask::ALLBADPIX | specmask::NODATA | specmask::BAD2DFIT;
    for k in 0..s.flux.len() {
        let (fibre, row) = (k / s.nwave, k % s.nwave);
        let at = format!("fibre {fibre} bin {row}: flux {:e}, ivar {:e}, mask {:#x}", s.flux[k], s.ivar[k], s.mask[k]);
        let r = |d: usize| {
            let column = (row + s.ndiag / 2).checked_sub(d).filter(|&c| c < s.nwave);
            column.map_or(0.0, |c| s.resolution.at((fibre * s.ndiag + d) * s.nwave + c))
        };
        let empty = (0..s.ndiag).all(|d| r(d) == 0.0);
        let masked = s.pixmask_fraction[k];
        let rule = |holds: bool, what: &str| if holds { Ok(()) } else { Err(format!("{what}; {at}, masked {masked}")) };
        rule((0.0..=1.0).contains(&masked) && s.chi2pix[k] >= 0.0, "goodness out of its range")?;
        rule(s.ivar[k] >= 0.0, "ivar is negative")?;
        rule((s.ivar[k] as f32 > 0.0) == (s.ivar[k] > 0.0), "ivar is lost in a file's f4")?;
        if s.ivar[k] == 0.0 {
            rule(s.mask[k] & NONE != 0, "ivar 0 without a mask bit")?;
            rule(s.flux[k] == 0.0 && empty, "flux or R without information")?;
        } else {
            rule(s.mask[k] & (specmask::ALLBADPIX | specmask::NODATA) == 0, "a weight without information")?;
            rule(masked <= 1.0 - 1e-4, "a weight without good pixels")?;
            rule(!empty, "a weight without resolution")?;
        }
    }
    Ok(())
}

/// Extracts, and checks the result.
pub fn judge(sky: &Sky, engine: &Engine) -> Result<Extraction, String> {
    let options = Options { model: Some(ModelFlux::Deconvolved), ..sky.options.clone() };
    match sky.try_extract(&options, engine) {
        Ok(extraction) => sound(&extraction).map(|()| extraction),
        Err(other) => Err(other.to_string()),
    }
}

/// Checks that a row of R sums to 1 within `rounding`, if its bin has weight. Returns the number of rows checked.
pub fn check_row(sum: f64, ivar: f64, rounding: f64, what: impl FnOnce() -> String) -> Result<usize, String> {
    if !(ivar.is_finite() && ivar > 0.0) {
        return Ok(0);
    }
    if (sum - 1.0).abs() < rounding { Ok(1) } else { Err(format!("{}: a row sums to {sum}, ivar {ivar:e}", what())) }
}

/// Checks the full rows of all patches of a frame. Returns the number of rows with weight.
pub fn check_patches(sky: &Sky, engine: &Engine, rounding: f64) -> Result<usize, String> {
    let options = &sky.options.patches;
    let ccd = sky.ccd();
    let job = Job::new(&sky.psf, &ccd, &sky.grid, &sky.options).map_err(|e| e.to_string())?;
    let ccd = engine.load(&ccd);
    let failed = |e: EngineError| e.to_string();
    let mut rows = 0;
    for bundle in job.bundles().map_err(|e| e.to_string())? {
        let pad = options.padding();
        let wave = sky.grid.padded(pad, pad + options.nwavestep);
        let traces = engine.traces(&sky.psf, bundle.fibres.clone(), &wave, sky.options.psf_tails).map_err(failed)?;
        let spots = engine.spots(&traces, 0..wave.len()).map_err(failed)?;
        let positions = traces.positions().unwrap();
        let wanted = 0..bundle.fibres.len();
        let all = patches(options, &positions, &wanted, sky.grid.nwave(), (sky.psf.npix_y, sky.psf.npix_x));
        let bandwidth = |nspec| half_bandwidth(&positions, nspec, options.patch_bins());
        for batch in batches(all, bandwidth, |batch| engine.batch_size(batch, Decorrelate::Signal)) {
            let prior = PatchPrior { regularize: sky.options.regularize, largest_weight: None };
            let normal = engine.normal_equations(&batch, &ccd, &traces, &spots, prior).map_err(failed)?;
            rows += check_batch(engine, &batch, &normal, rounding)?;
        }
    }
    Ok(rows)
}

fn check_batch(engine: &Engine, batch: &Batch, normal: &NormalField, rounding: f64) -> Result<usize, String> {
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
            rows += check_row(row.iter().sum(), ivar[k], rounding, || format!("patch {patch}, bin {bin}"))?;
        }
    }
    Ok(rows)
}
