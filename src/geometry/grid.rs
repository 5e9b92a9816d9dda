//! The wavelength grid of an extraction and its continuation beyond both ends.

use serde::{Deserialize, Serialize};

/// A grid that cannot be extracted on.
#[derive(Clone, Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum GridError {
    /// The step is not a positive number.
    #[error("wavelength step {0:?} Angstrom: give a step above 0 that the wavelengths can resolve, as 0.8")]
    Step(f64),
    /// A step of ln(wavelength) that is not a positive number.
    #[error("the step is {0:?} in ln(wavelength): give a resolving power or a velocity above 0, as R5000 or 69km/s")]
    LogStep(f64),
    /// The range holds no bin.
    #[error("wavelength range {0} to {1} Angstrom is empty: give WMIN below WMAX")]
    Empty(f64, f64),
    /// The range has more bins than any detector resolves.
    #[error(
        "wavelength range {0} to {1} Angstrom by {2} has {3:.0} bins: give a coarser step (at most {MAX_BINS} bins)"
    )]
    TooMany(f64, f64, f64, f64),
}

/// Above this a step was mistyped: a 4k CCD resolves a few thousand bins.
const MAX_BINS: usize = 1_000_000;

/// The extraction grid `wmin, wmin + dw, ... <= wmax + dw/2`, in Angstrom, or one with equal steps of ln(wavelength).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WaveGrid {
    wave: Vec<f64>,
    step: f64,
    #[serde(default)]
    log_step: Option<f64>,
}

impl WaveGrid {
    /// The grid from `wmin` to `wmax` by `dw`, all in Angstrom.
    ///
    /// # Errors
    /// A step that is not positive, an empty range, or an absurd number of bins.
    pub fn new(wmin: f64, wmax: f64, dw: f64) -> Result<Self, GridError> {
        // A step lost in rounding, too, makes no grid.
        if !(dw.is_finite() && dw > 0.0) || wmin + 0.5 * dw == wmin {
            return Err(GridError::Step(dw));
        }
        if !(wmin.is_finite() && wmax.is_finite() && wmin > 0.0 && wmin <= wmax) {
            return Err(GridError::Empty(wmin, wmax));
        }
        // numpy.arange(wmin, wmax + dw/2, dw), the peers' grid: its length is a rounded-up quotient.
        let count = ((wmax + 0.5 * dw - wmin) / dw).ceil();
        if count > MAX_BINS as f64 {
            return Err(GridError::TooMany(wmin, wmax, dw, count));
        }
        let wave = (0..count as usize).map(|i| wmin + i as f64 * dw).collect();
        Ok(Self { wave, step: dw, log_step: None })
    }

    /// The grid from `wmin` to `wmax`, in Angstrom, by equal steps of ln(wavelength).
    ///
    /// # Errors
    /// A step that is not positive, an empty range, or an absurd number of bins.
    pub fn logarithmic(wmin: f64, wmax: f64, log_step: f64) -> Result<Self, GridError> {
        // A bin of a third of its wavelength is mistyped.
        if !(log_step > 1e-12 && log_step < 0.3) {
            return Err(GridError::LogStep(log_step));
        }
        if !(wmin > 0.0 && wmin <= wmax && (2.0 * wmax).is_finite()) {
            return Err(GridError::Empty(wmin, wmax));
        }
        let count = ((wmax / wmin).ln() / log_step + 0.5).ceil().max(1.0);
        if count > MAX_BINS as f64 {
            return Err(GridError::TooMany(wmin, wmax, wmin * log_step, count));
        }
        let wave: Vec<f64> = (0..count as usize).map(|i| wmin * (i as f64 * log_step).exp()).collect();
        let step = wave[wave.len() / 2] * log_step;
        Ok(Self { wave, step, log_step: Some(log_step) })
    }

    /// The wavelengths, Angstrom, `[nwave]`.
    pub fn wave(&self) -> &[f64] {
        &self.wave
    }

    /// Number of bins.
    pub fn nwave(&self) -> usize {
        self.wave.len()
    }

    /// The step, Angstrom; of a logarithmic grid the one in the middle.
    pub fn step(&self) -> f64 {
        self.step
    }

    /// The step of ln(wavelength) of a logarithmic grid.
    pub fn log_step(&self) -> Option<f64> {
        self.log_step
    }

    /// Returns the step at a bin, Angstrom.
    pub fn step_at(&self, bin: usize) -> f64 {
        self.log_step.map_or(self.step, |log_step| self.wave[bin] * log_step)
    }

    /// Returns the grid with wavelengths and step divided by `factor`
    /// (barycentric correction: extract on w/f by dw/f).
    pub fn divided_by(&self, factor: f64) -> Self {
        let wave = self.wave.iter().map(|w| w / factor).collect();
        Self { wave, step: self.step / factor, log_step: self.log_step }
    }

