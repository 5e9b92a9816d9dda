//! A PSF shifted and widened by what was measured.

use super::shifts::{BundleShift, Shifts};
use super::terms::{Quantity, terms};
use crate::psf::{Form, LegendreSeries, Psf, PsfError};
use crate::stages::legendre::{legendre, legendre_fit, unit};

/// Terms that a series gains at most: those of the quantities along wavelength.
const MORE: usize = 2;

impl Shifts {
    /// Returns the PSF with the traces and widths of the frame; what is neither measured nor taken from other bundles stays.
    ///
    /// # Errors
    /// [`PsfError`] if the result is no PSF.
    pub fn apply(&self, psf: &Psf) -> Result<Psf, PsfError> {
        let mut shifted = psf.clone();
        shifted.update(|parts| {
            for axis in 0..2 {
                let (of, q) =
                    if axis == 0 { (&mut parts.trace_x, Quantity::X) } else { (&mut parts.trace_y, Quantity::Y) };
                self.change(psf, of, q, |value, by| value + by);
            }
            let widths = |q: Quantity| self.bundles.iter().any(|bundle| bundle.has(q));
            if !(widths(Quantity::SigmaX) || widths(Quantity::SigmaY)) {
                return;
            }
            for (series, q) in [(&mut parts.sigma_x, Quantity::SigmaX), (&mut parts.sigma_y, Quantity::SigmaY)] {
                self.change(psf, series, q, |value, by| value * by.exp());
            }
            if let Form::TwoCores(core) = &mut parts.form {
                for (series, q) in [(&mut core.sigma_x, Quantity::SigmaX), (&mut core.sigma_y, Quantity::SigmaY)] {
                    self.change(psf, series, q, |value, by| value * by.exp());
                }
            }
        })?;
        Ok(shifted)
    }

    /// Changes a series at enough wavelengths to know the new one.
    fn change(&self, psf: &Psf, series: &mut LegendreSeries, quantity: Quantity, how: impl Fn(f64, f64) -> f64) {
        if !self.bundles.iter().any(|bundle| bundle.has(quantity)) {
            return;
        }
        let (old, ncoeff) = (series.clone(), series.ncoeff + MORE);
        let ncoeff =
            if old.ncoeff > MORE && matches!(quantity, Quantity::X | Quantity::Y) { old.ncoeff } else { ncoeff };
        let nodes: Vec<f64> =
            (0..ncoeff).map(|k| (std::f64::consts::PI * (k as f64 + 0.5) / ncoeff as f64).cos()).collect();
        let wave = |u: f64| old.domain[0] + 0.5 * (u + 1.0) * (old.domain[1] - old.domain[0]);
        series.ncoeff = ncoeff;
        series.coeff = (0..psf.nfibre)
            .flat_map(|fibre| {
                let bundle = self.bundle_of(fibre).filter(|bundle| bundle.has(quantity));
                let Some(bundle) = bundle else {
                    return old
                        .of(fibre)
                        .iter()
                        .copied()
                        .chain(std::iter::repeat(0.0))
                        .take(ncoeff)
                        .collect::<Vec<_>>();
                };
                let values: Vec<f64> = nodes
                    .iter()
                    .map(|&u| how(legendre(old.of(fibre), u), self.value(psf, bundle, quantity, fibre, wave(u))))
                    .collect();
                legendre_fit(&nodes, &values, ncoeff)
            })
            .collect();
    }

    fn value(&self, psf: &Psf, bundle: &BundleShift, quantity: Quantity, fibre: usize, wave: f64) -> f64 {
        let z = (psf.trace_x.of(fibre)[0] - bundle.slit[0]) / bundle.slit[1];
        let terms = terms(z, unit(self.domain, wave));
        let first = quantity as usize * terms.len();
        terms.iter().zip(&bundle.coeff[first..]).map(|(t, c)| t * c).sum()
    }
}
