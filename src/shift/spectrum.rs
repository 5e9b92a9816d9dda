//! Images of the parts of a spectrum: free bins, or a continuum and lines; with their derivatives.

use super::bundle::{Blend, Field};
use super::chunk::{Chunk, Spectrum};
use super::moves::{FibreShapes, Moves, Shapes, Stamp};
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
    /// Derivatives by x, y, ln sigma x and ln sigma y, likewise each.
    pub moves: [Vec<f64>; 4],
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

/// Rows of the region of a chunk, where the traces lie by the shift at the start.
pub(super) fn frame_rows(field: &Field, chunk: &Chunk) -> Range<usize> {
    let y = (0..field.fibres.len())
        .flat_map(|k| chunk.wave.map(|wave| Moves::trace(field.psf, field.fibres.start + k, wave)[1] + field.start[1]));
    let ends = y.fold([f64::MAX, f64::MIN], |[low, high], y| [low.min(y), high.max(y)]);
    let clip = |y: f64| y.clamp(0.0, field.region.ny as f64) as usize;
    clip(ends[0].floor())..clip(ends[1].ceil() + 1.0).max(clip(ends[0].floor()))
}

/// Wavelengths at which the light of a chunk is evaluated.
pub(super) struct Sampling<'a> {
    /// Bins, which are the nodes of a continuum, then the points of all lines.
    wave: Vec<f64>,
    bins: usize,
    /// The points of every line, and the part of its light of each.
    lines: Vec<(Range<usize>, Vec<f64>)>,
    shapes: Shapes<'a>,
}

impl<'a> Sampling<'a> {
    pub fn new(field: &Field<'a>, chunk: &Chunk) -> Self {
        let margin = (field.psf.half_y + 2) as f64 / chunk.dispersion;
        let ends = [chunk.wave[0] - margin, chunk.wave[1] + margin];
        let count = ((ends[1] - ends[0]) / chunk.step).ceil() as usize;
        let mut wave: Vec<f64> = (0..=count).map(|k| ends[0] + chunk.step * k as f64).collect();
        let bins = wave.len();
        let points = if field.options.line_sigma > 0.0 { &GAUSS[..] } else { &[(0.0, 1.0)] };
        let mut lines = Vec::new();
        for blend in &chunk.lines {
            let (first, sigma) = (wave.len(), field.line_sigma(blend));
            let of_part =
                |&(wave, share): &(f64, f64)| points.iter().map(move |(at, part)| (wave + sigma * at, share * part));
            let (at, parts): (Vec<f64>, Vec<f64>) = blend.parts.iter().flat_map(of_part).unzip();
            wave.extend(at);
            lines.push((first..wave.len(), parts));
        }
        Self { shapes: Shapes::new(field.psf, &wave), wave, bins, lines }
    }

    fn bins(&self) -> &[f64] {
        &self.wave[..self.bins]
    }
}

impl Light {
    /// Moves and widens the images by their derivatives.
    pub fn follow(&mut self, change: [f64; 4]) {
        for part in &mut self.parts {
            for (moves, change) in part.moves.iter().zip(change) {
                part.value.iter_mut().zip(moves).for_each(|(value, moves)| *value += change * moves);
            }
        }
    }
}

struct Builder<'a, 'b> {
    field: &'a Field<'a>,
    sampling: &'b Sampling<'a>,
    shapes: FibreShapes,
    moves: Moves<'a>,
    stamp: Stamp,
    fibre: usize,
    coeff: &'b [f64],
    rows: Range<usize>,
    columns: Range<usize>,
}

/// Makes the images of a fibre's spectrum in a chunk, under the coefficients of the quantities.
pub(super) fn light<'a>(
    field: &'a Field<'a>,
    chunk: &Chunk,
    sampling: &Sampling<'a>,
    fibre: usize,
    coeff: &[f64],
    rows: &Range<usize>,
) -> Light {
    let half = field.psf.half_x as f64 + 1.0;
    let x = sampling.bins().iter().map(|&wave| {
        Moves::trace(field.psf, field.fibres.start + fibre, wave)[0] + field.change(coeff, fibre, wave)[0]
    });
    let x = x.fold([f64::MAX, f64::MIN], |[low, high], x| [low.min(x), high.max(x)]);
    let clip = |x: f64| (x - f64::from(field.region.x0)).clamp(0.0, field.region.nx as f64) as usize;
    let columns = clip(x[0] - half)..clip(x[1] + half + 1.0).max(clip(x[0] - half));
    let mut builder = Builder {
        field,
        sampling,
        shapes: sampling.shapes.of(field.fibres.start + fibre),
        moves: Moves::new(field.psf),
        stamp: Stamp::default(),
        fibre,
        coeff,
        rows: rows.clone(),
        columns: columns.clone(),
    };
    let parts = match chunk.spectra[fibre] {
        Spectrum::Free => (0..sampling.bins).filter_map(|k| builder.bin(k)).collect(),
        Spectrum::Lines => {
            let mut parts = builder.continuum(chunk);
            let own = chunk.lines.iter().zip(&sampling.lines);
            let own = own.filter(|(blend, _)| blend.only.is_none_or(|only| only == fibre));
            parts.extend(own.filter_map(|(blend, line)| builder.line(blend, line)));
            parts
        }
    };
    Light { columns, parts }
}

