//! Spots and how they change as they move and widen, of every kind of PSF.

use crate::geometry::{SpotShape, param};
use crate::psf::{Form, Psf};
use crate::stages::series::SeriesTable;
use crate::stages::spot_derivatives::SpotDerivatives;
use crate::stages::spots::SpotModel;
use crate::stages::traces::{legendre, shape_series, split, unit};

/// Half steps of differences: of positions, pixels, and of logarithms of widths.
const STEP: f64 = 1e-4;
/// Positions beyond which a spot is on no CCD, pixels.
const FAR: f64 = 1e6;

/// A spot and its derivatives by x, y, ln sigma x and ln sigma y.
#[derive(Clone, Debug, Default)]
pub(super) struct Stamp {
    /// First column and row.
    pub corner: [i64; 2],
    /// `[ny, nx]`.
    pub pixels: Vec<[f64; 5]>,
}

/// Parameters of the spots of a PSF at some wavelengths, not widened.
pub(super) struct Shapes<'a>(SeriesTable<'a>);

impl<'a> Shapes<'a> {
    pub fn new(psf: &'a Psf, wave: &[f64]) -> Self {
        Self(SeriesTable::new(&shape_series(psf, false), wave))
    }

    /// Returns the parameters of a fibre, wavelength by wavelength.
    pub fn of(&self, fibre: usize) -> FibreShapes {
        FibreShapes { count: self.0.nseries(), params: self.0.by_bin(fibre) }
    }
}

/// Parameters of the spots of a fibre.
pub(super) struct FibreShapes {
    count: usize,
    params: Vec<f64>,
}

impl FibreShapes {
    /// Returns the parameters at the wavelength of a number.
    pub fn at(&self, k: usize) -> &[f64] {
        &self.params[k * self.count..][..self.count]
    }
}

/// The spots of a PSF that is shifted and widened.
#[derive(Debug)]
pub(super) struct Moves<'a> {
    psf: &'a Psf,
    kind: Kind,
    shape: SpotShape,
    params: Vec<f64>,
}

#[derive(Debug)]
enum Kind {
    /// Derivatives in closed form.
    Hermite(Box<SpotDerivatives>),
    /// By differences; parameters that are widths along x and y.
    Other { model: Box<SpotModel>, widths: [Vec<usize>; 2] },
}

impl<'a> Moves<'a> {
    /// Prepares the spots of `psf`.
    pub fn new(psf: &'a Psf) -> Self {
        let shape = SpotShape::new(psf, false);
        let kind = match &psf.form {
            Form::GaussHermite => Kind::Hermite(Box::new(SpotDerivatives::new(&shape, true))),
            form => {
                let second = param::GH + psf.gh.len() + 1;
                let widths = match form {
                    Form::TwoCores(_) => [vec![0, second], vec![1, second + 1]],
                    _ => [Vec::new(), Vec::new()],
                };
                Kind::Other { model: Box::new(SpotModel::new(psf, false)), widths }
            }
        };
        Self { psf, kind, shape, params: Vec::new() }
    }

    /// Whether spots of the PSF have widths that can change.
    pub fn have_widths(psf: &Psf) -> bool {
        matches!(psf.form, Form::GaussHermite | Form::TwoCores(_))
    }

    /// Returns the trace of a fibre at a wavelength, x and y, not shifted.
    pub fn trace(psf: &Psf, fibre: usize, wave: f64) -> [f64; 2] {
        [&psf.trace_x, &psf.trace_y].map(|series| legendre(series.of(fibre), unit(series.domain, wave)))
    }

    /// Returns the first column and row of a spot, and the offset from its pixel.
    pub fn place(&self, fibre: usize, wave: f64, change: [f64; 4]) -> ([i64; 2], [f64; 2]) {
        let at = Self::trace(self.psf, fibre, wave);
        let at =
            [0, 1].map(|axis| at[axis] + change[axis]).map(|p| if p.is_finite() { p.clamp(-FAR, FAR) } else { FAR });
        let [(x, dx), (y, dy)] = at.map(split);
        ([i64::from(x) - self.shape.half_x as i64, i64::from(y) - self.shape.half_y as i64], [dx, dy])
    }

    /// Takes the parameters of a spot, widened.
    fn widen(&mut self, shape: &[f64], change: [f64; 4]) {
        self.params.clear();
        self.params.extend(shape);
        let grow = [change[2].exp(), change[3].exp()];
        match &self.kind {
            Kind::Hermite(_) => (0..2).for_each(|axis| self.params[axis] *= grow[axis]),
            Kind::Other { widths, .. } => {
                for (axis, of_axis) in widths.iter().enumerate() {
                    of_axis.iter().for_each(|&k| self.params[k] *= grow[axis]);
                }
            }
        }
    }

    /// Evaluates the spot of a fibre at a wavelength, changed by dx, dy, ln sigma x and ln sigma y, without its derivatives. `shape` are its
    /// parameters there. Returns its first column and row.
    pub fn values(
        &mut self,
        (fibre, wave): (usize, f64),
        shape: &[f64],
        change: [f64; 4],
        out: &mut Vec<f64>,
    ) -> [i64; 2] {
        let (corner, [dx, dy]) = self.place(fibre, wave, change);
        self.widen(shape, change);
        out.clear();
        out.resize(self.shape.size(), 0.0);
        match &mut self.kind {
            Kind::Hermite(spots) => spots.value([dx, dy], &self.params, out),
            Kind::Other { model, .. } => model.spot((dx, dy), &self.params, out),
        }
        corner
    }

    /// Evaluates the spot of a fibre at a wavelength, changed by dx, dy, ln sigma x and ln sigma y. `shape` are its parameters there.
    pub fn stamp(&mut self, (fibre, wave): (usize, f64), shape: &[f64], change: [f64; 4], out: &mut Stamp) {
        let (corner, [dx, dy]) = self.place(fibre, wave, change);
        self.widen(shape, change);
        out.corner = corner;
        out.pixels.clear();
        out.pixels.resize(self.shape.size(), [0.0; 5]);
        match &mut self.kind {
            Kind::Hermite(spots) => {
                let widths = [self.params[0], self.params[1]];
                spots.moves([dx, dy], &self.params, &mut out.pixels);
                for pixel in &mut out.pixels {
                    (pixel[3], pixel[4]) = (pixel[3] * widths[0], pixel[4] * widths[1]);
                }
            }
            Kind::Other { model, widths } => {
                differences(model, [dx, dy], &self.params, widths, &mut out.pixels);
            }
        }
    }
}

/// Writes a spot and its derivatives by differences.
fn differences(model: &SpotModel, [dx, dy]: [f64; 2], params: &[f64], widths: &[Vec<usize>; 2], out: &mut [[f64; 5]]) {
    let mut values = vec![0.0; out.len()];
    model.spot((dx, dy), params, &mut values);
    out.iter_mut().zip(&values).for_each(|(pixel, value)| pixel[0] = *value);
    for k in 0..4 {
        if k > 1 && widths[k - 2].is_empty() {
            continue;
        }
        for (sign, step) in [(1.0, STEP), (-1.0, -STEP)] {
            let (mut at, mut changed) = ([dx, dy], params.to_vec());
            match k {
                0 | 1 => at[k] += step,
                _ => widths[k - 2].iter().for_each(|&place| changed[place] *= step.exp()),
            }
            model.spot((at[0], at[1]), &changed, &mut values);
            out.iter_mut().zip(&values).for_each(|(pixel, value)| pixel[1 + k] += sign * value / (2.0 * STEP));
        }
    }
}
