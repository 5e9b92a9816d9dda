//! The spots of every kind of PSF: a window of pixels from a trace's offset and the parameters of the spot.

use super::fibre_images::FibreImages;
use super::sampled::{grid_spot, polynomial_spot};
use super::spot::{add_tails, normalise, spot, sum_of_profiles};
use crate::geometry::{SpotShape, param};
use crate::psf::{Form, PolynomialImages, Psf, Remainder, SpotImages};
use crate::stages::simd::Octet;
use crate::stages::traces::Traces;
use rayon::prelude::*;
use std::sync::Arc;

/// How the spots of a PSF follow from the offset of a trace and the parameters of
/// [`shape_series`](crate::stages::traces::shape_series).
#[derive(Clone, Debug)]
pub struct SpotModel {
    shape: SpotShape,
    kind: SpotKind,
}

/// The equations of a kind of PSF.
#[derive(Clone, Debug)]
pub enum SpotKind {
    /// Gauss-Hermite functions.
    Hermite,
    /// Gauss-Hermite functions of two widths: degrees of the second core, x and y.
    TwoCores([usize; 2]),
    /// Oversampled images on a grid.
    Grid(Arc<SpotImages>),
    /// Images with powers of the position.
    Polynomial(Arc<PolynomialImages>),
}

impl SpotModel {
    /// The spots of `psf`; `with_tails` asks for the tails, which are added where the PSF has them.
    pub fn new(psf: &Psf, with_tails: bool) -> Self {
        let kind = match &psf.form {
            Form::GaussHermite => SpotKind::Hermite,
            Form::TwoCores(core) => SpotKind::TwoCores([core.degree_x, core.degree_y]),
            Form::Grid(grid) => SpotKind::Grid(grid.images.clone()),
            Form::Polynomial(of) => SpotKind::Polynomial(of.images.clone()),
        };
        Self { shape: SpotShape::new(psf, with_tails), kind }
    }

    /// Size of the spots.
    pub fn shape(&self) -> &SpotShape {
        &self.shape
    }

    /// Returns the equations.
    pub fn kind(&self) -> &SpotKind {
        &self.kind
    }

    /// Whether they are Gauss-Hermite functions, which [`super::spots`] evaluates eight at a time.
    pub(super) fn is_hermite(&self) -> bool {
        matches!(self.kind, SpotKind::Hermite)
    }

    /// Evaluates one spot `[ny, nx]`, clipped at 0 and normalised to sum 1; zero where nothing positive is left.
    pub fn spot(&self, offset: (f64, f64), params: &[f64], out: &mut [f64]) {
        match &self.kind {
            SpotKind::Hermite => return spot(&self.shape, offset, params, out),
            SpotKind::TwoCores(degrees) => two_cores(&self.shape, *degrees, offset, params, out),
            SpotKind::Grid(images) => return grid_spot(&self.shape, images, offset, params, out),
            SpotKind::Polynomial(images) => polynomial_spot(images, offset, params, out),
        }
        normalise(out);
    }

    /// All spots of `traces`, `[nfibre, nbin, ny, nx]`. The corner pixel of a spot is
    /// (`pixel_x - half_x`, `pixel_y - half_y`).
    pub fn spots(&self, traces: &Traces) -> Vec<f64> {
        if self.is_hermite() {
            return super::spots(traces, &self.shape);
        }
        let (nbin, size) = (traces.nbin, self.shape.size());
        let mut out = vec![0.0; traces.nfibre * nbin * size];
        let of_fibre = |(fibre, out): (usize, &mut [f64])| {
            let bins = fibre * nbin..(fibre + 1) * nbin;
            let params = traces.shape.chunks_exact(traces.nfibre * nbin).map(|row| &row[bins.clone()]);
            let offsets = [&traces.offset_x[bins.clone()], &traces.offset_y[bins.clone()]];
            self.of_fibre(offsets, &params.collect::<Vec<_>>(), out);
        };
        out.par_chunks_mut((nbin * size).max(1)).enumerate().for_each(of_fibre);
        out
    }

