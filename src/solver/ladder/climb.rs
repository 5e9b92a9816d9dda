//! The way of bundles down the ladder: pass by pass, one rung each.

use super::next::{Next, Served};
use super::table::{OF_BANDS, OF_DEVICES, OF_PLANS, steps};
use super::{Attempt, Fallback, Level, Method, Progress, Record, Solved, Step};
use crate::backend::{CcdField, Decorrelate, Engine, EngineError, FibreRow, Stage};
use crate::geometry::Patch;
use crate::gpu::{MemoryUse, Precision};
use crate::plan::Bundle;
use crate::solver::banded::{Banded, Judged, Task};
use crate::solver::bundle_places::BundlePlaces;
use crate::solver::crowding::crowding;
use crate::solver::finer::FineGrid;
use crate::solver::projection::PatchFlux;
use crate::solver::{BundleSpectra, Job, Reason, Solver, Stripe, Unserved, precision};
use crate::stages::banded::CouplingError;
use rayon::prelude::*;
use std::cmp::Ordering::{Equal, Less};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Threads that a window of a long bundle keeps busy.
const THREADS_OF_WINDOW: usize = 4;

/// Estimated error, sigma, beyond which patches serve in place of bands.
const WORSE_THAN_PATCHES: f64 = 0.3;

/// A bundle without result yet: whole, or some of its patches.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) attempt: Attempt,
    /// Patches that the rungs above did not solve; None for all.
    pub(super) patches: Option<Vec<Patch>>,
    /// Stages that the CPU runs because they are beyond the GPU.
    pub(super) on_cpu: BTreeSet<Stage>,
}

/// The bundles of a share, each at its rung of the ladder.
pub(super) struct Climb<'a> {
    pub(super) job: &'a Job<'a>,
    pub(super) bundles: &'a [Bundle],
    wave: Vec<f64>,
    pub(super) pending: BTreeMap<usize, Pending>,
    /// Spectra of all bundles, as far as they are done.
    pub(super) spectra: BundleSpectra,
    /// Rows of bundles that are not part of the spectra yet.
    arrived: Vec<(usize, Vec<FibreRow>)>,
    /// Light of bundles, if a model image is wanted.
    stripes: BTreeMap<usize, Stripe>,
    /// Flux of the patches of bundles, for their model image.
    pub(super) patch_flux: BTreeMap<usize, Vec<PatchFlux>>,
    pub(super) record: Record,
    progress: Progress<'a>,
    /// The rung of the last pass.
    at: Attempt,
    stage_time: Vec<(Stage, Duration)>,
    device: String,
    device_memory: Option<MemoryUse>,
}

/// The engines of the rungs.
pub(super) struct Engines<'e> {
    pub(super) first: &'e Engine,
    cpu: Engine,
    /// The GPU in f64; None where it has none, or must not be used.
    f64: OnceLock<Option<Engine>>,
    may_be_finer: bool,
}

impl<'e> Engines<'e> {
    fn new(first: &'e Engine, job: &Job) -> Self {
        let may_be_finer = job.options.precision.is_none() && first.has_finer();
        Self { first, cpu: first.cpu_instead(), f64: OnceLock::new(), may_be_finer }
    }

    pub(super) fn at(&self, level: Level) -> &Engine {
        match level {
            Level::First => self.first,
            Level::F64 => self.finer().expect("the step was possible"),
            Level::Cpu => &self.cpu,
        }
    }

    fn finer(&self) -> Option<&Engine> {
        let open = || self.first.in_f64().inspect_err(|error| tracing::warn!("{error}")).ok();
        self.f64.get_or_init(|| self.may_be_finer.then(open).flatten()).as_ref()
    }
}

