//! Comparison of extracted spectra: with each other, bin by bin, and with the truth.
//!
//! [`compare`] makes the field's parity table: which fraction of bins agrees to within 1e-5 sigma, 1e-4, and
//! so on up to 1; [`against_truth`] tells whether the noise is what the inverse variance says.

mod json;
mod read;
mod table;
mod truth;

#[cfg(feature = "plot")]
pub(crate) use read::fibre_numbers;
pub use read::{CompareError, Side, read};
pub use truth::{ChiReport, SnrBand, TrueSpectra, against_truth, resolve_truth};

/// Limits of the parity table.
pub const LIMITS: [f64; 6] = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0];
/// Number of worst bins that are kept.
const WORST: usize = 5;

/// How one quantity differs over a set of bins.
#[derive(Clone, Debug, PartialEq)]
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
    fn new() -> Self {
        Self { bins: 0, below: [0; 6], not_finite: 0, worst: 0.0 }
    }

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
#[derive(Clone, Debug, PartialEq)]
pub struct Differences {
    /// |flux A - flux B| / sigma of B.
    pub flux: Spread,
    /// |sigma A / sigma B - 1|.
    pub sigma: Spread,
    /// Largest |R A - R B| of the bin's diagonals; None where a side has no resolution.
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

/// How two sets of spectra compare.
#[derive(Clone, Debug, PartialEq)]
pub struct Parity {
    /// What A and B are called.
    pub names: [String; 2],
    /// Number of common fibres.
    pub fibres: usize,
    /// Number of common wavelengths.
    pub waves: usize,
    /// Over all bins where both sides have information.
    pub all: Differences,
    /// Over those with a pixmask_fraction below 0.5 on both sides.
    pub good: Differences,
    /// Bins that are usable and have information in A alone, in B alone.
    pub one_sided: [usize; 2],
    /// Bins where the masks are equal, and where they are not; None where a side has no mask.
    pub masks: Option<[usize; 2]>,
    /// The worst bins, the worst first; usable ones before the others.
    pub worst: Vec<Bin>,
}

impl Parity {
    /// Whether there are usable bins, the same on both sides, and they agree: flux to within `tolerance` sigma, sigma and
    /// R to within `tolerance`.
    pub fn within(&self, tolerance: f64) -> bool {
        let good = &self.good;
        let same_bins = good.flux.bins > 0 && self.one_sided == [0, 0];
        let resolution = good.resolution.as_ref().is_none_or(|r| r.within(tolerance));
        same_bins && good.flux.within(tolerance) && good.sigma.within(tolerance) && resolution
    }
}

/// Compares two sets of spectra over their common fibres and wavelengths.
///
/// # Errors
/// [`CompareError`] where nothing is common to them, or where their resolutions have different diagonals.
pub fn compare(a: &Side, b: &Side) -> Result<Parity, CompareError> {
    let fibres = common_fibres(a, b)?;
    let waves = common_waves(a, b)?;
    let with_resolution = match (&a.resolution, &b.resolution) {
        (Some(_), Some(_)) if a.ndiag != b.ndiag => {
            let (names, ndiag) = ([a.name.clone(), b.name.clone()], [a.ndiag, b.ndiag]);
            return Err(CompareError::Diagonals { names, ndiag });
        }
        (Some(_), Some(_)) => true,
        _ => false,
    };
    let empty =
        || Differences { flux: Spread::new(), sigma: Spread::new(), resolution: with_resolution.then(Spread::new) };
    let mut parity = Parity {
        names: [a.name.clone(), b.name.clone()],
        fibres: fibres.len(),
        waves: waves.len(),
        all: empty(),
        good: empty(),
        one_sided: [0, 0],
        masks: (a.mask.is_some() && b.mask.is_some()).then_some([0, 0]),
        worst: Vec::new(),
    };
    for &(fa, fb) in &fibres {
        for &(ja, jb) in &waves {
            parity.add(a, (fa, ja), b, (fb, jb));
        }
    }
    Ok(parity)
}

impl Parity {
    fn add(&mut self, a: &Side, (fa, ja): (usize, usize), b: &Side, (fb, jb): (usize, usize)) {
        let (ia, ib) = (fa * a.wave.len() + ja, fb * b.wave.len() + jb);
        if let (Some(counts), Some(ma), Some(mb)) = (&mut self.masks, &a.mask, &b.mask) {
            counts[usize::from(ma[ia] != mb[ib])] += 1;
        }
        // NaN has a place among the differences, not among the bins without information.
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
            (Some(ra), Some(rb)) if a.ndiag == b.ndiag => Some(largest_step(a, ra, (fa, ja), b, rb, (fb, jb))),
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
        let (fibre, wave) = (b.fibres[fb], b.wave[jb]);
        self.remember(Bin { fibre, wave, flux: [a.flux[ia], b.flux[ib]], sigma, difference, good });
    }

