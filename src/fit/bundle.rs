//! The fit of one bundle, stage by stage.

use super::exposure::Exposure;
use super::model::Model;
use super::region::Region;
use super::rounds::{Accepted, Freedom};
use super::{ArcFrame, FitOptions};
use crate::base::cancel::CancelToken;
use crate::fits::Line;
use crate::psf::Psf;
use std::ops::Range;

/// Columns beside the windows of the start's spots: traces may move there.
const MARGIN: f64 = 6.0;
/// Fewest lines that may move traces.
const FEWEST: usize = 4;
/// Reduced chi2 from which on the model does not describe the arc.
const POOR: f64 = 5.0;
/// Most passes that look for lost and unlisted lines.
const PASSES: usize = 5;

/// A bundle in the course of its fit.
#[derive(Debug)]
pub(super) struct Bundle<'a> {
    pub options: &'a FitOptions,
    pub cancel: &'a CancelToken,
    pub model: Model,
    pub exposures: Vec<Exposure>,
    pub accepted: Option<Accepted>,
    /// Rigid shift from the start in each exposure, to the step of the search.
    pub coarse: Vec<[f64; 2]>,
    /// Pixels rejected.
    pub rejected: usize,
}

impl<'a> Bundle<'a> {
    /// Prepares the fit of `own` fibres, rows of the start.
    pub fn new(
        start: &Psf,
        own: Range<usize>,
        frames: &[ArcFrame],
        lines: &[Line],
        options: &'a FitOptions,
        cancel: &'a CancelToken,
    ) -> Self {
        let model = Model::new(start, own, frames.len(), lines, options);
        let at = |fibre: usize| model.lines.iter().map(move |line| (fibre, line));
        let x = (0..model.fibres.len()).flat_map(at).map(|(fibre, line)| model.at(&model.theta, 0, fibre, line)[0]);
        let ends = x.fold([f64::MAX, f64::MIN], |[low, high], x| [low.min(x), high.max(x)]);
        let margin = model.spot.half_x as f64 + options.reach[0] + MARGIN;
        let region = |frame: &ArcFrame| {
            let clip = |x: f64| x.clamp(0.0, frame.ccd.nx() as f64) as usize;
            let first = clip(ends[0] - margin);
            Region::new(frame, first..clip(ends[1] + margin).max(first))
        };
        let fibres = model.fibres.len();
        let exposures = frames.iter().map(|f| Exposure { region: region(f), fibres, spots: Vec::new() }).collect();
        Self { options, cancel, model, exposures, accepted: None, coarse: Vec::new(), rejected: 0 }
    }

    /// First fibre of the bundle, a row of the PSF.
    pub fn first_fibre(&self) -> usize {
        self.model.fibres.start + self.model.own.start
    }

    /// Last fibre of the bundle, a row of the PSF.
    pub fn last_fibre(&self) -> usize {
        self.model.fibres.start + self.model.own.end - 1
    }

    /// Fits the bundle; the error says in a clause why it cannot be.
    pub fn fit(&mut self) -> Result<(), String> {
        self.shift_coarsely();
        self.choose_spots();
        self.check()?;
        self.renew_variance();
        self.rounds(4, Freedom::Offsets, 1e3);
        self.choose_spots();
        self.renew_variance();
        self.rounds(3, Freedom::Widths, 1e3);
        // Unlisted lines before rejection, or they would be rejected; both after the first free fit.
        self.find_lines(0.2);
        self.rejected += self.reject(8.0, 0.5);
        for pass in 0..PASSES {
            self.rounds(4, Freedom::All, 30.0);
            let found = self.find_lines(0.01);
            self.rejected += self.reject(5.0, if pass == 0 { 0.1 } else { 0.02 });
            let lost = self.prune();
            if pass > 0 && found == 0 && lost == 0 {
                break;
            }
        }
        self.check()?;
        self.rounds(12, Freedom::All, 5.0);
        self.centre_exposures();
        self.verdict()
    }

    /// Checks that there is enough to fit.
    fn check(&self) -> Result<(), String> {
        let fibres = self.model.layout.fibres;
        let moves = |l: &usize| self.exposures.iter().any(|e| (0..fibres).any(|f| e.spots[e.index(*l, f)].trusted));
        let (lines, live) = ((0..self.model.lines.len()).filter(moves).count(), self.model.live.iter().any(|l| *l));
        match (live, lines) {
            (false, _) => Err("no fibre has light".into()),
            (_, lines) if lines < FEWEST => Err(format!(
                "only {lines} of {} lines are bright and sound enough, at least {FEWEST} are needed",
                self.model.layout.lines
            )),
            _ => Ok(()),
        }
    }

    fn verdict(&self) -> Result<(), String> {
        if self.cancel.is_cancelled() {
            return Err("the fit was cancelled".into());
        }
        match &self.accepted {
            None => Err("no step makes the model better".into()),
            Some(Accepted { chi2, freedom, .. }) if !(chi2 / freedom < POOR) => {
                Err(format!("the model does not describe the arc, its reduced chi2 is {:.1}", chi2 / freedom))
            }
            Some(_) => Ok(()),
        }
    }

    /// Puts the traces where the median exposure has them.
    fn centre_exposures(&mut self) {
        let layout = self.model.layout;
        for axis in 0..2 {
            let shifts = (0..layout.exposures).map(|e| self.model.theta[layout.shift(e, axis)]);
            let middle = crate::base::median::median(shifts.collect());
            (0..layout.exposures).for_each(|e| self.model.theta[layout.shift(e, axis)] -= middle);
            for fibre in 0..layout.fibres {
                self.model.theta[layout.trace(axis, fibre)] += middle;
                self.model.start[layout.trace(axis, fibre)] += middle;
            }
        }
    }
}
