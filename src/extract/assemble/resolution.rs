//! R's columns: stored diagonal d of column j is `R[j - ndiag/2 + d, j]`, `[nspec, ndiag, nwave]`.

use super::{FrameBuilder, LARGEST, PatchSpectra};
use crate::geometry::Patch;
use crate::stages::banded::BandedRoot;

impl FrameBuilder {
    /// The column of R at `bin` from the rows of the patch, its padding included.
    pub(super) fn add_resolution(&mut self, at: usize, first: usize, bin: usize, result: &PatchSpectra) {
        let (ndiag, nwave) = (self.spectra.ndiag, self.spectra.nwave);
        let (spec, wave) = (at / nwave, at % nwave);
        for d in 0..ndiag {
            let row = (bin + d).checked_sub(ndiag / 2).filter(|&row| row < result.nbin);
            let value = row.map_or(0.0, |row| result.resolution[(first + row) * ndiag + (ndiag - 1 - d)]);
            // The row may be another patch's, whose bin knows nothing of what this one made of it.
            let value = if value.abs() < LARGEST { value } else { 0.0 };
            self.spectra.resolution[(spec * ndiag + d) * nwave + wave] = value;
        }
        self.has_column[at] = true;
    }

    /// The elements of R in the rows of the patch's core and in columns beyond it: they serve as long as those columns have
    /// no patch of their own, and stay where that is lost. `first` is the fibre's first bin.
    pub(super) fn add_resolution_beyond(
        &mut self,
        first: usize,
        patch: &Patch,
        padding: usize,
        core: usize,
        result: &PatchSpectra,
    ) {
        let (ndiag, nwave) = (self.spectra.ndiag, self.spectra.nwave);
        let (half, spec, rows) = (ndiag / 2, first / nwave, patch.core_bins.clone());
        let columns = (rows.start.saturating_sub(half)..rows.start).chain(rows.end..(rows.end + half).min(result.nbin));
        for column in columns {
            let wave = (patch.bin0 + column).checked_sub(padding).filter(|&wave| wave < nwave);
            let Some(wave) = wave.filter(|wave| !self.has_column[first + wave]) else { continue };
            for row in column.saturating_sub(half).max(rows.start)..(column + half + 1).min(rows.end) {
                let value = result.resolution[(core * result.nbin + row) * ndiag + column + half - row];
                self.spectra.resolution[(spec * ndiag + row + half - column) * nwave + wave] = value;
            }
        }
    }

    /// The columns of R = Q / s of one fibre.
    pub(super) fn add_root(&mut self, spec: usize, padding: usize, root: &BandedRoot) {
        let (ndiag, nwave) = (self.spectra.ndiag, self.spectra.nwave);
        let half = ndiag / 2;
        let rows = self.spectra.resolution[spec * ndiag * nwave..(spec + 1) * ndiag * nwave].chunks_exact_mut(nwave);
        for (d, row_of) in rows.enumerate() {
            for (wave, value) in row_of.iter_mut().enumerate() {
                // The padding is wider than R's band.
                let (row, column) = (padding + wave + d - half, padding + wave);
                let element = root.diagonals[row.min(column) * (half + 1) + row.abs_diff(column)];
                *value = element / root.ones[row];
            }
        }
    }

    /// Empties the row of R of one bin.
    pub(super) fn clear_row(&mut self, at: usize) {
        let (nwave, ndiag) = (self.spectra.nwave, self.spectra.ndiag);
        let (spec, row) = (at / nwave, at % nwave);
        for d in 0..ndiag {
            // Element d of column j is in row j - ndiag/2 + d.
            if let Some(column) = (row + ndiag / 2).checked_sub(d).filter(|&c| c < nwave) {
                self.spectra.resolution[(spec * ndiag + d) * nwave + column] = 0.0;
            }
        }
    }
}
