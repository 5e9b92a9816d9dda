//! The published divide and conquer: a bundle solved in overlapping patches.

use super::bundle_spectra::PatchSpectra;
use super::precision::MOST_GAIN_OF_PATCH_F32;
use super::{Job, Unserved};
use crate::backend::{
    BundleSpots, BundleTraces, CcdField, Decorrelate, Engine, EngineError, PatchFailure, PatchResults, PatchStatus,
};
use crate::geometry::Patch;
use crate::gpu::Precision;
use crate::plan::{Batch, Bundle, WeightScale, batches, half_bandwidth, patches};
use crate::stages::goodness::{Goodness, MASKED};
use crate::stages::normal_equations::PatchPrior;
use std::collections::BTreeMap;
use std::ops::Range;

/// The patches of a bundle after one attempt.
pub(super) struct Solved {
    /// Patches with their spectra.
    pub done: Vec<(Patch, PatchSpectra)>,
    /// Patches whose numbers do not serve, and why.
    pub failed: Vec<(Patch, PatchSpectra, PatchFailure)>,
}

/// Inputs that all batches of a window share.
struct Window<'a> {
    job: &'a Job<'a>,
    ccd: &'a CcdField<'a>,
    traces: &'a BundleTraces,
    spots: BundleSpots,
    largest_weight: f64,
}

/// Solves the patches of a bundle, or those in `only`.
///
/// # Errors
/// [`Unserved::Engine`].
pub(super) fn solve(
    job: &Job,
    ccd: &CcdField,
    engine: &Engine,
    bundle: &Bundle,
    only: Option<&[Patch]>,
) -> Result<Solved, Unserved> {
    let (options, how) = (job.options, job.patches());
    how.check_patches(bundle.fibres.len()).map_err(|error| Unserved::Limit(error.to_string()))?;
    let pad = how.padding();
    let padded = job.grid.padded(pad, pad + how.nwavestep);
    let trace_bytes = engine.trace_bytes(job.psf, bundle.fibres.clone(), &padded, options.psf_tails);
    let traces = &engine.traces(job.psf, bundle.fibres.clone(), &padded, options.psf_tails)?;
    let positions = traces.positions()?;
    let first = bundle.fibres.start;
    let wanted = bundle.selected.start - first..bundle.selected.end - first;
    let plan = || patches(&how, &positions, &wanted, job.grid.nwave(), (job.ccd.ny(), job.ccd.nx()));
    let all = only.map_or_else(plan, <[Patch]>::to_vec);
    let bandwidth = |nspec| half_bandwidth(&positions, nspec, how.patch_bins());
    let half = job.half_diagonals();
    let cut = || {
        let most = engine.most_spot_bins(traces);
        let window = |patches: Vec<Patch>| {
            let start = patches.iter().map(|p| p.bin0).min().unwrap_or(0);
            let end = patches.iter().map(|p| p.bin0 + p.nbin).max().unwrap_or(0);
            let most = |batch: &Batch| engine.batch_size(batch, options.decorrelate);
            (start..end, batches(patches, bandwidth, most))
        };
        let windows: Vec<(Range<usize>, Vec<Batch>)> =
            windows(all.clone(), how.nwavestep, most).into_iter().map(window).collect();
        let parts: Vec<(usize, &[Batch])> = windows.iter().map(|(bins, b)| (bins.len(), b.as_slice())).collect();
        (engine.patch_bytes(ccd, traces, trace_bytes, &parts, (options.decorrelate, half)), windows)
    };
    let mut solved = Solved { done: Vec::new(), failed: Vec::new() };
    for (bins, batches) in engine.fit(cut)? {
        let window = Window {
            job,
            ccd,
            traces,
            spots: engine.spots(traces, bins)?,
            largest_weight: job.largest_weight(&bundle.fibres),
        };
        for batch in &batches {
            let (spectra, status) = window.solve(engine, batch)?;
            for ((patch, spectra), status) in batch.patches.iter().zip(spectra).zip(status) {
                match status {
                    Ok(()) => solved.done.push((patch.clone(), spectra)),
                    Err(failure) => solved.failed.push((patch.clone(), spectra, failure)),
                }
            }
        }
    }
    Ok(solved)
}

/// Groups patches by wavelength so that the spots of a group are at most `most` bins, or one patch's. `step` is the distance of
/// patches.
fn windows(all: Vec<Patch>, step: usize, most: usize) -> Vec<Vec<Patch>> {
    let nbin = all.first().map_or(0, |p| p.nbin);
    let steps = (most.saturating_sub(nbin) / step).saturating_add(1);
    let mut groups: BTreeMap<usize, Vec<Patch>> = BTreeMap::new();
    for patch in all {
        groups.entry(patch.bin0 / step / steps).or_default().push(patch);
    }
    groups.into_values().collect()
}

