//! Bundles in patches, one after another.

use super::climb::{Climb, Engines, first_and_last};
use super::{Fallback, Level, Step};
use crate::backend::{CcdField, EngineError, PatchFailure};
use crate::geometry::Patch;
use crate::gpu::Precision;
use crate::plan::Bundle;
use crate::solver::bundle_spectra::PatchSpectra;
use crate::solver::projection::PatchFlux;
use crate::solver::{ModelFlux, Reason, Unserved, patches};
use std::collections::BTreeMap;

impl Climb<'_> {
    /// One pass of all bundles at the present rung of the patches.
    pub(super) fn patch_pass(&mut self, engines: &Engines, ccd: &CcdField) -> Result<(), Unserved> {
        let (at, job, bundles) = (self.at(), self.job, self.bundles);
        let engine = engines.at(at.level);
        let here: Vec<usize> = self.pending.iter().filter(|(_, p)| p.attempt == at).map(|(k, _)| *k).collect();
        for k in here {
            self.report_progress();
            engine.check_cancel()?;
            let pending = self.pending[&k].clone();
            engine.set_fallback_stages(&pending.on_cpu);
            let solve = || patches::solve(job, ccd, engine, &bundles[k], pending.patches.as_deref());
            let limit = self.injected(engines.first, &[Reason::StageLimit]).filter(|_| pending.on_cpu.is_empty());
            let solved = match limit {
                Some(why) => Err(why),
                None => engine.region(|| bundles[k].to_string(), solve),
            };
            match solved {
                Ok(solved) => self.take_patches(engines, k, solved)?,
                Err(why) => self.move_stage(engines, k, why)?,
            }
        }
        self.report_progress();
        Ok(())
    }

    /// Moves a stage of a bundle's patches to the CPU.
    fn move_stage(&mut self, engines: &Engines, k: usize, why: Unserved) -> Result<(), Unserved> {
        let Unserved::Engine(EngineError::StageLimit { stage, source }) = &why else { return Err(why) };
        let step = self.next_step(engines, &why, None);
        if step != Step::StageOnCpu {
            return Err(why);
        }
        let reason = format!("the CPU does {}: {source}", stage.name());
        tracing::warn!("{reason}");
        self.pending.get_mut(&k).expect("it is on its way").on_cpu.insert(*stage);
        let fibres = Some(first_and_last(&self.bundles[k]));
        self.note(Fallback { fibres, from: self.at(), reason, step });
        Ok(())
    }

    /// Takes the patches of a bundle; those without solution move down.
    fn take_patches(&mut self, engines: &Engines, k: usize, mut solved: patches::Solved) -> Result<(), Unserved> {
        let (bundle, padding) = (&self.bundles[k], self.job.patches().padding());
        let in_f32 = engines.at(self.at().level).precision() == Precision::F32;
        if self.record.in_patches.last() != Some(&bundle.fibres.start) && self.pending[&k].patches.is_none() {
            self.record.in_patches.push(bundle.fibres.start);
        }
        if let Some(Unserved::Patch(failure)) = self.injected(engines.first, &[Reason::Patch]) {
            let failed = solved.done.drain(..).map(|(patch, spectra)| (patch, spectra, failure.clone()));
            solved.failed.extend(failed.collect::<Vec<_>>());
        }
        self.record.patches += solved.done.len();
        self.record.in_f32 += if in_f32 { solved.done.len() } else { 0 };
        solved.done.iter().for_each(|(patch, result)| self.spectra.add_patch(k, patch, padding, result));
        if self.job.options.model == Some(ModelFlux::Deconvolved) {
            let flux = |(patch, result): &(Patch, PatchSpectra)| PatchFlux {
                patch: patch.clone(),
                x: result.deconvolved().to_vec(),
            };
            self.patch_flux.entry(k).or_default().extend(solved.done.iter().map(flux));
        }
        let mut open: BTreeMap<Step, Vec<Patch>> = BTreeMap::new();
        for (patch, result, failure) in solved.failed {
            let why = Unserved::Patch(failure.clone());
            let step = self.next_step(engines, &why, None);
            let fibres = core_fibres(bundle, &patch);
            self.note(Fallback { fibres: Some(fibres), from: self.at(), reason: why.to_string(), step });
            if step == Step::NoResult {
                self.lose(bundle, &patch, &failure);
                self.spectra.add_patch(k, &patch, padding, &PatchSpectra::lost(result));
            } else {
                self.record.redone += usize::from(step == Step::Cpu);
                open.entry(step).or_default().push(patch);
            }
        }
        match open.into_iter().next() {
            // One reason, one rung: all of them take the same step.
            Some((step, patches)) => {
                let level = if step == Step::F64 { Level::F64 } else { Level::Cpu };
                let pending = self.pending.get_mut(&k).expect("it is on its way");
                (pending.attempt.level, pending.patches) = (level, Some(patches));
            }
            None => drop(self.pending.remove(&k)),
        }
        Ok(())
    }

    /// Counts and reports a patch without result.
    fn lose(&mut self, bundle: &Bundle, patch: &Patch, failure: &PatchFailure) {
        self.record.patches += 1;
        self.record.failed += 1;
        let [first, last] = core_fibres(bundle, patch);
        let grid = self.job.grid.wave();
        let padding = self.job.patches().padding();
        let wave = |bin: usize| grid[patch.bin0 + bin - padding];
        let (low, high) = (wave(patch.core_bins.start), wave(patch.core_bins.end - 1));
        tracing::warn!("fibres {first} to {last}, {low:.1} to {high:.1} Angstrom: {failure}; these bins get ivar 0");
    }
}

/// First and last fibre that a patch extracts, rows of the PSF.
fn core_fibres(bundle: &Bundle, patch: &Patch) -> [usize; 2] {
    let first = bundle.fibres.start + patch.fibres.start;
    [first + patch.core.start, first + patch.core.end - 1]
}
