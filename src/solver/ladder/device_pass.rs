//! Bundles on a GPU, group by group, two groups in flight.

use super::climb::{Climb, Engines};
use super::next::{Next, Served};
use crate::backend::EngineError;
use crate::gpu::{GpuError, Precision};
use crate::solver::Unserved;
use crate::solver::banded::{Banded, Judged, Submitted, Task};
use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

/// Groups submitted before the results of the first are waited for.
const IN_FLIGHT: usize = 2;

/// Windows of bundles that have left the rung.
struct Windows<'j> {
    /// Windows of each bundle.
    count: BTreeMap<usize, usize>,
    left: BTreeMap<usize, Vec<Next<'j>>>,
}

impl<'j> Windows<'j> {
    fn of(tasks: &[Task<'j>]) -> Self {
        let mut count = BTreeMap::new();
        tasks.iter().for_each(|task| *count.entry(task.index).or_default() += 1);
        Self { count, left: BTreeMap::new() }
    }

    /// Returns what became of a bundle if this was its last window.
    fn add(&mut self, next: Next<'j>) -> Option<Next<'j>> {
        let bundle = next.bundle();
        let left = self.left.entry(bundle).or_default();
        left.push(next);
        (left.len() == self.count[&bundle]).then(|| Next::joined(self.left.remove(&bundle).unwrap_or_default()))
    }
}

impl Climb<'_> {
    /// Takes bundles through the device until each leaves the rung.
    pub(super) fn device_pass<'j>(
        &mut self,
        engines: &Engines,
        banded: &Banded<'j>,
        mut open: Vec<Task<'j>>,
    ) -> Result<(), Unserved> {
        let (engine, all, mut windows) = (banded.stages().engine(), open.len(), Windows::of(&open));
        for round in 0.. {
            if open.is_empty() {
                break;
            }
            // Those of a shape one after another, in their order.
            open.sort_by_key(|task| (Reverse(task.bands.len()), task.long_refinement, task.first_fibre()));
            let cut = || {
                let groups = groups(banded, &open, all);
                (groups.iter().map(|group| banded.bytes(group)).max().unwrap_or(0), groups)
            };
            let groups = match engine.region(|| "cut into groups".into(), || engine.fit(cut)) {
                Err(EngineError::Gpu(why @ GpuError::LittleMemory { .. })) if round > 0 => {
                    // Wider bands take more of it; the bundles that are done stay so.
                    for task in open.drain(..) {
                        let why = Unserved::LittleMemory(why.clone());
                        self.unserved(engines, why, task, (&mut Vec::new(), &mut windows))?;
                    }
                    break;
                }
                groups => groups?,
            };
            open.clear();
            self.submit_all(engines, banded, groups, (&mut open, &mut windows))?;
        }
        Ok(())
    }

    /// Submits groups and takes their results; tasks for the same rung go to `open`.
    fn submit_all<'j>(
        &mut self,
        engines: &Engines,
        banded: &Banded<'j>,
        mut groups: VecDeque<Vec<Task<'j>>>,
        (open, windows): (&mut Vec<Task<'j>>, &mut Windows<'j>),
    ) -> Result<(), Unserved> {
        let engine = banded.stages().engine();
        let mut in_flight: VecDeque<Submitted> = VecDeque::new();
        while !(groups.is_empty() && in_flight.is_empty()) {
            engine.check_cancel()?;
            if let Some(group) = groups.pop_front() {
                match banded.submit(group) {
                    Ok(submitted) => in_flight.push_back(submitted),
                    Err((why @ Unserved::Engine(_), _)) => return Err(why),
                    Err((why, tasks)) => {
                        for task in tasks {
                            self.unserved(engines, why.clone(), task, (open, windows))?;
                        }
                    }
                }
            }
            if in_flight.len() < IN_FLIGHT && !groups.is_empty() {
                continue;
            }
            let Some(submitted) = in_flight.pop_front() else { continue };
            let judged = engine.region(|| "waiting for the GPU".to_string(), || banded.judge(submitted))?;
            let take = || {
                let taken = judged.into_iter().try_for_each(|one| self.take(engines, banded, one, (open, windows)));
                // Bundles that are done stay so, whatever becomes of the others.
                self.place_rows();
                taken
            };
            engine.region(|| "take results".into(), take)?;
        }
        Ok(())
    }

    /// Takes what became of a task.
    fn take<'j>(
        &mut self,
        engines: &Engines,
        banded: &Banded<'j>,
        judged: Judged<'j>,
        (open, windows): (&mut Vec<Task<'j>>, &mut Windows<'j>),
    ) -> Result<(), Unserved> {
        match self.or_injected(engines, judged) {
            Judged::Served(task, rows, error) => {
                let in_f32 = banded.precision() == Precision::F32;
                let (index, information) = (task.index, task.information);
                let served = Served { index, rows, spectra: None, in_f32, error, above: vec![], information };
                windows.add(Next::Served(served)).into_iter().for_each(|next| self.settle(next));
            }
            Judged::Unserved(why, task) => self.unserved(engines, why, task, (open, windows))?,
        }
        self.report_progress();
        Ok(())
    }

    /// Moves a task down, or to `open` for the same rung.
    fn unserved<'j>(
        &mut self,
        engines: &Engines,
        why: Unserved,
        task: Task<'j>,
        (open, windows): (&mut Vec<Task<'j>>, &mut Windows<'j>),
    ) -> Result<(), Unserved> {
        let (next, fallback) = self.decide(engines, why, task)?;
        self.note(fallback);
        match next {
            Next::Again(task) => open.push(*task),
            next => windows.add(next).into_iter().for_each(|next| self.settle(next)),
        }
        Ok(())
    }
}

/// Groups consecutive tasks of a shape, as many as the device takes at once, in groups of about the same size.
fn groups<'j>(banded: &Banded<'j>, tasks: &[Task<'j>], all: usize) -> VecDeque<Vec<Task<'j>>> {
    let mut groups: VecDeque<Vec<Task>> = VecDeque::new();
    for task in tasks {
        let most = banded.most(task);
        let most = all.div_ceil(all.div_ceil(most).max(1));
        let joins =
            |group: &&mut Vec<Task>| group.len() < most && Banded::joins(&group[0], &group[group.len() - 1], task);
        match groups.back_mut().filter(joins) {
            Some(group) => group.push(task.clone()),
            None => groups.push_back(vec![task.clone()]),
        }
    }
    groups
}
