//! Images of the parts of a spectrum: free bins, or a continuum and lines; with their derivatives.

use super::bundle::{Blend, Field};
use super::chunk::{Chunk, Spectrum};
use super::moves::{Moves, Stamp};
use std::ops::Range;

/// Terms of the continuum along a chunk.
const CONTINUUM: usize = 3;
/// Nodes and weights of a Gaussian, of five by Gauss and Hermite: with three, widths of lines as wide as spots come out 1 % off.
const GAUSS: [(f64, f64); 5] = [
    (-2.856_970_013_872_805_6, 0.011_257_411_327_720_7),
    (-1.355_626_179_974_265_7, 0.222_075_922_005_612_6),
    (0.0, 0.533_333_333_333_333_3),
    (1.355_626_179_974_265_7, 0.222_075_922_005_612_6),
    (2.856_970_013_872_805_6, 0.011_257_411_327_720_7),
];

/// A part of a fibre's spectrum: its image on some rows of the chunk, per unit of light.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// Rows of the chunk's frame.
    pub rows: Range<usize>,
    /// `[rows, columns of the fibre]`.
    pub value: Vec<f64>,
    /// Derivatives by x, y, ln sigma x and ln sigma y, likewise.
    pub moves: Vec<[f64; 4]>,
    /// Whether its place along the dispersion is known: of lines of the list.
    pub placed: bool,
}

/// The parts of one fibre's spectrum.
#[derive(Clone, Debug)]
pub(super) struct Light {
    /// Columns of the region.
    pub columns: Range<usize>,
    pub parts: Vec<Part>,
}

/// Rows of the region of a chunk.
pub(super) fn frame_rows(field: &Field, chunk: &Chunk) -> Range<usize> {
    let y = (0..field.fibres.len())
        .flat_map(|k| chunk.wave.map(|wave| Moves::trace(field.psf, field.fibres.start + k, wave)[1]));
    let ends = y.fold([f64::MAX, f64::MIN], |[low, high], y| [low.min(y), high.max(y)]);
    let clip = |y: f64| y.clamp(0.0, field.region.ny as f64) as usize;
    clip(ends[0].floor())..clip(ends[1].ceil() + 1.0).max(clip(ends[0].floor()))
}

struct Builder<'a, 'b> {
    field: &'a Field<'a>,
    moves: Moves<'a>,
    stamp: Stamp,
    fibre: usize,
    coeff: &'b [f64],
    rows: Range<usize>,
    columns: Range<usize>,
}

/// Makes the images of a fibre's spectrum in a chunk, under the coefficients of the quantities.
pub(super) fn light(field: &Field, chunk: &Chunk, fibre: usize, coeff: &[f64], rows: &Range<usize>) -> Light {
    let margin = (field.psf.half_y + 2) as f64 / chunk.dispersion;
    let ends = [chunk.wave[0] - margin, chunk.wave[1] + margin];
    let count = ((ends[1] - ends[0]) / chunk.step).ceil() as usize;
    let nodes: Vec<f64> = (0..=count).map(|k| ends[0] + chunk.step * k as f64).collect();
    let half = field.psf.half_x as f64 + 1.0;
    let x = nodes.iter().map(|&wave| {
        Moves::trace(field.psf, field.fibres.start + fibre, wave)[0] + field.change(coeff, fibre, wave)[0]
    });
    let x = x.fold([f64::MAX, f64::MIN], |[low, high], x| [low.min(x), high.max(x)]);
    let clip = |x: f64| (x - f64::from(field.region.x0)).clamp(0.0, field.region.nx as f64) as usize;
    let columns = clip(x[0] - half)..clip(x[1] + half + 1.0).max(clip(x[0] - half));
    let moves = Moves::new(field.psf);
    let mut builder =
        Builder { field, moves, stamp: Stamp::default(), fibre, coeff, rows: rows.clone(), columns: columns.clone() };
    let parts = match chunk.spectra[fibre] {
        Spectrum::Free => nodes.iter().filter_map(|&wave| builder.point(wave)).collect(),
        Spectrum::Lines => {
            let mut parts = builder.continuum(chunk, &nodes);
            parts.extend(chunk.lines.iter().filter_map(|blend| builder.line(blend, field.options.line_sigma)));
            parts
        }
    };
    Light { columns, parts }
}

