//! Statistics of a frame: S/N, width of the resolution, goodness and masks, bin by bin, and their percentiles.

use crate::compare::{UNUSABLE, fibre_numbers, resolution_row};
use crate::frame::Frame;

/// Numbers of every bin of a frame, `[nspec, nwave]` unless stated.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// Number of wavelength bins.
    pub nwave: usize,
    /// Fibre numbers, `[nspec]`.
    pub fibres: Vec<i64>,
    /// flux sqrt(ivar); NaN without information.
    pub snr: Vec<f64>,
    /// Standard deviation of R's rows in Angstrom; NaN without information.
    pub sigma: Vec<f64>,
    /// chi2pix; NaN if the frame has none, or without information.
    pub chi2pix: Vec<f64>,
    /// Whether a bin is unusable: more than half of its PSF on masked pixels, or without information.
    pub masked: Vec<bool>,
}

impl Statistics {
    /// Computes the statistics of a frame.
    pub fn of(frame: &Frame) -> Self {
        let s = &frame.spectra;
        let known = |i: usize| s.ivar[i] > 0.0 && s.ivar[i].is_finite() && s.flux[i].is_finite();
        let all = 0..s.nspec * s.nwave;
        let or_none = |i: usize, value: f64| if known(i) { value } else { f64::NAN };
        let sigma = (0..s.nspec).flat_map(|row| sigma_of_fibre(frame, row));
        Self {
            nwave: s.nwave,
            fibres: fibre_numbers(frame),
            snr: all.clone().map(|i| or_none(i, s.flux[i] * s.ivar[i].sqrt())).collect(),
            sigma: sigma.enumerate().map(|(i, v)| or_none(i, v)).collect(),
            chi2pix: all.clone().map(|i| or_none(i, s.chi2pix.get(i).copied().unwrap_or(f64::NAN))).collect(),
            masked: all.map(|i| s.mask[i] & UNUSABLE != 0 || !known(i)).collect(),
        }
    }

    /// Returns the median of every fibre, `[nspec]`, of `values` `[nspec, nwave]`.
    pub fn by_fibre(&self, values: &[f64]) -> Vec<f64> {
        values.chunks(self.nwave).map(median).collect()
    }

    /// Returns a percentile over the fibres at every wavelength, `[nwave]`, of `values` `[nspec, nwave]`.
    pub fn by_wave(&self, values: &[f64], share: f64) -> Vec<f64> {
        (0..self.nwave).map(|j| percentile(values.iter().skip(j).step_by(self.nwave).copied(), share)).collect()
    }

    /// Returns the percentage of masked bins of every fibre, `[nspec]`.
    pub fn masked_by_fibre(&self) -> Vec<f64> {
        self.masked.chunks(self.nwave).map(percent).collect()
    }
}

/// Computes the width of the resolution of one fibre, `[nwave]` in Angstrom: the second moment of R's rows.
fn sigma_of_fibre(frame: &Frame, row: usize) -> Vec<f64> {
    let (n, wave) = (frame.spectra.nwave, frame.wave_of(row));
    let size = frame.spectra.ndiag * n;
    let diagonals = frame.spectra.resolution.part(row * size..(row + 1) * size).to_f64();
    (0..n)
        .map(|i| {
            let elements = resolution_row(&diagonals, n, i).map(|(j, r)| (wave[j], r));
            let total: f64 = elements.clone().map(|(_, r)| r).sum();
            let mean = elements.clone().map(|(w, r)| w * r).sum::<f64>() / total;
            let variance = elements.map(|(w, r)| (w - mean).powi(2) * r).sum::<f64>() / total;
            if total > 0.0 && variance > 0.0 { variance.sqrt() } else { f64::NAN }
        })
        .collect()
}

/// Returns the value below which lies a share of the numbers; NaN without numbers. NaN values are left out.
pub fn percentile(values: impl IntoIterator<Item = f64>, share: f64) -> f64 {
    let mut numbers: Vec<f64> = values.into_iter().filter(|v| !v.is_nan()).collect();
    if numbers.is_empty() {
        return f64::NAN;
    }
    let rank = (share * (numbers.len() - 1) as f64).round() as usize;
    *numbers.select_nth_unstable_by(rank, f64::total_cmp).1
}

/// Returns the median, with NaN left out.
pub fn median(values: &[f64]) -> f64 {
    percentile(values.iter().copied(), 0.5)
}

/// Returns the percentage of the flags that are set; 0 without flags.
pub fn percent(flags: &[bool]) -> f64 {
    100.0 * flags.iter().filter(|&&flag| flag).count() as f64 / flags.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::specmask;
    use crate::report::tests::frame;

    #[test]
    fn snr_and_masks_are_what_flux_ivar_and_bits_say() {
        let mut frame = frame(2, 9);
        frame
            .spectra
            .update(|s| {
                (s.flux[3], s.ivar[3]) = (12.0, 0.25);
                s.ivar[4] = 0.0;
                s.mask[5] = specmask::SOMEBADPIX;
                s.mask[6] = specmask::BAD2DFIT;
                s.flux[7] = f64::NAN;
            })
            .unwrap();
        let statistics = Statistics::of(&frame);
        assert_eq!(statistics.snr[3], 6.0);
        assert!(statistics.snr[4].is_nan() && statistics.chi2pix[4].is_nan() && statistics.snr[7].is_nan());
        assert_eq!(statistics.masked[3..9], [false, true, true, false, true, false]);
        assert!((statistics.masked_by_fibre()[0] - 100.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn sigma_is_the_width_in_angstrom_of_the_gaussian_that_r_is() {
        // Rows of a Gaussian of 1.5 bins by 0.8 Angstrom, its mean half a bin off: the mean must not count.
        let (n, ndiag) = (41, 17);
        let mut frame = frame(1, n);
        frame.wave = (0..n).map(|j| 6000.0 + 0.8 * j as f64).collect();
        let row = |k: usize| vec![(-0.5 * ((k as f64 - 8.0 + 0.5) / 1.5f64).powi(2)).exp(); n];
        frame.spectra.update(|s| (s.ndiag, s.resolution) = (ndiag, (0..ndiag).flat_map(row).collect())).unwrap();
        let sigma = Statistics::of(&frame).sigma[n / 2];
        assert!((sigma - 1.2).abs() < 1e-4, "{sigma}");
        frame.spectra.update(|s| s.resolution.make_f64().fill(0.0)).unwrap();
        assert!(Statistics::of(&frame).sigma[n / 2].is_nan());
    }

    #[test]
    fn medians_leave_out_what_is_no_number() {
        let statistics = Statistics::of(&frame(2, 3));
        let values = [1.0, f64::NAN, 3.0, 5.0, f64::NAN, 7.0];
        assert_eq!(statistics.by_wave(&values, 0.0)[..1], [1.0]);
        assert!(statistics.by_wave(&values, 0.5)[1].is_nan());
        assert_eq!(statistics.by_fibre(&[1.0, f64::NAN, 3.0, 2.0, 9.0, 9.0])[1], 9.0);
    }
}
