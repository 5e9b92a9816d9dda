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
    /// Quantities that the frame gives, in the order of [`Quantity::ALL`].
    pub measured: [bool; 4],
    /// Whether dx and dy are the mean of the measured bundles, as the bundle itself does not give them.
    pub taken: [bool; 2],
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
    /// Whether spots of the PSF have widths that can change; images have none.
    pub widths: bool,
}

/// Names of the quantities in sentences.
const NAMES: [&str; 4] = ["dx", "dy", "sigma x", "sigma y"];
/// Bundles that a note names.
const NAMED: usize = 4;

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

    /// Returns a sentence about the measurement: departures, that the PSF fits, and what is not known of either.
    pub fn verdict(&self) -> String {
        let [known, none]: [Vec<&str>; 2] = [true, false].map(|is| self.names(|q| self.departure(q).is_some() == is));
        let fits = |names: &str| format!("{names} of the PSF fit the frame");
        let found = match (self.sentence(), known.is_empty()) {
            (Some(sentence), _) => Some(sentence),
            (None, true) => None,
            (None, false) if none.is_empty() => Some("the PSF fits the frame".into()),
            (None, false) => Some(fits(&known.join(", "))),
        };
        let unknown = (!none.is_empty()).then(|| format!("{} not measured", none.join(", ")));
        found.into_iter().chain(unknown).collect::<Vec<_>>().join("; ")
    }

    fn names(&self, of: impl Fn(Quantity) -> bool) -> Vec<&'static str> {
        Quantity::ALL.into_iter().filter(|q| of(*q)).map(|q| NAMES[q as usize]).collect()
    }

    /// Returns a sentence about quantities that no bundle gives or takes from others.
    pub fn unmeasured(&self) -> Option<String> {
        let is_width = |q: Quantity| matches!(q, Quantity::SigmaX | Quantity::SigmaY);
        let none = self.names(|q| !self.bundles.iter().any(|bundle| bundle.has(q)) && (self.widths || !is_width(q)));
        let reason =
            if self.are_unmatched() { "as its lines match no list" } else { "for lack of light or of known lines" };
        let lacking = (!none.is_empty()).then(|| format!("not measured, {reason}: {}", none.join(", ")));
        let images = (!self.widths).then(|| {
            "sigma x, sigma y: not measured, as the spots of this kind of PSF are images, whose widths are fixed"
                .to_string()
        });
        let all: Vec<String> = lacking.into_iter().chain(images).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// Returns the number of bundles that give a quantity, and of all.
    pub fn counts(&self, quantity: Quantity) -> [usize; 2] {
        [self.bundles.iter().filter(|bundle| bundle.measured[quantity as usize]).count(), self.bundles.len()]
    }

    /// Returns a sentence per quantity that some bundles give and others do not, and what those have in a PSF that follows.
    pub fn notes(&self) -> Vec<String> {
        let of = |quantity: Quantity| {
            let taken = self.bundles.iter().any(|bundle| !bundle.measured[quantity as usize] && bundle.has(quantity));
            let instead =
                if taken { "they take the mean shift of the other bundles" } else { "they keep that of the PSF" };
            Some(format!("{}; {instead}", self.missing_of(quantity)?))
        };
        Quantity::ALL.into_iter().filter_map(of).collect()
    }

    /// Returns a sentence per quantity that some bundles give and others do not.
    pub fn missing(&self) -> Vec<String> {
        Quantity::ALL.into_iter().filter_map(|quantity| self.missing_of(quantity)).collect()
    }

    fn missing_of(&self, quantity: Quantity) -> Option<String> {
        let lacking: Vec<&BundleShift> = self.bundles.iter().filter(|b| !b.measured[quantity as usize]).collect();
        let taken = lacking.iter().any(|bundle| bundle.has(quantity));
        if lacking.is_empty() || (lacking.len() == self.bundles.len() && !taken) {
            return None;
        }
        let name = |bundle: &&BundleShift| format!("{} to {}", bundle.fibres.start, bundle.fibres.end - 1);
        let named: Vec<String> = lacking.iter().take(NAMED).map(name).collect();
        let more = match lacking.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more bundles"),
        };
        Some(format!(
            "{} is not measured in {} of {} bundles, fibres {}{more} (rows of the PSF, from 0)",
            NAMES[quantity as usize],
            lacking.len(),
            self.bundles.len(),
            named.join(", ")
        ))
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
    /// Whether a quantity is measured, or taken from other bundles.
    pub(super) fn has(&self, quantity: Quantity) -> bool {
        self.measured[quantity as usize] || self.taken.get(quantity as usize) == Some(&true)
    }

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