    /// The grid continued by `before` bins below its start and `after` bins beyond its end.
    pub fn padded(&self, before: usize, after: usize) -> Vec<f64> {
        let (first, last) = (self.wave[0], self.wave[self.nwave() - 1]);
        let from = |start: f64, bins: f64| match self.log_step {
            Some(log_step) => start * (bins * log_step).exp(),
            None => start + bins * self.step,
        };
        let below = (1..=before).rev().map(|i| from(first, -(i as f64)));
        let beyond = (1..=after).map(|i| from(last, i as f64));
        below.chain(self.wave.iter().copied()).chain(beyond).collect()
    }

    /// Width of every bin by central differences, one-sided at the ends (numpy.gradient), Angstrom.
    pub fn widths(&self) -> Vec<f64> {
        gradient(&self.wave, self.step)
    }
}

/// numpy.gradient of `wave`; `alone` is the width of a single bin.
pub fn gradient(wave: &[f64], alone: f64) -> Vec<f64> {
    let last = wave.len().saturating_sub(1);
    if last == 0 {
        return vec![alone; wave.len()];
    }
    let width = |i: usize| match i {
        0 => wave[1] - wave[0],
        i if i == last => wave[last] - wave[last - 1],
        i => 0.5 * (wave[i + 1] - wave[i - 1]),
    };
    (0..=last).map(width).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_desi_r_grid_has_2326_bins_and_ends_on_wmax() {
        let grid = WaveGrid::new(5760.0, 7620.0, 0.8).unwrap();
        assert_eq!(grid.nwave(), 2326);
        assert!((grid.wave()[2325] - 7620.0).abs() < 1e-9);
    }

    #[test]
    fn a_range_off_the_step_ends_within_half_a_step_of_wmax() {
        for (wmax, n) in [(100.9, 3), (101.1, 3), (101.24, 3), (101.26, 4)] {
            assert_eq!(WaveGrid::new(100.0, wmax, 0.5).unwrap().nwave(), n, "{wmax}");
        }
    }

    #[test]
    fn a_grid_that_cannot_be_is_refused() {
        assert_eq!(WaveGrid::new(2.0, 1.0, 0.5), Err(GridError::Empty(2.0, 1.0)));
        assert_eq!(WaveGrid::new(1.0, 2.0, 0.0), Err(GridError::Step(0.0)));
        assert!(matches!(WaveGrid::new(1.0, 2.0, f64::NAN), Err(GridError::Step(_))));
        assert!(matches!(WaveGrid::new(1.0, 2.0, 1e-12), Err(GridError::TooMany(..))));
        assert_eq!(WaveGrid::new(6000.0, 6000.0, 1e-13), Err(GridError::Step(1e-13)));
        assert_eq!(WaveGrid::new(6000.0, 6000.0, 1e-9).map(|g| g.nwave()), Ok(1));
    }

    #[test]
    fn padding_continues_the_grid_by_its_step() {
        let padded = WaveGrid::new(100.0, 104.0, 1.0).unwrap().padded(2, 3);
        assert_eq!(padded, vec![98.0, 99.0, 100.0, 101.0, 102.0, 103.0, 104.0, 105.0, 106.0, 107.0]);
    }

    #[test]
    fn a_logarithmic_grid_has_equal_ratios_also_beyond_its_ends() {
        let grid = WaveGrid::logarithmic(3600.0, 9800.0, 1e-4).unwrap();
        let all = grid.padded(3, 4);
        assert_eq!((grid.nwave(), all.len()), (10015, 10022));
        assert!(all.windows(2).all(|w| (w[1] / w[0] - 1e-4f64.exp()).abs() < 1e-14));
        assert!(grid.wave()[10014] <= 9800.0 * 5e-5f64.exp() && grid.wave()[10014] > 9800.0 * (-5e-5f64).exp());
        assert!((grid.widths()[500] / grid.step_at(500) - 1.0).abs() < 1e-8);
        assert_eq!(grid.divided_by(1.1).log_step(), Some(1e-4));
        for (wmin, wmax, step) in [(3600.0, 9800.0, 0.0), (3600.0, 9800.0, f64::NAN), (9800.0, 3600.0, 1e-4)] {
            assert!(WaveGrid::logarithmic(wmin, wmax, step).is_err());
        }
        assert!(matches!(WaveGrid::logarithmic(1.0, 1e9, 1e-8), Err(GridError::TooMany(..))));
    }

    #[test]
    fn widths_are_the_step_on_an_even_grid() {
        let grid = WaveGrid::new(5000.0, 5010.0, 0.8).unwrap();
        assert!(grid.widths().iter().all(|w| (w - 0.8).abs() < 1e-9));
        assert_eq!(WaveGrid::new(5000.0, 5000.0, 0.8).unwrap().widths(), vec![0.8]);
    }
}