impl<'a> Climb<'a> {
    pub(super) fn new(job: &'a Job<'a>, bundles: &'a [Bundle], progress: Progress<'a>) -> Self {
        let in_patches = job.options.solver == Solver::Patches || job.options.decorrelate == Decorrelate::Noise;
        let method = if in_patches { Method::Patches } else { Method::Banded };
        let at = Attempt { method, level: Level::First };
        let start = Pending { attempt: at, patches: None, on_cpu: BTreeSet::new() };
        Self {
            job,
            bundles,
            wave: job.padded(),
            pending: (0..bundles.len()).map(|k| (k, start.clone())).collect(),
            spectra: BundleSpectra::new(bundles, job.grid.nwave(), 2 * job.half_diagonals() + 1),
            arrived: Vec::new(),
            stripes: BTreeMap::new(),
            patch_flux: BTreeMap::new(),
            record: Record::default(),
            progress,
            at,
            stage_time: Vec::new(),
            device: String::new(),
            device_memory: None,
        }
    }

    /// The rung of the last pass.
    pub(super) fn at(&self) -> Attempt {
        self.at
    }

    /// The moves so far.
    pub(super) fn into_fallbacks(self) -> Vec<Fallback> {
        self.record.fallbacks
    }

    pub(super) fn note(&mut self, fallback: Fallback) {
        self.record.fallbacks.push(fallback);
    }

    /// Takes all bundles down until each has a result. After a failure of the device it goes on where it was.
    ///
    /// # Errors
    /// [`Unserved`] of the device, and where the next step is [`Step::Fail`].
    pub(super) fn run(&mut self, engine: &Engine) -> Result<(), Unserved> {
        let finer = engine.region(|| "choose the precision".into(), || self.first_precision(engine))?;
        if let Some(grid) = FineGrid::of(self.job) {
            self.record.noise_gain = Some(grid.gain.min(f64::MAX));
            // Else it is said where the bands are left out.
            if self.at.method == Method::Patches || !grid.is_beyond_bands() {
                tracing::warn!("{}", Unserved::TooFine(grid));
            }
        }
        let engines = Engines::new(finer.as_ref().unwrap_or(engine), self.job);
        let ccd = engines.first.load(self.job.ccd);
        engines.first.begin(self.job.options.max_device_memory);
        if let Some(why) = self.injected(engines.first, OF_DEVICES) {
            return Err(why);
        }
        self.report_progress();
        while let Some(at) = self.pending.values().map(|pending| pending.attempt).min() {
            self.at = at;
            match at.method {
                Method::Banded => self.banded_pass(&engines, &ccd)?,
                Method::Patches => self.patch_pass(&engines, &ccd)?,
            }
        }
        self.place_rows();
        if let Some(which) = self.job.options.model {
            for k in (0..self.bundles.len()).filter(|k| !self.stripes.contains_key(k)).collect::<Vec<_>>() {
                let spectra = self.spectra.of(k);
                let project = || match self.patch_flux.remove(&k) {
                    Some(patches) => Stripe::project_patches(self.job, &spectra, &patches),
                    None => Stripe::project(self.job, &spectra, which),
                };
                let stripe = engines.first.timed(Stage::Model, project);
                self.stripes.insert(k, stripe);
            }
        }
        self.stage_time = engines.first.take_times()?;
        (self.device, self.device_memory) = (engines.first.device(), engines.first.memory_use());
        Ok(())
    }

    /// Returns the GPU in f64 if f64 is requested, or if f32 would not serve and the device has f64.
    fn first_precision(&mut self, engine: &Engine) -> Result<Option<Engine>, EngineError> {
        let wanted = self.job.options.precision;
        if engine.precision() == Precision::F64 {
            return Ok(None);
        }
        if wanted == Some(Precision::F64) {
            return engine.in_f64().map(Some);
        }
        if wanted.is_some() || !engine.has_finer() {
            return Ok(None);
        }
        let Some(why) = precision::beyond_f32(self.job) else { return Ok(None) };
        let finer = engine.in_f64().inspect_err(|error| tracing::warn!("{error}")).ok();
        if finer.is_some() {
            tracing::warn!("the device computes in f64: {why}");
            self.note(Fallback { fibres: None, from: self.at, reason: why, step: Step::F64 });
        }
        Ok(finer)
    }

