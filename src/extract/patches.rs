//! The published divide and conquer: a bundle solved in overlapping patches (`--solver patches`).

use super::assemble::{FrameBuilder, PatchSpectra};
use super::precision::finer;
use super::{ModelFlux, Options};
use crate::backend::{
    BundleSpots, BundleTraces, CcdField, Decorrelate, Engine, EngineError, PatchFailure, PatchResults, PatchStatus,
};
use crate::geometry::{Patch, WaveGrid};
use crate::gpu::Precision;
use crate::plan::{Batch, Bundle, batches, half_bandwidth, patches};
use crate::psf::Psf;
use crate::stages::normal_equations::Prior;
use std::collections::BTreeMap;
use std::ops::Range;

/// What all batches of a window share.
struct Setting<'a> {
    ccd: &'a CcdField<'a>,
    options: &'a Options,
    psferr: f64,
    ndiag: usize,
    bundle: &'a Bundle,
    /// The padded grid, Angstrom.
    wave: &'a [f64],
    traces: &'a BundleTraces,
    spots: BundleSpots,
}

/// Extracts the selected fibres of one bundle into `frame`.
///
/// # Errors
/// What the engine's device reports.
pub fn extract_bundle(
    psf: &Psf,
    ccd: &CcdField,
    grid: &WaveGrid,
    options: &Options,
    engine: &Engine,
    bundle: &Bundle,
    frame: &mut FrameBuilder,
) -> Result<(), EngineError> {
    let pad = options.patches.padding();
    let padded = grid.padded(pad, pad + options.patches.nwavestep);
    let trace_bytes = engine.trace_bytes(psf, bundle.fibres.clone(), &padded, options.psf_tails);
    let traces = &engine.traces(psf, bundle.fibres.clone(), &padded, options.psf_tails)?;
    let positions = traces.positions();
    let first = bundle.fibres.start;
    let wanted = bundle.selected.start - first..bundle.selected.end - first;
    let all = patches(&options.patches, &positions, &wanted, grid.nwave(), (ccd.host().ny(), ccd.host().nx()));
    let bandwidth = |nspec| half_bandwidth(&positions, nspec, options.patches.patch_bins());
    let cut = || {
        let most = engine.most_spot_bins(traces);
        let window = |patches: Vec<Patch>| {
            let start = patches.iter().map(|p| p.bin0).min().unwrap_or(0);
            let end = patches.iter().map(|p| p.bin0 + p.nbin).max().unwrap_or(0);
            let core = start..patches.iter().map(|p| p.bin0 + p.core_bins.len()).max().unwrap_or(0);
            let most = |batch: &Batch| engine.batch_size(batch, options.decorrelate);
            Window { bins: start..end, core, batches: batches(patches, bandwidth, most) }
        };
        let windows: Vec<Window> =
            windows(all.clone(), options.patches.nwavestep, most).into_iter().map(window).collect();
        let parts: Vec<(usize, &[Batch])> = windows.iter().map(|w| (w.bins.len(), w.batches.as_slice())).collect();
        let how = (options.decorrelate, psf.ndiag() / 2);
        (engine.patch_bytes(ccd, traces, trace_bytes, &parts, how), windows)
    };
    for Window { bins, core, batches } in engine.fit(cut)? {
        let (psferr, ndiag) = (options.psferr.unwrap_or(psf.psferr), psf.ndiag());
        let spots = engine.spots(traces, bins)?;
        let setting = Setting { ccd, options, psferr, ndiag, bundle, wave: &padded, traces, spots };
        for batch in &batches {
            add_batch(&setting, engine, batch, frame)?;
        }
        if options.model.is_some() {
            frame.add_patch_model(bundle, traces, &setting.spots, pad, core)?;
        }
    }
    Ok(())
}

/// Patches whose spots are on the device together.
struct Window {
    bins: Range<usize>,
    /// The bins that are extracted, padding not counted.
    core: Range<usize>,
    batches: Vec<Batch>,
}

/// Groups patches by wavelength so that the spots of a group are at most `most` bins, or one patch's. `step` is the
/// distance of patches.
fn windows(all: Vec<Patch>, step: usize, most: usize) -> Vec<Vec<Patch>> {
    let nbin = all.first().map_or(0, |p| p.nbin);
    let steps = (most.saturating_sub(nbin) / step).saturating_add(1);
    let mut groups: BTreeMap<usize, Vec<Patch>> = BTreeMap::new();
    for patch in all {
        groups.entry(patch.bin0 / step / steps).or_default().push(patch);
    }
    groups.into_values().collect()
}

