//! The equations of a chunk: spectra solved for, and what the residual knows of displacements once they are projected out.

use super::bundle::Field;
use super::chunk::{Chunk, Spectrum};
use super::spectrum::{Light, Part, frame_rows};
use crate::stages::simd::{Octet, dispatch};
use crate::stages::skyline::{Both, Factor, Forward, Skyline, TILE};
use nalgebra::{DMatrix, DVector};
use std::ops::Range;

/// Added to the diagonal, relative to the largest and to its own element: parts without weight get no light.
const REGULAR: [f64; 2] = [1e-10, 1e-9];
/// Least signal over noise of a fibre, and of a line, that moves anything: noise alone would pass for information.
const SIGNAL: f64 = 5.0;

/// The information of a chunk. Quantities are dx, dy, ln sigma x, ln sigma y of every own fibre, `4 fibre + quantity`.
#[derive(Clone, Debug)]
pub(super) struct Local {
    /// Half of the negative gradient of chi2.
    pub gradient: DVector<f64>,
    /// Information that spectra do not take up.
    pub information: DMatrix<f64>,
    /// Rows of the region, and all its pixels there: the model.
    pub rows: Range<usize>,
    pub model: Vec<f64>,
    /// Per fibre of the field: chi2, its pixels, and the sum of the squares of the model by weight.
    pub fit: Vec<[f64; 3]>,
    /// Lines of the list that moved something, summed over fibres.
    pub lines: usize,
    /// Lines that were too faint for it: fibres and parts of their light.
    pub faint: Vec<[usize; 2]>,
}

/// A chunk's pixels: weights are 0 beyond the rows of its wavelengths.
pub(super) struct Frame {
    pub rows: Range<usize>,
    pub weights: Vec<f64>,
    /// The fibre whose trace is nearest, per pixel of the frame.
    pub nearest: Vec<usize>,
}

impl Frame {
    pub fn new(field: &Field, chunk: &Chunk, coeff: &[f64]) -> Self {
        let (region, rows) = (&field.region, frame_rows(field, chunk));
        let place = |fibre: usize, wave: f64| {
            let trace = super::moves::Moves::trace(field.psf, field.fibres.start + fibre, wave);
            let change = field.change(coeff, fibre, wave);
            [trace[0] + change[0] - f64::from(region.x0), trace[1] + change[1]]
        };
        let x: Vec<f64> = (0..field.fibres.len()).map(|k| place(k, chunk.middle())[0]).collect();
        let own: Vec<[f64; 2]> = (0..field.fibres.len())
            .map(|k| {
                let [a, b] = chunk.wave.map(|wave| place(k, wave)[1]);
                [a.min(b), a.max(b)]
            })
            .collect();
        let reach = field.psf.half_x as f64 + 1.0;
        let near = |column: usize| {
            let distance = |k: &usize| (x[*k] - column as f64).abs();
            let nearest = (0..x.len()).min_by(|a, b| distance(a).total_cmp(&distance(b)));
            nearest.filter(|k| distance(k) <= reach)
        };
        let columns: Vec<Option<usize>> = (0..region.nx).map(near).collect();
        let (mut weights, mut nearest) = (Vec::new(), Vec::new());
        for y in rows.clone() {
            for (column, fibre) in columns.iter().enumerate() {
                let inside = fibre.is_some_and(|k| (own[k][0]..own[k][1]).contains(&(y as f64)));
                weights.push(if inside { region.weight(y * region.nx + column) } else { 0.0 });
                nearest.push(fibre.unwrap_or(usize::MAX));
            }
        }
        Self { rows, weights, nearest }
    }
}

/// Sum of products; eight sums run side by side.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a8.remainder().iter().zip(b8.remainder()).map(|(a, b)| a * b).sum();
    a8.zip(b8).for_each(|(a, b)| (0..8).for_each(|k| sums[k] += a[k] * b[k]));
    sums.iter().sum::<f64>() + rest
}

/// An image on rows of the frame and columns of the region.
#[derive(Clone, Copy)]
struct Image<'a> {
    rows: &'a Range<usize>,
    columns: &'a Range<usize>,
    values: &'a [f64],
}

impl Image<'_> {
    fn product(&self, other: &Image) -> f64 {
        let columns = self.columns.start.max(other.columns.start)..self.columns.end.min(other.columns.end);
        let rows = self.rows.start.max(other.rows.start)..self.rows.end.min(other.rows.end);
        if columns.is_empty() {
            return 0.0;
        }
        let line = |image: &Image, row: usize| {
            let at = (row - image.rows.start) * image.columns.len() + columns.start - image.columns.start;
            at..at + columns.len()
        };
        rows.map(|row| dot(&self.values[line(self, row)], &other.values[line(other, row)])).sum()
    }
}

/// Spectra of a chunk, solved for.
pub(super) struct Solved<'a> {
    pub lights: &'a [Light],
    /// First unknown of every fibre, and their number.
    starts: Vec<usize>,
    /// Light of every part, and its power: the sum of its squares by weight.
    pub x: Vec<f64>,
    power: Vec<f64>,
    factor: Option<Skyline>,
    /// `[rows, columns of the region]`.
    pub model: Vec<f64>,
}