impl Builder<'_, '_> {
    /// Evaluates the spot at the wavelength of a number.
    fn evaluate(&mut self, k: usize) {
        let wave = self.sampling.wave[k];
        let change = self.field.change(self.coeff, self.fibre, wave);
        let fibre = self.field.fibres.start + self.fibre;
        self.moves.stamp((fibre, wave), self.shapes.at(k), change, &mut self.stamp);
    }

    fn empty(&self, rows: Range<usize>, placed: bool) -> Part {
        let size = rows.len() * self.columns.len();
        Part { rows, value: vec![0.0; size], moves: [0; 4].map(|_| vec![0.0; size]), placed }
    }

    /// Rows of the frame that a spot covers.
    fn covered(&self, wave: f64) -> Range<usize> {
        let change = self.field.change(self.coeff, self.fibre, wave);
        let ([_, first], _) = self.moves.place(self.field.fibres.start + self.fibre, wave, change);
        let [low, len] = [first - self.rows.start as i64, self.rows.len() as i64];
        let high = low + (2 * self.field.psf.half_y + 1) as i64;
        let clip = |row: i64| row.clamp(0, len) as usize;
        clip(low)..clip(high)
    }

    /// Adds the last stamp to a part.
    fn add(&self, part: &mut Part, weight: f64) {
        let (nx, width) = (2 * self.field.psf.half_x + 1, self.columns.len());
        let first = self.stamp.corner[0] - i64::from(self.field.region.x0) - self.columns.start as i64;
        let columns = (-first).clamp(0, nx as i64) as usize..(width as i64 - first).clamp(0, nx as i64) as usize;
        if columns.is_empty() {
            return;
        }
        for (k, row) in self.stamp.pixels.chunks_exact(nx).enumerate() {
            let y = self.stamp.corner[1] + k as i64 - self.rows.start as i64;
            let Some(y) = usize::try_from(y).ok().filter(|y| part.rows.contains(y)) else { continue };
            let (at, row) =
                ((y - part.rows.start) * width + (first + columns.start as i64) as usize, &row[columns.clone()]);
            part.value[at..][..row.len()].iter_mut().zip(row).for_each(|(to, pixel)| *to += weight * pixel[0]);
            for (q, moves) in part.moves.iter_mut().enumerate() {
                moves[at..][..row.len()].iter_mut().zip(row).for_each(|(to, pixel)| *to += weight * pixel[1 + q]);
            }
        }
    }

    /// Makes the image of a bin.
    fn bin(&mut self, k: usize) -> Option<Part> {
        let rows = self.covered(self.sampling.wave[k]);
        if rows.is_empty() {
            return None;
        }
        let mut part = self.empty(rows, false);
        self.evaluate(k);
        self.add(&mut part, 1.0);
        Some(part)
    }

    /// Makes the image of a line; its parts are Gaussians of the lines' width.
    fn line(&mut self, blend: &Blend, (points, weights): &(Range<usize>, Vec<f64>)) -> Option<Part> {
        let margin = 3.0 * self.field.line_sigma(blend);
        let ends = [blend.parts[0].0 - margin, blend.parts[blend.parts.len() - 1].0 + margin];
        let [first, last] = ends.map(|wave| self.covered(wave));
        let rows = first.start.min(last.start)..first.end.max(last.end);
        if rows.is_empty() {
            return None;
        }
        let mut part = self.empty(rows, blend.listed);
        for (k, weight) in points.clone().zip(weights) {
            self.evaluate(k);
            self.add(&mut part, *weight);
        }
        (part.value.iter().sum::<f64>() > 0.02).then_some(part)
    }

    /// The terms of a continuum: Legendre polynomials over the chunk and its margins.
    fn continuum(&mut self, chunk: &Chunk) -> Vec<Part> {
        let all = 0..self.rows.len();
        let mut parts: Vec<Part> = (0..CONTINUUM).map(|_| self.empty(all.clone(), false)).collect();
        for k in 0..self.sampling.bins {
            self.evaluate(k);
            let u = (self.sampling.wave[k] - chunk.middle()) / (0.5 * (chunk.wave[1] - chunk.wave[0]));
            let values = crate::stages::legendre::polynomials(CONTINUUM, u);
            parts.iter_mut().zip(values).for_each(|(part, value)| self.add(part, value));
        }
        parts
    }
}
