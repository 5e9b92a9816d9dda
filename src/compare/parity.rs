//! The parity of two sets of spectra: differences of flux, sigma and resolution, bin by bin.

use super::side::{CompareError, Side, common_fibres, common_waves};
use crate::frame::RealArray;
use serde::Serialize;

/// Limits of the parity table.
pub const LIMITS: [f64; 6] = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0];
/// Number of worst bins kept.
const WORST: usize = 5;

/// The differences of one quantity over a set of bins.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// Number of bins.
    pub bins: usize,
    /// Bins with a difference below each of [`LIMITS`].
    pub below: [usize; 6],
    /// Bins whose difference is not finite; they are below no limit.
    pub not_finite: usize,
    /// The largest finite difference.
    pub worst: f64,
}

impl Spread {
    fn add(&mut self, difference: f64) {
        self.bins += 1;
        if !difference.is_finite() {
            self.not_finite += 1;
            return;
        }
        self.worst = self.worst.max(difference);
        for (below, limit) in self.below.iter_mut().zip(LIMITS) {
            *below += usize::from(difference < limit);
        }
    }

    /// Whether every difference is finite and at most `tolerance`.
    pub fn within(&self, tolerance: f64) -> bool {
        self.not_finite == 0 && self.worst <= tolerance
    }
}

/// The differences of flux, sigma and resolution over a set of bins.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Differences {
    /// |flux A - flux B| / sigma of B.
    pub flux: Spread,
    /// |sigma A / sigma B - 1|.
    pub sigma: Spread,
    /// Largest |R A - R B| of the bin's diagonals; None if a side has no resolution.
    pub resolution: Option<Spread>,
}

/// One bin of both sides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    /// Fibre number.
    pub fibre: i64,
    /// Wavelength, Angstrom.
    pub wave: f64,
    /// Flux of A and of B, electron/Angstrom.
    pub flux: [f64; 2],
    /// Sigma of B, electron/Angstrom.
    pub sigma: f64,
    /// |flux A - flux B| / sigma; NaN ranks above all numbers.
    pub difference: f64,
    /// Whether it counts as usable.
    pub good: bool,
}

/// The parity of two sets of spectra.
#[derive(Clone, Debug, PartialEq)]
pub struct Parity {
    /// Names of A and B.
    pub names: [String; 2],
    /// Number of common fibres.
    pub fibres: usize,
    /// Number of common wavelengths.
    pub waves: usize,
    /// Over all bins with information on both sides.
    pub all: Differences,
    /// Over those with a pixmask_fraction below 0.5 on both sides.
    pub good: Differences,
    /// Bins that are usable and have information in A alone, in B alone.
    pub one_sided: [usize; 2],
    /// Bins with equal and with different masks; None if a side has no mask.
    pub masks: Option<[usize; 2]>,
    /// The worst bins, the worst first; usable ones before the others.
    pub worst: Vec<Bin>,
}

/// Compares two sets of spectra over their common fibres and wavelengths.
///
/// # Errors
/// [`CompareError::NoFibres`] or [`CompareError::NoWaves`] if they have none in common.
pub fn compare(a: &Side, b: &Side) -> Result<Parity, CompareError> {
    let fibres = common_fibres(a, b)?;
    let waves = common_waves(a, b, &fibres)?;
    let with_resolution = a.resolution.is_some() && b.resolution.is_some();
    let names = [a.name.clone(), b.name.clone()];
    let resolution = with_resolution.then(Spread::default);
    let empty = Differences { flux: Spread::default(), sigma: Spread::default(), resolution };
    let mut parity = Parity {
        names,
        fibres: fibres.len(),
        waves: waves.iter().map(Vec::len).max().unwrap_or(0),
        all: empty.clone(),
        good: empty,
        one_sided: [0, 0],
        masks: (a.mask.is_some() && b.mask.is_some()).then_some([0, 0]),
        worst: Vec::new(),
    };
    for (k, &(fa, fb)) in fibres.iter().enumerate() {
        for &(ja, jb) in &waves[k.min(waves.len() - 1)] {
            parity.add(a, (fa, ja), b, (fb, jb));
        }
    }
    Ok(parity)
}

