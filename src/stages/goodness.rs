//! Goodness: how well the model fits the pixels under each bin, and how much of its PSF is masked.

use super::patch::{PatchSpots, Stamp};
use crate::geometry::PatchPixels;

/// Goodness of one bin.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Goodness {
    /// Weighted mean of chi^2 over the used pixels of the bin's PSF; 0 where none is used.
    pub chi2pix: f64,
    /// Fraction of the PSF on pixels with ivar 0 or off the CCD, in 0..=1.
    pub pixmask_fraction: f64,
    /// Fraction of the PSF off the CCD (more exactly, off the patch's pixels), in 0..=1.
    pub off_ccd: f64,
}

/// A bin with a larger pixmask_fraction is masked: accuracies are not measured there.
pub const MASKED: f64 = 0.5;

/// Returns chi^2 of every pixel of a patch, `[ny, nx]`, with variance `1/ivar + (psferr model)^2`. Without an error of the PSF
/// it is the chi^2 of the noise alone. NaN for pixels not used: those with ivar = 0 or a model of at most 0.
pub fn pixel_chi2(pixels: &PatchPixels, model: &[f64], psferr: f64) -> Vec<f64> {
    let chi2 = |((&p, &w), &m): ((&f64, &f64), &f64)| {
        let sigma = psferr * m;
        if w > 0.0 && m > 0.0 { (p - m).powi(2) / (1.0 / w + sigma * sigma) } else { f64::NAN }
    };
    pixels.image.iter().zip(&pixels.ivar).zip(model).map(chi2).collect()
}

/// Goodness of unknown `i`; `chi2` from [`pixel_chi2`].
///
/// `chi2pix = A^T chi^2 / A^T [used]`, `pixmask_fraction = A^T [ivar = 0]` plus the part of the spot that falls off the pixels.
pub fn goodness(spots: &PatchSpots, pixels: &PatchPixels, chi2: &[f64], i: usize) -> Goodness {
    let stamp = spots.stamp(i, &pixels.at);
    let (mut sum, mut used, mut masked, mut on) = (0.0, 0.0, 0.0, 0.0);
    for_each_pixel(&stamp, pixels, spots.nx, |s, p| {
        on += s;
        if pixels.ivar[p] == 0.0 {
            masked += s;
        }
        if !chi2[p].is_nan() {
            sum += s * chi2[p];
            used += s;
        }
    });
    let whole = stamp.rows.len() * stamp.columns.len() == spots.size() && on > 0.0;
    // A spot that is zero throughout covers nothing: all of it is absent.
    let off = if whole { 0.0 } else { (1.0 - on).clamp(0.0, 1.0) };
    Goodness {
        chi2pix: if used > 0.0 { sum / used } else { 0.0 },
        pixmask_fraction: (masked + off).clamp(0.0, 1.0),
        off_ccd: off,
    }
}

fn for_each_pixel(stamp: &Stamp, pixels: &PatchPixels, nx: usize, mut visit: impl FnMut(f64, usize)) {
    for y in stamp.rows.clone() {
        let first = stamp.pixel(y, stamp.columns.start, &pixels.at);
        for (k, x) in stamp.columns.clone().enumerate() {
            visit(stamp.spot[y * nx + x], first + k);
        }
    }
}
