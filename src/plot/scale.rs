//! Scales: values to places between 0 and 1, to colours, and to the levels of a palette.

use super::colour::{MISSING, diverging, viridis};
use plotters::style::RGBColor;

/// Levels of a scale. Level 0 is for pixels without a value, levels above these are for masked pixels.
pub const LEVELS: u8 = 223;
/// Least distance of two ticks, as a fraction of the scale: closer labels would overlap.
const TICK_DISTANCE: f64 = 0.083;

/// A linear or asinh scale and its colour map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Values at place 0 and 1.
    pub low: f64,
    pub high: f64,
    /// Value up to which an asinh scale is about linear and beyond which about logarithmic; 0 for a linear scale.
    pub soft: f64,
    /// Whether colours run from blue over white to red rather than from dark to bright.
    pub diverging: bool,
}

impl Scale {
    /// Makes a linear scale from dark to bright.
    pub fn linear(low: f64, high: f64) -> Self {
        Self { low, high: if high > low { high } else { low + 1.0 }, soft: 0.0, diverging: false }
    }

    /// Makes an asinh scale from dark to bright: noise about 0 and bright lines both show.
    pub fn asinh(low: f64, high: f64, soft: f64) -> Self {
        Self { low, high: high.max(low + soft), soft, diverging: false }
    }

    /// Makes a linear scale from `-limit` to `limit`, white at 0.
    pub fn about_zero(limit: f64) -> Self {
        Self { low: -limit, high: limit, soft: 0.0, diverging: true }
    }

    fn stretch(&self, value: f64) -> f64 {
        if self.soft > 0.0 { (value / self.soft).asinh() } else { value }
    }

    /// Returns the place of a value: 0..=1 between the ends of the scale.
    pub fn place(&self, value: f64) -> f64 {
        let [low, high] = [self.low, self.high].map(|v| self.stretch(v));
        (self.stretch(value) - low) / (high - low)
    }

    /// Returns the colour at a place.
    pub fn colour(&self, place: f64) -> RGBColor {
        if self.diverging { diverging(place) } else { viridis(place) }
    }

    /// Returns round values of the scale, 0 among them, far enough apart for labels.
    pub fn decades(&self) -> Vec<f64> {
        let candidates = (-1..=6).flat_map(|d| [1.0, 3.0].map(|m| m * 10f64.powi(d)));
        let mut ticks: Vec<f64> = Vec::new();
        for value in [0.0].into_iter().chain(candidates).filter(|&v| v >= self.low && v <= self.high) {
            if ticks.iter().all(|&other| (self.place(value) - self.place(other)).abs() > TICK_DISTANCE) {
                ticks.push(value);
            }
        }
        ticks
    }

    /// Returns the level of a value; 0 for NaN.
    pub fn level(&self, value: f64) -> u8 {
        if value.is_nan() { 0 } else { 1 + (self.place(value).clamp(0.0, 1.0) * f64::from(LEVELS - 1)).round() as u8 }
    }

    /// Returns the value of a level, as the page's script computes it; NaN for levels without a value.
    #[cfg(test)]
    pub fn value(&self, level: u8) -> f64 {
        if level == 0 || level > LEVELS {
            return f64::NAN;
        }
        let [low, high] = [self.low, self.high].map(|v| self.stretch(v));
        let place = low + (high - low) * f64::from(level - 1) / f64::from(LEVELS - 1);
        if self.soft > 0.0 { self.soft * place.sinh() } else { place }
    }

    /// Returns the colours of all 256 levels. No colour occurs twice, so that a page finds the level by its colour.
    pub fn palette(&self) -> Vec<[u8; 3]> {
        let scale = (0..LEVELS).map(|k| self.colour(f64::from(k) / f64::from(LEVELS - 1)));
        // Greens for masked pixels: apart from blue, white and red, and darker for larger residuals.
        let masked = u8::MAX - LEVELS;
        let greens = (0..masked).map(|k| {
            let mix = |from: f64, to: f64| (from + (to - from) * f64::from(k) / f64::from(masked - 1)).round() as u8;
            RGBColor(mix(136.0, 8.0), mix(186.0, 104.0), mix(120.0, 22.0))
        });
        [MISSING].into_iter().chain(scale).chain(greens).map(|RGBColor(r, g, b)| [r, g, b]).collect()
    }
}

/// Returns the label of a tick, without the digits of rounding errors.
pub fn tick_label(tick: f64) -> String {
    ((tick * 1e4).round() / 1e4).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_reads_back_as_its_number() {
        for scale in [Scale::linear(-3.0, 7.0), Scale::asinh(-10.0, 5000.0, 30.0), Scale::about_zero(8.0)] {
            for level in 1..=LEVELS {
                assert_eq!(scale.level(scale.value(level)), level, "{scale:?}");
            }
            assert_eq!((scale.level(f64::NAN), scale.level(1e9), scale.level(-1e9)), (0, LEVELS, 1));
        }
    }

    #[test]
    fn no_colour_stands_for_two_levels() {
        for scale in [Scale::linear(0.0, 1.0), Scale::about_zero(8.0)] {
            let mut colours = scale.palette();
            assert_eq!(colours.len(), 256);
            colours.sort_unstable();
            colours.dedup();
            assert_eq!(colours.len(), 256, "{scale:?}");
        }
    }

    #[test]
    fn ticks_are_round_and_apart() {
        assert_eq!(Scale::asinh(-10.0, 5000.0, 30.0).decades(), [0.0, 30.0, 100.0, 300.0, 1000.0, 3000.0]);
    }
}