impl<'a> Solved<'a> {
    /// Solves for the spectra of all fibres.
    pub fn new(field: &Field, lights: &'a [Light], frame: &Frame) -> Self {
        let (region, nx) = (&field.region, field.region.nx);
        let mut starts = vec![0];
        lights.iter().for_each(|light| starts.push(starts[starts.len() - 1] + light.parts.len()));
        let n = starts[lights.len()];
        let weighted: Vec<Vec<Vec<f64>>> = lights
            .iter()
            .map(|light| light.parts.iter().map(|part| weigh(&part.value, part, light, frame, nx)).collect())
            .collect();
        let before: Vec<Vec<usize>> =
            (0..lights.len()).map(|f| overlapping(lights, f).filter(|g| *g <= f).collect()).collect();
        let mut firsts = vec![0; n.next_multiple_of(TILE)];
        for f in 0..lights.len() {
            firsts[starts[f]..starts[f + 1]].fill(starts[before[f].first().copied().unwrap_or(f)]);
        }
        (n..firsts.len()).for_each(|k| firsts[k] = k);
        let mut matrix = Skyline::default();
        matrix.reshape(&firsts);
        let mut x = vec![0.0; n];
        for f in 0..lights.len() {
            for (a, part) in lights[f].parts.iter().enumerate() {
                let row = starts[f] + a;
                let own = Image { rows: &part.rows, columns: &lights[f].columns, values: &weighted[f][a] };
                x[row] = against(&own, &region.data, frame, nx);
                for &g in &before[f] {
                    let last = if g == f { a + 1 } else { lights[g].parts.len() };
                    for (b, other) in lights[g].parts[..last].iter().enumerate() {
                        let theirs = Image { rows: &other.rows, columns: &lights[g].columns, values: &other.value };
                        *matrix.at_mut(row, starts[g] + b) += own.product(&theirs);
                    }
                }
            }
        }
        let power: Vec<f64> = (0..n).map(|k| matrix.at(k, k)).collect();
        let most = power.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        for (k, own) in power.iter().enumerate() {
            *matrix.at_mut(k, k) += REGULAR[0] * most + REGULAR[1] * own;
        }
        (n..firsts.len()).for_each(|k| *matrix.at_mut(k, k) = 1.0);
        let leading = matrix.strips();
        let factor = dispatch(Factor { matrix: &mut matrix, leading }).is_ok().then_some(matrix);
        match &factor {
            Some(factor) => x = solve(factor, &x),
            None => x.fill(0.0),
        }
        let mut model = vec![0.0; frame.weights.len()];
        for (f, light) in lights.iter().enumerate() {
            for (part, flux) in light.parts.iter().zip(&x[starts[f]..]) {
                for (k, values) in part.value.chunks_exact(light.columns.len().max(1)).enumerate() {
                    let to = &mut model[(part.rows.start + k) * nx..][light.columns.clone()];
                    to.iter_mut().zip(values).for_each(|(to, from)| *to += flux * from);
                }
            }
        }
        Self { lights, starts, x, power, factor, model }
    }

    fn parts(&self, fibre: usize) -> impl Iterator<Item = (usize, &Part)> {
        self.lights[fibre].parts.iter().enumerate().map(move |(k, part)| (self.starts[fibre] + k, part))
    }

