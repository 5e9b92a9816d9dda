//! The last stages of a group that goes through a GPU: model, goodness and finish, and the fetch of all results.

use super::BandedGroup;
use super::fields::{BandedRoots, BandedSpots};
use super::in_flight::{BandedInFlight, DeviceInFlight, SpectraInFlight, WindowGoodness};
use super::stages::{BandedStages, Result};
use crate::backend::engine::lock;
use crate::backend::gpu::{goodness_of, model_of, on_device};
use crate::backend::run::corrupt;
use crate::backend::{CcdField, EngineError, Field, Stage, cpu};
use crate::gpu::banded::Workspace;
use crate::gpu::model::Unknowns;
use crate::gpu::patch::Patches;
use crate::gpu::{Gpu, GpuError, Reals, finish};
use crate::stages::finish::FinishShape;
use crate::stages::goodness::Goodness;
use std::ops::Range;

/// Goodness of a window's core bins, `[fibre, core bin]`, where it was made.
enum GoodnessField {
    Host(Vec<Goodness>),
    Device(Reals),
}

impl GoodnessField {
    /// Begins to fetch it.
    fn fetch(self) -> std::result::Result<WindowGoodness, GpuError> {
        Ok(match self {
            Self::Host(goodness) => WindowGoodness::Host(goodness),
            Self::Device(goodness) => WindowGoodness::Device(goodness.fetch()?),
        })
    }

    /// Returns it on a device, three values per bin.
    fn device(&self, gpu: &Gpu) -> std::result::Result<Reals, GpuError> {
        match self {
            Self::Host(all) => {
                let of_bin = |goodness: &Goodness| [goodness.chi2pix, goodness.pixmask_fraction, goodness.off_ccd];
                gpu.upload_reals("goodness", &all.iter().flat_map(of_bin).collect::<Vec<_>>())
            }
            Self::Device(goodness) => Ok(goodness.clone()),
        }
    }
}

impl BandedStages<'_> {
    /// Computes the model image and the goodness of the core bins, and begins to fetch all results.
    ///
    /// # Errors
    /// [`BandedFailure::Engine`](super::BandedFailure::Engine).
    pub fn finish(
        &self,
        group: &BandedGroup,
        ccd: &CcdField,
        spots: &BandedSpots,
        roots: &BandedRoots,
    ) -> Result<BandedInFlight> {
        let (work, windows) = (roots.0.work(), &spots.windows);
        let mut found = Vec::with_capacity(windows.count());
        for window in 0..windows.count() {
            found.push((windows.cores[window].clone(), self.window_goodness(group, ccd, spots, window, work)?));
        }
        let spectra = match self.device_of(Stage::Finish) {
            Some(_) => self.finished(group, found, work)?,
            None => {
                let fetched = |(core, goodness): (Range<usize>, GoodnessField)| Ok((core, goodness.fetch()?));
                let fetch = || {
                    let goodness = found.into_iter().map(fetched).collect::<std::result::Result<_, GpuError>>()?;
                    let (spectra, x) = (work.roots.spectra.fetch()?, work.roots.x.fetch()?);
                    Ok::<_, GpuError>(SpectraInFlight::Raw { spectra, x, goodness })
                };
                fetch().map_err(EngineError::from)?
            }
        };
        let fetch = || {
            Ok::<_, GpuError>(DeviceInFlight {
                shape: work.shape,
                core_bins: group.group.core_bins.clone(),
                spectra,
                worst: work.solution.worst.fetch()?,
                largest: work.normal.largest.fetch()?,
                health: work.complements.health().fetch()?,
            })
        };
        let in_flight = fetch().map_err(EngineError::from)?;
        // The device works while the host waits for the group before.
        lock(self.device()).gpu().flush().map_err(EngineError::from)?;
        Ok(BandedInFlight::Device(Box::new(in_flight)))
    }

    /// Writes the spectra as files want them, and begins to fetch them.
    fn finished(
        &self,
        group: &BandedGroup,
        goodness: Vec<(Range<usize>, GoodnessField)>,
        work: &Workspace,
    ) -> Result<SpectraInFlight> {
        let (sizes, grid) = (&work.shape, &group.group.core_bins);
        let shape = FinishShape {
            nfibre: sizes.nfibre,
            bundle: sizes.bundle,
            nbin: sizes.nbin,
            core_first: grid.start,
            ncore: grid.len(),
            half: sizes.half,
            with_x: group.with_x,
        };
        let mut in_flight = None;
        let record = |gpu: &Gpu| {
            let finished = finish::finished(gpu, &shape)?;
            for (core, goodness) in &goodness {
                let bins = core.start.max(grid.start)..core.end.min(grid.end);
                if bins.is_empty() {
                    continue;
                }
                let first = bins.start - core.start;
                let of_grid = bins.start - grid.start..bins.end - grid.start;
                let (spectra, x) = (&work.roots.spectra, &work.roots.x);
                finish::finish(&shape, of_grid, spectra, x, (&goodness.device(gpu)?, core.len(), first), &finished)?;
            }
            corrupt(gpu, Stage::Finish, &[&finished])?;
            in_flight = Some(SpectraInFlight::Finished(shape, finished.fetch()?));
            Ok(())
        };
        self.on_gpu(Stage::Finish, record)?;
        Ok(in_flight.expect("it was recorded"))
    }

    /// Model and goodness of one window.
    fn window_goodness(
        &self,
        group: &BandedGroup,
        ccd: &CcdField,
        spots: &BandedSpots,
        window: usize,
        work: &Workspace,
    ) -> Result<GoodnessField> {
        let BandedSpots { traces, windows, .. } = spots;
        let (engine, batch) = (self.engine(), group.group.batch(windows, window));
        let made = self.window(spots, window)?;
        let bins = windows.bins(window);
        let on_gpu = |gpu: &Gpu| {
            let spots = on_device(gpu, traces, &made)?;
            model_of(gpu, &Patches::new(&batch, &spots)?, &work.roots.x, Unknowns::OfBundles)
        };
        let on_cpu = || {
            let (x, shape) = (work.roots.x.download()?, &work.shape);
            let of_bundle = |k: usize| &x[(k * shape.nbin + bins.start) * shape.bundle..][..bins.len() * shape.bundle];
            let own: Vec<f64> = (0..group.nbundle()).flat_map(of_bundle).copied().collect();
            cpu::model(&batch, traces, &made, &Field::on_host(own))
        };
        let image = engine.run(Stage::Model, on_gpu, on_cpu)?;
        let psferr = group.group.psferr;
        let on_gpu = |gpu: &Gpu| {
            let spots = on_device(gpu, traces, &made)?;
            let found = goodness_of(gpu, &Patches::new(&batch, &spots)?, ccd, &image, psferr)?;
            Ok(GoodnessField::Device(found))
        };
        let on_cpu = || {
            let found = cpu::goodness(&batch, ccd, traces, &made, &image, psferr)?;
            Ok(GoodnessField::Host(found.into_iter().flatten().collect()))
        };
        Ok(engine.run(Stage::Goodness, on_gpu, on_cpu)?)
    }
}
