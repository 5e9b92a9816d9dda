//! The course of a bundle's fit, stage by stage.

use super::FitTimes;
use super::bundle::{Accepted, Bundle};
use super::exposure::Exposure;
use super::rounds::Freedom;
use crate::base::median::median;
use std::collections::BTreeSet;
use std::time::Instant;

/// Fewest lines that may move traces.
const FEWEST: usize = 4;
/// Reduced chi2 from which on the model does not describe the arc.
const POOR: f64 = 5.0;
/// Factor by which the spots of an arc may be wider or narrower than the start's.
const WIDER: f64 = 2.0;
/// Most passes that look for lost and unlisted lines.
const PASSES: usize = 5;
/// Error of the model before shapes are free, and in the first rounds where they are, as a fraction of the light: bright
/// pixels beside a spot that is not yet in its place would otherwise decide alone.
const ROUGH: [f64; 2] = [0.1, 0.02];

/// Error of a fitted model as a fraction of a spot's peak, beyond which a pixel is a cosmic ray's.
const CORE: f64 = 0.01;

impl Bundle<'_> {
    /// Fits the bundle; the error is a clause with the reason why it cannot be.
    pub fn fit(&mut self) -> Result<(), String> {
        let begin = Instant::now();
        let outcome = self.stages(begin);
        let FitTimes { coarse, normal, steps, .. } = self.times;
        self.times.lines = begin.elapsed().saturating_sub(coarse + normal + steps);
        outcome
    }

    fn stages(&mut self, begin: Instant) -> Result<(), String> {
        self.shift_coarsely();
        self.times.coarse = begin.elapsed();
        self.choose_spots();
        self.check()?;
        self.be_rough(ROUGH[0]);
        self.rounds(4, Freedom::Offsets, 1e3);
        self.choose_spots();
        self.renew_variance();
        self.rounds(3, Freedom::Widths, 1e3);
        // Pixels are judged without it: else the light of a cosmic ray would excuse itself.
        self.be_rough(0.0);
        // Unlisted lines before rejection, or they would be rejected; both after the first free fit.
        self.find_lines(0.2);
        self.rejected += self.reject(8.0, 0.5);
        self.be_rough(ROUGH[1]);
        self.rounds(2, Freedom::All, 30.0);
        self.be_rough(0.0);
        for pass in 0..PASSES {
            self.rounds(4, Freedom::All, 30.0);
            let found = self.reconsider(0.01) + self.find_lines(0.01);
            self.rejected += self.reject(5.0, if pass == 0 { 0.1 } else { 0.02 });
            let lost = self.prune();
            if pass > 0 && found == 0 && lost == 0 {
                break;
            }
        }
        self.check()?;
        self.rounds(12, Freedom::All, 5.0);
        // By shapes that are right now, what a cosmic ray left on bright spots stands out.
        let rejected = self.reject(5.0, CORE);
        if rejected > 0 {
            self.rejected += rejected;
            self.rounds(12, Freedom::All, 5.0);
        }
        self.centre_exposures();
        self.verdict()
    }

    /// Takes the model as wrong by a fraction of the light.
    fn be_rough(&mut self, fraction: f64) {
        self.exposures.iter_mut().for_each(|exposure| exposure.roughness = fraction);
        self.renew_variance();
    }

    /// Counts the lines that move traces.
    fn moving(&self) -> usize {
        let fibres = self.model.layout.fibres;
        let moves = |l: &usize| self.exposures.iter().any(|e| (0..fibres).any(|f| e.spots[e.index(*l, f)].trusted));
        let moving = (0..self.model.lines.len()).filter(moves).map(|l| self.model.lines[l].listed);
        moving.collect::<BTreeSet<_>>().len()
    }

    /// Checks that there is enough to fit.
    fn check(&self) -> Result<(), String> {
        let (lines, live) = (self.moving(), self.model.live.iter().any(|l| *l));
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
        self.check_lamp()?;
        match &self.accepted {
            None => Err("no step makes the model better".into()),
            Some(Accepted { chi2, freedom, .. }) if (chi2 / freedom).is_nan() || chi2 / freedom >= POOR => {
                Err(format!("the model does not describe the arc, its reduced chi2 is {:.1}", chi2 / freedom))
            }
            Some(_) => Ok(()),
        }
    }

    /// Checks that the light is that of the listed lines: a flat or the sky can be described by lines, too.
    fn check_lamp(&self) -> Result<(), String> {
        let lost = self.model.lines.iter().filter(|line| !line.is_trusted()).filter_map(|line| line.listed);
        let (lost, fit) = (lost.collect::<BTreeSet<_>>().len(), self.moving());
        let found = self.model.lines.iter().filter(|line| line.listed.is_none()).count();
        if lost > fit || (found > 2 * fit && 2 * lost > fit) {
            return Err(format!(
                "{lost} listed lines do not fit, {fit} do, and {found} are not listed; is it an arc, and its lamp's list?"
            ));
        }
        for (k, axis) in ["x", "y"].into_iter().enumerate() {
            let wider = self.widening(k);
            if !(1.0 / WIDER..=WIDER).contains(&wider) {
                return Err(format!(
                    "its spots are {wider:.2} times as wide along {axis} as the start's; is it an arc? if so, start from spots as wide"
                ));
            }
        }
        Ok(())
    }

    /// Returns the median width of the spots that move traces over the start's; `axis` is 0 across the dispersion.
    fn widening(&self, axis: usize) -> f64 {
        let model = &self.model;
        let of_exposure = |(e, exposure): (usize, &Exposure)| {
            let trusted = exposure.spots.iter().enumerate().filter(|(_, spot)| spot.trusted);
            let width = |(index, _): (usize, _)| {
                let (line, fibre) = (&model.lines[index / model.layout.fibres], index % model.layout.fibres);
                model.spot_at(&model.theta, e, fibre, line).shape[axis]
            };
            trusted.map(width).collect::<Vec<_>>()
        };
        let start = model.mean_width([&self.psf.sigma_x, &self.psf.sigma_y][axis]);
        median(self.exposures.iter().enumerate().flat_map(of_exposure).collect()) / start
    }

    /// Puts the traces where the median exposure has them.
    fn centre_exposures(&mut self) {
        let layout = self.model.layout;
        for axis in 0..2 {
            let shifts = (0..layout.exposures).map(|e| self.model.theta[layout.shift(e, axis)]);
            let middle = median(shifts.collect());
            (0..layout.exposures).for_each(|e| self.model.theta[layout.shift(e, axis)] -= middle);
            for fibre in 0..layout.fibres {
                self.model.theta[layout.trace(axis, fibre)] += middle;
                self.model.start[layout.trace(axis, fibre)] += middle;
            }
        }
    }
}
