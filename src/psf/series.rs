//! Legendre series in wavelength.

use super::error::PsfError;
use serde::{Deserialize, Serialize};

/// Legendre series in wavelength, one per fibre: `value = sum_k c_k P_k(u)`, with
/// `u = 2 (wave - min)/(max - min) - 1`. Beyond its domain a series is extrapolated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LegendreSeries {
    /// Wavelengths that map to u = -1 and u = 1, in Angstrom.
    pub domain: [f64; 2],
    /// Number of coefficients per fibre.
    pub ncoeff: usize,
    /// Coefficients `[nfibre, ncoeff]`.
    pub coeff: Vec<f64>,
}

impl LegendreSeries {
    /// Returns the coefficients of one fibre, `[ncoeff]`.
    pub fn of(&self, fibre: usize) -> &[f64] {
        &self.coeff[fibre * self.ncoeff..(fibre + 1) * self.ncoeff]
    }

    /// Sets the coefficients of one fibre.
    pub(crate) fn set(&mut self, fibre: usize, coeff: &[f64]) {
        self.coeff[fibre * self.ncoeff..(fibre + 1) * self.ncoeff].copy_from_slice(coeff);
    }

    /// Checks the domain, the number of coefficients and that they are finite.
    pub(super) fn check(&self, parameter: &str, nfibre: usize) -> Result<(), PsfError> {
        check_domain(parameter, self.domain)?;
        let (ncoeff, found) = (self.ncoeff, self.coeff.len());
        if ncoeff == 0 || ncoeff.checked_mul(nfibre) != Some(found) {
            return Err(PsfError::Length { parameter: parameter.into(), found, ncoeff, nfibre });
        }
        match self.coeff.iter().position(|c| !c.is_finite()) {
            None => Ok(()),
            Some(at) => Err(PsfError::NotFinite {
                parameter: parameter.into(),
                fibre: at / ncoeff,
                term: at % ncoeff,
                value: self.coeff[at],
            }),
        }
    }
}

/// Value of the Legendre series `coeff` at `u`, by Bonnet's recurrence
/// `k P_k = (2k - 1) u P_{k-1} - (k - 1) P_{k-2}`.
pub fn legendre(coeff: &[f64], u: f64) -> f64 {
    let (mut before, mut current, mut sum) = (0.0, 1.0, 0.0);
    for (k, c) in coeff.iter().enumerate() {
        sum += c * current;
        let n = k as f64;
        let next = ((2.0 * n + 1.0) * u * current - n * before) / (n + 1.0);
        (before, current) = (current, next);
    }
    sum
}

/// `u` of a wavelength on a series' domain: -1 at its lower end, 1 at its upper end.
pub fn unit(domain: [f64; 2], wave: f64) -> f64 {
    2.0 * (wave - domain[0]) / (domain[1] - domain[0]) - 1.0
}

/// Checks that a range of wavelengths is finite and not empty.
pub(super) fn check_domain(parameter: &str, domain: [f64; 2]) -> Result<(), PsfError> {
    match domain[0].is_finite() && domain[1].is_finite() && domain[0] < domain[1] {
        true => Ok(()),
        false => Err(PsfError::Domain { parameter: parameter.into(), domain }),
    }
}
