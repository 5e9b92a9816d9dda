//! Spectra against the truth behind them: chi = (flux - R truth) sqrt(ivar) must be N(0, 1).

use super::read::{CompareError, Side};
use crate::fits::Truth;
use crate::frame::Frame;
use std::fmt;

/// Upper ends of the bands of signal to noise a bin.
const SNR_BANDS: [f64; 5] = [1.0, 3.0, 10.0, 30.0, f64::INFINITY];

/// Chi in a band of signal to noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SnrBand {
    /// Signal to noise a bin of the truth, from and up to.
    pub snr: [f64; 2],
    /// Number of bins.
    pub bins: usize,
    /// Mean of chi.
    pub mean: f64,
    /// Standard deviation of chi.
    pub std: f64,
}

/// How the spectra of a frame lie about the truth.
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
    /// Chi by signal to noise.
    pub by_snr: Vec<SnrBand>,
}

/// Sums from which a mean and a standard deviation follow.
#[derive(Clone, Copy, Default)]
struct Moments {
    count: usize,
    sum: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, chi: f64) {
        self.count += 1;
        self.sum += chi;
        self.squares += chi * chi;
    }

    /// Mean and standard deviation; 0 where there is nothing.
    fn mean_std(&self) -> (f64, f64) {
        let n = self.count.max(1) as f64;
        let mean = self.sum / n;
        (mean, (self.squares / n - mean * mean).max(0.0).sqrt())
    }
}

/// R applied to the truth of one fibre, `[nwave]` in electron/Angstrom, on the frame's grid.
///
/// `row` is the fibre's row in the frame, `truth` its true electrons a bin on that grid.
fn resolve(frame: &Frame, row: usize, truth: &[f64]) -> Vec<f64> {
    let (n, ndiag) = (frame.wave.len(), frame.spectra.ndiag);
    let diagonals = &frame.spectra.resolution[row * ndiag * n..(row + 1) * ndiag * n];
    let density: Vec<f64> = (0..n).map(|j| truth[j] / step(&frame.wave, j)).collect();
    (0..n)
        .map(|i| {
            // Element (k, j) of the diagonals is R[j - ndiag/2 + k, j].
            let column = |k: usize| (i + ndiag / 2).checked_sub(k).filter(|&j| j < n);
            (0..ndiag).filter_map(|k| column(k).map(|j| diagonals[k * n + j] * density[j])).sum()
        })
        .collect()
}

/// Width of a bin of the grid, Angstrom: by central differences.
fn step(wave: &[f64], j: usize) -> f64 {
    let (low, high) = (j.saturating_sub(1), (j + 1).min(wave.len() - 1));
    (wave[high] - wave[low]) / (high - low).max(1) as f64
}

/// The truth as an extraction should see it, and how far the extraction is from it.
#[derive(Clone, Debug, PartialEq)]
pub struct TrueSpectra {
    /// R truth in electron/Angstrom, `[nspec, nwave]`; NaN where the truth is not known.
    pub expected: Vec<f64>,
    /// (flux - R truth) sqrt(ivar), `[nspec, nwave]`; NaN for bins that are not judged.
    pub chi: Vec<f64>,
}

/// Applies the frame's resolution to the truth and compares.
///
/// Not judged are bins with more than half of their PSF on masked pixels, bins with ivar 0, and
/// `ndiag/2 + 1` bins at either end, where R needs the truth beyond the grid.
///
/// # Errors
/// [`CompareError`] where truth and frame have no fibre or no wavelength in common.
pub fn resolve_truth(frame: &Frame, truth: &Truth) -> Result<TrueSpectra, CompareError> {
    let side = Side::of_frame("the frame", frame);
    let known = as_side(truth);
    let rows = super::common_fibres(&side, &known)?;
    let waves = super::common_waves(&side, &known)?;
    let n = frame.wave.len();
    let edge = frame.spectra.ndiag / 2 + 1;
    let mut expected = vec![f64::NAN; side.flux.len()];
    let mut chi = vec![f64::NAN; side.flux.len()];
    for &(row, known_row) in &rows {
        let mut on_grid = vec![f64::NAN; n];
        for &(j, known_j) in &waves {
            on_grid[j] = truth.flux[known_row * truth.wave.len() + known_j];
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
/// [`CompareError`] where truth and frame have no fibre or no wavelength in common.
pub fn against_truth(frame: &Frame, truth: &Truth) -> Result<ChiReport, CompareError> {
    let TrueSpectra { expected, chi } = resolve_truth(frame, truth)?;
    let mut total = Moments::default();
    let mut bands = [Moments::default(); SNR_BANDS.len()];
    let mut largest = 0.0f64;
    for (i, &chi) in chi.iter().enumerate().filter(|(_, chi)| !chi.is_nan()) {
        let snr = expected[i] * frame.spectra.ivar[i].sqrt();
        let band = SNR_BANDS.iter().position(|&end| snr < end).unwrap_or(SNR_BANDS.len() - 1);
        total.add(chi);
        bands[band].add(chi);
        largest = largest.max(chi.abs());
    }
    let (mean, std) = total.mean_std();
    let starts = [0.0].into_iter().chain(SNR_BANDS);
    let by_snr = starts
        .zip(SNR_BANDS)
        .zip(bands)
        .map(|((low, high), moments)| {
            let (mean, std) = moments.mean_std();
            SnrBand { snr: [low, high], bins: moments.count, mean, std }
        })
        .collect();
    let (bins, left_out) = (total.count, chi.len() - total.count);
    Ok(ChiReport { bins, left_out, mean, std, largest, by_snr })
}

/// The fibres and wavelengths of the truth, for matching.
fn as_side(truth: &Truth) -> Side {
    Side {
        name: "the truth".into(),
        fibres: truth.fibres.clone(),
        wave: truth.wave.clone(),
        flux: Vec::new(),
        ivar: Vec::new(),
        ndiag: 0,
        resolution: None,
        good: Vec::new(),
        mask: None,
    }
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
