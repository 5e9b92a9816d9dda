//! Whole bundles by banded linear algebra: exact to a tolerance, at a cost linear in bins and fibres.

use super::finer::FineGrid;
use super::ladder::Excess;
use super::options::{TOLERANCE, TOLERANCE_F32};
use super::precision::least_pivot;
use super::{Job, Unserved, accuracy::accuracy, extent::extent};
use crate::backend::{
    BandedFailure, BandedGroup, BandedInFlight, BandedOutcome, BandedStages, CcdField, Engine, EngineError, Exactness,
    FibreRow, HostWindow,
};
use crate::geometry::Positions;
use crate::gpu::Precision;
use crate::gpu::banded::{Group, MOST_DISTANCES, WIDEST, kept};
use crate::plan::Bundle;
use crate::stages::banded::{
    BandFailure, Coupling, Overlaps, SOLVER_TOLERANCE_SHARE, SolverParameters, half_bandwidth, psf_fibre_correlation,
};
use crate::stages::goodness::Goodness;
use crate::stages::spots::SpotSource;
use std::ops::Range;
use std::sync::Arc;

/// The largest ratio of `|y - K x|_i / sqrt(K_ii)` to the error of flux; on sim11 0.4 over 9e-3.
const RESIDUAL_OVER_ERROR: f64 = 40.0;

/// Fraction of the tolerance to which the correlation falls over the fibres around a window's core.
const DECAY_OVER_FIBRES: f64 = 1e-2;

/// Most fibres that are solved at a time, 10 MB each, and about as many of a long bundle without those around them.
const MOST_FIBRES: usize = 132;
const CORE_FIBRES: usize = 100;

/// Finest tolerance of f32 beside masks, sigma.
const LEAST_TOLERANCE_F32: f64 = 3e-4;

/// Factor from the estimated to the real error of flux in f32, where the estimate is in part rounding: 1 to 3 in all tests.
const OVER_ESTIMATE_F32: f64 = 4.0;

/// Further factor on estimates in f64 above the tolerance.
const OVER_ESTIMATE_F64: f64 = 2.0;

/// The fraction of flux that f32's roundings are worth, which no band mends.
const ROUNDING_F32: f64 = 1.5e-6;

/// In f32 bands that are wider by a half, or more, help if they leave less than this of the error; else it is rounding.
const HELPS: f64 = 0.5;

/// The banded solver of a job on one device.
pub(super) struct Banded<'j> {
    job: &'j Job<'j>,
    ccd: &'j CcdField<'j>,
    stages: BandedStages<'j>,
    wave: &'j [f64],
    precision: Precision,
    tolerance: f64,
}

/// A bundle, or a window of a long one, at one rung of the ladder.
#[derive(Clone)]
pub(super) struct Task<'j> {
    /// The bundle's number in the job.
    pub index: usize,
    /// The bundle.
    pub bundle: &'j Bundle,
    /// Half bandwidth of K, bins.
    reach: usize,
    /// Rows and columns of the CCD that its spots reach.
    pixels: (Range<usize>, Range<usize>),
    /// Its fibres, rows of the PSF.
    fibres: Range<usize>,
    /// The CPU's measurements of it.
    window: HostWindow,
    /// A GPU's bands to be tried, from the narrowest. The CPU chooses bands of its own for each fibre.
    pub bands: &'static [usize],
    /// Whether x takes the longer refinement.
    pub long_refinement: bool,
    /// Whether wider bands may mend its last failure.
    wider_helps: bool,
    /// The part of the information on a fibre that its neighbours leave, once it is measured.
    pub information: Option<f64>,
    /// Results of narrower bands. They serve the fibres whose error is within the tolerance: the result of a fibre does not depend
    /// on other fibres that need wider bands.
    held: Option<Arc<Vec<FibreRow>>>,
}

/// A group in flight.
pub(super) struct Submitted<'j> {
    pub tasks: Vec<Task<'j>>,
    in_flight: BandedInFlight,
}

