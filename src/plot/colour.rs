//! Colours: viridis for intensities, blue over white to red for residuals, and those of text and curves.

use plotters::style::RGBColor;

/// Text and axes.
pub const INK: RGBColor = RGBColor(45, 45, 55);
/// Lines behind curves.
pub const GRID: RGBColor = RGBColor(232, 232, 236);
/// Measured curves, and the band of their errors.
pub const CURVE: RGBColor = RGBColor(31, 87, 160);
pub const BAND: RGBColor = RGBColor(186, 208, 236);
/// Curves of the truth or of the expected distribution.
pub const TRUTH: RGBColor = RGBColor(214, 72, 24);
/// Pixels without a value.
pub const MISSING: RGBColor = RGBColor(150, 150, 150);

/// Colours at equal distances, interpolated in between.
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

/// Returns the colour at `place`, clamped to 0..=1.
fn interpolate(stops: &Stops, place: f64) -> RGBColor {
    let at = place.clamp(0.0, 1.0) * (stops.len() - 1) as f64;
    let left = (at as usize).min(stops.len() - 2);
    let [r, g, b] = [0, 1, 2].map(|c| {
        let (low, high) = (f64::from(stops[left][c]), f64::from(stops[left + 1][c]));
        (low + (at - left as f64) * (high - low)).round() as u8
    });
    RGBColor(r, g, b)
}

/// Returns the colour of an intensity scale at `place`, dark at 0 and bright at 1.
pub fn viridis(place: f64) -> RGBColor {
    interpolate(&VIRIDIS, place)
}

/// Returns the colour of a scale about zero at `place`: blue at 0, white at 0.5, red at 1.
pub fn diverging(place: f64) -> RGBColor {
    interpolate(&DIVERGING, place)
}
