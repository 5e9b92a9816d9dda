//! Traces: the PSF's Legendre series evaluated for every fibre and wavelength bin.

use super::series::SeriesTable;
use crate::psf::{Form, LegendreSeries, Psf};
use rayon::prelude::*;
use std::ops::Range;

pub use super::legendre::{legendre, legendre_fit, unit};
pub use crate::geometry::param;

/// Positions and shapes of the spots of `nfibre` fibres at `nbin` wavelengths.
///
/// A position is an integer pixel plus an offset in [-0.5, 0.5): their sum in f32 has not the 1e-6 px
/// that the spots need.
#[derive(Clone, Debug, PartialEq)]
pub struct Traces {
    /// Number of fibres.
    pub nfibre: usize,
    /// Number of wavelength bins.
    pub nbin: usize,
    /// Nearest pixel column of the trace, `[nfibre, nbin]`.
    pub pixel_x: Vec<i32>,
    /// Nearest pixel row of the trace, `[nfibre, nbin]`.
    pub pixel_y: Vec<i32>,
    /// Trace x minus `pixel_x`, pixels, `[nfibre, nbin]`.
    pub offset_x: Vec<f64>,
    /// Trace y minus `pixel_y`, pixels, `[nfibre, nbin]`.
    pub offset_y: Vec<f64>,
    /// All other parameters, `[nparam, nfibre, nbin]`, in the order of [`param`].
    pub shape: Vec<f64>,
}

/// Splits a position in pixels into its nearest pixel and the offset from it.
pub fn split(position: f64) -> (i32, f64) {
    let pixel = (position + 0.5).floor();
    (pixel as i32, position - pixel)
}

/// Returns the series of a spot's shape: of Gauss-Hermite spots in the order of [`param`], a second core's before the tails.
/// Tails are there only where wanted and present. Of sampled spots their place among the images.
pub fn shape_series(psf: &Psf, with_tails: bool) -> Vec<&LegendreSeries> {
    let mut series = match &psf.form {
        Form::Grid(grid) => return vec![&grid.position, &grid.wave],
        Form::Polynomial(of) => return vec![&of.group, &of.x, &of.y],
        Form::GaussHermite | Form::TwoCores(_) => vec![&psf.sigma_x, &psf.sigma_y],
    };
    series.extend(&psf.gh);
    if let Form::TwoCores(core) = &psf.form {
        series.extend(core.series());
    }
    if let (true, Some(t)) = (with_tails, &psf.tails) {
        series.extend([&t.amplitude, &t.core, &t.x_scale, &t.y_scale, &t.index]);
    }
    series
}

/// Wavelengths at which a trace is looked at.
const WAVES: usize = 17;

/// Returns the fibres whose traces turn back along the dispersion between two wavelengths, Angstrom: light of two wavelengths
/// lies on the same pixels there.
pub fn turned(psf: &Psf, fibres: Range<usize>, [low, high]: [f64; 2]) -> Vec<usize> {
    let series = &psf.trace_y;
    let wave = |k: usize| low + (high - low) * k as f64 / (WAVES - 1) as f64;
    let is_turned = |fibre: &usize| {
        let y: Vec<f64> = (0..WAVES).map(|k| legendre(series.of(*fibre), unit(series.domain, wave(k)))).collect();
        !y.is_sorted() && !y.iter().rev().is_sorted()
    };
    fibres.filter(is_turned).collect()
}

/// Evaluates the traces and spot shapes of `fibres` (rows of the PSF) at `wave` (Angstrom).
///
/// `with_tails` appends the tail parameters where the PSF has them.
pub fn traces(psf: &Psf, fibres: Range<usize>, wave: &[f64], with_tails: bool) -> Traces {
    let (nfibre, nbin) = (fibres.len(), wave.len());
    let mut series = vec![&psf.trace_x, &psf.trace_y];
    series.extend(shape_series(psf, with_tails));
    let nparam = series.len() - 2;
    if nfibre * nbin == 0 {
        let (pixel_x, pixel_y, offset_x, offset_y) = Default::default();
        return Traces { nfibre, nbin, pixel_x, pixel_y, offset_x, offset_y, shape: vec![] };
    }
    let table = SeriesTable::new(&series, wave);
    let position = |series: usize| -> (Vec<i32>, Vec<f64>) {
        let mut t = vec![0.0; nfibre * nbin];
        t.par_chunks_mut(nbin).zip(fibres.clone()).for_each(|(row, fibre)| table.row(series, fibre, row));
        t.into_iter().map(split).unzip()
    };
    let (pixel_x, offset_x) = position(0);
    let (pixel_y, offset_y) = position(1);
    let mut shape = vec![0.0; nparam * nfibre * nbin];
    shape
        .par_chunks_mut(nbin)
        .enumerate()
        .for_each(|(k, row)| table.row(2 + k / nfibre, fibres.start + k % nfibre, row));
    Traces { nfibre, nbin, pixel_x, pixel_y, offset_x, offset_y, shape }
}
