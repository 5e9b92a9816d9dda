//! The banded solver on the CPU in one method; on a GPU one method per stage, any of which the CPU may run.

use super::fields::{BandedComplements, BandedNormals, BandedRoots, BandedSolution, BandedSpots, Located};
use super::host::{self, BandedFailure, HostNormal};
use super::in_flight::BandedInFlight;
use super::{BandedGroup, HostWindow, layout};
use crate::backend::engine::lock;
use crate::backend::gpu::on_device;
use crate::backend::run::corrupt;
use crate::backend::{BundleSpots, CcdField, Engine, EngineError, Stage};
use crate::gpu::banded::{
    Accuracy, BandedDevice, Workspace, couplings, record_complements, record_products, record_root, record_solve,
};
use crate::gpu::memory::SLACK;
use crate::gpu::patch::Patches;
use crate::gpu::spot_kinds::bytes_served;
use crate::gpu::{Gpu, Recording};
use crate::stages::banded::Complement;
use crate::stages::normal_equations::Prior;
use crate::stages::spots::{SpotModel, SpotSource};
use std::sync::{Arc, Mutex};

pub(super) type Result<T> = std::result::Result<T, BandedFailure>;

/// The stages of the banded solver: all on the CPU, bundle by bundle, or some on a GPU, group by group.
#[derive(Debug)]
pub struct BandedStages<'e> {
    engine: &'e Engine,
    device: Option<Mutex<BandedDevice>>,
}

impl Engine {
    /// Prepares the stages of the banded solver; `accuracy` is called for a GPU that runs any of them.
    ///
    /// # Errors
    /// [`BandedFailure::Engine`] if the device fails, else that of `accuracy`.
    pub fn banded(&self, accuracy: impl FnOnce() -> Result<Accuracy>) -> Result<BandedStages<'_>> {
        let gpu = Stage::BANDED.into_iter().find_map(|stage| self.on(stage));
        let open = |gpu: Gpu| {
            Ok::<_, BandedFailure>(Mutex::new(BandedDevice::new(&gpu, accuracy()?).map_err(EngineError::from)?))
        };
        Ok(BandedStages { engine: self, device: gpu.map(open).transpose()? })
    }

    /// Whether a GPU runs any stage of the banded solver.
    pub fn is_banded_on_gpu(&self) -> bool {
        Stage::BANDED.into_iter().any(|stage| self.on(stage).is_some())
    }
}