impl Parity {
    /// Whether both sides have the same usable bins, at least one, and agree: flux to within `tolerance` sigma, sigma
    /// and R to within `tolerance`.
    pub fn within(&self, tolerance: f64) -> bool {
        let good = &self.good;
        let same_bins = good.flux.bins > 0 && self.one_sided == [0, 0];
        let resolution = good.resolution.as_ref().is_none_or(|r| r.within(tolerance));
        same_bins && good.flux.within(tolerance) && good.sigma.within(tolerance) && resolution
    }

    fn add(&mut self, a: &Side, (fa, ja): (usize, usize), b: &Side, (fb, jb): (usize, usize)) {
        let (ia, ib) = (fa * a.nwave + ja, fb * b.nwave + jb);
        if let (Some(counts), Some(ma), Some(mb)) = (&mut self.masks, &a.mask, &b.mask) {
            counts[usize::from(ma[ia] != mb[ib])] += 1;
        }
        // NaN belongs among the differences, not among the bins without information.
        let empty = [a.ivar[ia] <= 0.0, b.ivar[ib] <= 0.0];
        let usable = [a.good[ia] && !empty[0], b.good[ib] && !empty[1]];
        self.one_sided[0] += usize::from(usable[0] && !usable[1]);
        self.one_sided[1] += usize::from(usable[1] && !usable[0]);
        if empty[0] || empty[1] {
            return;
        }
        let good = usable[0] && usable[1];
        let sigma = b.ivar[ib].powf(-0.5);
        let difference = (a.flux[ia] - b.flux[ib]).abs() / sigma;
        let in_sigma = (a.ivar[ia].powf(-0.5) / sigma - 1.0).abs();
        let in_resolution = match (&a.resolution, &b.resolution) {
            (Some(ra), Some(rb)) => Some(largest_step((a, ra), (fa, ja), (b, rb), (fb, jb))),
            _ => None,
        };
        let sets = [Some(&mut self.all), good.then_some(&mut self.good)];
        for set in sets.into_iter().flatten() {
            set.flux.add(difference);
            set.sigma.add(in_sigma);
            if let (Some(spread), Some(step)) = (&mut set.resolution, in_resolution) {
                spread.add(step);
            }
        }
        let (fibre, wave) = (b.fibres[fb], b.wave_of(fb)[jb]);
        self.keep_worst(Bin { fibre, wave, flux: [a.flux[ia], b.flux[ib]], sigma, difference, good });
    }

    fn keep_worst(&mut self, bin: Bin) {
        let rank = |b: &Bin| (b.good, if b.difference.is_nan() { f64::INFINITY } else { b.difference });
        let at = self.worst.partition_point(|kept| rank(kept) >= rank(&bin));
        if at < WORST {
            self.worst.insert(at, bin);
            self.worst.truncate(WORST);
        }
    }
}

/// Returns the largest difference of a bin's diagonals, where missing ones are 0; NaN if one is not finite.
fn largest_step(
    (a, ra): (&Side, &RealArray),
    (fa, ja): (usize, usize),
    (b, rb): (&Side, &RealArray),
    (fb, jb): (usize, usize),
) -> f64 {
    let most = a.ndiag.max(b.ndiag);
    let of = |side: &Side, r: &RealArray, f: usize, j: usize, k: usize| {
        let diagonal = (k + side.ndiag / 2).checked_sub(most / 2).filter(|d| *d < side.ndiag);
        diagonal.map_or(0.0, |d| r.at((f * side.ndiag + d) * side.nwave + j))
    };
    (0..most).fold(0.0, |largest: f64, k| {
        let step = (of(a, ra, fa, ja, k) - of(b, rb, fb, jb, k)).abs();
        if step.is_nan() || largest.is_nan() { f64::NAN } else { largest.max(step) }
    })
}
