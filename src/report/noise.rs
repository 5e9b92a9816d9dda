//! The scale of the errors of a CCD, by the residual: 1.2 where they are 1.2 times too small.
//!
//! The model follows a part of the noise, more where it has more light. The part is estimated pixel by pixel: the bins per row times the pixel's share
//! of the squared signal to noise of the fibre's row.

use super::residual::CcdResidual;
use super::statistics::percentile;
use std::ops::Range;

/// Signal to noise of the model below which pixels count: there a PSF that is 10 % off changes the residual little.
const FAINT: f64 = 3.0;
/// Largest part of its noise that a pixel is taken to lose to the model.
const MOST_FOLLOWED: f64 = 0.9;
/// Fewest pixels by which a scale is measured.
const FEWEST: usize = 4000;
/// Scales nearer to 1 than this are not worth a sentence: relative, of a frame and of a quarter of it against the frame.
const WORTH: [f64; 2] = [0.05, 0.07];
/// Scales from which the errors are wrong.
const WRONG: f64 = 0.1;

/// Bins and fibres of a frame on the CCD.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Wavelength bins.
    pub nwave: usize,
    /// Fibres.
    pub nspec: usize,
    /// Whether the spectra run along x.
    pub along_x: bool,
}

/// The scale of the errors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ErrorScale {
    /// Of the whole CCD.
    pub whole: f64,
    /// Of its quarters: lower left, lower right, upper left, upper right; None where too few pixels have a model.
    pub quarters: [Option<f64>; 4],
}

impl ErrorScale {
    /// Measures the scale; None where too few pixels in use have a faint model.
    pub fn of(ccd: &CcdResidual, layout: Layout) -> Option<Self> {
        let [columns, rows] = ccd.modelled();
        let (across, along) = if layout.along_x { (rows, columns) } else { (columns, rows) };
        let size = ccd.size();
        let place = |a: usize, b: usize| if layout.along_x { [b, a] } else { [a, b] };
        let bins_per_row = layout.nwave as f64 / along.len() as f64;
        let reach = (across.len() / layout.nspec.max(1)).clamp(3, 64) / 2;
        let mut sizes: [Vec<f64>; 4] = Default::default();
        for b in along {
            let line: Vec<Option<[f64; 2]>> = across.clone().map(|a| ccd.in_use(place(a, b))).collect();
            for (k, pixel) in line.iter().enumerate() {
                let Some([chi, signal]) = *pixel else { continue };
                if signal.abs() > FAINT {
                    continue;
                }
                let about: Range<usize> = k.saturating_sub(reach)..(k + reach + 1).min(line.len());
                let power: f64 = line[about].iter().flatten().map(|[_, signal]| signal * signal).sum();
                let followed = (bins_per_row * signal * signal / power.max(f64::MIN_POSITIVE)).min(MOST_FOLLOWED);
                let [x, y] = place(across.start + k, b);
                let quarter = usize::from(2 * x >= size[0]) + 2 * usize::from(2 * y >= size[1]);
                sizes[quarter].push(chi.abs() / (1.0 - followed).sqrt());
            }
        }
        let scale = |sizes: &[f64]| (sizes.len() >= FEWEST).then(|| percentile(sizes.iter().copied(), 0.6827));
        let quarters = [0, 1, 2, 3].map(|k| scale(&sizes[k]));
        Some(Self { whole: scale(&sizes.concat())?, quarters })
    }

    /// Returns sentences about a scale that is not 1, and whether the errors are wrong.
    pub fn sentences(&self) -> Vec<(bool, String)> {
        let mut list = Vec::new();
        if (self.whole - 1.0).abs() > WORTH[0] {
            list.push((
                (self.whole - 1.0).abs() > WRONG,
                format!("The errors of the CCD are {}.", in_words(self.whole)),
            ));
        }
        let names = ["lower left", "lower right", "upper left", "upper right"];
        for (scale, name) in self.quarters.iter().zip(names) {
            let Some(ratio) = scale.map(|scale| scale / self.whole).filter(|r| (r - 1.0).abs() > WORTH[1]) else {
                continue;
            };
            let wrong = (ratio - 1.0).abs() > WRONG;
            list.push((
                wrong,
                format!("In the {name} quarter of the CCD errors are {}, beside the others.", in_words(ratio)),
            ));
        }
        list
    }
}

/// Formats a scale: `1.20 times too small`.
fn in_words(scale: f64) -> String {
    match scale > 1.0 {
        true => format!("{scale:.2} times too small"),
        false => format!("{:.2} times too large", 1.0 / scale),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A CCD of 140 x 200 pixels with 20 fibres: residuals whose scatter is `sigma`, less what the fit has followed.
    fn ccd(sigma: impl Fn(usize, usize) -> f64) -> CcdResidual {
        let [nx, ny] = [140, 200];
        let profile = [0.0, 0.1, 0.6, 1.0, 0.6, 0.1, 0.0];
        let power: f64 = profile.iter().map(|p| p * p).sum();
        let mut state = 7u64;
        let mut uniform = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            ((state >> 11) as f64 + 0.5) / (1u64 << 53) as f64
        };
        let mut normal = || (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos();
        let (mut image, mut model) = (Vec::new(), Vec::new());
        for y in 0..ny {
            for fibre in 0..20 {
                let noise: Vec<f64> = (0..7).map(|k| normal() * sigma(7 * fibre + k, y)).collect();
                let followed: f64 = noise.iter().zip(profile).map(|(n, p)| n * p).sum::<f64>() / power;
                for (n, p) in noise.iter().zip(profile) {
                    model.push((2.0 * p + 0.001) as f32);
                    image.push((2.0 * p + 0.001 + n - followed * p) as f32);
                }
            }
        }
        CcdResidual { nx, image, ivar: vec![1.0; nx * ny], masked: vec![false; nx * ny], model, beside_others: false }
    }

    const LAYOUT: Layout = Layout { nwave: 200, nspec: 20, along_x: false };

    #[test]
    fn right_errors_have_the_scale_1_although_the_model_follows_noise() {
        let scale = ErrorScale::of(&ccd(|_, _| 1.0), LAYOUT).unwrap();
        assert!((scale.whole - 1.0).abs() < 0.02, "{scale:?}");
        assert_eq!(scale.sentences(), []);
    }

    #[test]
    fn errors_that_are_off_are_told_for_the_frame_and_for_a_quarter() {
        let small = ErrorScale::of(&ccd(|_, _| 1.2), LAYOUT).unwrap().sentences();
        assert!(small[0].0 && small[0].1.contains("1.2") && small[0].1.contains("too small"), "{small:?}");
        assert_eq!(small.len(), 1);
        let large = ErrorScale::of(&ccd(|_, _| 0.8), LAYOUT).unwrap().sentences();
        assert!(large[0].1.contains("1.2") && large[0].1.contains("too large"), "{large:?}");
        let quarter = ErrorScale::of(&ccd(|x, y| if x >= 70 && y < 100 { 1.5 } else { 1.0 }), LAYOUT).unwrap();
        assert!(quarter.sentences().iter().any(|(wrong, text)| *wrong && text.contains("lower right")), "{quarter:?}");
    }
}