impl BandedStages<'_> {
    /// Whether groups go through a GPU.
    pub fn is_on_gpu(&self) -> bool {
        self.device.is_some()
    }

    /// The stages of both solvers.
    pub fn engine(&self) -> &Engine {
        self.engine
    }

    /// Whether x is refined from S_f, on a GPU, in place of following from K alone.
    pub fn solves_from_complements(&self) -> bool {
        self.device.is_some() && self.engine.on(Stage::BandedSolve).is_some()
    }

    /// Returns how many bundles like that of `group` to submit at once.
    pub fn most(&self, group: &BandedGroup) -> usize {
        let on_device = self.device.as_ref().map_or(1, |device| lock(device).most(&group.group));
        on_device.min(self.engine.most_patches())
    }

    /// Returns the bytes alive at a time on the device while groups like `group` are submitted, on a CCD of `[ny, nx]`.
    pub fn bytes(&self, group: &BandedGroup, [ny, nx]: [usize; 2]) -> u64 {
        let Some(device) = &self.device else { return 0 };
        let plane = (size_of::<f32>() * ny * nx) as u64;
        // The CCD goes over first, one plane at a time.
        let all = 2 * plane + lock(device).bytes(&group.group).max(plane + SLACK);
        // Results of stages on the CPU go over from memory that the device sees.
        let model = SpotModel::new(group.group.psf, group.group.with_tails);
        match bytes_served(lock(device).gpu(), &model) {
            // Uploads are held twice until they are done.
            Some(images) if self.engine.is_all_on_gpu() => all + 2 * images,
            _ => 2 * all,
        }
    }

    /// Takes a bundle, or a window of a long one, through all stages on the CPU.
    ///
    /// # Errors
    /// [`BandedFailure`]: fibres or bins are coupled over larger distances than the bands hold, or K is not positive definite.
    pub fn on_host(&self, group: &BandedGroup, window: &HostWindow, ccd: &CcdField) -> Result<BandedInFlight> {
        Ok(BandedInFlight::Done(host::spectra(group, window, self.engine, ccd.host())?))
    }

    /// The device.
    pub(super) fn device(&self) -> &Mutex<BandedDevice> {
        self.device.as_ref().expect("the group goes through a GPU")
    }

    /// Evaluates the traces of a group; its spots are made where they are used.
    ///
    /// # Errors
    /// [`BandedFailure::Engine`].
    pub fn spots(&self, group: &BandedGroup) -> Result<BandedSpots> {
        let of = &group.group;
        let traces = self.engine.traces(of.psf, of.fibres.clone(), of.wave, of.with_tails)?;
        let device = lock(self.device());
        let windows = of.windows(device.gpu(), &device.shape(of));
        Ok(BandedSpots { traces: Box::new(traces), windows, last: Mutex::default() })
    }

    /// Forms K and y with the prior.
    ///
    /// # Errors
    /// [`BandedFailure::Coupling`] if fibres or bins are coupled over larger distances than the bands hold, else
    /// [`BandedFailure::Engine`].
    pub fn normal(&self, group: &BandedGroup, ccd: &CcdField, spots: &BandedSpots) -> Result<BandedNormals> {
        let (engine, BandedSpots { traces, windows, .. }) = (self.engine, spots);
        let work = {
            let mut device = lock(self.device());
            let shape = device.shape(&group.group);
            device.workspace(&shape).map_err(EngineError::from)?
        };
        if engine.on(Stage::BandedNormal).is_none() {
            let bundles = self.given(group, spots)?;
            let of = |(source, prior): (&SpotSource, &Prior)| host::normal(group, source, *prior, ccd.host());
            let all = || bundles.iter().zip(&group.group.priors).map(of).collect::<Result<Vec<_>>>();
            let host = engine.timed(Stage::BandedNormal, all)?;
            let parts: Vec<_> = host.iter().map(|h| (&h.normal, h.coupling)).collect();
            layout::upload_normal(&work, &parts).map_err(EngineError::from)?;
            return Ok(BandedNormals(Located { host: host.into(), device: Some(work) }));
        }
        for window in 0..windows.count() {
            let made = self.window(spots, window)?;
            let record = |gpu: &Gpu| {
                let (batch, spots) = (group.group.batch(windows, window), on_device(gpu, traces, &made)?);
                let patches = Patches::with_priors(&batch, &spots, &group.group.priors)?;
                let mut recording = Recording::new();
                record_products(&mut recording, &patches, ccd.device(gpu)?, &work.shape, &work.normal)?;
                gpu.run(recording)?;
                if window + 1 == windows.count() {
                    corrupt(gpu, Stage::BandedNormal, &[&work.normal.own, &work.normal.pairs, &work.normal.sums])?;
                }
                Ok(())
            };
            self.on_gpu(Stage::BandedNormal, record)?;
        }
        Ok(BandedNormals(Located::on_device(work)))
    }

    /// Computes S_f and z_f of all fibres.
    ///
    /// # Errors
    /// [`BandedFailure::Band`] if a matrix is not positive definite on the CPU, else [`BandedFailure::Engine`].
    pub fn complements(&self, group: &BandedGroup, normals: &BandedNormals) -> Result<BandedComplements> {
        let engine = self.engine;
        if let Some(device) = self.device_of(Stage::BandedComplement) {
            let work = normals.0.work();
            let depth = lock(device).accuracy().depth_of(work.shape.frontier);
            let record = |gpu: &Gpu| {
                let mut recording = Recording::new();
                let s = &work.complements;
                record_complements(&mut recording, &work.shape, &work.normal, depth, s)?;
                gpu.run(recording)?;
                corrupt(gpu, Stage::BandedComplement, &[&s.matrices, &s.reduced])
            };
            self.on_gpu(Stage::BandedComplement, record)?;
            return Ok(BandedComplements(Located::on_device(work.clone())));
        }
        let of = self.host_normals(group, normals)?;
        let all = || of.iter().map(|of| host::complements(group, of)).collect::<Result<Vec<_>>>();
        let found = engine.timed(Stage::BandedComplement, all)?;
        if let Some(work) = &normals.0.device {
            layout::upload_complements(work, &found).map_err(EngineError::from)?;
        }
        Ok(BandedComplements(Located { host: found.into(), device: normals.0.device.clone() }))
    }

    /// Solves for x: from K alone on the CPU, from S_f on a GPU, which needs `complements`.
    ///
    /// # Errors
    /// [`BandedFailure::Band`] if the iteration fails on the CPU, else [`BandedFailure::Engine`].
    pub fn solve(
        &self,
        group: &BandedGroup,
        normals: &BandedNormals,
        complements: Option<&BandedComplements>,
    ) -> Result<BandedSolution> {
        if let Some(device) = self.device_of(Stage::BandedSolve) {
            let work = complements.expect("a GPU refines x from S_f").0.work();
            let (frontier, long) = (work.shape.frontier, group.group.long_refinement);
            let refinement = lock(device).accuracy().refinement_of(frontier, long);
            let record = |gpu: &Gpu| {
                let (shape, normal, s) = (&work.shape, &work.normal, &work.complements);
                let mut recording = Recording::new();
                record_solve(&mut recording, shape, normal, s, refinement, &work.solution)?;
                gpu.run(recording)?;
                corrupt(gpu, Stage::BandedSolve, &[&work.solution.x, &work.solution.z_exact])
            };
            self.on_gpu(Stage::BandedSolve, record)?;
            return Ok(BandedSolution(Located::on_device(work.clone())));
        }
        let of = self.host_normals(group, normals)?;
        let all = || of.iter().map(host::solve).collect::<Result<Vec<_>>>();
        let x = self.engine.timed(Stage::BandedSolve, all)?;
        Ok(BandedSolution(Located { host: x.into(), device: normals.0.device.clone() }))
    }

    /// Computes Q, and from it flux, ivar and R.
    ///
    /// # Errors
    /// [`BandedFailure::Engine`].
    pub fn roots(
        &self,
        group: &BandedGroup,
        normals: &BandedNormals,
        complements: &BandedComplements,
        solution: &BandedSolution,
    ) -> Result<BandedRoots> {
        let download = |work: &Workspace| {
            let s = self.host_complements(complements)?;
            layout::download_solution(work, s).map_err(EngineError::from)
        };
        if let Some(device) = self.device_of(Stage::BandedRoot) {
            let work = complements.0.work();
            if let Some(x) = solution.0.host.get() {
                let s = self.host_complements(complements)?;
                layout::upload_solution(work, x, s).map_err(EngineError::from)?;
            }
            let device = lock(device);
            let record = |gpu: &Gpu| {
                let mut recording = Recording::new();
                let (shape, s) = (&work.shape, &work.complements);
                record_root(&mut recording, shape, s, &work.solution, device.poles(), &work.roots)?;
                gpu.run(recording)?;
                corrupt(gpu, Stage::BandedRoot, &[&work.roots.spectra, &work.roots.x])
            };
            self.on_gpu(Stage::BandedRoot, record)?;
            return Ok(BandedRoots(Located::on_device(work.clone())));
        }
        let (of, s) = (self.host_normals(group, normals)?, self.host_complements(complements)?);
        let x = solution.0.get(download)?;
        let one = |k: usize| host::roots(group, &of[k], &s[k], &x[k], &group.wanted[k]);
        let roots = self.engine.timed(Stage::BandedRoot, || (0..of.len()).map(one).collect::<Vec<_>>());
        if let Some(work) = &complements.0.device {
            layout::upload_roots(work, &roots, x).map_err(EngineError::from)?;
        }
        Ok(BandedRoots(Located { host: roots.into(), device: complements.0.device.clone() }))
    }

    /// The device, if it runs this stage.
    pub(super) fn device_of(&self, stage: Stage) -> Option<&Mutex<BandedDevice>> {
        self.device.as_ref().filter(|_| self.engine.on(stage).is_some())
    }

    /// Runs a stage that belongs to the GPU.
    pub(super) fn on_gpu(
        &self,
        stage: Stage,
        record: impl FnOnce(&Gpu) -> std::result::Result<(), EngineError>,
    ) -> Result<()> {
        Ok(self.engine.run(stage, record, || unreachable!("the stage belongs to the GPU"))?)
    }

    /// The spots of one window; the last one made is kept.
    pub(super) fn window(&self, spots: &BandedSpots, window: usize) -> Result<Arc<BundleSpots>> {
        let BandedSpots { traces, windows, last } = spots;
        if let Some((_, made)) = lock(last).as_ref().filter(|(known, _)| *known == window) {
            return Ok(made.clone());
        }
        let made = Arc::new(self.engine.spots(traces, windows.bins(window))?);
        *lock(last) = Some((window, made.clone()));
        Ok(made)
    }

    /// The spots of a group's bundles on the host, made where the stage `spots` runs.
    fn given(&self, group: &BandedGroup, spots: &BandedSpots) -> Result<Vec<SpotSource<'static>>> {
        let BandedSpots { traces, windows, .. } = spots;
        let (size, nbin) = (traces.spot.size(), traces.nbin);
        let mut all = vec![0.0; traces.nfibre * nbin * size];
        for window in 0..windows.count() {
            let (made, bins, core) = (self.window(spots, window)?, windows.bins(window), &windows.cores[window]);
            let values = made.spots.host()?;
            for fibre in 0..traces.nfibre {
                let from = &values[(fibre * bins.len() + core.start - bins.start) * size..][..core.len() * size];
                all[(fibre * nbin + core.start) * size..][..core.len() * size].copy_from_slice(from);
            }
        }
        let [x, y] = traces.pixels()?;
        let bundle = |k: usize| {
            let fibres = group.fibres_of(k);
            let cut = |pixels: &'_ [i32]| pixels[fibres.start * nbin..fibres.end * nbin].to_vec();
            let own = all[fibres.start * nbin * size..fibres.end * nbin * size].to_vec();
            SpotSource::given(traces.spot, [fibres.len(), nbin], [&cut(x), &cut(y)], own)
        };
        Ok((0..group.nbundle()).map(bundle).collect())
    }

    fn host_normals<'n>(&self, group: &BandedGroup, normals: &'n BandedNormals) -> Result<&'n [HostNormal]> {
        normals.0.get(|work| {
            let of_bundles = layout::download_normal(work).map_err(EngineError::from)?;
            let couplings = couplings(&work.normal.largest.download().map_err(EngineError::from)?);
            let of = |(normal, coupling)| host::measured(group, normal, coupling);
            of_bundles.into_iter().zip(couplings).map(of).collect()
        })
    }

    fn host_complements<'c>(
        &self,
        complements: &'c BandedComplements,
    ) -> std::result::Result<&'c [Vec<Complement>], EngineError> {
        complements.0.get(|work| Ok(layout::download_complements(work)?))
    }
}
