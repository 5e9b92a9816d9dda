//! Whole bundles by banded linear algebra: exact to a tolerance, at a cost linear in bins and fibres.

use super::errors::Errors;
use super::finer::FineGrid;
use super::kept::PlannedWindow;
use super::ladder::Excess;
use super::options::{TOLERANCE, TOLERANCE_F32};
use super::planned::plan;
use super::precision::{is_too_noisy, least_pivot};
use super::{Job, Unserved, accuracy::accuracy};
use crate::backend::{
    BandedFailure, BandedGroup, BandedInFlight, BandedOutcome, BandedStages, CcdField, Engine, EngineError, Exactness,
    FibreRow, HostWindow,
};
use crate::gpu::Precision;
use crate::gpu::banded::Group;
use crate::plan::Bundle;
use crate::stages::banded::{BandFailure, SOLVER_TOLERANCE_SHARE};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// The largest ratio of `|y - K x|_i / sqrt(K_ii)` to the error of flux; on sim11 0.4 over 9e-3.
const RESIDUAL_OVER_ERROR: f64 = 40.0;

/// Finest tolerance of f32 beside masks, sigma.
const LEAST_TOLERANCE_F32: f64 = 3e-4;

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
    errors: Errors,
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
        let errors = Errors::of(job, precision, tolerance);
        Ok(Self { job, ccd, stages, wave, precision, tolerance, errors })
    }

    /// Plans a bundle: where its spots lie, how far its fibres and bins are coupled, and the windows of fibres that it is solved in.
    ///
    /// # Errors
    /// [`Unserved::Coupling`] if there is no code for so far, [`Unserved::Limit`] if R is wider than a device's bands.
    pub fn plan(&self, index: usize, bundle: &'j Bundle) -> Result<Vec<Task<'j>>, Unserved> {
        let (precision, tolerance, on_gpu) = (self.precision, self.tolerance, self.stages.is_on_gpu());
        let key = (bundle.clone(), on_gpu, precision);
        let planned =
            self.job.facts().plan(key, || plan(self.job, self.wave, (precision, tolerance), on_gpu, bundle))?;
        let of_window = |planned: &PlannedWindow| Task::of(index, bundle, planned, on_gpu);
        Ok(planned.iter().map(of_window).collect())
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
            with_x: job.options.model.is_some(),
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
        Ok(tasks.into_par_iter().zip(outcomes).map(|(task, outcome)| self.judge_one(task, outcome)).collect())
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
            let served = |row: &&FibreRow| self.errors.largest(row) <= self.tolerance;
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
        let held = Some(to_hold(self.job, &rows));
        let why = Unserved::Inaccurate { error, precision: self.precision, above };
        Judged::Unserved(why, Task { held, wider_helps, ..task })
    }

    /// The largest of fibres' errors. On a device those not selected count, too: what becomes of a bundle depends on the bundle.
    fn largest_error(&self, rows: &[FibreRow]) -> f64 {
        rows.par_iter().map(|row| self.errors.largest(row)).reduce(|| 0.0, f64::max)
    }

    /// Returns where a selected fibre's errors are above the tolerance.
    fn excess(&self, task: &Task, row: &FibreRow) -> Option<Excess> {
        let fibre = task.bundle.fibres.start + row.fibre;
        let excess = || Excess::of(fibre, &self.errors.of_bins(row), self.tolerance, self.job.grid.wave());
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
        if is_too_noisy(self.job, precision) {
            return Some(Unserved::IllConditioned { condition: self.job.noise_gain().powi(2), precision });
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
    /// Returns a window at the first rung.
    fn of(index: usize, bundle: &'j Bundle, planned: &PlannedWindow, on_gpu: bool) -> Self {
        let PlannedWindow { reach, pixels, fibres, window, bands } = planned.clone();
        Self {
            index,
            bundle,
            reach,
            pixels,
            fibres,
            window,
            bands,
            long_refinement: false,
            wider_helps: on_gpu,
            information: None,
            held: None,
        }
    }

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
    pub fn holding(self, job: &Job, rows: &[FibreRow]) -> Self {
        Self { held: Some(to_hold(job, rows)), ..self }
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

/// Returns rows that no device wants back.
fn to_hold(job: &Job, rows: &[FibreRow]) -> Arc<Vec<FibreRow>> {
    let kept = |row: &FibreRow| row.kept(2 * job.half_diagonals() + 1, job.beyond_ends());
    Arc::new(rows.iter().map(kept).collect())
}
