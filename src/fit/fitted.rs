//! All bundles of a PSF fitted, and the PSF that they make.

use super::{BundleFit, FitOptions, FitTimes, FittedBundle};
use crate::psf::{LegendreSeries, Psf, PsfError, PsfParts};
use crate::stages::legendre::{legendre, polynomials, unit};
use nalgebra::{DMatrix, DVector};

/// A fitted PSF and the fits of its bundles.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// The PSF; bundles without a fit have the start's.
    pub psf: Psf,
    /// The bundles in order.
    pub bundles: Vec<BundleFit>,
    /// Where the time went.
    pub times: FitTimes,
}

impl Fitted {
    /// Returns the fit with positions, widths and shifts along x and y of the files; the PSF stays as it is.
    #[must_use]
    pub fn in_file(mut self) -> Self {
        let turn = |pair: &mut [f64; 2]| *pair = self.psf.dispersion.in_file(*pair);
        for bundle in &mut self.bundles {
            bundle.shifts.iter_mut().for_each(turn);
            bundle.spots.iter_mut().for_each(|spot| turn(&mut spot.at));
            bundle.errors.iter_mut().for_each(|error| [&mut error.at, &mut error.widths].into_iter().for_each(turn));
        }
        self
    }

    /// Returns STATUS of every fibre: 0 fitted, 2 as in the start. One without light follows its bundle, and is 0, too.
    pub fn status(&self) -> Vec<f64> {
        let mut status = vec![2.0; self.psf.nfibre];
        for bundle in self.bundles.iter().filter(|bundle| bundle.outcome.is_ok()) {
            status[bundle.fibres.clone()].fill(0.0);
        }
        status
    }

    /// Returns the fibres without light, rows of the PSF: their traces follow the bundle, their shapes are the bundle's.
    pub fn dark_fibres(&self) -> Vec<usize> {
        let fitted = self.bundles.iter().filter(|bundle| bundle.outcome.is_ok());
        fitted.flat_map(|bundle| bundle.dead.iter().copied()).collect()
    }
}

/// Puts the bundles into a PSF; series of bundles without a fit are the start's.
pub(super) fn assemble(start: &Psf, options: &FitOptions, fitted: &[FittedBundle]) -> Result<Psf, PsfError> {
    let degree = |along: usize| options.gh_degree.unwrap_or(along);
    let (degree_x, degree_y) = (degree(start.gh_degree_x), degree(start.gh_degree_y));
    let domain = start.sigma_x.domain;
    let along = options.legendre_degree.map_or(0, |degree| degree + 1);
    let ncoeff = start.table_rows().iter().map(|(_, series)| series.ncoeff).max().unwrap_or(1).max(along);
    let again = |series: &LegendreSeries| on_domain(series, domain, ncoeff, start.nfibre);
    let zero = LegendreSeries { domain, ncoeff, coeff: vec![0.0; ncoeff * start.nfibre] };
    let mut gh = Vec::new();
    for i in 0..=degree_x {
        for j in 0..=degree_y {
            let inside = i <= start.gh_degree_x && j <= start.gh_degree_y;
            gh.push(if inside { again(&start.gh[i * (start.gh_degree_y + 1) + j]) } else { zero.clone() });
        }
    }
    let mut parts = PsfParts {
        sigma_x: again(&start.sigma_x),
        sigma_y: again(&start.sigma_y),
        gh,
        gh_degree_x: degree_x,
        gh_degree_y: degree_y,
        ..start.clone().into_parts()
    };
    if let Some(tails) = &mut parts.tails {
        tails.series_mut().into_iter().for_each(|series| *series = on_domain(series, domain, ncoeff, start.nfibre));
    }
    for FittedBundle { record, series, .. } in fitted {
        let Some(series) = series else { continue };
        for (k, fibre) in record.fibres.clone().enumerate() {
            parts.trace_x.set(fibre, &series[0][k]);
            parts.trace_y.set(fibre, &series[1][k]);
            let padded = |coeff: &[f64]| {
                let mut all = coeff.to_vec();
                all.resize(ncoeff, 0.0);
                all
            };
            parts.sigma_x.set(fibre, &padded(&series[2][k]));
            parts.sigma_y.set(fibre, &padded(&series[3][k]));
            parts.gh[0].set(fibre, &padded(&[1.0]));
            for (term, gh) in parts.gh[1..].iter_mut().enumerate() {
                gh.set(fibre, &padded(&series[4 + term][k]));
            }
        }
    }
    Psf::new(parts)
}

/// Returns a series on another domain with as many or more coefficients: the same polynomials.
fn on_domain(series: &LegendreSeries, domain: [f64; 2], ncoeff: usize, nfibre: usize) -> LegendreSeries {
    let fibres = 0..nfibre;
    if series.domain == domain {
        let padded = |fibre| series.of(fibre).iter().copied().chain(std::iter::repeat(0.0)).take(ncoeff);
        return LegendreSeries { domain, ncoeff, coeff: fibres.flat_map(padded).collect() };
    }
    // At as many Chebyshev nodes as coefficients a polynomial is known exactly.
    let node = |k: usize| (std::f64::consts::PI * (k as f64 + 0.5) / ncoeff as f64).cos();
    let table = DMatrix::from_fn(ncoeff, ncoeff, |k, j| polynomials(ncoeff, node(k))[j]).lu();
    let coeff = fibres.flat_map(|fibre| {
        let at = |k: usize| {
            let wave = domain[0] + 0.5 * (node(k) + 1.0) * (domain[1] - domain[0]);
            legendre(series.of(fibre), unit(series.domain, wave))
        };
        let values = DVector::from_fn(ncoeff, |k, _| at(k));
        table.solve(&values).map_or(vec![0.0; ncoeff], |c| c.iter().copied().collect())
    });
    LegendreSeries { domain, ncoeff, coeff: coeff.collect() }
}