/// One batch into the frame; patches that the device could not solve are redone.
fn add_batch(setting: &Setting, engine: &Engine, batch: &Batch, frame: &mut FrameBuilder) -> Result<(), EngineError> {
    let (mut spectra, status) = extract_batch(setting, engine, batch)?;
    if engine.precision() == Precision::F32 {
        frame.summary.in_f32 += status.iter().filter(|s| s.is_ok()).count();
    }
    for (k, failure) in status.iter().enumerate().filter_map(|(k, s)| s.as_ref().err().map(|e| (k, e))) {
        let device = spectra[k].clone();
        spectra[k] = redo(setting, engine, batch, k, (device, failure), frame)?;
    }
    for (patch, spectra) in batch.patches.iter().zip(spectra) {
        frame.add_patch(setting.bundle, patch, setting.options.patches.padding(), &spectra);
    }
    Ok(())
}

/// One batch through all stages. Patches whose status is an error have meaningless spectra.
fn extract_batch(
    setting: &Setting,
    engine: &Engine,
    batch: &Batch,
) -> Result<(Vec<PatchSpectra>, PatchResults), EngineError> {
    let Setting { ccd, options, traces, spots, .. } = setting;
    let normal = engine.normal_equations(batch, ccd, traces, spots, Prior::new(options.regularize))?;
    let (x, solved) = engine.solve(batch, &normal)?;
    let (matrices, n, factored) = match options.decorrelate {
        Decorrelate::Signal => {
            let (schur, status) = engine.schur(batch, &normal)?;
            (schur, batch.nbin, status)
        }
        Decorrelate::Noise => {
            (engine.full_matrix(batch, &normal)?, batch.n(), PatchStatus::known(vec![Ok(()); batch.len()]))
        }
    };
    let (modes, converged) = engine.jacobi(batch, &matrices, n)?;
    let decorrelated = engine.decorrelate(batch, options.decorrelate, &modes, &x, setting.ndiag / 2)?;
    let model = engine.model(batch, traces, spots, &x)?;
    let goodness = engine.goodness(batch, ccd, traces, spots, &model, setting.psferr)?;
    let each = solved.wait()?.into_iter().zip(factored.wait()?).zip(converged.wait()?);
    let status = each.map(|((a, b), c)| a.and(b).and(c)).collect();
    Ok((PatchSpectra::split(batch, &x, &decorrelated, goodness)?, status))
}

/// A patch that the device's precision did not serve, again in f64, on the device where it has it, or on the CPU; where that
/// fails too, its bins are without information.
fn redo(
    setting: &Setting,
    engine: &Engine,
    batch: &Batch,
    k: usize,
    device: (PatchSpectra, &PatchFailure),
    frame: &mut FrameBuilder,
) -> Result<PatchSpectra, EngineError> {
    let (mut lost, mut failure) = (device.0, device.1.clone());
    let finer = finer(engine, setting.options);
    let cpu = engine.is_gpu().then(Engine::cpu);
    for other in finer.into_iter().chain(cpu) {
        frame.summary.redone += usize::from(!other.is_gpu());
        let alone = Batch { patches: vec![batch.patches[k].clone()], ..batch.clone() };
        let (mut spectra, mut status) = extract_batch(setting, &other, &alone)?;
        lost = spectra.remove(0);
        match status.remove(0) {
            Ok(()) => return Ok(lost),
            Err(e) => failure = e,
        }
    }
    frame.summary.failed += 1;
    let patch = &batch.patches[k];
    let first = setting.bundle.fibres.start + patch.fibres.start;
    let fibres = (first + patch.core.start, first + patch.core.end - 1);
    let wave = |bin: usize| setting.wave[patch.bin0 + bin];
    let (low, high) = (wave(patch.core_bins.start), wave(patch.core_bins.end - 1));
    tracing::warn!(
        "fibres {} to {}, {low:.1} to {high:.1} Angstrom: {failure}; these bins get ivar 0",
        fibres.0,
        fibres.1
    );
    Ok(lost.lost())
}

/// The flux that the model image shows of a bin.
pub fn model_flux(which: ModelFlux, x: f64, flux: f64) -> f64 {
    match which {
        ModelFlux::Deconvolved => x,
        ModelFlux::Decorrelated => flux,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(bin0: usize) -> Patch {
        Patch { fibres: 0..1, core: 0..1, bin0, nbin: 74, core_bins: 12..62, rows: 0..1, columns: 0..1 }
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
