//! A PSF of any kind as Gauss-Hermite functions, fitted to its spots.

use super::spot_widths::with_measured_widths;
use super::spots::{SpotModel, sum_of_profiles};
use super::traces::{legendre, legendre_fit, shape_series, unit};
use crate::geometry::SpotShape;
use crate::psf::{Form, LegendreSeries, Psf, PsfError};
use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;

/// Offsets of a trace from its pixel, along either axis, at which spots are fitted.
const OFFSETS: [f64; 3] = [-0.33, 0.0, 0.33];
/// Weight of a prior that holds terms at 0: the narrowest windows leave combinations of high orders undetermined.
const PRIOR: f64 = 1e-9;

/// Fits Gauss-Hermite terms up to `degree` to the spots of a PSF, and series of `legendre_degree` in wavelength to the terms.
/// Widths are those of the spots' second moments, GH-0-0 is 1; tails are left out.
///
/// # Errors
/// [`PsfError`] if the series make no PSF.
pub fn as_gauss_hermite(psf: &Psf, degree: usize, legendre_degree: usize) -> Result<Psf, PsfError> {
    let measured = with_measured_widths(psf.clone())?;
    let ncoeff = legendre_degree + 1;
    let domain = [psf.wave_min, psf.wave_max];
    let nodes = 2 * ncoeff + 1;
    let waves: Vec<f64> =
        (0..nodes).map(|k| domain[0] + (domain[1] - domain[0]) * k as f64 / (nodes - 1) as f64).collect();
    let u: Vec<f64> = waves.iter().map(|&wave| unit(domain, wave)).collect();
    let (model, series) = (SpotModel::new(psf, false), shape_series(psf, false));
    let terms = (degree + 1) * (degree + 1);
    let of_fibre = |fibre: usize| -> Vec<Vec<f64>> {
        let value = |series: &LegendreSeries, wave| legendre(series.of(fibre), unit(series.domain, wave));
        let at = |&wave: &f64| {
            let params: Vec<f64> = series.iter().map(|series| value(series, wave)).collect();
            let widths = [value(&measured.sigma_x, wave), value(&measured.sigma_y, wave)];
            fit_terms(&model, &params, widths, degree)
        };
        let found: Vec<Vec<f64>> = waves.iter().map(at).collect();
        let of_term = |term: usize| legendre_fit(&u, &found.iter().map(|of| of[term]).collect::<Vec<_>>(), ncoeff);
        (0..terms).map(of_term).collect()
    };
    let all: Vec<Vec<Vec<f64>>> = (0..psf.nfibre).into_par_iter().map(of_fibre).collect();
    let term = |term: usize| {
        let coeff = all.iter().flat_map(|of_fibre| of_fibre[term].iter().copied()).collect();
        LegendreSeries { domain, ncoeff, coeff }
    };
    let mut parts = measured.into_parts();
    (parts.gh, parts.form, parts.tails) = ((0..terms).map(term).collect(), Form::GaussHermite, None);
    (parts.gh_degree_x, parts.gh_degree_y) = (degree, degree);
    Psf::new(parts)?.with_bad_fibres_of(psf)
}

/// Fits the terms at one place, GH-0-0 being 1.
fn fit_terms(model: &SpotModel, params: &[f64], [sigma_x, sigma_y]: [f64; 2], degree: usize) -> Vec<f64> {
    let (window, terms) = (*model.shape(), (degree + 1) * (degree + 1));
    let shape = SpotShape { degree_x: degree, degree_y: degree, tails: false, ..window };
    let mut normal = DMatrix::<f64>::identity(terms, terms) * PRIOR;
    let mut right = DVector::<f64>::zeros(terms);
    let (mut spot, mut columns) = (vec![0.0; window.size()], vec![vec![0.0; window.size()]; terms]);
    for offset in OFFSETS.iter().flat_map(|&y| OFFSETS.map(|x| (x, y))) {
        model.spot(offset, params, &mut spot);
        for (k, column) in columns.iter_mut().enumerate() {
            let mut of_term = vec![0.0; 2 + terms];
            (of_term[0], of_term[1], of_term[2 + k]) = (sigma_x, sigma_y, 1.0);
            column.fill(0.0);
            sum_of_profiles(&shape, offset, &of_term, column);
        }
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        for i in 0..terms {
            right[i] += dot(&columns[i], &spot);
            for j in 0..=i {
                normal[(i, j)] += dot(&columns[i], &columns[j]);
                normal[(j, i)] = normal[(i, j)];
            }
        }
    }
    let none = || [vec![1.0], vec![0.0; terms - 1]].concat();
    let Some(found) = normal.cholesky().map(|factor| factor.solve(&right)) else { return none() };
    if !(found[0] > 0.0 && found.iter().all(|c| c.is_finite())) {
        return none();
    }
    found.iter().map(|c| c / found[0]).collect()
}
