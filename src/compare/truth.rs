//! Spectra against the truth behind them: chi = (flux - R truth) sqrt(ivar) must be N(0, 1).

use super::side::{CompareError, Side, common_fibres, common_waves};
use crate::fits::Truth;
use crate::frame::Frame;
use std::fmt;

/// Upper ends of the bands of S/N per bin.
const SNR_BANDS: [f64; 5] = [1.0, 3.0, 10.0, 30.0, f64::INFINITY];

/// Chi in a band of S/N.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SnrBand {
    /// S/N per bin of the truth, from and up to.
    pub snr: [f64; 2],
    /// Number of bins.
    pub bins: usize,
    /// Mean of chi.
    pub mean: f64,
    /// Standard deviation of chi.
    pub std: f64,
}

/// The distribution of a frame's spectra about the truth.
#[derive(Clone, Debug, PartialEq)]
pub struct ChiReport {
    /// Number of bins judged: usable ones, away from the ends of the grid.
    pub bins: usize,
    /// Number of bins left out: masked, without information, or at an end.
    pub left_out: usize,
    /// Mean of chi.
    pub mean: f64,
    /// Standard deviation of chi.
    pub std: f64,
    /// Largest |chi|.
    pub largest: f64,
    /// Chi by S/N.
    pub by_snr: Vec<SnrBand>,
}

/// Count and sums of numbers, for their mean and standard deviation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moments {
    /// How many numbers.
    pub count: usize,
    sum: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, chi: f64) {
        self.count += 1;
        self.sum += chi;
        self.squares += chi * chi;
    }

    /// Returns mean and standard deviation; 0 for no numbers.
    pub fn mean_std(&self) -> (f64, f64) {
        let n = self.count.max(1) as f64;
        let mean = self.sum / n;
        (mean, (self.squares / n - mean * mean).max(0.0).sqrt())
    }
}

/// Returns row `bin` of a fibre's R: columns and their elements, within the grid.
///
/// `diagonals` is `[ndiag, nwave]`, its element (k, j) being R[j - ndiag/2 + k, j].
pub(crate) fn resolution_row(
    diagonals: &[f64],
    nwave: usize,
    bin: usize,
) -> impl Iterator<Item = (usize, f64)> + Clone {
    let ndiag = diagonals.len() / nwave;
    let column = move |k: usize| (bin + ndiag / 2).checked_sub(k).filter(|&j| j < nwave);
    (0..ndiag).filter_map(move |k| column(k).map(|j| (j, diagonals[k * nwave + j])))
}

/// Applies R to the truth of one fibre: `[nwave]` in electron/Angstrom on the frame's grid.
///
/// `row` is the fibre's row in the frame, `truth` its true electrons per bin on that grid.
fn resolve(frame: &Frame, row: usize, truth: &[f64]) -> Vec<f64> {
    let (n, wave) = (frame.spectra.nwave, frame.wave_of(row));
    let size = frame.spectra.ndiag * n;
    let diagonals = frame.spectra.resolution.part(row * size..(row + 1) * size).to_f64();
    let density: Vec<f64> = (0..n).map(|j| truth[j] / step(wave, j)).collect();
    (0..n).map(|i| resolution_row(&diagonals, n, i).map(|(j, r)| r * density[j]).sum()).collect()
}

/// Returns the width of a bin by central differences, Angstrom.
fn step(wave: &[f64], j: usize) -> f64 {
    let (low, high) = (j.saturating_sub(1), (j + 1).min(wave.len() - 1));
    (wave[high] - wave[low]) / (high - low).max(1) as f64
}

/// The truth at the frame's resolution, and the extraction's distance from it.
#[derive(Clone, Debug, PartialEq)]
pub struct TrueSpectra {
    /// R truth in electron/Angstrom, `[nspec, nwave]`; NaN where the truth is unknown.
    pub expected: Vec<f64>,
    /// (flux - R truth) sqrt(ivar), `[nspec, nwave]`; NaN for bins that are not judged.
    pub chi: Vec<f64>,
}

