//! One exposure of a bundle: its pixels, and the state of its spots.

use super::model::Model;
use super::region::Region;
use super::spot::Spot;
use crate::stages::spot_derivatives::SpotDerivatives;

/// Error of the model of spots that move nothing, as a fraction of their light.
const LOOSE: f64 = 0.1;

/// The state of a spot.
#[derive(Clone, Debug, Default)]
pub(super) struct SpotState {
    /// Whether it is in the model.
    pub used: bool,
    /// Whether it may move traces and shapes.
    pub trusted: bool,
    /// Whether most of its core is masked.
    pub coreless: bool,
    /// Why it alone must not.
    pub lost: Option<&'static str>,
    /// Electrons, up to the sum of a spot that is not normalised.
    pub flux: f64,
    /// Signal over noise.
    pub sn: f64,
}

/// One exposure of a bundle.
#[derive(Clone, Debug)]
pub(super) struct Exposure {
    pub region: Region,
    /// Fibres of the model.
    pub fibres: usize,
    /// `[line, fibre]`.
    pub spots: Vec<SpotState>,
    /// Error of the model as a fraction of the light of a pixel: the shape of spots is not known from the beginning.
    pub roughness: f64,
}

impl Exposure {
    /// Number of a spot.
    pub fn index(&self, line: usize, fibre: usize) -> usize {
        line * self.fibres + fibre
    }

    /// Light of a spot that moves traces and shapes; 0 of one that does not.
    pub fn moving(&self, spot: &Spot) -> f64 {
        let state = &self.spots[spot.index];
        if state.trusted { state.flux } else { 0.0 }
    }

    /// Computes the variance anew: read noise, photons of the model, and the error of spots that are not trusted. Otherwise a
    /// bright one of these would decide whether a step is good.
    pub fn renew_variance(&mut self, model: &Model, number: usize) {
        let mut loose = vec![0.0; self.region.data.len()];
        let mut evaluator = SpotDerivatives::new(&model.spot, true);
        let mut values = vec![0.0; model.spot.size()];
        for (l, line) in model.lines.iter().enumerate() {
            for fibre in 0..self.fibres {
                let index = self.index(l, fibre);
                let state = &self.spots[index];
                if state.used && !state.trusted {
                    let params = model.spot_at(&model.theta, number, fibre, line);
                    let spot = Spot::new(index, model, &self.region, [l, fibre], params);
                    evaluator.value(spot.offset, &spot.shape, &mut values);
                    for row in spot.window.rows.clone() {
                        let columns = &spot.window.columns;
                        let from = &values[spot.window.in_spot(model.spot.nx(), row, columns)];
                        let to = &mut loose[row * self.region.nx..][columns.clone()];
                        to.iter_mut().zip(from).for_each(|(to, from)| *to += state.flux * from);
                    }
                }
            }
        }
        let Region { var, read, model, data, .. } = &mut self.region;
        for (i, var) in var.iter_mut().enumerate() {
            // Where the model has no light yet, its photon noise says nothing.
            let light = model[i].max(data[i]).max(0.0);
            *var = read[i] + model[i].max(0.0) + (LOOSE * loose[i]).powi(2) + (self.roughness * light).powi(2);
        }
    }
}
