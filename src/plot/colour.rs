//! Colours of pixel values: viridis for electrons on an asinh scale, blue to red for residuals.

use plotters::style::RGBColor;

/// Residuals beyond this many sigma have the full colour.
pub const RESIDUAL_LIMIT: f64 = 5.0;
/// Colour of pixels that are not used.
pub const MASKED: RGBColor = RGBColor(150, 150, 150);

/// Colours between which [`interpolate`] runs, at equal distances.
type Stops = [[u8; 3]; 9];

/// Viridis, by Smith and van der Walt (CC0), at eighths.
const VIRIDIS: Stops = [
    [68, 1, 84],
    [71, 44, 122],
    [59, 81, 139],
    [44, 113, 142],
    [33, 144, 141],
    [39, 173, 129],
    [92, 200, 99],
    [170, 220, 50],
    [253, 231, 37],
];

/// Blue over white to red, at eighths.
const DIVERGING: Stops = [
    [5, 48, 97],
    [33, 102, 172],
    [67, 147, 195],
    [146, 197, 222],
    [247, 247, 247],
    [244, 165, 130],
    [214, 96, 77],
    [178, 24, 43],
    [103, 0, 31],
];

/// The colour at `t` of 0..=1.
fn interpolate(stops: &Stops, t: f64) -> RGBColor {
    let place = t.clamp(0.0, 1.0) * (stops.len() - 1) as f64;
    let left = (place as usize).min(stops.len() - 2);
    let share = place - left as f64;
    let mix = |c: usize| {
        let (a, b) = (f64::from(stops[left][c]), f64::from(stops[left + 1][c]));
        (a + share * (b - a)).round() as u8
    };
    RGBColor(mix(0), mix(1), mix(2))
}

/// An asinh scale: linear about 0, logarithmic for bright pixels, so that noise and sky lines both show.
#[derive(Clone, Copy, Debug)]
pub struct Asinh {
    low: f64,
    high: f64,
    soft: f64,
}

impl Asinh {
    /// The scale from `low` to `high` electron, linear within `soft` of 0.
    pub fn new(low: f64, high: f64, soft: f64) -> Self {
        Self { low, high: high.max(low + soft), soft }
    }

    fn stretch(&self, value: f64) -> f64 {
        (value / self.soft).asinh()
    }

    /// The place of a value on the scale, 0..=1 within its limits.
    pub fn place(&self, value: f64) -> f64 {
        (self.stretch(value) - self.stretch(self.low)) / (self.stretch(self.high) - self.stretch(self.low))
    }

    /// The colour of a value.
    pub fn colour(&self, value: f64) -> RGBColor {
        viridis(self.place(value))
    }

    /// Round values to write beside the scale.
    pub fn ticks(&self) -> Vec<f64> {
        let decades = (1..=6).flat_map(|d| [1.0, 3.0].map(|m| m * 10f64.powi(d)));
        let ticks = [0.0].into_iter().chain(decades);
        ticks.filter(|&t| t >= self.low && t <= self.high).collect()
    }
}

/// The colour at place `t`, 0..=1, of an intensity scale.
pub fn viridis(t: f64) -> RGBColor {
    interpolate(&VIRIDIS, t)
}

/// The colour at place `t`, 0..=1, of a scale about zero: white in its middle.
pub fn diverging(t: f64) -> RGBColor {
    interpolate(&DIVERGING, t)
}

/// The colour of a residual in sigma.
pub fn residual(sigmas: f64) -> RGBColor {
    diverging(0.5 + 0.5 * sigmas / RESIDUAL_LIMIT)
}