    fn remember(&mut self, bin: Bin) {
        let rank = |b: &Bin| (b.good, if b.difference.is_nan() { f64::INFINITY } else { b.difference });
        let place = self.worst.partition_point(|kept| rank(kept) >= rank(&bin));
        if place < WORST {
            self.worst.insert(place, bin);
            self.worst.truncate(WORST);
        }
    }
}

/// Largest difference of a bin's diagonals; NaN where one is not finite.
fn largest_step(a: &Side, ra: &[f64], (fa, ja): (usize, usize), b: &Side, rb: &[f64], (fb, jb): (usize, usize)) -> f64 {
    let of = |side: &Side, r: &[f64], f: usize, j: usize, k: usize| r[(f * side.ndiag + k) * side.wave.len() + j];
    (0..a.ndiag).fold(0.0, |largest: f64, k| {
        let step = (of(a, ra, fa, ja, k) - of(b, rb, fb, jb, k)).abs();
        if step.is_nan() || largest.is_nan() { f64::NAN } else { largest.max(step) }
    })
}

/// Rows of the fibres that both sides have.
fn common_fibres(a: &Side, b: &Side) -> Result<Vec<(usize, usize)>, CompareError> {
    let row_in_b = |fibre: i64| b.fibres.iter().position(|&f| f == fibre);
    let rows = a.fibres.iter().enumerate();
    let common: Vec<_> = rows.filter_map(|(i, &fibre)| Some((i, row_in_b(fibre)?))).collect();
    if common.is_empty() {
        let range = |s: &Side| match (s.fibres.iter().min(), s.fibres.iter().max()) {
            (Some(low), Some(high)) => format!("{low} to {high}"),
            _ => "none".into(),
        };
        let names = [a.name.clone(), b.name.clone()];
        return Err(CompareError::NoFibres { names, ranges: [range(a), range(b)] });
    }
    Ok(common)
}

/// Bins that both sides have: wavelengths that differ by less than a thousandth of B's step.
fn common_waves(a: &Side, b: &Side) -> Result<Vec<(usize, usize)>, CompareError> {
    let step = b.wave.windows(2).map(|w| w[1] - w[0]).fold(f64::MAX, f64::min);
    let near = |x: f64, y: f64| (x - y).abs() < 1e-3 * step.min(1.0);
    let mut common = Vec::new();
    let mut jb = 0;
    for (ja, &wave) in a.wave.iter().enumerate() {
        while jb < b.wave.len() && b.wave[jb] < wave && !near(b.wave[jb], wave) {
            jb += 1;
        }
        if jb < b.wave.len() && near(b.wave[jb], wave) {
            common.push((ja, jb));
        }
    }
    if common.is_empty() {
        let grid = |s: &Side| match (s.wave.first(), s.wave.get(1), s.wave.last()) {
            (Some(first), Some(second), Some(last)) => format!("{first},{last},{:.4}", second - first),
            _ => "no bins".into(),
        };
        let names = [a.name.clone(), b.name.clone()];
        return Err(CompareError::NoWaves { names, grids: [grid(a), grid(b)] });
    }
    Ok(common)
}

#[cfg(test)]
mod tests;
