//! Distances between arrays, and the bits of spectra.

use spextral::extract::Extraction;

/// Largest |a - b|.
pub fn worst(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "lengths differ");
    maximum(a.iter().zip(b).map(|(a, b)| (a - b).abs()))
}

/// Largest value, or NaN if any is: a NaN must not pass as small.
pub fn maximum(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |m, v| if v > m || v.is_nan() || m.is_nan() { v + 0.0 * m } else { m })
}

/// Largest magnitude.
pub fn largest(a: &[f64]) -> f64 {
    a.iter().fold(0.0, |m, v| v.abs().max(m))
}

/// Every number of an extraction, its model image among them, bit by bit.
pub fn bits(extraction: &Extraction) -> Vec<u64> {
    let s = &extraction.spectra;
    let r = s.resolution.to_f64();
    let all = [&s.flux[..], &s.ivar, &r, &s.chi2pix, &s.pixmask_fraction];
    let model = extraction.model.iter().flatten().map(|v| v.to_bits().into());
    all.into_iter().flatten().map(|v| v.to_bits()).chain(s.mask.iter().map(|&m| m.into())).chain(model).collect()
}
