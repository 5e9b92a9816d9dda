//! A spot on the CCD.

use super::model::{Model, SpotParams};
use super::region::{Region, Window};
use crate::stages::traces::split;

/// Positions beyond which a spot is on no CCD, pixels.
const FAR: f64 = 1e6;

/// A spot on the CCD.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    /// Its number among the spots of the exposure.
    pub index: usize,
    /// Its fibre, counted from the first of the model's.
    pub fibre: usize,
    /// Its line.
    pub line: usize,
    /// Its position from the pixel in the middle of its window.
    pub offset: [f64; 2],
    pub shape: Vec<f64>,
    pub window: Window,
}

impl Spot {
    /// Places a spot.
    pub fn new(index: usize, model: &Model, region: &Region, place: [usize; 2], params: SpotParams) -> Self {
        let [line, fibre] = place;
        let [(x, dx), (y, dy)] = params.at.map(|at| split(if at.is_finite() { at.clamp(-FAR, FAR) } else { FAR }));
        let window = region.window(&model.spot, [x, y]);
        Self { index, fibre, line, offset: [dx, dy], shape: params.shape, window }
    }
}
