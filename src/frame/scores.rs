//! Summaries per fibre in the SCORES table of desi_extract_spectra.

use super::metadata::{ColumnData, Table};
use super::spectra::Spectra;
use crate::base::median::median_of;
use rayon::prelude::*;

/// Range of wavelengths of a camera's scores, in Angstrom: from the first to below the second.
const BANDS: [(&str, f64, f64); 3] = [("B", 4000.0, 5800.0), ("R", 5800.0, 7600.0), ("Z", 7600.0, 9800.0)];

/// The SCORES table, one row per fibre.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// TARGETID of each fibre, if the fibermap has it.
    pub targetid: Option<Vec<i64>>,
    /// Name and values of each score, `[nspec]`.
    pub columns: Vec<(String, Vec<f64>)>,
}

impl Scores {
    /// Computes the scores over the bins within the range of band x, dw by central differences of `wave`:
    /// - SUM_RAW_COUNT_x, the sum of flux,
    /// - MEDIAN_RAW_COUNT_x, the median of flux/dw,
    /// - MEDIAN_RAW_SNR_x, the median of sqrt(ivar) flux / sqrt(dw).
    ///
    /// `wave` ascends. The band follows from its mean. None if no bin is in its range or `wave` has fewer than two. None also if
    /// fibres have wavelengths of their own, for which these scores have no meaning.
    ///
    /// # Panics
    /// If `wave` is neither `[nwave]` nor `[nspec, nwave]`.
    pub fn of(spectra: &Spectra, wave: &[f64], targetid: Option<Vec<i64>>) -> Option<Self> {
        if wave.len() != spectra.nwave {
            assert_eq!(wave.len(), spectra.nspec * spectra.nwave, "one wavelength per bin");
            return None;
        }
        let (band, low, high) = band_of(wave)?;
        let bins = wave.partition_point(|w| *w < low)..wave.partition_point(|w| *w < high);
        if bins.is_empty() {
            return None;
        }
        // Products are faster than quotients.
        let per_width: Vec<f64> = central_differences(wave)[bins.clone()].iter().map(|dw| dw.recip()).collect();
        let per_root: Vec<f64> = per_width.iter().map(|per_width| per_width.sqrt()).collect();
        let of_fibre = |(flux, ivar): (&[f64], &[f64])| {
            let (flux, ivar) = (&flux[bins.clone()], &ivar[bins.clone()]);
            let count = flux.iter().zip(&per_width).map(|(flux, per_width)| flux * per_width);
            let snr =
                flux.iter().zip(ivar).zip(&per_root).map(|((flux, ivar), per_root)| ivar.sqrt() * flux * per_root);
            (flux.iter().sum::<f64>(), (median_of(count), median_of(snr)))
        };
        let (flux, ivar) = (spectra.flux.par_chunks(spectra.nwave), spectra.ivar.par_chunks(spectra.nwave));
        let (sum, (count, snr)): (Vec<f64>, (Vec<f64>, Vec<f64>)) = flux.zip(ivar).map(of_fibre).unzip();
        let columns = [("SUM_RAW_COUNT", sum), ("MEDIAN_RAW_COUNT", count), ("MEDIAN_RAW_SNR", snr)];
        let columns = columns.into_iter().map(|(name, values)| (format!("{name}_{band}"), values)).collect();
        Some(Self { targetid, columns })
    }

    /// Converts to a binary table.
    pub(crate) fn to_table(&self) -> Table {
        let nrows = self.columns.first().map_or(0, |(_, values)| values.len());
        let mut table = Table::new(nrows);
        if let Some(targetid) = &self.targetid {
            table = table.with_column("TARGETID", "", &ColumnData::I64(targetid.clone()));
        }
        for (name, values) in &self.columns {
            table = table.with_column(name, "", &ColumnData::F64(values.clone()));
        }
        table
    }

    /// Converts from a binary table: TARGETID and every column of one number per row.
    pub(crate) fn from_table(table: &Table) -> Self {
        let scores = table.columns().iter().filter(|c| c.name != "TARGETID" && c.repeat == 1);
        let columns = scores.filter_map(|c| Some((c.name.clone(), table.column_f64(&c.name)?))).collect();
        Self { targetid: table.column_i64("TARGETID"), columns }
    }
}

/// Returns the band of a grid by its mean wavelength: up to 5800 Angstrom B, from 7600 Z.
fn band_of(wave: &[f64]) -> Option<(&'static str, f64, f64)> {
    if wave.len() < 2 {
        return None;
    }
    let mean = wave.iter().sum::<f64>() / wave.len() as f64;
    Some(BANDS[usize::from(mean > 5800.0) + usize::from(mean >= 7600.0)])
}

/// Returns half the distance between a bin's neighbours, at the ends the distance to the only one.
fn central_differences(wave: &[f64]) -> Vec<f64> {
    let last = wave.len() - 1;
    let step = |j: usize| {
        let (low, high) = (j.saturating_sub(1), (j + 1).min(last));
        (wave[high] - wave[low]) / (high - low) as f64
    };
    (0..wave.len()).map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::spectra::SpectraParts;

    /// Two fibres whose flux is j + 1 and 10 (j + 1) at bin j, ivar 4.
    fn spectra(nwave: usize) -> Spectra {
        let flux = [1.0, 10.0].iter().flat_map(|&a| (0..nwave).map(move |j| a * (j + 1) as f64)).collect();
        let (ivar, mask) = (vec![4.0; 2 * nwave], vec![0; 2 * nwave]);
        Spectra::new(SpectraParts { nspec: 2, nwave, flux, ivar, mask, ..SpectraParts::default() }).unwrap()
    }

    #[test]
    fn scores_are_sums_and_medians_over_the_band_alone() {
        // Mean 5801.25: R; the first bin lies below its range.
        let wave = [5799.0, 5801.0, 5802.0, 5803.0];
        let scores = Scores::of(&spectra(4), &wave, Some(vec![7, 8])).unwrap();
        assert_eq!(scores.targetid, Some(vec![7, 8]));
        let names: Vec<&str> = scores.columns.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["SUM_RAW_COUNT_R", "MEDIAN_RAW_COUNT_R", "MEDIAN_RAW_SNR_R"]);
        assert_eq!(scores.columns[0].1, [9.0, 90.0]);
        // Widths 1.5, 1, 1: flux/dw is 4/3, 3, 4.
        assert_eq!(scores.columns[1].1, [3.0, 30.0]);
        assert_eq!(scores.columns[2].1, [6.0, 60.0]);
    }

    #[test]
    fn band_follows_the_mean_of_the_grid() {
        for (mean, band) in [(4500.0, "B"), (5800.0, "B"), (5800.5, "R"), (7599.5, "R"), (7600.0, "Z"), (9000.0, "Z")] {
            assert_eq!(band_of(&[mean - 1.0, mean + 1.0]).unwrap().0, band, "mean {mean}");
        }
    }

    #[test]
    fn a_grid_outside_every_band_has_no_scores() {
        assert_eq!(Scores::of(&spectra(2), &[3000.0, 3001.0], None), None);
        assert_eq!(Scores::of(&spectra(2), &[9900.0, 9901.0], None), None);
        assert_eq!(Scores::of(&spectra(1), &[6000.0], None), None);
    }

    #[test]
    fn scores_survive_their_table() {
        let wave = [6000.0, 6001.0, 6002.0];
        let scores = Scores::of(&spectra(3), &wave, Some(vec![1, -2])).unwrap();
        assert_eq!(Scores::from_table(&scores.to_table()), scores);
    }
}
