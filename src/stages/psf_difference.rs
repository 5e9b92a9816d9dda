//! How far the spots of two PSFs of the same fibres are apart.

use super::spot_widths::Moments;
use super::spots::SpotModel;
use super::traces::{legendre, shape_series, split, unit};
use crate::psf::{Dispersion, LegendreSeries, Psf};
use rayon::prelude::*;

/// Fibres and wavelengths that are looked at, evenly over the PSFs.
const FIBRES: usize = 50;
const WAVES: usize = 17;

/// Differences of spots, over places spread evenly.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PsfDifference {
    /// Places on the CCD that were looked at.
    pub places: usize,
    /// Median over the places of the largest difference of a pixel, as a fraction of the first PSF's peak.
    pub median: f64,
    /// The largest of all.
    pub most: f64,
    /// Largest differences of centroids along x and y, pixels.
    pub centroid: [f64; 2],
    /// Largest differences of widths along x and y, as fractions.
    pub width: [f64; 2],
}

impl PsfDifference {
    /// Returns the difference along x and y of the files of PSFs with this axis of dispersion.
    #[must_use]
    pub fn in_file(self, axis: Dispersion) -> Self {
        Self { centroid: axis.in_file(self.centroid), width: axis.in_file(self.width), ..self }
    }
}

/// A spot with its corner pixel.
struct Stamp {
    corner: [i64; 2],
    nx: usize,
    pixels: Vec<f64>,
}

impl Stamp {
    /// Evaluates the spot of a fibre at a wavelength.
    fn of(psf: &Psf, model: &SpotModel, series: &[&LegendreSeries], fibre: usize, wave: f64) -> Self {
        let value = |series: &LegendreSeries| legendre(series.of(fibre), unit(series.domain, wave));
        let ((px, dx), (py, dy)) = (split(value(&psf.trace_x)), split(value(&psf.trace_y)));
        let params: Vec<f64> = series.iter().map(|series| value(series)).collect();
        let shape = model.shape();
        let mut pixels = vec![0.0; shape.size()];
        model.spot((dx, dy), &params, &mut pixels);
        let corner = [i64::from(px) - shape.half_x as i64, i64::from(py) - shape.half_y as i64];
        Self { corner, nx: shape.nx(), pixels }
    }

    fn at(&self, x: i64, y: i64) -> f64 {
        let [x, y] = [x - self.corner[0], y - self.corner[1]].map(|k| usize::try_from(k).unwrap_or(usize::MAX));
        if x < self.nx && y < self.pixels.len() / self.nx { self.pixels[y * self.nx + x] } else { 0.0 }
    }

    /// Returns the pixels that it covers.
    fn covers(&self) -> impl Iterator<Item = (i64, i64)> {
        let [x0, y0] = self.corner;
        let nx = self.nx;
        (0..self.pixels.len()).map(move |k| (x0 + (k % nx) as i64, y0 + (k / nx) as i64))
    }

    /// Returns centroid on the CCD and widths.
    fn moments(&self) -> Option<[[f64; 2]; 2]> {
        let moments = Moments::of(&self.pixels, self.nx)?;
        let middle = [self.nx / 2, self.pixels.len() / self.nx / 2];
        Some([[0, 1].map(|k| self.corner[k] as f64 + middle[k] as f64 + moments.centroid[k]), moments.sigma])
    }
}

/// Compares the spots of two PSFs where the traces of the first are on the CCD.
pub fn psf_difference(a: &Psf, b: &Psf) -> PsfDifference {
    let step = (a.wave_max - a.wave_min) / (WAVES - 1) as f64;
    let nfibre = a.nfibre.min(b.nfibre);
    let shown = nfibre.min(FIBRES);
    let fibres: Vec<usize> = (0..shown).map(|k| k * (nfibre - 1) / (shown - 1).max(1)).collect();
    let [of_a, of_b] = [a, b].map(|psf| (SpotModel::new(psf, false), shape_series(psf, false)));
    let at = |&fibre: &usize| {
        let mut found = Vec::new();
        for wave in (0..WAVES).map(|k| a.wave_min + step * k as f64) {
            let y = legendre(a.trace_y.of(fibre), unit(a.trace_y.domain, wave));
            if !(0.0..=(a.npix_y - 1) as f64).contains(&y) {
                continue;
            }
            let first = Stamp::of(a, &of_a.0, &of_a.1, fibre, wave);
            let second = Stamp::of(b, &of_b.0, &of_b.1, fibre, wave);
            let peak = first.pixels.iter().copied().fold(0.0, f64::max);
            let pixels = first.covers().chain(second.covers());
            let most = pixels.map(|(x, y)| (first.at(x, y) - second.at(x, y)).abs()).fold(0.0, f64::max);
            if let (Some([ca, sa]), Some([cb, sb])) = (first.moments(), second.moments()) {
                found.push((
                    most / peak,
                    [0, 1].map(|k| (ca[k] - cb[k]).abs()),
                    [0, 1].map(|k| (sb[k] / sa[k] - 1.0).abs()),
                ));
            }
        }
        found
    };
    let mut found: Vec<_> = fibres.par_iter().flat_map_iter(at).collect();
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    let largest = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
    let [centroid, width] = [0, 1].map(|which| {
        [0, 1].map(|axis| largest(&mut found.iter().map(|of| if which == 0 { of.1[axis] } else { of.2[axis] })))
    });
    PsfDifference {
        places: found.len(),
        median: found.get(found.len() / 2).map_or(0.0, |of| of.0),
        most: found.last().map_or(0.0, |of| of.0),
        centroid,
        width,
    }
}
