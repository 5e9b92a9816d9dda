//! The measurement: quantities of every bundle with their errors, and those among them that are worth a sentence.

use super::terms::{Quantity, TERMS, terms};
use crate::psf::Psf;
use crate::stages::legendre::unit;
use nalgebra::DMatrix;
use std::ops::Range;

/// Wavelengths at which a camera's extremes are looked for.
const WAVES: usize = 9;
/// Departures below these, or below five errors, are not worth a sentence: x and y, pixels, and widths as fractions.
const WORTH: [f64; 4] = [0.02, 0.04, 0.01, 0.025];

/// A quantity over some fibres and all wavelengths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Departure {
    /// Its mean.
    pub mean: f64,
    /// The error of the mean.
    pub error: f64,
    /// Its extremes over fibres and wavelengths.
    pub ends: [f64; 2],
}

/// The measurement of a bundle.
#[derive(Clone, Debug, PartialEq)]
pub struct BundleShift {
    /// Its fibres, rows of the PSF.
    pub fibres: Range<usize>,
    /// Column of its middle, and half of its width.
    pub(super) slit: [f64; 2],
    /// Coefficients of the quantities, `[quantity, term]`.
    pub(super) coeff: Vec<f64>,
    /// Their covariance.
    pub(super) covariance: DMatrix<f64>,
    /// Quantities that the frame gives, in the order of [`Quantity::ALL`]; the others are 0.
    pub measured: [bool; 4],
    /// Whether its lines are not those of the list, so that the list is not used.
    pub unmatched: bool,
    /// Spots of listed lines that gave places along y.
    pub lines: usize,
    /// Pixels left out.
    pub rejected: usize,
    /// Lines found that the list lacks, Angstrom.
    pub unlisted: Vec<f64>,
    /// Chunks of the CCD used, and those that the list does not describe.
    pub chunks: usize,
    /// See `chunks`.
    pub distrusted: usize,
}

/// Shifts and widenings of the spots of a PSF.
#[derive(Clone, Debug, PartialEq)]
pub struct Shifts {
    /// The bundles in order.
    pub bundles: Vec<BundleShift>,
    /// Wavelength range of the PSF, Angstrom.
    pub domain: [f64; 2],
}

impl Shifts {
    /// Returns the bundle of a fibre, a row of the PSF.
    pub fn bundle_of(&self, fibre: usize) -> Option<&BundleShift> {
        self.bundles.iter().find(|bundle| bundle.fibres.contains(&fibre))
    }

    /// Returns a quantity and its error at a fibre and a wavelength, Angstrom; None where it is not measured.
    pub fn at(&self, psf: &Psf, quantity: Quantity, fibre: usize, wave: f64) -> Option<[f64; 2]> {
        let bundle = self.bundle_of(fibre)?;
        let z = (psf.trace_x.of(fibre)[0] - bundle.slit[0]) / bundle.slit[1];
        bundle.of(quantity, terms(z, unit(self.domain, wave)))
    }

    /// Returns a quantity over all bundles; None where none has it.
    pub fn departure(&self, quantity: Quantity) -> Option<Departure> {
        let of: Vec<Departure> = self.bundles.iter().filter_map(|bundle| bundle.departure(quantity)).collect();
        let weight: f64 = of.iter().map(|d| d.error.powi(-2)).sum();
        let mean = of.iter().map(|d| d.mean * d.error.powi(-2)).sum::<f64>() / weight;
        let ends = of.iter().fold([f64::MAX, f64::MIN], |[a, b], d| [a.min(d.ends[0]), b.max(d.ends[1])]);
        (!of.is_empty()).then_some(Departure { mean, error: weight.powf(-0.5), ends })
    }

    /// Returns a sentence about departures, None of a PSF that fits: "traces +0.096 pixels off in x".
    pub fn sentence(&self) -> Option<String> {
        let found = Quantity::ALL.map(|q| self.departure(q).filter(|d| d.is_significant(q)).map(|d| d.mean));
        let place = |q: usize, name: &str| found[q].map(|mean| format!("{mean:+.3} pixels off in {name}"));
        let width = |q: usize, name: &str| found[q].map(|mean| format!("{:+.1} % in width along {name}", 100.0 * mean));
        let traces: Vec<String> = [place(0, "x"), place(1, "y")].into_iter().flatten().collect();
        let spots: Vec<String> = [width(2, "x"), width(3, "y")].into_iter().flatten().collect();
        let parts = [("traces", traces), ("spots", spots)];
        let parts =
            parts.into_iter().filter(|(_, of)| !of.is_empty()).map(|(name, of)| format!("{name} {}", of.join(" and ")));
        let parts: Vec<String> = parts.collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// Returns a sentence about quantities that the frame does not give.
    pub fn unmeasured(&self) -> Option<String> {
        let none: Vec<&str> = Quantity::ALL
            .into_iter()
            .zip(["dx", "dy", "sigma x", "sigma y"])
            .filter(|(q, _)| self.departure(*q).is_none())
            .map(|(_, name)| name)
            .collect();
        let reason =
            if self.are_unmatched() { "as its lines match no list" } else { "for lack of light or of known lines" };
        (!none.is_empty()).then(|| format!("not measured, {reason}: {}", none.join(", ")))
    }

    /// Whether no bundle has the lines of the list.
    pub fn are_unmatched(&self) -> bool {
        !self.bundles.is_empty() && self.bundles.iter().all(|bundle| bundle.unmatched)
    }
}

impl Departure {
    /// Whether a quantity is so far off, and so surely, that it is worth a sentence.
    pub fn is_significant(&self, quantity: Quantity) -> bool {
        self.mean.abs() > WORTH[quantity as usize].max(5.0 * self.error)
    }
}

impl BundleShift {
    fn of(&self, quantity: Quantity, terms: [f64; TERMS]) -> Option<[f64; 2]> {
        let first = quantity as usize * TERMS;
        let value: f64 = (0..TERMS).map(|k| terms[k] * self.coeff[first + k]).sum();
        let pairs = (0..TERMS).flat_map(|i| (0..TERMS).map(move |j| (i, j)));
        let variance: f64 = pairs.map(|(i, j)| terms[i] * terms[j] * self.covariance[(first + i, first + j)]).sum();
        self.measured[quantity as usize].then_some([value, variance.max(0.0).sqrt()])
    }

    /// Returns a quantity over the bundle; None where it is not measured.
    pub fn departure(&self, quantity: Quantity) -> Option<Departure> {
        // The mean of u^2 over the range is 1 / 3.
        let [mean, error] = self.of(quantity, [1.0, 0.0, 0.0, 1.0 / 3.0])?;
        let u = |k: usize| 2.0 * k as f64 / (WAVES - 1) as f64 - 1.0;
        let places = (0..WAVES).flat_map(|k| [-1.0, 0.0, 1.0].map(|z| terms(z, u(k))));
        let values = places.filter_map(|terms| self.of(quantity, terms)).map(|[value, _]| value);
        let ends = values.fold([f64::MAX, f64::MIN], |[low, high], v| [low.min(v), high.max(v)]);
        Some(Departure { mean, error, ends })
    }
}