impl Window<'_> {
    /// Takes one batch through all stages. Patches whose status is an error have meaningless spectra.
    fn solve(&self, engine: &Engine, batch: &Batch) -> Result<(Vec<PatchSpectra>, PatchResults), EngineError> {
        let Self { job, ccd, traces, spots, largest_weight } = self;
        let how = job.options.decorrelate;
        let largest_weight = match job.options.patches.weight_scale {
            WeightScale::Patch => None,
            WeightScale::Group => Some(*largest_weight),
        };
        let prior = PatchPrior { regularize: job.options.regularize, largest_weight };
        let normal = engine.normal_equations(batch, ccd, traces, spots, prior)?;
        let (x, solved) = engine.solve(batch, &normal)?;
        let (matrices, n, factored) = match how {
            Decorrelate::Signal => {
                let (schur, status) = engine.schur(batch, &normal)?;
                (schur, batch.nbin, status)
            }
            Decorrelate::Noise => {
                (engine.full_matrix(batch, &normal)?, batch.n(), PatchStatus::known(vec![Ok(()); batch.len()]))
            }
        };
        let (modes, converged) = engine.jacobi(batch, &matrices, n)?;
        let decorrelated = engine.decorrelate(batch, how, &modes, &x, job.half_diagonals())?;
        let model = engine.model(batch, traces, spots, &x)?;
        let goodness = engine.goodness(batch, ccd, traces, spots, &model, job.psferr())?;
        let noise = noise(engine.precision(), batch, decorrelated.gain.host()?, &goodness);
        let each = solved.wait()?.into_iter().zip(factored.wait()?).zip(converged.wait()?).zip(noise);
        let status = each.map(|(((a, b), c), d)| a.and(b).and(c).and(d)).collect();
        Ok((PatchSpectra::split(batch, &x, &decorrelated, goodness)?, status))
    }
}

/// Checks each patch of a batch: f32 does not serve bins that are much noisier than alone. Bins that are masked do not count.
/// `gain` is `[patch, core fibre, nbin]`, `goodness` of the core bins.
fn noise(precision: Precision, batch: &Batch, gain: &[f64], goodness: &[Vec<Goodness>]) -> PatchResults {
    let of_patch = |(k, goodness): (usize, &Vec<Goodness>)| {
        let core = batch.patches[k].core_bins.clone();
        let of_fibre = |fibre: usize| &gain[(k * batch.core.len() + fibre) * batch.nbin..][core.clone()];
        let gains = (0..batch.core.len()).flat_map(of_fibre).zip(goodness);
        let usable = || gains.clone().filter(|(_, goodness)| goodness.pixmask_fraction < MASKED).map(|(gain, _)| *gain);
        // Written so that a NaN is too noisy.
        let serves = precision == Precision::F64 || usable().all(|gain| gain <= MOST_GAIN_OF_PATCH_F32);
        if serves {
            Ok(())
        } else {
            Err(PatchFailure::Noisy { gain: usable().map(f64::abs).max_by(f64::total_cmp).unwrap_or(0.0) })
        }
    };
    goodness.iter().enumerate().map(of_patch).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(bin0: usize) -> Patch {
        Patch { fibres: 0..1, core: 0..1, bin0, nbin: 74, core_bins: 12..62, rows: 0..1, columns: 0..1 }
    }

    #[test]
    fn noisy_bins_are_not_for_f32_unless_they_are_masked_or_padding() {
        let batch = batches(vec![patch(0), patch(50)], |_| 1, |_| 2).remove(0);
        let mut gain = vec![5.0; 2 * 74];
        let mut goodness = vec![vec![Goodness::default(); 50]; 2];
        let failed = |precision, gain: &[f64], goodness: &[Vec<Goodness>]| {
            noise(precision, &batch, gain, goodness).iter().map(Result::is_err).collect::<Vec<bool>>()
        };
        (gain[11], gain[62]) = (30.0, 30.0);
        assert_eq!(failed(Precision::F32, &gain, &goodness), [false, false], "padding");
        (gain[74 + 12], gain[61]) = (30.0, -f64::NAN);
        assert_eq!(failed(Precision::F32, &gain, &goodness), [true, true]);
        assert_eq!(failed(Precision::F64, &gain, &goodness), [false, false]);
        (goodness[0][49].pixmask_fraction, goodness[1][0].pixmask_fraction) = (0.6, 0.6);
        assert_eq!(failed(Precision::F32, &gain, &goodness), [false, false], "masked");
    }

    #[test]
    fn windows_hold_as_many_bins_as_allowed_and_every_patch_once() {
        let all: Vec<Patch> = (0..3).flat_map(|_| (0..10).map(|k| patch(50 * k))).collect();
        for (most, expected) in [(usize::MAX, 1), (524, 1), (523, 2), (74, 10), (1, 10)] {
            let windows = windows(all.clone(), 50, most);
            assert_eq!(windows.len(), expected, "{most} bins");
            assert_eq!(windows.iter().map(Vec::len).sum::<usize>(), all.len());
            for window in windows {
                let (first, last) = (window[0].bin0, window.iter().map(|p| p.bin0 + p.nbin).max().unwrap());
                assert!(last - first <= most.max(74));
            }
        }
    }
}