    /// Returns the step after a failure at the present rung.
    pub(super) fn next_step(&self, engines: &Engines, why: &Unserved, task: Option<&Task>) -> Step {
        let (Attempt { method, level }, solver) = (self.at, self.job.options.solver);
        let on_gpu = level != Level::Cpu && engines.first.is_gpu();
        let possible = |step: &&Step| match step {
            Step::LongRefinement => task.is_some_and(|task| task.with_long_refinement().is_some()),
            Step::WiderBands => task.is_some_and(|task| task.wider().is_some()),
            Step::F64 => level == Level::First && engines.finer().is_some(),
            Step::Cpu if matches!(why, Unserved::Coupling(CouplingError::TooWide { .. })) => false,
            Step::Cpu => on_gpu && (method == Method::Patches || engines.first.is_banded_on_gpu()),
            Step::Patches => match why {
                // Written so that a NaN is worse.
                Unserved::Inaccurate { error, .. } => {
                    !matches!(error.partial_cmp(&WORSE_THAN_PATCHES), Some(Less | Equal))
                }
                _ => solver != Solver::Banded || why.reason() != Reason::Coupling,
            },
            Step::StageOnCpu => on_gpu,
            _ => true,
        };
        *steps(why.reason()).iter().find(possible).unwrap_or(&Step::Fail)
    }

