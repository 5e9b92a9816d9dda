//! The residual of a bundle, small enough to be kept.

use super::region::Region;
use serde::{Deserialize, Serialize};

/// Rows that are kept at most.
const ROWS: usize = 512;

/// Residual over its noise, of each block of pixels the largest; 0 where no pixel is good.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ResidualMap {
    /// Column of the first pixel.
    pub x0: usize,
    /// Columns and rows of a block.
    pub step: usize,
    /// Blocks side by side.
    pub width: usize,
    /// `[blocks along the dispersion, width]`.
    pub values: Vec<f32>,
}

impl ResidualMap {
    /// Takes the residual of the last solution.
    pub(super) fn of(region: &Region) -> Self {
        let step = region.ny.div_ceil(ROWS).max(1);
        // Blocks of all bundles lie on one grid.
        let first = region.x0 as usize / step;
        let width = (region.x0 as usize + region.nx).div_ceil(step) - first;
        let mut values = vec![0.0f32; width * region.ny.div_ceil(step)];
        for (i, _) in region.ok.iter().enumerate().filter(|(_, ok)| **ok) {
            let (x, y) = (region.x0 as usize + i % region.nx, i / region.nx);
            let chi = ((region.data[i] - region.model[i]) / region.var[i].sqrt()) as f32;
            let block = &mut values[y / step * width + x / step - first];
            if chi.abs() > block.abs() {
                *block = chi;
            }
        }
        Self { x0: first * step, step, width, values }
    }
}