impl Builder<'_, '_> {
    fn evaluate(&mut self, wave: f64) {
        let change = self.field.change(self.coeff, self.fibre, wave);
        self.moves.stamp(self.field.fibres.start + self.fibre, wave, change, &mut self.stamp);
    }

    fn empty(&self, rows: Range<usize>, placed: bool) -> Part {
        let size = rows.len() * self.columns.len();
        Part { rows, value: vec![0.0; size], moves: vec![[0.0; 4]; size], placed }
    }

    /// Rows of the frame that the last stamp covers.
    fn covered(&self) -> Range<usize> {
        let [low, len] = [self.stamp.corner[1] - self.rows.start as i64, self.rows.len() as i64];
        let high = low + (2 * self.field.psf.half_y + 1) as i64;
        let clip = |row: i64| row.clamp(0, len) as usize;
        clip(low)..clip(high)
    }

    /// Adds the last stamp to a part.
    fn add(&self, part: &mut Part, weight: f64) {
        let (nx, width) = (2 * self.field.psf.half_x + 1, self.columns.len());
        let first = self.stamp.corner[0] - i64::from(self.field.region.x0) - self.columns.start as i64;
        for (k, row) in self.stamp.pixels.chunks_exact(nx).enumerate() {
            let y = self.stamp.corner[1] + k as i64 - self.rows.start as i64;
            let Some(y) = usize::try_from(y).ok().filter(|y| part.rows.contains(y)) else { continue };
            let at = (y - part.rows.start) * width;
            for (i, pixel) in row.iter().enumerate() {
                let Some(x) = usize::try_from(first + i as i64).ok().filter(|x| *x < width) else { continue };
                part.value[at + x] += weight * pixel[0];
                let moves = &mut part.moves[at + x];
                moves.iter_mut().zip(&pixel[1..]).for_each(|(to, from)| *to += weight * from);
            }
        }
    }

    /// A bin.
    fn point(&mut self, wave: f64) -> Option<Part> {
        self.evaluate(wave);
        let mut part = self.empty(self.covered(), false);
        self.add(&mut part, 1.0);
        (!part.rows.is_empty()).then_some(part)
    }

    /// A line; its parts are Gaussians of the width `sigma`, Angstrom.
    fn line(&mut self, blend: &Blend, sigma: f64) -> Option<Part> {
        let points = if sigma > 0.0 { &GAUSS[..] } else { &[(0.0, 1.0)] };
        let mut rows: Option<Range<usize>> = None;
        for wave in [blend.parts[0].0 - 3.0 * sigma, blend.parts[blend.parts.len() - 1].0 + 3.0 * sigma] {
            self.evaluate(wave);
            let own = self.covered();
            rows = Some(rows.map_or(own.clone(), |all| all.start.min(own.start)..all.end.max(own.end)));
        }
        let mut part = self.empty(rows?, blend.listed);
        for &(wave, share) in &blend.parts {
            for (at, weight) in points {
                self.evaluate(wave + sigma * at);
                self.add(&mut part, share * weight);
            }
        }
        let lit = part.value.iter().sum::<f64>() > 0.02;
        (!part.rows.is_empty() && lit).then_some(part)
    }

    /// The terms of a continuum: Legendre polynomials over the chunk and its margins.
    fn continuum(&mut self, chunk: &Chunk, nodes: &[f64]) -> Vec<Part> {
        let all = 0..self.rows.len();
        let mut parts: Vec<Part> = (0..CONTINUUM).map(|_| self.empty(all.clone(), false)).collect();
        for &wave in nodes {
            self.evaluate(wave);
            let u = (wave - chunk.middle()) / (0.5 * (chunk.wave[1] - chunk.wave[0]));
            let values = crate::stages::legendre::polynomials(CONTINUUM, u);
            parts.iter_mut().zip(values).for_each(|(part, value)| self.add(part, value));
        }
        parts
    }
}