/// The outcome of a bundle at one rung.
pub(super) enum Judged<'j> {
    /// Spectra of its fibres on the padded grid, and the largest of their estimated errors, sigma.
    Served(Task<'j>, Vec<FibreRow>, f64),
    /// Why it is not served, and the task with what a wider band may use.
    Unserved(Unserved, Task<'j>),
}

impl<'j> Banded<'j> {
    /// Prepares the stages of a job.
    ///
    /// # Errors
    /// [`Unserved::Tolerance`] if f32 does not keep to the tolerance. [`Unserved::Coupling`] if bins are coupled over larger
    /// distances than the bands hold. [`Unserved::Engine`] if the device fails.
    pub fn new(job: &'j Job<'j>, ccd: &'j CcdField<'j>, engine: &'j Engine, wave: &'j [f64]) -> Result<Self, Unserved> {
        let precision = if engine.is_banded_on_gpu() { engine.precision() } else { Precision::F64 };
        let tolerance = job.options.tolerance.unwrap_or(match precision {
            Precision::F32 => TOLERANCE_F32,
            Precision::F64 => TOLERANCE,
        });
        if precision == Precision::F32 && tolerance < LEAST_TOLERANCE_F32 {
            return Err(Unserved::Tolerance { least: LEAST_TOLERANCE_F32, tolerance });
        }
        if let Some(grid) = FineGrid::of(job).filter(FineGrid::is_beyond_bands) {
            return Err(Unserved::TooFine(grid));
        }
        let stages = engine.banded(|| accuracy(job, wave, precision, tolerance))?;
        Ok(Self { job, ccd, stages, wave, precision, tolerance })
    }

    /// Plans a bundle: where its spots lie, how far its fibres and bins are coupled, and the windows of fibres that it is solved in.
    ///
    /// # Errors
    /// [`Unserved::Coupling`] if there is no code for so far, [`Unserved::Limit`] if R is wider than a device's bands.
    pub fn plan(&self, index: usize, bundle: &'j Bundle) -> Result<Vec<Task<'j>>, Unserved> {
        let (job, on_gpu) = (self.job, self.stages.is_on_gpu());
        let source = SpotSource::new(job.psf, bundle.fibres.clone(), self.wave, job.options.psf_tails);
        let positions = source.positions();
        let nearest = half_bandwidth(&positions, 1);
        SolverParameters::check_width(nearest, job.grid.step())?;
        let half = job.half_diagonals();
        if on_gpu && half > WIDEST {
            return Err(Unserved::Limit(format!("R has {half} diagonals to each side, the device goes to {WIDEST}")));
        }
        let all = 0..bundle.fibres.len();
        let mut task = Task {
            index,
            bundle,
            reach: nearest,
            pixels: (0..0, 0..0),
            fibres: bundle.fibres.clone(),
            window: HostWindow { core: all, around: None, neighbours: 1, coupling: Coupling::default() },
            bands: &[],
            long_refinement: false,
            wider_helps: on_gpu,
            information: None,
            held: None,
        };
        let overlaps = Overlaps::measure(&source, nearest);
        let neighbours = overlaps.reach(self.tolerance)?.max(1);
        task.window.coupling = overlaps.coupling(1);
        task.window.neighbours = neighbours;
        task.reach = if neighbours > 1 { half_bandwidth(&positions, neighbours) } else { nearest };
        SolverParameters::check_width(task.reach, job.grid.step())?;
        if on_gpu && neighbours > MOST_DISTANCES {
            let what = format!("spots of fibres {neighbours} apart overlap, the device goes to {MOST_DISTANCES}");
            return Err(Unserved::Limit(what));
        }
        task.bands = if on_gpu { kept(task.reach, neighbours, self.precision) } else { &[] };
        let with_pixels = |task: Task<'j>| {
            let [first, last] = [task.fibres.start, task.fibres.end].map(|f| (f - bundle.fibres.start) * source.nbin());
            let [pixel_x, pixel_y] = [positions.pixel_x, positions.pixel_y].map(|pixels| &pixels[first..last]);
            let of_task = Positions { nfibre: task.fibres.len(), pixel_x, pixel_y, ..positions };
            Task { pixels: extent(&of_task, [job.ccd.ny(), job.ccd.nx()]), ..task }
        };
        Ok(self.windows(task).into_iter().map(with_pixels).collect())
    }

    /// Cuts a long bundle into windows of fibres; those without a selected fibre are left out. Cores are fixed by the bundle alone.
    fn windows(&self, task: Task<'j>) -> Vec<Task<'j>> {
        let (job, all, neighbours) = (self.job, task.bundle.fibres.clone(), task.window.neighbours);
        if all.len() <= MOST_FIBRES {
            return vec![task];
        }
        let threshold = DECAY_OVER_FIBRES * self.tolerance;
        let measured = psf_fibre_correlation(job.psf, &all, self.wave, job.options.psf_tails, neighbours, threshold);
        // Beside masks and bright fibres light is correlated farther.
        let margin = (measured + measured / 2).max(2 * neighbours) + 2;
        let count = all.len().div_ceil(CORE_FIBRES);
        tracing::debug!("{}: {count} windows, {margin} fibres around each", task.bundle);
        let window = |k: usize| {
            let [first, last] = [k, k + 1].map(|k| all.start + k * all.len() / count);
            let fibres = first.saturating_sub(margin).max(all.start)..(last + margin).min(all.end);
            let core = first - fibres.start..last - fibres.start;
            let window = HostWindow { core, around: Some(margin), ..task.window.clone() };
            (first < task.bundle.selected.end && last > task.bundle.selected.start).then(|| Task {
                fibres,
                window,
                ..task.clone()
            })
        };
        (0..count).filter_map(window).collect()
    }

    /// The stages.
    pub fn stages(&self) -> &BandedStages<'j> {
        &self.stages
    }

    /// The precision of its results.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Returns the bytes alive at a time on the device while groups like that of `tasks` are submitted.
    pub fn bytes(&self, tasks: &[Task<'j>]) -> u64 {
        self.stages.bytes(&self.group(tasks), [self.job.ccd.ny(), self.job.ccd.nx()])
    }

    /// Returns how many bundles like that of `task` to submit at once.
    pub fn most(&self, task: &Task<'j>) -> usize {
        self.stages.most(&self.group(std::slice::from_ref(task)))
    }

    /// Whether two consecutive tasks can be submitted together.
    pub fn joins(first: &Task, last: &Task, next: &Task) -> bool {
        last.fibres.end == next.fibres.start
            && first.fibres.len() == next.fibres.len()
            && first.bands == next.bands
            && first.window.neighbours == next.window.neighbours
            && first.long_refinement == next.long_refinement
    }

    fn group(&self, tasks: &[Task<'j>]) -> BandedGroup<'j> {
        let job = self.job;
        let (beyond, nwave) = (job.beyond_ends(), job.grid.nwave());
        let wanted = |task: &Task<'j>| match self.stages.is_on_gpu() {
            true => (0..task.fibres.len()).collect(),
            false => task.selected().collect(),
        };
        BandedGroup {
            group: Group {
                psf: job.psf,
                fibres: tasks[0].fibres.start..tasks[tasks.len() - 1].fibres.end,
                wave: self.wave,
                with_tails: job.options.psf_tails,
                half_diagonals: job.half_diagonals(),
                reach: tasks.iter().map(|task| task.reach).max().unwrap_or(0),
                kept: tasks[0].bands.first().copied().unwrap_or(0),
                distances: tasks[0].window.neighbours,
                long_refinement: tasks[0].long_refinement,
                core_bins: beyond..beyond + nwave,
                pixels: tasks.iter().map(|task| task.pixels.clone()).collect(),
                priors: tasks.iter().map(|task| job.prior(&task.fibres)).collect(),
                psferr: job.psferr(),
            },
            wanted: tasks.iter().map(wanted).collect(),
            tolerance: self.tolerance,
            grid: &job.grid,
            end_correlation: job.end_correlation(),
            most_beyond_ends: job.most_beyond_ends(),
            correlated: job.correlated_bins(),
        }
    }

    /// Takes a group through all stages; on a device they are submitted, and results are fetched later.
    ///
    /// # Errors
    /// [`Unserved`] of the group, with the tasks.
    pub fn submit(&self, tasks: Vec<Task<'j>>) -> Result<Submitted<'j>, (Unserved, Vec<Task<'j>>)> {
        let group = self.group(&tasks);
        let submitted = match self.stages.is_on_gpu() {
            true => self.on_gpu(&group),
            false => self.stages.on_host(&group, &tasks[0].window, self.ccd),
        };
        match submitted {
            Ok(in_flight) => Ok(Submitted { tasks, in_flight }),
            Err(why) => Err((self.of_job(why, &tasks[0]), tasks)),
        }
    }

    /// Submits a group's stages to a device.
    fn on_gpu(&self, group: &BandedGroup<'j>) -> Result<BandedInFlight, BandedFailure> {
        let stages = &self.stages;
        let spots = stages.spots(group)?;
        let normals = stages.normal(group, self.ccd, &spots)?;
        let early = !stages.solves_from_complements();
        let solution = early.then(|| stages.solve(group, &normals, None)).transpose()?;
        let complements = stages.complements(group, &normals)?;
        let solution = match solution {
            Some(solution) => solution,
            None => stages.solve(group, &normals, Some(&complements))?,
        };
        let roots = stages.roots(group, &normals, &complements, &solution)?;
        stages.finish(group, self.ccd, &spots, &roots)
    }

    /// A failure in the words of the job: fibres are rows of the PSF, bins are wavelengths.
    fn of_job(&self, why: BandedFailure, task: &Task<'j>) -> Unserved {
        match why {
            BandedFailure::Band(BandFailure::Pivot { what, fibre, bin }) => {
                let (fibre, wave) = (task.fibres.start + fibre, self.wave[bin]);
                let (step, gain) = (self.job.grid.step(), self.job.noise_gain());
                Unserved::Singular { itself: what == "K", fibre, wave, step, gain }
            }
            why => why.into(),
        }
    }

    /// Waits for a group and judges its bundles.
    ///
    /// # Errors
    /// [`Unserved::Engine`] if the device fails.
    pub fn judge(&self, submitted: Submitted<'j>) -> Result<Vec<Judged<'j>>, Unserved> {
        let Submitted { tasks, in_flight } = submitted;
        let outcomes = in_flight.wait().map_err(EngineError::from)?;
        Ok(tasks.into_iter().zip(outcomes).map(|(task, outcome)| self.judge_one(task, outcome)).collect())
    }

    fn judge_one(&self, mut task: Task<'j>, outcome: BandedOutcome) -> Judged<'j> {
        let BandedOutcome { fibres: mut rows, exactness } = outcome;
        let beyond = task.fibres.start - task.bundle.fibres.start;
        // A device returns the fibres around the core, too.
        rows.retain(|row| task.window.core.contains(&row.fibre));
        rows.iter_mut().for_each(|row| row.fibre += beyond);
        let mut before = f64::INFINITY;
        if let Some(held) = &task.held {
            before = self.largest_error(held);
            let served = |row: &&FibreRow| self.error(row) <= self.tolerance;
            for narrower in held.iter().filter(served) {
                if let Some(row) = rows.iter_mut().find(|row| row.fibre == narrower.fibre) {
                    row.clone_from(narrower);
                }
            }
        }
        let error = self.largest_error(&rows);
        tracing::debug!(
            "{}: neighbours overlap by {:.1e}, others by {:.1e}; x leaves {:.1e} sigma; bands cost {error:.1e} sigma; \
             least pivot {:.1e}; {:.0} % of the information is left",
            task.bundle,
            exactness.coupling.neighbours,
            exactness.coupling.beyond,
            exactness.residual,
            exactness.health.least_pivot,
            100.0 * exactness.information.unwrap_or(1.0),
        );
        if let Some(why) = self.failure(&exactness) {
            return Judged::Unserved(why, task);
        }
        task.information = exactness.information;
        if error <= self.tolerance {
            return Judged::Served(task, rows, error);
        }
        let wider_helps = self.stages.is_on_gpu()
            && (self.precision == Precision::F64 || error.is_finite() && error <= HELPS * before);
        let above = rows.iter().filter_map(|row| self.excess(&task, row)).collect();
        let held = Some(Arc::new(rows));
        let why = Unserved::Inaccurate { error, precision: self.precision, above };
        Judged::Unserved(why, Task { held, wider_helps, ..task })
    }

    /// The largest of fibres' errors. On a device those not selected count, too: what becomes of a bundle depends on the bundle.
    fn largest_error(&self, rows: &[FibreRow]) -> f64 {
        rows.iter().map(|row| self.error(row)).fold(0.0, f64::max)
    }

    /// Returns the largest estimated error of a fibre's flux, sigma.
    fn error(&self, row: &FibreRow) -> f64 {
        self.errors(row).fold(0.0, f64::max)
    }

    /// Returns the estimated errors of a fibre's flux at the bins of the grid, sigma, where most of the spot is on good pixels.
    /// Mostly masked bins may be off; they have a mask bit.
    fn errors<'r>(&self, row: &'r FibreRow) -> impl Iterator<Item = f64> + use<'r, '_, 'j> {
        let of_bin = |(k, goodness): (usize, &Goodness)| {
            let bin = self.job.beyond_ends() + k;
            let truncation = row.truncation_error[bin];
            let error = match self.precision {
                Precision::F32 => {
                    let rounding = ROUNDING_F32 * row.flux[bin].abs() * row.ivar[bin].sqrt();
                    OVER_ESTIMATE_F32 * (truncation - rounding)
                }
                Precision::F64 => truncation * if truncation > self.tolerance { OVER_ESTIMATE_F64 } else { 1.0 },
            };
            // An error that is no number is the largest.
            let error = if error.is_finite() { error.max(0.0) } else { f64::INFINITY };
            if goodness.pixmask_fraction < 0.5 { error } else { 0.0 }
        };
        row.goodness.iter().enumerate().map(of_bin)
    }

    /// Returns where a selected fibre's errors are above the tolerance.
    fn excess(&self, task: &Task, row: &FibreRow) -> Option<Excess> {
        let fibre = task.bundle.fibres.start + row.fibre;
        let excess = || Excess::of(fibre, &self.errors(row).collect::<Vec<_>>(), self.tolerance, self.job.grid.wave());
        task.bundle.selected.contains(&fibre).then(excess).flatten()
    }

    /// Returns why a bundle's numbers do not serve, whatever its bands cost.
    fn failure(&self, found: &Exactness) -> Option<Unserved> {
        let (precision, error) = (self.precision, found.residual / RESIDUAL_OVER_ERROR);
        if self.stages.is_on_gpu()
            && let Err(why) = found.coupling.check(self.tolerance)
        {
            return Some(why.into());
        }
        if let Some((fibre, bin)) = found.health.bad_pivot {
            return Some(Unserved::NotDefinite { precision, fibre, bin });
        }
        let least = found.health.least_pivot;
        if least < least_pivot(precision) {
            return Some(Unserved::IllConditioned { condition: 1.0 / least, precision });
        }
        let allowed = match precision {
            Precision::F32 => self.tolerance,
            Precision::F64 => SOLVER_TOLERANCE_SHARE * self.tolerance,
        };
        // Written so that a NaN fails.
        let good = error <= allowed;
        (!good).then_some(Unserved::NotConverged { error, precision })
    }
}

impl<'j> Task<'j> {
    /// Returns the task in the next wider bands, if there are any and they may help.
    pub fn wider(&self) -> Option<Self> {
        let bands = self.bands.get(1..).unwrap_or_default();
        (self.wider_helps && !bands.is_empty()).then(|| Self { bands, ..self.clone() })
    }

    /// Returns the task with the longer refinement of x, if it has not had it.
    pub fn with_long_refinement(&self) -> Option<Self> {
        (!self.long_refinement).then(|| Self { long_refinement: true, ..self.clone() })
    }

    /// Returns the task with the rows of its bands held, good enough or not.
    pub fn holding(self, rows: Vec<FibreRow>) -> Self {
        Self { held: Some(Arc::new(rows)), ..self }
    }

    /// The rows of the widest bands tried, good enough or not.
    pub fn held_rows(&self) -> Vec<FibreRow> {
        self.held.as_ref().map_or_else(Vec::new, |held| held.to_vec())
    }

    /// Its first fibre, a row of the PSF.
    pub fn first_fibre(&self) -> usize {
        self.fibres.start
    }

    /// The selected fibres of the core, counted from the task's first.
    fn selected(&self) -> Range<usize> {
        let (core, first) = (&self.window.core, self.fibres.start);
        let inside = |fibre: usize| fibre.saturating_sub(first).clamp(core.start, core.end);
        inside(self.bundle.selected.start)..inside(self.bundle.selected.end)
    }
}
