//! All spectra of a frame in few bytes: flux in steps of a third of its error, errors in steps of 5 %, compressed.
//!
//! Values are differences from the bin before in the same row, signed numbers as 0, -1, 1, -2, ... All lowest bytes come first, then all
//! second ones, so that the compression finds the empty ones. `spectrum.js` reads it.

use crate::frame::{Spectra, specmask};
use base64::prelude::{BASE64_STANDARD, Engine};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::io::Write;

/// Steps of flux per error.
pub const STEPS_PER_SIGMA: f64 = 3.0;
/// Steps of the error per factor of e.
pub const STEPS_PER_E: f64 = 20.0;
/// Bit of a bin without information; the others are those of [`page_bits`].
const NONE: u8 = 16;

/// Packs the spectra, and what is expected of them, if that is known, `[nspec, nwave]`.
pub fn packed(s: &Spectra, expected: Option<&[f64]>) -> String {
    let count = s.nspec * s.nwave;
    let bits: Vec<u8> = (0..count).map(|i| page_bits(s.mask[i], s.ivar[i], s.flux[i])).collect();
    let known = |i: usize| bits[i] & NONE == 0;
    let step = |i: usize| (-0.5 * s.ivar[i].ln() * STEPS_PER_E).round();
    let of_flux = |value: f64, i: usize| value * STEPS_PER_SIGMA / (step(i) / STEPS_PER_E).exp();
    let mut bytes = bits.clone();
    planes(&mut bytes, 2, s.nwave, (0..count).map(|i| known(i).then(|| step(i))));
    planes(&mut bytes, 3, s.nwave, (0..count).map(|i| known(i).then(|| of_flux(s.flux[i], i))));
    if let Some(expected) = expected {
        planes(&mut bytes, 3, s.nwave, (0..count).map(|i| known(i).then(|| of_flux(expected[i], i))));
    }
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    let compressed = encoder.write_all(&bytes).and_then(|()| encoder.finish());
    // Writing to memory does not fail.
    BASE64_STANDARD.encode(compressed.unwrap_or_default())
}

/// Appends values rounded to integers as `size` planes of bytes. A value that is not there repeats the one before.
fn planes(bytes: &mut Vec<u8>, size: usize, nwave: usize, values: impl Iterator<Item = Option<f64>>) {
    let most = f64::from((1i32 << (8 * size - 2)) - 1);
    let mut last = 0i32;
    let codes: Vec<u32> = values
        .enumerate()
        .map(|(i, value)| {
            let before = if i % nwave == 0 { 0 } else { last };
            last = value.filter(|v| v.is_finite()).map_or(before, |v| v.round().clamp(-most, most) as i32);
            let difference = last - before;
            ((difference << 1) ^ (difference >> 31)) as u32
        })
        .collect();
    (0..size).for_each(|plane| bytes.extend(codes.iter().map(|code| (code >> (8 * plane)) as u8)));
}

/// Returns the script's bits of a bin's mask: SOMEBADPIX, ALLBADPIX, BAD2DFIT, NODATA, and no information.
fn page_bits(mask: u32, ivar: f64, flux: f64) -> u8 {
    let bits = [specmask::SOMEBADPIX, specmask::ALLBADPIX, specmask::BAD2DFIT, specmask::NODATA];
    let known = bits.iter().enumerate().filter(|(_, bit)| mask & **bit != 0).map(|(k, _)| 1 << k).sum::<u8>();
    known | if ivar > 0.0 && ivar.is_finite() && flux.is_finite() { 0 } else { NONE }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::frame;
    use std::io::Read;

    /// Reads planes as the script does.
    fn read(bytes: &[u8], size: usize, nwave: usize) -> Vec<i32> {
        let count = bytes.len() / size;
        let mut values = Vec::new();
        for i in 0..count {
            let code = (0..size).map(|plane| u32::from(bytes[plane * count + i]) << (8 * plane)).sum::<u32>();
            let difference = (code >> 1) as i32 ^ -((code & 1) as i32);
            values.push(difference + if i % nwave == 0 { 0 } else { values[i - 1] });
        }
        values
    }

    #[test]
    fn every_spectrum_comes_back_within_a_sixth_of_its_error() {
        let mut frame = frame(3, 40);
        let flux = |i: usize| 1e3 * (i as f64 * 0.7).sin() + if i == 50 { 4e6 } else { 0.0 };
        frame.spectra.update(|s| (0..120).for_each(|i| (s.flux[i], s.ivar[i]) = (flux(i), 0.02 + i as f64))).unwrap();
        frame.spectra.update(|s| s.ivar[70] = 0.0).unwrap();
        let s = &frame.spectra;
        let packed = BASE64_STANDARD.decode(packed(s, None)).unwrap();
        let mut bytes = Vec::new();
        flate2::read::ZlibDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap();
        assert_eq!((bytes.len(), bytes[70], bytes[69]), (120 * 6, NONE, 0));
        let (steps, fluxes) = (read(&bytes[120..360], 2, 40), read(&bytes[360..], 3, 40));
        for i in (0..120).filter(|&i| i != 70 && i != 50) {
            let sigma = (f64::from(steps[i]) / STEPS_PER_E).exp();
            assert!((sigma * s.ivar[i].sqrt() - 1.0).abs() < 0.026, "bin {i}");
            let off = f64::from(fluxes[i]) * sigma / STEPS_PER_SIGMA - s.flux[i];
            assert!(off.abs() < 0.51 * sigma / STEPS_PER_SIGMA, "bin {i} is {off} off");
        }
    }
}
