//! Defects of a PSF: fibres whose spots it does not give, and remarks on the whole.

use super::error::PsfError;
use super::series::LegendreSeries;
use serde::{Deserialize, Serialize};

/// A fibre whose spots a PSF does not give.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BadFibre {
    /// Row of the PSF.
    pub fibre: usize,
    /// The fault: parameter, value and wavelength.
    pub reason: String,
    /// Whether its trace is wrong, too.
    pub trace: bool,
}

/// Defects of a PSF.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Defects {
    /// Fibres without a result, in order. Stand-ins, made of their neighbours, serve in their place in a fit.
    pub fibres: Vec<BadFibre>,
    /// Remarks on the whole, in sentences.
    pub notes: Vec<String>,
}

impl Defects {
    /// Whether a fibre, a row of the PSF, has no result.
    pub fn has(&self, fibre: usize) -> bool {
        self.fibres.iter().any(|bad| bad.fibre == fibre)
    }

    /// Returns a sentence per kind of defect.
    pub fn sentences(&self) -> Vec<String> {
        const LISTED: usize = 3;
        let mut sentences = self.notes.clone();
        if !self.fibres.is_empty() {
            let listed = self.fibres.iter().take(LISTED).map(|bad| format!("fibre {}: {}", bad.fibre, bad.reason));
            let listed = listed.collect::<Vec<_>>().join("; ");
            let more = match self.fibres.len().saturating_sub(LISTED) {
                0 => String::new(),
                more => format!("; and {more} more"),
            };
            sentences.push(format!(
                "{} of its fibres (rows of the PSF, from 0) are not usable ({listed}{more}); they get ivar 0 and mask bit \
                 BAD2DFIT",
                self.fibres.len()
            ));
        }
        sentences
    }
}

/// A series of a PSF by its FITS name, and whether it is one of the trace.
pub(super) type Named<'a> = (String, bool, &'a mut LegendreSeries);

/// Puts stand-ins in the place of bad fibres: series between those of the nearest good fibres, or beyond the last. `far` is
/// the distance of fibres, pixels, where there is but one.
///
/// The light of a bad fibre is on the CCD all the same. With a stand-in it goes to no neighbour.
pub(super) fn stand_in(nfibre: usize, far: f64, all: Vec<Named>, bad: &[BadFibre]) -> Result<(), PsfError> {
    let good: Vec<usize> = (0..nfibre).filter(|fibre| bad.iter().all(|b| b.fibre != *fibre)).collect();
    if let (Some(BadFibre { fibre, reason, .. }), true) = (bad.first(), good.is_empty()) {
        return Err(PsfError::NoFibre { fibre: *fibre, reason: reason.clone() });
    }
    for (name, of_trace, series) in all {
        for BadFibre { fibre, .. } in bad.iter().filter(|bad| bad.trace || !of_trace) {
            // Shapes do not go on beyond the last good fibre: they stay.
            let nearest = if of_trace { 2 } else { 1 };
            let below: Vec<usize> = good.iter().rev().filter(|g| *g < fibre).take(nearest).copied().collect();
            let above: Vec<usize> = good.iter().filter(|g| *g > fibre).take(nearest).copied().collect();
            let far = if name == "XTRACE" { far } else { 0.0 };
            let anew = between(series, *fibre, &below, &above, far);
            series.set(*fibre, &anew);
        }
    }
    Ok(())
}

/// Returns the coefficients of a fibre on the line through two others: one on each side, or the two nearest of one side.
/// With a single one they are its own, the first one `far` away per fibre.
fn between(series: &LegendreSeries, fibre: usize, below: &[usize], above: &[usize], far: f64) -> Vec<f64> {
    let (a, b) = match (below, above) {
        (&[a, ..], &[b, ..]) | (&[a, b], []) | ([], &[a, b]) => (a, b),
        (&[a, ..], []) | ([], &[a, ..]) => (a, a),
        ([], []) => return series.of(fibre).to_vec(),
    };
    let steps = fibre as f64 - a as f64;
    let weight = if a == b { 0.0 } else { steps / (b as f64 - a as f64) };
    let line = series.of(a).iter().zip(series.of(b)).map(|(a, b)| a + weight * (b - a));
    let mut coeff: Vec<f64> = line.collect();
    if let (true, Some(first)) = (a == b, coeff.first_mut()) {
        *first += far * steps;
    }
    coeff
}
