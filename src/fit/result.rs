//! The record of a bundle's fit.

use super::bundle::Bundle;
use super::prune::Departure;
use super::residual::ResidualMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;

/// A line that no longer moved traces and shapes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LostLine {
    /// Wavelength in vacuum, Angstrom.
    pub wave: f64,
    /// The reason.
    pub reason: String,
}

/// A line that the list lacks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoundLine {
    /// Wavelength in vacuum by the traces, Angstrom.
    pub wave: f64,
    /// Median electrons of a fibre.
    pub flux: f64,
}

/// How well a bundle's model describes its pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// chi2 over its degrees of freedom.
    pub reduced_chi2: f64,
    /// Good pixels.
    pub pixels: usize,
    /// Unknowns, fluxes included.
    pub unknowns: usize,
}

/// A spot of the fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpotFit {
    /// The exposure, from 0.
    pub exposure: usize,
    /// The fibre, a row of the PSF.
    pub fibre: usize,
    /// Wavelength in vacuum, Angstrom.
    pub wave: f64,
    /// Whether the list has the line.
    pub listed: bool,
    /// Position, pixels.
    pub at: [f64; 2],
    /// Electrons and their error.
    pub flux: [f64; 2],
    /// chi2 of its pixels, and their number; spots beside it count, too.
    pub chi2: f64,
    /// See `chi2`.
    pub pixels: usize,
    /// Why it did not move traces and shapes; None if it did.
    pub reason: Option<String>,
}

/// Errors, one standard deviation, of a spot's image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TraceError {
    /// The fibre, a row of the PSF.
    pub fibre: usize,
    /// Wavelength, Angstrom.
    pub wave: f64,
    /// Of x and y, pixels.
    pub at: [f64; 2],
    /// Of the widths along x and y, as a fraction.
    pub widths: [f64; 2],
}

/// The fit of a bundle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BundleFit {
    /// Its fibres, rows of the PSF.
    pub fibres: Range<usize>,
    /// How good it is, or why the start was kept.
    pub outcome: Result<Quality, String>,
    /// Fibres without light: their traces follow the bundle, their shapes are the bundle's.
    pub dead: Vec<usize>,
    /// Shift of each exposure from the start, pixels.
    pub shifts: Vec<[f64; 2]>,
    /// Degree of its shapes across it.
    pub degree_across: usize,
    /// Listed lines that lost trust.
    pub lost: Vec<LostLine>,
    /// Lines that the list lacks.
    pub found: Vec<FoundLine>,
    /// Bright lines whose cores are masked in most fibres: saturated, as a rule. Their wings count.
    pub coreless: Vec<f64>,
    /// Pixels that were rejected.
    pub rejected: usize,
    /// Its spots.
    pub spots: Vec<SpotFit>,
    /// Errors of its images.
    pub errors: Vec<TraceError>,
    /// Residual of the first exposure, dispersion along its second axis.
    pub residual: ResidualMap,
}

impl Bundle<'_> {
    /// Returns the record of the bundle.
    pub(super) fn record(&self, outcome: Result<(), String>) -> BundleFit {
        let first = self.model.fibres.start;
        let outcome = outcome.and_then(|()| {
            let accepted = self.accepted.as_ref().ok_or("no step makes the model better")?;
            Ok(Quality {
                reduced_chi2: accepted.chi2 / accepted.freedom,
                pixels: accepted.pixels,
                unknowns: accepted.unknowns,
            })
        });
        let layout = self.model.layout;
        let shift = |e: usize| -> [f64; 2] {
            let coarse = self.coarse.first().copied().unwrap_or_default();
            std::array::from_fn(|axis| self.model.theta[layout.shift(e, axis)] + coarse[axis])
        };
        let median_flux = |l: usize| {
            let spots = self.exposures.iter().flat_map(|e| {
                (0..e.fibres).filter_map(move |f| e.spots.get(e.index(l, f))).filter(|s| s.used).map(|s| s.flux)
            });
            let all: Vec<f64> = spots.collect();
            if all.is_empty() { 0.0 } else { crate::base::median::median(all) }
        };
        let lost = |line: &super::model::LineState| {
            line.listed?;
            Some(LostLine { wave: line.wave, reason: line.reason()? })
        };
        let found = self.model.lines.iter().enumerate().filter(|(_, line)| line.listed.is_none());
        // A line at a place per fibre is lost at all of them.
        let mut all_lost: Vec<LostLine> = self.model.lines.iter().filter_map(lost).collect();
        all_lost.dedup_by(|a, b| a.wave == b.wave);
        BundleFit {
            fibres: self.first_fibre()..self.last_fibre() + 1,
            dead: self.model.own.clone().filter(|&f| !self.model.live[f]).map(|f| first + f).collect(),
            shifts: (0..layout.exposures).map(shift).collect(),
            degree_across: self.model.monomials.iter().map(|(across, _)| *across).max().unwrap_or(0),
            lost: all_lost,
            found: found.map(|(l, line)| FoundLine { wave: line.wave, flux: median_flux(l) }).collect(),
            coreless: self.coreless(),
            rejected: self.rejected,
            spots: if outcome.is_ok() { self.spot_records() } else { Vec::new() },
            errors: if outcome.is_ok() { self.image_errors() } else { Vec::new() },
            residual: self.exposures.first().map(|e| ResidualMap::of(&e.region)).unwrap_or_default(),
            outcome,
        }
    }

    fn spot_records(&self) -> Vec<SpotFit> {
        let departures = self.departures(|_, spot| self.model.own.contains(&spot.fibre));
        let departures: BTreeMap<[usize; 2], Departure> = departures.into_iter().map(|d| (d.at, d)).collect();
        let mut records = Vec::new();
        for (e, exposure) in self.exposures.iter().enumerate() {
            for (l, line) in self.model.lines.iter().enumerate() {
                for fibre in self.model.own.clone() {
                    let index = exposure.index(l, fibre);
                    let (Some(d), state) = (departures.get(&[e, index]), &exposure.spots[index]) else { continue };
                    let reason = match (state.trusted, line.reason(), state.lost) {
                        (true, ..) => None,
                        (_, Some(lost), _) => Some(lost),
                        (.., Some(lost)) => Some(lost.into()),
                        _ if !self.model.live[fibre] => Some("its fibre has no light".into()),
                        _ => Some("faint or mostly masked".into()),
                    };
                    let error = if state.sn.abs() > 0.0 { (state.flux / state.sn).abs() } else { 0.0 };
                    records.push(SpotFit {
                        exposure: e,
                        fibre: self.model.fibres.start + fibre,
                        wave: line.wave,
                        listed: line.listed.is_some(),
                        at: self.model.at(&self.model.theta, e, fibre, line),
                        flux: [state.flux, error],
                        chi2: d.chi2,
                        pixels: d.pixels,
                        reason,
                    });
                }
            }
        }
        records
    }
}
