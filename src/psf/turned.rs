//! PSFs with rows and columns exchanged.

use super::dispersion::{Dispersion, TraceAxes};
use super::form::Form;
use super::images::{PolynomialImages, PolynomialParts, SpotImages, SpotImagesParts};
use super::model::{Psf, PsfParts};
use super::series::LegendreSeries;
use crate::base::transpose::transposed;
use std::mem::swap;
use std::sync::Arc;

impl PsfParts {
    /// Counts the traces along either axis of these parts, by their pixels from end to end.
    pub fn trace_axes(&self) -> TraceAxes {
        // P_k is 1 at the upper end, and 1 or -1 at the lower one: odd terms alone make a difference.
        let span =
            |series: &LegendreSeries, fibre: usize| series.of(fibre).iter().skip(1).step_by(2).sum::<f64>().abs();
        let mut axes = TraceAxes::default();
        for fibre in 0..self.nfibre {
            let [x, y] = [span(&self.trace_x, fibre), span(&self.trace_y, fibre)];
            axes.along_x += usize::from(x > y);
            axes.along_y += usize::from(y > x);
        }
        axes
    }

    /// Exchanges rows and columns, and the axis of dispersion.
    #[must_use]
    pub fn turned(mut self) -> Self {
        swap(&mut self.trace_x, &mut self.trace_y);
        swap(&mut self.sigma_x, &mut self.sigma_y);
        swap(&mut self.half_x, &mut self.half_y);
        swap(&mut self.npix_x, &mut self.npix_y);
        turn_terms(&mut self.gh, &mut self.gh_degree_x, &mut self.gh_degree_y);
        if let Some(tails) = &mut self.tails {
            swap(&mut tails.x_scale, &mut tails.y_scale);
        }
        self.form = self.form.turned();
        self.dispersion = self.dispersion.other();
        self
    }
}

impl Psf {
    /// Exchanges rows and columns, and the axis of dispersion. Defects stay.
    #[must_use]
    pub fn turned(self) -> Self {
        self.map_parts(PsfParts::turned)
    }

    /// Turns a PSF whose traces run along x in its parts.
    #[must_use]
    pub fn turned_by_traces(self) -> Self {
        match self.trace_axes().most() {
            Dispersion::AlongX => self.turned(),
            Dispersion::AlongY => self,
        }
    }

    /// Returns the PSF as its file has it, x along the columns of the CCD; `dispersion` is then AlongY whatever it was.
    #[must_use]
    pub fn as_in_file(self) -> Self {
        match self.dispersion {
            Dispersion::AlongX => self.turned(),
            Dispersion::AlongY => self,
        }
    }
}

/// Turns terms `[degree_x + 1, degree_y + 1]`.
fn turn_terms(gh: &mut Vec<LegendreSeries>, degree_x: &mut usize, degree_y: &mut usize) {
    let [nx, ny] = [*degree_x + 1, *degree_y + 1];
    if gh.len() == nx * ny {
        *gh = (0..nx * ny).map(|k| gh[k % nx * ny + k / nx].clone()).collect();
    }
    swap(degree_x, degree_y);
}

impl Form {
    fn turned(self) -> Self {
        match self {
            Self::GaussHermite => Self::GaussHermite,
            Self::TwoCores(mut core) => {
                swap(&mut core.sigma_x, &mut core.sigma_y);
                turn_terms(&mut core.gh, &mut core.degree_x, &mut core.degree_y);
                Self::TwoCores(core)
            }
            Self::Grid(mut grid) => {
                grid.images = Arc::new(grid.images.turned());
                Self::Grid(grid)
            }
            Self::Polynomial(mut of) => {
                swap(&mut of.x, &mut of.y);
                of.images = Arc::new(of.images.turned());
                Self::Polynomial(of)
            }
        }
    }
}

/// Turns every plane `[ny, nx]` of some.
fn planes(all: &[f64], [ny, nx]: [usize; 2]) -> Vec<f64> {
    all.chunks_exact(ny * nx).flat_map(|plane| transposed(plane, [ny, nx])).collect()
}

impl SpotImages {
    fn turned(&self) -> Self {
        let parts = self.parts();
        let SpotImagesParts { ny, nx, centre: [y, x], .. } = *parts;
        let samples = planes(&parts.samples, [ny, nx]);
        let turned = SpotImagesParts { ny: nx, nx: ny, centre: [x, y], samples, ..parts.clone() };
        Self::new(turned).expect("turned images are as good as they were")
    }
}

impl PolynomialImages {
    fn turned(&self) -> Self {
        let PolynomialParts { powers, ny, nx, images } = self.parts();
        let turned = PolynomialParts {
            powers: powers.iter().map(|[x, y]| [*y, *x]).collect(),
            ny: *nx,
            nx: *ny,
            images: planes(images, [*ny, *nx]),
        };
        Self::new(turned).expect("turned images are as good as they were")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_exchanged_with_their_axes() {
        let series = |value: f64| LegendreSeries { domain: [1.0, 2.0], ncoeff: 1, coeff: vec![value] };
        // Term i along x, j along y is 10 i + j.
        let mut gh: Vec<LegendreSeries> =
            (0..2).flat_map(|i| (0..3).map(move |j| f64::from(10 * i + j))).map(series).collect();
        let (mut x, mut y) = (1, 2);
        turn_terms(&mut gh, &mut x, &mut y);
        assert_eq!((x, y), (2, 1));
        assert_eq!(gh.iter().map(|g| g.coeff[0]).collect::<Vec<_>>(), [0.0, 10.0, 1.0, 11.0, 2.0, 12.0]);
    }
}
