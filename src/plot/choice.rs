//! What of a frame is worth showing: where to cut the CCD, and which spectra.

use super::Picture;
use crate::compare::fibre_numbers;
use crate::frame::Frame;
use crate::stages::traces::traces;
use std::ops::Range;

/// Columns and rows of the cut-out.
const CUT: [usize; 2] = [132, 132];

/// A part of the CCD.
#[derive(Clone, Debug)]
pub struct CutOut {
    /// Columns.
    pub columns: Range<usize>,
    /// Rows.
    pub rows: Range<usize>,
    /// The wavelength in its middle, Angstrom.
    pub wave: f64,
}

/// Rows of the PSF of the frame's fibres.
pub fn psf_rows(picture: &Picture) -> Vec<usize> {
    let fibres = fibre_numbers(picture.frame);
    let rows = fibres.into_iter().map(|f| f - picture.psf.fibermin);
    rows.filter(|r| (0..picture.psf.nfibre as i64).contains(r)).map(|r| r as usize).collect()
}

/// Cuts the CCD about the brightest line of the sky, at the widest gap between the frame's fibres.
pub fn cut_out(picture: &Picture) -> Option<CutOut> {
    let psf = picture.psf;
    let rows = psf_rows(picture);
    let wave = brightest_wave(picture)?;
    let places: Vec<[f64; 2]> = rows
        .iter()
        .map(|&row| {
            let t = traces(psf, row..row + 1, &[wave], false);
            [f64::from(t.pixel_x[0]), f64::from(t.pixel_y[0])]
        })
        .collect();
    let widest = places.windows(2).max_by(|a, b| (a[1][0] - a[0][0]).total_cmp(&(b[1][0] - b[0][0])));
    // One bundle has no gap to show: its middle serves as well.
    let centre = match widest {
        Some(pair) if pair[1][0] - pair[0][0] > 12.0 => [0.5 * (pair[0][0] + pair[1][0]), pair[0][1]],
        _ => *places.get(places.len() / 2)?,
    };
    let around = |centre: f64, size: usize, limit: usize| {
        let size = size.min(limit);
        let first = (centre.max(0.0) as usize).saturating_sub(size / 2).min(limit - size);
        first..first + size
    };
    Some(CutOut { columns: around(centre[0], CUT[0], psf.npix_x), rows: around(centre[1], CUT[1], psf.npix_y), wave })
}

/// The wavelength where the median fibre is brightest, within the middle of the CCD.
fn brightest_wave(picture: &Picture) -> Option<f64> {
    let frame = picture.frame;
    let (nspec, n) = (frame.spectra.nspec, frame.wave.len());
    let row = *psf_rows(picture).get(nspec / 2)?;
    let t = traces(picture.psf, row..row + 1, &frame.wave, false);
    let margin = (picture.psf.npix_y / 6) as i32;
    let inside = (0..n).filter(|&j| (margin..picture.psf.npix_y as i32 - margin).contains(&t.pixel_y[j]));
    let median = |j: usize| {
        let mut column: Vec<f64> = (0..nspec).map(|s| frame.spectra.flux[s * n + j]).collect();
        column.sort_by(f64::total_cmp);
        column[nspec / 2]
    };
    let brightest = inside.map(|j| (j, median(j))).max_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(frame.wave[brightest.0])
}

/// A spectrum to show.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// Row of the frame.
    pub row: usize,
    /// Fibre number.
    pub fibre: i64,
    /// What the fibre looked at; empty where unknown.
    pub kind: String,
    /// Median signal to noise a bin.
    pub snr: f64,
}

/// What the fibres looked at, by the fibermap; empty where it does not tell.
pub fn kinds(frame: &Frame) -> Vec<String> {
    let table = frame.fibermap.as_ref();
    table.and_then(|t| t.column_str("SIMTYPE").or_else(|| t.column_str("OBJTYPE"))).unwrap_or_default()
}

/// Chooses `count` spectra from bright to faint, of different kinds where the fibermap tells.
pub fn spectra(frame: &Frame, count: usize) -> Vec<Chosen> {
    let n = frame.wave.len();
    let fibres = fibre_numbers(frame);
    let kinds = kinds(frame);
    let mut all: Vec<Chosen> = (0..frame.spectra.nspec)
        .map(|row| {
            let bins = row * n..(row + 1) * n;
            let pairs = frame.spectra.flux[bins.clone()].iter().zip(&frame.spectra.ivar[bins]);
            let mut snr: Vec<f64> = pairs.map(|(f, w)| f * w.sqrt()).collect();
            snr.sort_by(f64::total_cmp);
            let kind = kinds.get(row).map(|k| k.trim().to_string()).unwrap_or_default();
            Chosen { row, fibre: fibres[row], kind, snr: snr.get(n / 2).copied().unwrap_or(0.0) }
        })
        .filter(|c| c.snr > 1.0)
        .collect();
    all.sort_by(|a, b| b.snr.total_cmp(&a.snr));
    let mut chosen: Vec<Chosen> = Vec::new();
    for wanted in 0..count {
        // From the bright end, the middle, the faint end; a kind that is not shown yet goes first.
        let place = if count > 1 { wanted * all.len().saturating_sub(1) / (count - 1) } else { 0 };
        let is_new = |c: &&Chosen| !chosen.iter().any(|o| o.fibre == c.fibre);
        let new_kind = |c: &&Chosen| !chosen.iter().any(|o| o.kind == c.kind);
        let near = |c: &Chosen| all.iter().position(|o| o.fibre == c.fibre).unwrap_or(0).abs_diff(place);
        let candidates = || all.iter().filter(is_new);
        let next = candidates().filter(new_kind).min_by_key(|c| near(c)).or(candidates().min_by_key(|c| near(c)));
        chosen.extend(next.cloned());
    }
    chosen
}

/// Bins whose spots lie on the CCD in all of `chosen`; all bins where there are none such.
pub fn bins_on_ccd(picture: &Picture, chosen: &[Chosen]) -> Range<usize> {
    let (psf, wave) = (picture.psf, &picture.frame.wave);
    let half = psf.half_y as i32;
    let rows = half..psf.npix_y as i32 - half;
    let mut bins = 0..wave.len();
    for fibre in chosen.iter().map(|c| (c.fibre - psf.fibermin) as usize).filter(|&f| f < psf.nfibre) {
        let y = traces(psf, fibre..fibre + 1, wave, false).pixel_y;
        let on = |j: &usize| rows.contains(&y[*j]);
        let (Some(first), Some(last)) = ((0..wave.len()).find(on), (0..wave.len()).rfind(on)) else { continue };
        bins = bins.start.max(first)..bins.end.min(last + 1);
    }
    if bins.is_empty() { 0..wave.len() } else { bins }
}