    /// Records a move of a bundle, and returns what it does next.
    pub(super) fn decide<'j>(
        &self,
        engines: &Engines,
        why: Unserved,
        task: Task<'j>,
    ) -> Result<(Next<'j>, Fallback), Unserved> {
        let step = self.next_step(engines, &why, Some(&task));
        let bundle = task.bundle;
        match step {
            Step::Fail => return Err(why),
            Step::F64 | Step::Cpu => tracing::warn!("{bundle}: {why}"),
            Step::Patches => tracing::warn!("{bundle}: {why}; the bundle is extracted in patches"),
            Step::Accept => tracing::warn!("{bundle}: {why}, more than the tolerance"),
            _ => tracing::debug!("{bundle}: {why}; next: {step:?}"),
        }
        let fallback = Fallback { fibres: Some(first_and_last(bundle)), from: self.at, reason: why.to_string(), step };
        let next = match step {
            Step::LongRefinement => Next::Again(Box::new(task.with_long_refinement().expect("it was possible"))),
            Step::WiderBands => Next::Again(Box::new(task.wider().expect("it was possible"))),
            Step::Accept => {
                let (error, above) = match why {
                    Unserved::Inaccurate { error, above, .. } => (error, above),
                    _ => unreachable!("errors alone are accepted"),
                };
                let (index, rows, information) = (task.index, task.held_rows(), task.information);
                Next::Served(Served { index, rows, spectra: None, in_f32: false, error, above, information })
            }
            step => Next::Move(task.index, step),
        };
        Ok((next, fallback))
    }

    /// One pass of all bundles at the present rung of the bands.
    fn banded_pass(&mut self, engines: &Engines, ccd: &CcdField) -> Result<(), Unserved> {
        let (at, job, bundles) = (self.at, self.job, self.bundles);
        let here: Vec<usize> = self.pending.iter().filter(|(_, p)| p.attempt == at).map(|(k, _)| *k).collect();
        match at.level {
            Level::First => {}
            Level::F64 => tracing::warn!("the device does {} of {} bundles in f64", here.len(), bundles.len()),
            Level::Cpu => tracing::warn!("the CPU does {} of {} bundles", here.len(), bundles.len()),
        }
        let wave = self.wave.clone();
        let engine = engines.at(at.level);
        let banded = match engine.region(|| "measure the PSF".into(), || Banded::new(job, ccd, engine, &wave)) {
            Ok(banded) => banded,
            Err(why) => return self.move_all(engines, &here, &why),
        };
        let plan = || here.par_iter().map(|&k| (k, banded.plan(k, &bundles[k]))).collect::<Vec<_>>();
        let planned = engine.region(|| "plan".into(), plan);
        let mut tasks = Vec::with_capacity(planned.len());
        for (k, planned) in planned {
            match self.injected(engines.first, OF_PLANS).map_or(planned, Err) {
                Ok(of_bundle) => tasks.extend(of_bundle),
                Err(why) => self.move_all(engines, &[k], &why)?,
            }
        }
        if banded.stages().is_on_gpu() {
            return self.device_pass(engines, &banded, tasks);
        }
        self.host_pass(engines, &banded, tasks)
    }

    /// Solves bundles on the CPU, several at once, each until it leaves the rung. Windows of long ones take turns, as each has the
    /// memory of several bundles and work for several threads.
    fn host_pass<'j>(&mut self, engines: &Engines, banded: &Banded<'j>, tasks: Vec<Task<'j>>) -> Result<(), Unserved> {
        let finished = Mutex::new(self.bundles.len() - self.pending.len());
        let parts = |index: usize| tasks.iter().filter(|task| task.index == index).count();
        let (bundles, windows): (Vec<&Task>, Vec<&Task>) = tasks.iter().partition(|task| parts(task.index) == 1);
        // Spectra of a bundle go to their places from the thread that computes them.
        let nothing = BundleSpectra::new(&[], self.job.grid.nwave(), 2 * self.job.half_diagonals() + 1);
        let mut spectra = std::mem::replace(&mut self.spectra, nothing);
        let mut places: Vec<Option<BundlePlaces>> = spectra.places(false).into_iter().map(Some).collect();
        let mut place = |task: &Task| places[task.index].take().expect("one task per bundle");
        let with_places: Vec<(&Task, BundlePlaces)> = bundles.into_iter().map(|task| (task, place(task))).collect();
        let run = |(task, place): (&Task<'j>, BundlePlaces)| {
            let (mut next, fallbacks) = self.until_it_leaves(engines, banded, task.clone())?;
            // A bundle that moves on is not done.
            if let Next::Served(served) = &mut next {
                place.add_rows(&std::mem::take(&mut served.rows), self.job.beyond_ends());
                // Reported under the lock, so that numbers come in order.
                let mut done = finished.lock().unwrap_or_else(PoisonError::into_inner);
                *done += 1;
                (self.progress)((*done).min(self.bundles.len()), self.bundles.len());
            }
            Ok((next, fallbacks))
        };
        let found: Vec<Result<_, Unserved>> = with_places.into_par_iter().map(run).collect();
        drop(places);
        self.spectra = spectra;
        let mut by_bundle: BTreeMap<usize, Next> = BTreeMap::new();
        let mut moves = Vec::new();
        for result in found {
            let (next, fallbacks) = result?;
            moves.extend(fallbacks);
            by_bundle.insert(next.bundle(), next);
        }
        for windows in windows.chunks(rayon::current_num_threads().div_ceil(THREADS_OF_WINDOW)) {
            let run = |task: &&Task<'j>| self.until_it_leaves(engines, banded, (*task).clone());
            let found: Vec<Result<_, Unserved>> = windows.par_iter().map(run).collect();
            // Rows of a window are twice as large as its part of the spectra.
            for result in found {
                let (next, fallbacks) = result?;
                moves.extend(fallbacks);
                let k = next.bundle();
                let mut all = Next::joined(by_bundle.remove(&k).into_iter().chain([next]).collect());
                self.add_rows(&mut all);
                by_bundle.insert(k, all);
            }
        }
        self.record.fallbacks.extend(moves);
        by_bundle.into_values().for_each(|next| self.settle(next));
        Ok(())
    }

    /// Takes one task on the CPU from attempt to attempt.
    fn until_it_leaves<'j>(
        &self,
        engines: &Engines,
        banded: &Banded<'j>,
        mut task: Task<'j>,
    ) -> Result<(Next<'j>, Vec<Fallback>), Unserved> {
        let (mut fallbacks, bundle) = (Vec::new(), task.bundle);
        let judge = |task: Task<'j>| match banded.submit(vec![task]) {
            Ok(submitted) => Ok(banded.judge(submitted)?.remove(0)),
            Err((why, mut tasks)) => Ok::<_, Unserved>(Judged::Unserved(why, tasks.remove(0))),
        };
        loop {
            let judged = banded.stages().engine().region(|| bundle.to_string(), || judge(task))?;
            let next = match self.or_injected(engines, judged) {
                Judged::Served(done, rows, error) => {
                    let (index, information) = (done.index, done.information);
                    let above = vec![];
                    Next::Served(Served { index, rows, spectra: None, in_f32: false, error, above, information })
                }
                Judged::Unserved(why, open) => {
                    let (next, fallback) = self.decide(engines, why, open)?;
                    fallbacks.push(fallback);
                    next
                }
            };
            match next {
                Next::Again(again) => task = *again,
                next => return Ok((next, fallbacks)),
            }
        }
    }

    /// Returns what became of a bundle, or the failure that fault injection requests in its place.
    pub(super) fn or_injected<'j>(&self, engines: &Engines, judged: Judged<'j>) -> Judged<'j> {
        match (judged, self.injected(engines.first, OF_BANDS)) {
            (Judged::Served(task, rows, _), Some(why)) => Judged::Unserved(why, task.holding(self.job, &rows)),
            (judged, _) => judged,
        }
    }

    /// Makes rows that windows of a bundle have got a part of its spectra.
    fn add_rows(&self, next: &mut Next) {
        if let Next::Served(Served { index, rows, spectra, .. }) = next {
            let ndiag = 2 * self.job.half_diagonals() + 1;
            let empty = || BundleSpectra::new(&self.bundles[*index..=*index], self.job.grid.nwave(), ndiag);
            let spectra = spectra.get_or_insert_with(|| Box::new(empty()));
            spectra.add_all_rows(&[(0, std::mem::take(rows))], self.job.beyond_ends());
        }
    }

    /// Makes the rows that have arrived a part of the spectra, all bundles at the same time.
    pub(super) fn place_rows(&mut self) {
        self.spectra.add_all_rows(&std::mem::take(&mut self.arrived), self.job.beyond_ends());
    }

    /// Takes what became of a bundle at a rung of the bands; its rows go to their places by [`Self::place_rows`]. A task for the same rung is the caller's.
    pub(super) fn settle(&mut self, next: Next) {
        match next {
            Next::Served(Served { index: k, rows, spectra, in_f32, error, above, information }) => {
                if let Some(spectra) = spectra {
                    self.spectra.put(k, &spectra);
                }
                self.arrived.push((k, rows));
                self.record.banded += 1;
                self.record.in_f32 += usize::from(in_f32);
                self.record.note_error(Some(error), above);
                self.record.note_information(information);
                if let Some(why) = information.and_then(|left| crowding(self.job, &self.bundles[k], left)) {
                    tracing::warn!("{why}");
                }
                self.pending.remove(&k);
            }
            Next::Move(k, step) => {
                let attempt = match step {
                    Step::F64 => Attempt { level: Level::F64, ..self.at },
                    Step::Cpu => Attempt { level: Level::Cpu, ..self.at },
                    _ => Attempt { method: Method::Patches, level: Level::First },
                };
                self.record.redone += usize::from(step == Step::Cpu);
                self.pending.get_mut(&k).expect("it is on its way").attempt = attempt;
            }
            Next::Again(_) => {}
        }
    }

    /// Moves bundles for one reason, as before any work.
    fn move_all(&mut self, engines: &Engines, bundles: &[usize], why: &Unserved) -> Result<(), Unserved> {
        let step = self.next_step(engines, why, None);
        if !matches!(step, Step::F64 | Step::Cpu | Step::Patches) {
            return Err(why.clone());
        }
        tracing::warn!("{why}");
        for &k in bundles {
            let fibres = Some(first_and_last(&self.bundles[k]));
            self.note(Fallback { fibres, from: self.at, reason: why.to_string(), step });
            self.settle(Next::Move(k, step));
        }
        Ok(())
    }

    pub(super) fn report_progress(&self) {
        (self.progress)(self.bundles.len() - self.pending.len(), self.bundles.len());
    }

    /// Joins all bundles.
    pub(super) fn finish(self, retried: Option<String>) -> Solved {
        let spectra = self.spectra.completed(self.stripes.into_values().collect());
        let record = Record { retried, ..self.record };
        let (device, device_memory, stage_time) = (self.device, self.device_memory, self.stage_time);
        Solved { spectra, record, device, device_memory, stage_time }
    }
}

/// First and last selected fibre of a bundle, rows of the PSF.
pub(super) fn first_and_last(bundle: &Bundle) -> [usize; 2] {
    [bundle.selected.start, bundle.selected.end - 1]
}
