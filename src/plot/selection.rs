//! The region of the CCD and the spectra that are worth showing.

use super::picture::Picture;
use crate::base::median::median;
use crate::compare::fibre_numbers;
use crate::frame::Frame;
use crate::stages::traces::traces;
use std::ops::Range;

/// Columns and rows of the cut-out.
const CUT: [usize; 2] = [132, 132];
/// Columns between two fibres from which on there is a gap between bundles.
const GAP: f64 = 12.0;

/// A region of the CCD.
#[derive(Clone, Debug)]
pub struct CutOut {
    pub columns: Range<usize>,
    pub rows: Range<usize>,
    /// Wavelength at its centre, Angstrom.
    pub wave: f64,
}

/// Returns the rows of the PSF for the frame's fibres.
fn psf_rows(picture: &Picture) -> Vec<usize> {
    fibre_numbers(picture.frame).into_iter().filter_map(|number| picture.psf.row_of(number)).collect()
}

/// Cuts the CCD about the brightest line of the sky, at the widest gap between the frame's fibres.
pub fn cut_out(picture: &Picture) -> Option<CutOut> {
    let psf = picture.psf;
    let rows = psf_rows(picture);
    let wave = brightest_wave(picture, &rows)?;
    let position = |&row: &usize| {
        let t = traces(psf, row..row + 1, &[wave], false);
        [f64::from(t.pixel_x[0]), f64::from(t.pixel_y[0])]
    };
    let positions: Vec<[f64; 2]> = rows.iter().map(position).collect();
    let widest = positions.windows(2).max_by(|a, b| (a[1][0] - a[0][0]).total_cmp(&(b[1][0] - b[0][0])));
    let centre = match widest {
        Some(pair) if pair[1][0] - pair[0][0] > GAP => [0.5 * (pair[0][0] + pair[1][0]), pair[0][1]],
        _ => *positions.get(positions.len() / 2)?,
    };
    let around = |centre: f64, size: usize, limit: usize| {
        let size = size.min(limit);
        let first = (centre.max(0.0) as usize).saturating_sub(size / 2).min(limit - size);
        first..first + size
    };
    Some(CutOut { columns: around(centre[0], CUT[0], psf.npix_x), rows: around(centre[1], CUT[1], psf.npix_y), wave })
}

/// Returns the wavelength of the largest median flux, away from the upper and lower sixth of the CCD.
fn brightest_wave(picture: &Picture, psf_rows: &[usize]) -> Option<f64> {
    let (frame, ny) = (picture.frame, picture.psf.npix_y as i32);
    let (nspec, n) = (frame.spectra.nspec, frame.spectra.nwave);
    let row = *psf_rows.get(nspec / 2)?;
    let t = traces(picture.psf, row..row + 1, frame.scale(), false);
    let inside = (0..n).filter(|&j| (ny / 6..ny - ny / 6).contains(&t.pixel_y[j]));
    let typical = |j: usize| median((0..nspec).map(|s| frame.spectra.flux[s * n + j]).collect());
    let brightest = inside.map(|j| (j, typical(j))).max_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(frame.scale()[brightest.0])
}

/// A spectrum to show.
#[derive(Clone, Debug)]
pub struct Selected {
    /// Row of the frame.
    pub row: usize,
    pub fibre: i64,
    /// Kind of its target; empty if unknown.
    pub kind: String,
    /// Median S/N per bin.
    pub snr: f64,
}

/// Classes of targets by their bits of DESI_TARGET; of several the first.
const CLASSES: [(&str, u64); 7] = [
    ("STD", 0b111 << 33),
    ("QSO", 1 << 2),
    ("LRG", 1),
    ("ELG", 1 << 1),
    ("BGS", 1 << 60),
    ("MWS", 1 << 61),
    ("SECONDARY", 1 << 62),
];

/// Returns the kinds of the targets from the fibermap, `[nspec]`: SIMTYPE, or else the classes of DESI_TARGET and OBJTYPE; empty strings if
/// it has none.
pub fn kinds(frame: &Frame) -> Vec<String> {
    let table = frame.fibermap.as_ref();
    let column = |name: &str| table.and_then(|table| table.column_str(name)).unwrap_or_default();
    let (simulated, types) = (column("SIMTYPE"), column("OBJTYPE"));
    let bits = table.and_then(|table| table.column_i64("DESI_TARGET")).unwrap_or_default();
    let class = |row: usize| {
        let bits = bits.get(row).copied().unwrap_or(0).cast_unsigned();
        CLASSES.iter().find(|(_, class)| bits & class != 0).map(|(name, _)| (*name).to_string())
    };
    let kind = |row: usize| {
        let text = |of: &[String]| of.get(row).map(|kind| kind.trim().to_string()).filter(|kind| !kind.is_empty());
        let is_target = text(&types).is_none_or(|kind| kind == "TGT");
        text(&simulated).or_else(|| class(row).filter(|_| is_target)).or_else(|| text(&types)).unwrap_or_default()
    };
    (0..frame.spectra.nspec).map(kind).collect()
}

/// Selects `count` spectra from bright to faint, of different kinds where the fibermap has kinds.
pub fn spectra(frame: &Frame, count: usize) -> Vec<Selected> {
    let n = frame.spectra.nwave;
    let fibres = fibre_numbers(frame);
    let mut all: Vec<Selected> = kinds(frame)
        .into_iter()
        .enumerate()
        .map(|(row, kind)| {
            let bins = row * n..(row + 1) * n;
            let pairs = frame.spectra.flux[bins.clone()].iter().zip(&frame.spectra.ivar[bins]);
            Selected { row, fibre: fibres[row], kind, snr: median(pairs.map(|(f, w)| f * w.sqrt()).collect()) }
        })
        .filter(|s| s.snr > 1.0)
        .collect();
    all.sort_by(|a, b| b.snr.total_cmp(&a.snr));
    let mut selected: Vec<usize> = Vec::new();
    for wanted in 0..count.min(all.len()) {
        // From the bright end over the middle to the faint end; a kind not shown yet goes first.
        let rank = if count > 1 { wanted * (all.len() - 1) / (count - 1) } else { 0 };
        let is_new_kind = |k: usize| !selected.iter().any(|&other| all[other].kind == all[k].kind);
        let left = (0..all.len()).filter(|k| !selected.contains(k));
        let next = left.min_by_key(|&k| (!is_new_kind(k), k.abs_diff(rank)));
        selected.extend(next);
    }
    selected.into_iter().map(|k| all[k].clone()).collect()
}

/// Returns the bins whose spots lie on the CCD for all `selected` spectra; all bins if there are none.
pub fn bins_on_ccd(picture: &Picture, selected: &[Selected]) -> Range<usize> {
    let (psf, wave) = (picture.psf, picture.frame.scale());
    let half = psf.half_y as i32;
    let rows = half..psf.npix_y as i32 - half;
    let mut bins = 0..wave.len();
    for fibre in selected.iter().filter_map(|s| psf.row_of(s.fibre)) {
        let y = traces(psf, fibre..fibre + 1, wave, false).pixel_y;
        let on = |j: &usize| rows.contains(&y[*j]);
        let (Some(first), Some(last)) = ((0..wave.len()).find(on), (0..wave.len()).rfind(on)) else { continue };
        bins = bins.start.max(first)..bins.end.min(last + 1);
    }
    if bins.is_empty() { 0..wave.len() } else { bins }
}
