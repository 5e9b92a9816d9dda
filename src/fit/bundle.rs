//! The fit of one bundle, stage by stage.

use super::exposure::Exposure;
use super::model::Model;
use super::region::Region;
use super::{ArcFrame, FitOptions, FitTimes};
use crate::base::cancel::CancelToken;
use crate::fits::Line;
use crate::psf::Psf;
use std::ops::Range;

/// Columns beside the windows of the start's spots: traces may move there.
const MARGIN: f64 = 6.0;

/// The state of the last accepted step.
#[derive(Clone, Debug)]
pub(super) struct Accepted {
    pub chi2: f64,
    /// Good pixels less unknowns and fluxes.
    pub freedom: f64,
    /// Unknowns and fluxes.
    pub unknowns: usize,
    /// Good pixels.
    pub pixels: usize,
}

/// A bundle in the course of its fit.
#[derive(Clone, Debug)]
pub(super) struct Bundle<'a> {
    pub psf: &'a Psf,
    pub options: &'a FitOptions,
    pub cancel: &'a CancelToken,
    pub model: Model,
    pub exposures: Vec<Exposure>,
    pub accepted: Option<Accepted>,
    /// Rigid shift from the start in each exposure, to the step of the search.
    pub coarse: Vec<[f64; 2]>,
    /// Pixels rejected.
    pub rejected: usize,
    pub times: FitTimes,
}

impl<'a> Bundle<'a> {
    /// Prepares the fit of `own` fibres, rows of the start.
    pub fn new(
        start: &'a Psf,
        own: Range<usize>,
        frames: &[ArcFrame],
        lines: &[Line],
        options: &'a FitOptions,
        cancel: &'a CancelToken,
    ) -> Self {
        let model = Model::new(start, own, frames.len(), lines, options);
        let at = |fibre: usize| model.lines.iter().filter(move |line| line.is_on(fibre)).map(move |line| (fibre, line));
        let x = (0..model.fibres.len()).flat_map(at).map(|(fibre, line)| model.at(&model.theta, 0, fibre, line)[0]);
        let ends = x.fold([f64::MAX, f64::MIN], |[low, high], x| [low.min(x), high.max(x)]);
        let margin = model.spot.half_x as f64 + options.reach[0] + MARGIN;
        let region = |frame: &ArcFrame| {
            let clip = |x: f64| x.clamp(0.0, frame.ccd.nx() as f64) as usize;
            let first = clip(ends[0] - margin);
            Region::new(frame, first..clip(ends[1] + margin).max(first))
        };
        let fibres = model.fibres.len();
        let exposures =
            frames.iter().map(|f| Exposure { region: region(f), fibres, spots: Vec::new(), roughness: 0.0 }).collect();
        Self {
            psf: start,
            options,
            cancel,
            model,
            exposures,
            accepted: None,
            coarse: Vec::new(),
            rejected: 0,
            times: FitTimes::default(),
        }
    }

    /// First fibre of the bundle, a row of the PSF.
    pub fn first_fibre(&self) -> usize {
        self.model.fibres.start + self.model.own.start
    }

    /// Last fibre of the bundle, a row of the PSF.
    pub fn last_fibre(&self) -> usize {
        self.model.fibres.start + self.model.own.end - 1
    }
}
