//! Spectra of patches, which become a part of those of their bundle.

use super::BundleSpectra;
use crate::backend::{DecorrelatedField, EngineError, Field};
use crate::geometry::Patch;
use crate::plan::Batch;
use crate::solver::bundle_places::is_number;
use crate::stages::goodness::Goodness;

/// Results of one patch's core fibres, per bin of the patch.
#[derive(Clone, Debug)]
pub(in crate::solver) struct PatchSpectra {
    /// Bins of the patch.
    nbin: usize,
    /// Deconvolved flux, electron per bin, `[core fibre, nbin]`.
    x: Vec<f64>,
    /// Decorrelated flux, electron per bin, `[core fibre, nbin]`.
    flux: Vec<f64>,
    /// Its inverse variance, `[core fibre, nbin]`.
    ivar: Vec<f64>,
    /// R's rows, `[core fibre, nbin, ndiag]`.
    resolution: Vec<f64>,
    /// Goodness, `[core fibre, core bin]`.
    goodness: Vec<Goodness>,
    /// Whether the patch has no solution.
    lost: bool,
}

impl PatchSpectra {
    /// Cuts a batch's results into patches.
    pub fn split(
        batch: &Batch,
        x: &Field,
        decorrelated: &DecorrelatedField,
        goodness: Vec<Vec<Goodness>>,
    ) -> Result<Vec<Self>, EngineError> {
        let (nbin, ncore, ndiag) = (batch.nbin, batch.core.len(), 2 * decorrelated.half + 1);
        let part = |field: &[f64], k: usize, len: usize| field[k * len..(k + 1) * len].to_vec();
        let (x, resolution) = (x.host()?, decorrelated.resolution.host()?);
        let (flux, ivar) = (decorrelated.flux.host()?, decorrelated.ivar.host()?);
        let of_patch = |(k, goodness): (usize, Vec<Goodness>)| {
            let all = &x[k * batch.n()..(k + 1) * batch.n()];
            let of_fibre = |f: usize| (0..nbin).map(move |b| all[b * batch.nspec + f]);
            Self {
                nbin,
                x: batch.core.clone().flat_map(of_fibre).collect(),
                flux: part(flux, k, ncore * nbin),
                ivar: part(ivar, k, ncore * nbin),
                resolution: part(resolution, k, ncore * nbin * ndiag),
                goodness,
                lost: false,
            }
        };
        Ok(goodness.into_iter().enumerate().map(of_patch).collect())
    }

    /// Returns the deconvolved flux, electron per bin, `[core fibre, nbin]`.
    pub fn deconvolved(&self) -> &[f64] {
        &self.x
    }

    /// Marks the patch as without solution.
    pub fn lost(self) -> Self {
        Self { lost: true, ..self }
    }
}

impl BundleSpectra {
    /// Takes the core fibres and bins of one patch of bundle `k`, those that are selected.
    pub(in crate::solver) fn add_patch(&mut self, k: usize, patch: &Patch, padding: usize, result: &PatchSpectra) {
        self.allocate(false);
        let (bundle, nwave, of_bundle) = (self.bundles[k].clone(), self.nwave, self.bins(k).start);
        for core in 0..patch.core.len() {
            let fibre = bundle.fibres.start + patch.fibres.start + patch.core.start + core;
            if !bundle.selected.contains(&fibre) {
                continue;
            }
            let first = of_bundle + (fibre - bundle.selected.start) * nwave;
            for (k, bin) in patch.core_bins.clone().enumerate() {
                let at = first + patch.bin0 + bin - padding;
                let from = core * result.nbin + bin;
                let goodness = result.goodness[core * patch.core_bins.len() + k];
                self.x[at] = result.x[from];
                self.flux[at] = result.flux[from];
                self.ivar[at] = result.ivar[from];
                self.chi2pix[at] = goodness.chi2pix;
                self.pixmask_fraction[at] = goodness.pixmask_fraction;
                self.off_ccd[at] = goodness.off_ccd;
                self.lost[at] = result.lost;
                if !result.lost {
                    self.add_column(at, core * result.nbin, bin, result);
                }
            }
            if !result.lost {
                self.add_columns_beyond(first, patch, padding, core, result);
            }
        }
    }

    /// Takes the column of R at `bin` from the rows of the patch, its padding included.
    fn add_column(&mut self, at: usize, first: usize, bin: usize, result: &PatchSpectra) {
        let (ndiag, nwave) = (self.ndiag, self.nwave);
        let (spec, wave) = (at / nwave, at % nwave);
        let columns = self.resolution_for(false).make_f64();
        for d in 0..ndiag {
            let row = (bin + d).checked_sub(ndiag / 2).filter(|&row| row < result.nbin);
            let value = row.map_or(0.0, |row| result.resolution[(first + row) * ndiag + (ndiag - 1 - d)]);
            // The row may be another patch's, whose bin does not know this element.
            let value = if is_number(value) { value } else { 0.0 };
            columns[(spec * ndiag + d) * nwave + wave] = value;
        }
        self.has_column[at] = true;
    }

    /// Takes the elements of R in the rows of the patch's core and in columns beyond it. They serve until the patch of those
    /// columns is done, and stay if it has no solution. `first` is the fibre's first bin.
    fn add_columns_beyond(&mut self, first: usize, patch: &Patch, padding: usize, core: usize, result: &PatchSpectra) {
        let (ndiag, nwave) = (self.ndiag, self.nwave);
        let (half, spec, rows) = (ndiag / 2, first / nwave, patch.core_bins.clone());
        let beyond = (rows.start.saturating_sub(half)..rows.start).chain(rows.end..(rows.end + half).min(result.nbin));
        let wave = |column: usize| (patch.bin0 + column).checked_sub(padding).filter(|&wave| wave < nwave);
        let is_open = |column: usize| Some((column, wave(column).filter(|wave| !self.has_column[first + wave])?));
        let beyond: Vec<(usize, usize)> = beyond.filter_map(is_open).collect();
        let columns = self.resolution_for(false).make_f64();
        for (column, wave) in beyond {
            for row in column.saturating_sub(half).max(rows.start)..(column + half + 1).min(rows.end) {
                let value = result.resolution[(core * result.nbin + row) * ndiag + column + half - row];
                columns[(spec * ndiag + row + half - column) * nwave + wave] = value;
            }
        }
    }
}
