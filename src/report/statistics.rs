//! The numbers that a report shows of a frame: signal to noise, width of the resolution, what is masked.

use crate::frame::{Frame, specmask};

/// Mask bits of bins that are of no use.
const UNUSABLE: u32 = specmask::SOMEBADPIX | specmask::ALLBADPIX | specmask::NODATA;

/// Numbers of every bin of a frame, each `[nspec, nwave]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbers {
    /// Fibre numbers, `[nspec]`.
    pub fibres: Vec<i64>,
    /// flux sqrt(ivar); NaN where ivar is 0.
    pub snr: Vec<f64>,
    /// Standard deviation of R's rows in Angstrom; NaN where R says nothing.
    pub sigma: Vec<f64>,
    /// chi2pix; NaN where the frame has none or ivar is 0.
    pub chi2pix: Vec<f64>,
    /// Whether a bin is of no use: more than half of its PSF on masked pixels, or no information.
    pub masked: Vec<bool>,
}

impl Numbers {
    /// The numbers of a frame.
    pub fn of(frame: &Frame) -> Self {
        let s = &frame.spectra;
        let known = |i: usize| s.ivar[i] > 0.0 && s.ivar[i].is_finite() && s.flux[i].is_finite();
        let all = 0..s.nspec * s.nwave;
        let or_none = |i: usize, value: f64| if known(i) { value } else { f64::NAN };
        let sigma = (0..s.nspec).flat_map(|row| sigma_of_fibre(frame, row));
        Self {
            fibres: crate::compare::fibre_numbers(frame),
            snr: all.clone().map(|i| or_none(i, s.flux[i] * s.ivar[i].sqrt())).collect(),
            sigma: sigma.enumerate().map(|(i, v)| or_none(i, v)).collect(),
            chi2pix: all.clone().map(|i| or_none(i, s.chi2pix.get(i).copied().unwrap_or(f64::NAN))).collect(),
            masked: all.map(|i| s.mask[i] & UNUSABLE != 0 || !known(i)).collect(),
        }
    }
}

/// The width of the resolution of one fibre, `[nwave]` in Angstrom: the second moment of R's rows about their mean.
fn sigma_of_fibre(frame: &Frame, row: usize) -> Vec<f64> {
    let (n, ndiag) = (frame.spectra.nwave, frame.spectra.ndiag);
    let diagonals = &frame.spectra.resolution[row * ndiag * n..(row + 1) * ndiag * n];
    (0..n)
        .map(|i| {
            // Element (k, j) of the diagonals is R[j - ndiag/2 + k, j].
            let column = |k: usize| (i + ndiag / 2).checked_sub(k).filter(|&j| j < n);
            let elements = || (0..ndiag).filter_map(|k| column(k).map(|j| (frame.wave[j], diagonals[k * n + j])));
            let total: f64 = elements().map(|(_, r)| r).sum();
            let mean = elements().map(|(w, r)| w * r).sum::<f64>() / total;
            let variance = elements().map(|(w, r)| (w - mean).powi(2) * r).sum::<f64>() / total;
            if total > 0.0 && variance > 0.0 { variance.sqrt() } else { f64::NAN }
        })
        .collect()
}

/// A value below which lies a share of the numbers; NaN where there is none.
pub fn percentile(values: impl IntoIterator<Item = f64>, share: f64) -> f64 {
    let mut numbers: Vec<f64> = values.into_iter().filter(|v| !v.is_nan()).collect();
    if numbers.is_empty() {
        return f64::NAN;
    }
    let place = (share * (numbers.len() - 1) as f64).round() as usize;
    *numbers.select_nth_unstable_by(place, f64::total_cmp).1
}

/// The median of every fibre, `[nspec]`, of numbers `[nspec, nwave]`.
pub fn by_fibre(values: &[f64], nwave: usize) -> Vec<f64> {
    values.chunks(nwave).map(|row| percentile(row.iter().copied(), 0.5)).collect()
}

/// A percentile over the fibres at every wavelength, `[nwave]`, of numbers `[nspec, nwave]`.
pub fn by_wave(values: &[f64], nwave: usize, share: f64) -> Vec<f64> {
    (0..nwave).map(|j| percentile(values.iter().skip(j).step_by(nwave).copied(), share)).collect()
}

/// Share of the flags that are set, in percent; 0 where there is none.
pub fn percent<'a>(flags: impl Iterator<Item = &'a bool>) -> f64 {
    let (set, all) = flags.fold((0, 0), |(set, all), &flag| (set + usize::from(flag), all + 1));
    100.0 * set as f64 / f64::from(all.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::frame;

    #[test]
    fn snr_and_masks_are_what_flux_ivar_and_bits_say() {
        let mut frame = frame(2, 9);
        let s = &mut frame.spectra;
        (s.flux[3], s.ivar[3]) = (12.0, 0.25);
        s.ivar[4] = 0.0;
        s.mask[5] = specmask::SOMEBADPIX;
        s.mask[6] = specmask::BAD2DFIT;
        s.flux[7] = f64::NAN;
        let numbers = Numbers::of(&frame);
        assert_eq!(numbers.snr[3], 6.0);
        assert!(numbers.snr[4].is_nan() && numbers.chi2pix[4].is_nan() && numbers.snr[7].is_nan());
        assert_eq!(numbers.masked[3..9], [false, true, true, false, true, false]);
        assert!((percent(numbers.masked[..9].iter()) - 100.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn sigma_is_the_width_in_angstrom_of_the_gaussian_that_r_is() {
        // Rows of a Gaussian of 1.5 bins by 0.8 Angstrom, its mean half a bin off: the mean must not count.
        let (n, ndiag) = (41, 17);
        let mut frame = frame(1, n);
        frame.wave = (0..n).map(|j| 6000.0 + 0.8 * j as f64).collect();
        frame.spectra.ndiag = ndiag;
        frame.spectra.resolution = vec![0.0; ndiag * n];
        for k in 0..ndiag {
            let offset = k as f64 - 8.0 + 0.5;
            frame.spectra.resolution[k * n..(k + 1) * n].fill((-0.5 * (offset / 1.5f64).powi(2)).exp());
        }
        let sigma = Numbers::of(&frame).sigma[n / 2];
        assert!((sigma - 1.2).abs() < 1e-4, "{sigma}");
        frame.spectra.resolution.fill(0.0);
        assert!(Numbers::of(&frame).sigma[n / 2].is_nan());
    }

    #[test]
    fn medians_leave_out_what_is_no_number() {
        let values = [1.0, f64::NAN, 3.0, 5.0, f64::NAN, 7.0];
        assert_eq!(by_wave(&values, 3, 0.0)[..1], [1.0]);
        assert!(by_wave(&values, 3, 0.5)[1].is_nan());
        assert_eq!(by_fibre(&[1.0, f64::NAN, 3.0, 2.0, 9.0, 9.0], 3)[1], 9.0);
    }
}
