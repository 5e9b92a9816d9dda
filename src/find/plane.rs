//! The pixels of a frame, dispersion along y.

use crate::base::median::median;
use std::ops::Range;

/// Ratio of a median's standard deviation to that of a mean.
const OF_MEDIAN: f64 = 1.25;

/// Pixels of a frame, `[ny, nx]`.
#[derive(Clone, Copy, Debug)]
pub struct Plane<'a> {
    /// Columns.
    pub nx: usize,
    /// Rows.
    pub ny: usize,
    /// Electrons.
    pub data: &'a [f32],
    /// 1 / variance; 0 where the pixel must not be used.
    pub ivar: &'a [f32],
}

/// Numbers along one axis with their variances, infinite where there is none.
#[derive(Clone, Debug, Default)]
pub(super) struct Profile {
    pub value: Vec<f64>,
    pub var: Vec<f64>,
}

impl Profile {
    /// Whether there is a number.
    pub fn is_good(&self, i: usize) -> bool {
        self.var[i].is_finite()
    }

    /// Puts numbers where there are none, between the nearest that there are; their variances stay infinite.
    pub fn filled(mut self) -> Self {
        let good: Vec<usize> = (0..self.value.len()).filter(|&i| self.is_good(i)).collect();
        for i in (0..self.value.len()).filter(|&i| !self.var[i].is_finite()) {
            let after = good.partition_point(|&g| g < i);
            let ends = [after.checked_sub(1).and_then(|k| good.get(k)), good.get(after)];
            self.value[i] = match ends {
                [Some(&a), Some(&b)] => {
                    let part = (i - a) as f64 / (b - a) as f64;
                    (1.0 - part) * self.value[a] + part * self.value[b]
                }
                [Some(&one), None] | [None, Some(&one)] => self.value[one],
                [None, None] => 0.0,
            };
        }
        self
    }

    /// Returns the usual noise.
    pub fn noise(&self) -> f64 {
        let vars: Vec<f64> = self.var.iter().copied().filter(|var| var.is_finite()).collect();
        if vars.is_empty() { f64::INFINITY } else { median(vars).sqrt() }
    }
}

impl Plane<'_> {
    /// Returns the frame with rows and columns swapped, data and ivar.
    pub fn turned(&self) -> [Vec<f32>; 2] {
        let turn = |plane: &[f32]| {
            let column = |x: usize| (0..self.ny).map(move |y| plane[y * self.nx + x]);
            (0..self.nx).flat_map(column).collect()
        };
        [turn(self.data), turn(self.ivar)]
    }

    /// Returns the median of some rows for every column. Cosmic rays do not count.
    pub(super) fn across(&self, rows: Range<usize>) -> Profile {
        let mut profile = Profile::default();
        for x in 0..self.nx {
            let (mut values, mut vars) = (Vec::new(), Vec::new());
            for i in rows.clone().map(|y| y * self.nx + x).filter(|&i| self.ivar[i] > 0.0) {
                values.push(f64::from(self.data[i]));
                vars.push(1.0 / f64::from(self.ivar[i]));
            }
            // A few pixels are no median.
            let enough = 3 * values.len() >= rows.len() && !values.is_empty();
            let of_median = OF_MEDIAN * OF_MEDIAN / values.len() as f64;
            profile.var.push(if enough { of_median * median(vars) } else { f64::INFINITY });
            profile.value.push(if enough { median(values) } else { 0.0 });
        }
        profile
    }

    /// Returns how much the profile across rows changes from pixel to pixel, relative to its size.
    fn contrast(&self) -> f64 {
        let height = self.ny.div_ceil(STRIPS);
        let of_strip = |first: usize| {
            let profile = self.across(first..(first + height).min(self.ny)).filled();
            let change: f64 = profile.value.windows(3).map(|v| (v[0] - 2.0 * v[1] + v[2]).abs()).sum();
            change / profile.value.iter().map(|v| v.abs()).sum::<f64>().max(1e-9)
        };
        median((0..self.ny).step_by(height).map(of_strip).collect())
    }

    /// Whether the fibres of a flat run along y: across them light changes from pixel to pixel.
    pub fn runs_along_y(&self) -> bool {
        let [data, ivar] = self.turned();
        let other = Plane { nx: self.ny, ny: self.nx, data: &data, ivar: &ivar };
        self.contrast() >= other.contrast()
    }
}

/// Strips in which the direction of the fibres is looked for.
const STRIPS: usize = 40;