    /// Evaluates spots of one fibre, `[bins, ny, nx]`: offsets x and y, and rows of parameters, each `[bins]`.
    pub(super) fn of_fibre(&self, [x, y]: [&[f64]; 2], rows: &[&[f64]], out: &mut [f64]) {
        if let Some(images) = self.grid() {
            return self.of_grid(images, [x, y], rows, out);
        }
        let mut params = vec![0.0; rows.len()];
        for (k, out) in out.chunks_exact_mut(self.shape.size()).enumerate() {
            params.iter_mut().zip(rows).for_each(|(to, row)| *to = row[k]);
            self.spot((x[k], y[k]), &params, out);
        }
    }

    /// Returns the images of a grid that bilinear weights move.
    pub(super) fn grid(&self) -> Option<&SpotImages> {
        match &self.kind {
            SpotKind::Grid(images) if images.parts().remainder == Remainder::Linear => Some(images),
            _ => None,
        }
    }

    fn of_grid(&self, images: &SpotImages, [x, y]: [&[f64]; 2], rows: &[&[f64]], out: &mut [f64]) {
        let (nx, ny) = (self.shape.nx(), self.shape.ny());
        let mut made = vec![];
        let mut of_fibre = FibreImages::new(images, rows[0].first().copied().unwrap_or_default(), &mut made);
        let mut stamp = vec![Octet::default(); self.shape.octets() * ny];
        for (k, out) in out.chunks_exact_mut(self.shape.size()).enumerate() {
            let scale = of_fibre.spot(&self.shape, 0, (x[k], y[k]), [rows[0][k], rows[1][k]], &mut stamp);
            let pixels = out.iter_mut().enumerate();
            pixels.for_each(|(p, pixel)| *pixel = scale * stamp[p % nx / 8 * ny + p / nx].0[p % nx % 8]);
        }
    }
}

/// Evaluates a spot of two cores, the first one cut off, on its even window.
fn two_cores(shape: &SpotShape, degrees: [usize; 2], offset: (f64, f64), params: &[f64], out: &mut [f64]) {
    let terms = (shape.degree_x + 1) * (shape.degree_y + 1);
    let (first, rest) = params.split_at(param::GH + terms);
    let (second, tails) = rest.split_at(1 + param::GH + (degrees[0] + 1) * (degrees[1] + 1));
    let (cut, second) = (second[0], &second[1..]);
    out.fill(0.0);
    sum_of_profiles(shape, offset, first, out);
    let place = |i: usize| {
        let dx = (i % shape.nx()) as f64 - shape.half_x as f64 - offset.0;
        let dy = (i / shape.nx()) as f64 - shape.half_y as f64 - offset.1;
        [dx, dy]
    };
    for (i, pixel) in out.iter_mut().enumerate() {
        let [dx, dy] = place(i);
        let r2 = (dx / first[param::SIGMA_X]).powi(2) + (dy / first[param::SIGMA_Y]).powi(2);
        if r2.is_nan() || r2 >= cut * cut {
            *pixel = 0.0;
        }
    }
    let of_second = SpotShape { degree_x: degrees[0], degree_y: degrees[1], tails: false, ..*shape };
    sum_of_profiles(&of_second, offset, second, out);
    if shape.tails {
        add_tails(shape, offset, tails, out);
    }
    // The window has `2 (half - 1)` pixels, from `floor(x - (half - 1))` on.
    let window = |half: usize, offset: f64| {
        let first = 1 - usize::from(offset < 0.0);
        first..first + 2 * (half - 1)
    };
    let (columns, rows) = (window(shape.half_x, offset.0), window(shape.half_y, offset.1));
    for (i, pixel) in out.iter_mut().enumerate() {
        if !columns.contains(&(i % shape.nx())) || !rows.contains(&(i / shape.nx())) {
            *pixel = 0.0;
        }
    }
}