    /// Sums up what the chunk knows of the own fibres.
    pub fn learn(&self, field: &Field, chunk: &Chunk, frame: &Frame) -> Local {
        let (region, nx, own) = (&field.region, field.region.nx, &field.own);
        let residual: Vec<f64> =
            (0..self.model.len()).map(|i| region.data[frame.rows.start * nx + i] - self.model[i]).collect();
        let mut fit = vec![[0.0; 3]; self.lights.len()];
        for (i, weight) in frame.weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
            let of = &mut fit[frame.nearest[i]];
            of[0] += weight * residual[i] * residual[i];
            of[1] += 1.0;
            of[2] += weight * self.model[i] * self.model[i];
        }
        let size = 4 * own.len();
        let mut local = Local {
            gradient: DVector::zeros(size),
            information: DMatrix::zeros(size, size),
            rows: frame.rows.clone(),
            model: self.model.clone(),
            fit,
            lines: 0,
            faint: Vec::new(),
        };
        let Some(factor) = &self.factor else { return local };
        // The images of the quantities, plain and by weight.
        let all = 0..frame.rows.len();
        let mut images: Vec<[Vec<f64>; 4]> = Vec::new();
        let mut weighted: Vec<[Vec<f64>; 4]> = Vec::new();
        // Images that are not empty.
        let mut known = vec![false; size];
        for f in own.clone() {
            let (light, is_lines) = (&self.lights[f], chunk.spectra[f] == Spectrum::Lines);
            // Bins that are free take up noise, as many squares of it as there are bins.
            let noise = if is_lines { 0.0 } else { light.parts.len() as f64 };
            let bright = local.fit[f][2] > SIGNAL.powi(2) + noise + 3.0 * (2.0 * noise).sqrt();
            let width = light.columns.len();
            let mut of_fibre = [0; 4].map(|_| vec![0.0; all.len() * width]);
            let is_free = !is_lines || !chunk.trusted;
            let known = &mut known[4 * (f - own.start)..][..4];
            (known[0], known[2]) = (bright, bright);
            for (k, part) in self.parts(f).filter(|_| bright) {
                let counts = part.placed && !is_free;
                let moves_y = counts && self.x[k] * self.power[k].sqrt() > SIGNAL;
                local.lines += usize::from(moves_y);
                (known[1], known[3]) = (known[1] || moves_y, known[3] || moves_y);
                if counts && !moves_y {
                    local.faint.push([f, k - self.starts[f]]);
                }
                let from = part.rows.start * width;
                for q in (0..4).filter(|q| q % 2 == 0 || moves_y) {
                    let to = of_fibre[q][from..].iter_mut();
                    to.zip(&part.moves[q]).for_each(|(to, moves)| *to += self.x[k] * moves);
                }
            }
            let whole = |values: &Vec<f64>| {
                let mut out = values.clone();
                for (row, out) in out.chunks_exact_mut(width.max(1)).enumerate() {
                    let weights = &frame.weights[row * nx..][light.columns.clone()];
                    out.iter_mut().zip(weights).for_each(|(out, weight)| *out *= weight);
                }
                out
            };
            weighted.push([0, 1, 2, 3].map(|q| whole(&of_fibre[q])));
            images.push(of_fibre);
        }
        let strips = factor.strips();
        let mut columns = vec![Octet::default(); size * strips];
        for f in own.clone() {
            for q in 0..4 {
                let at = 4 * (f - own.start) + q;
                if !known[at] {
                    continue;
                }
                let values = &weighted[f - own.start][q];
                let mine = Image { rows: &all, columns: &self.lights[f].columns, values };
                local.gradient[at] = mine.product(&Image { rows: &all, columns: &(0..nx), values: &residual });
                let to: &mut [f64] = bytemuck::cast_slice_mut(&mut columns[at * strips..(at + 1) * strips]);
                for g in overlapping(self.lights, f) {
                    for (k, part) in self.parts(g) {
                        let theirs = Image { rows: &part.rows, columns: &self.lights[g].columns, values: &part.value };
                        to[k] = mine.product(&theirs);
                    }
                    if !own.contains(&g) || g > f {
                        continue;
                    }
                    for p in 0..4 {
                        let other = 4 * (g - own.start) + p;
                        if !known[other] {
                            continue;
                        }
                        let values = &images[g - own.start][p];
                        let sum = mine.product(&Image { rows: &all, columns: &self.lights[g].columns, values });
                        local.information[(at, other)] = sum;
                        local.information[(other, at)] = sum;
                    }
                }
            }
        }
        let known: Vec<usize> = (0..size).filter(|at| known[*at]).collect();
        for &at in &known {
            dispatch(Forward { factor, x: &mut columns[at * strips..(at + 1) * strips] });
        }
        let flat: &[f64] = bytemuck::cast_slice(&columns);
        let rows: Vec<&[f64]> = flat.chunks_exact(8 * strips.max(1)).collect();
        for (k, &a) in known.iter().enumerate() {
            for &b in &known[..=k] {
                let taken = dot(rows[a], rows[b]);
                local.information[(a, b)] -= taken;
                if a != b {
                    local.information[(b, a)] -= taken;
                }
            }
        }
        local
    }
}

/// Fibres whose light shares columns with that of a fibre.
fn overlapping(lights: &[Light], fibre: usize) -> impl Iterator<Item = usize> {
    let own = &lights[fibre].columns;
    let shares = move |g: &usize| lights[*g].columns.start < own.end && own.start < lights[*g].columns.end;
    (0..lights.len()).filter(shares)
}

/// Returns the values of a part times the weights of their pixels.
fn weigh(values: &[f64], part: &Part, light: &Light, frame: &Frame, nx: usize) -> Vec<f64> {
    let mut out = values.to_vec();
    for (k, row) in out.chunks_exact_mut(light.columns.len().max(1)).enumerate() {
        let weights = &frame.weights[(part.rows.start + k) * nx..][light.columns.clone()];
        row.iter_mut().zip(weights).for_each(|(out, weight)| *out *= weight);
    }
    out
}

/// Sum of an image times the data of the region.
fn against(image: &Image, data: &[f64], frame: &Frame, nx: usize) -> f64 {
    let width = image.columns.len().max(1);
    let line = |(k, values): (usize, &[f64])| {
        let at = (frame.rows.start + image.rows.start + k) * nx;
        dot(values, &data[at..][image.columns.clone()])
    };
    image.values.chunks_exact(width).enumerate().map(line).sum()
}

fn solve(factor: &Skyline, right: &[f64]) -> Vec<f64> {
    let mut x = vec![Octet::default(); factor.strips()];
    bytemuck::cast_slice_mut::<_, f64>(&mut x)[..right.len()].copy_from_slice(right);
    dispatch(Both { factor, x: &mut x });
    bytemuck::cast_slice(&x)[..right.len()].to_vec()
}