impl TrueSpectra {
    /// Returns the moments of chi over the bins judged.
    pub fn moments(&self) -> Moments {
        let mut moments = Moments::default();
        self.chi.iter().filter(|chi| !chi.is_nan()).for_each(|&chi| moments.add(chi));
        moments
    }
}

/// Applies the frame's resolution to the truth and compares.
///
/// Bins with more than half of their PSF on masked pixels and bins with ivar 0 are not judged. Nor are
/// `ndiag/2 + 1` bins at either end, where R needs the truth beyond the grid.
///
/// # Errors
/// [`CompareError::NoFibres`] or [`CompareError::NoWaves`] if truth and frame have none in common.
pub fn resolve_truth(frame: &Frame, truth: &Truth) -> Result<TrueSpectra, CompareError> {
    let side = Side::of_frame("the frame", frame);
    let known = Side {
        name: "the truth".into(),
        fibres: truth.fibres.clone(),
        wave: truth.wave.clone(),
        nwave: truth.nwave(),
        ..Side::default()
    };
    let rows = common_fibres(&side, &known)?;
    let waves = common_waves(&side, &known, &rows)?;
    let n = frame.spectra.nwave;
    let edge = frame.spectra.ndiag / 2 + 1;
    let mut expected = vec![f64::NAN; side.flux.len()];
    let mut chi = vec![f64::NAN; side.flux.len()];
    for (k, &(row, known_row)) in rows.iter().enumerate() {
        let mut on_grid = vec![f64::NAN; n];
        for &(j, known_j) in &waves[k.min(waves.len() - 1)] {
            on_grid[j] = truth.flux[known_row * truth.nwave() + known_j];
        }
        expected[row * n..(row + 1) * n].copy_from_slice(&resolve(frame, row, &on_grid));
        for i in row * n + edge..((row + 1) * n).saturating_sub(edge) {
            if side.good[i] && side.ivar[i] > 0.0 {
                chi[i] = (side.flux[i] - expected[i]) * side.ivar[i].sqrt();
            }
        }
    }
    Ok(TrueSpectra { expected, chi })
}

/// Judges a frame by the truth it was simulated from, over the bins that [`resolve_truth`] judges.
///
/// # Errors
/// [`CompareError::NoFibres`] or [`CompareError::NoWaves`] if truth and frame have none in common.
pub fn against_truth(frame: &Frame, truth: &Truth) -> Result<ChiReport, CompareError> {
    let spectra = resolve_truth(frame, truth)?;
    let mut bands = [Moments::default(); SNR_BANDS.len()];
    let mut largest = 0.0f64;
    for (i, &chi) in spectra.chi.iter().enumerate().filter(|(_, chi)| !chi.is_nan()) {
        let snr = spectra.expected[i] * frame.spectra.ivar[i].sqrt();
        let band = SNR_BANDS.iter().position(|&end| snr < end).unwrap_or(SNR_BANDS.len() - 1);
        bands[band].add(chi);
        largest = largest.max(chi.abs());
    }
    let starts = [0.0].into_iter().chain(SNR_BANDS);
    let by_snr = starts.zip(SNR_BANDS).zip(bands).map(|((low, high), moments)| {
        let (mean, std) = moments.mean_std();
        SnrBand { snr: [low, high], bins: moments.count, mean, std }
    });
    let total = spectra.moments();
    let (mean, std) = total.mean_std();
    let left_out = spectra.chi.len() - total.count;
    Ok(ChiReport { bins: total.count, left_out, mean, std, largest, by_snr: by_snr.collect() })
}

impl fmt::Display for ChiReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "chi = (flux - R truth) sqrt(ivar) over {} bins ({} left out):", self.bins, self.left_out)?;
        writeln!(f, "  mean {:+.4}, std {:.4}, largest |chi| {:.2}", self.mean, self.std, self.largest)?;
        for band in self.by_snr.iter().filter(|b| b.bins > 0) {
            let [low, high] = band.snr;
            let range = if high.is_finite() { format!("{low} to {high}") } else { format!("over {low}") };
            writeln!(f, "  S/N {range:<9} {:>8} bins: mean {:+.4}, std {:.4}", band.bins, band.mean, band.std)?;
        }
        Ok(())
    }
}
