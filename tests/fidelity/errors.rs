//! The errors of spectra: how far from a solution that counts as right, by kind of bin.

use spextral::frame::{Spectra, SpectraParts};

/// Spectra to compare with, in electron/Angstrom; R as stored diagonals.
#[derive(Clone, Debug)]
pub struct Solution {
    pub flux: Vec<f64>,
    pub ivar: Vec<f64>,
    pub pixmask_fraction: Vec<f64>,
    pub resolution: Vec<f64>,
}

impl From<Spectra> for Solution {
    fn from(spectra: Spectra) -> Self {
        let SpectraParts { flux, ivar, pixmask_fraction, resolution, .. } = spectra.into_parts();
        Self { flux, ivar, pixmask_fraction, resolution: resolution.into_f64() }
    }
}

/// Share of a PSF on masked pixels from which on a bin does not count.
const UNUSABLE: f64 = 0.5;
/// Bins beside a bin that does not count, or with so much of their own PSF masked, are near masks.
const NEAR: usize = 5;
const TOUCHED: f64 = 1e-3;
/// Bins from an end of the grid that are at the edge.
const EDGE: usize = 20;

/// Kinds of bins; one may be of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    All,
    Faint,
    Middle,
    Bright,
    NearMasks,
    Edges,
}

impl Kind {
    pub const EACH: [Self; 6] = [Self::All, Self::Faint, Self::Middle, Self::Bright, Self::NearMasks, Self::Edges];

    pub fn words(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Faint => "S/N below 3",
            Self::Middle => "S/N 3 to 30",
            Self::Bright => "S/N over 30",
            Self::NearMasks => "near masks",
            Self::Edges => "at the ends",
        }
    }
}

/// Some errors of flux, sorted, in sigma.
#[derive(Clone, Debug, Default)]
pub struct Errors(Vec<f64>);

impl Errors {
    fn sorted(mut errors: Vec<f64>) -> Self {
        // NaN, if any, sorts last and is the worst there is.
        errors.sort_by(f64::total_cmp);
        Self(errors)
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Returns the error that a fraction of the bins stays below; 0 without bins.
    pub fn quantile(&self, fraction: f64) -> f64 {
        self.0.get(((self.0.len().max(1) - 1) as f64 * fraction) as usize).copied().unwrap_or(0.0)
    }

    pub fn worst(&self) -> f64 {
        self.quantile(1.0)
    }

    /// Points of the curve "fraction of the bins whose error is larger than", (error, fraction).
    pub fn exceedance(&self) -> Vec<(f64, f64)> {
        let n = self.0.len();
        self.0.iter().enumerate().map(|(k, &error)| (error, (n - k) as f64 / n as f64)).collect()
    }
}

/// How far spectra are from a solution.
#[derive(Clone, Debug)]
pub struct Distance {
    /// |flux - its flux| in its sigma, by [`Kind::EACH`].
    pub flux: Vec<Errors>,
    /// Largest |ivar / its ivar - 1|.
    pub ivar: f64,
    /// Largest difference of an element of R.
    pub resolution: f64,
}

impl Distance {
    pub fn of(&self, kind: Kind) -> &Errors {
        &self.flux[kind as usize]
    }
}

/// Compares all bins with more than half of their PSF on good pixels, and elements of R between such.
pub fn distance(ours: &Spectra, right: &Solution) -> Distance {
    let (nwave, ndiag) = (ours.nwave, ours.ndiag);
    let good = |k: usize| right.pixmask_fraction[k] < UNUSABLE && right.ivar[k] > 0.0;
    let mut flux = vec![Vec::new(); Kind::EACH.len()];
    let (mut ivar, mut resolution) = (0.0f64, 0.0f64);
    for k in (0..ours.flux.len()).filter(|&k| good(k)) {
        let error = (ours.flux[k] - right.flux[k]).abs() * right.ivar[k].sqrt();
        kinds(right, k, nwave, &good).for_each(|kind| flux[kind as usize].push(error));
        ivar = worse(ivar, (ours.ivar[k] / right.ivar[k] - 1.0).abs());
        for d in 0..ndiag {
            // Element d of column k is in row k - ndiag/2 + d; rows of masked bins are the solution's own affair.
            let row = (k % nwave + d).checked_sub(ndiag / 2).filter(|&row| row < nwave);
            if row.is_some_and(|row| good(k - k % nwave + row)) {
                let at = ((k / nwave) * ndiag + d) * nwave + k % nwave;
                resolution = worse(resolution, (ours.resolution.at(at) - right.resolution[at]).abs());
            }
        }
    }
    Distance { flux: flux.into_iter().map(Errors::sorted).collect(), ivar, resolution }
}

/// Returns the larger value, or NaN if one is.
fn worse(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// The kinds that bin `k` is of.
fn kinds<'a>(
    right: &'a Solution,
    k: usize,
    nwave: usize,
    good: &'a impl Fn(usize) -> bool,
) -> impl Iterator<Item = Kind> + 'a {
    let (row, bin) = (k - k % nwave, k % nwave);
    let snr = right.flux[k] * right.ivar[k].sqrt();
    let beside = row + bin.saturating_sub(NEAR)..row + (bin + NEAR + 1).min(nwave);
    let near = right.pixmask_fraction[k] > TOUCHED || beside.into_iter().any(|other| !good(other));
    Kind::EACH.into_iter().filter(move |kind| match kind {
        Kind::All => true,
        Kind::Faint => snr < 3.0,
        Kind::Middle => (3.0..30.0).contains(&snr),
        Kind::Bright => snr >= 30.0,
        Kind::NearMasks => near,
        Kind::Edges => bin < EDGE || bin + EDGE >= nwave,
    })
}
