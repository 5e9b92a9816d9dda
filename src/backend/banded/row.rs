//! Spectra of one fibre: on the host, or in memory of the host that a device has copied them to.

use crate::gpu::LandedReals;
use crate::gpu::banded::Shape;
use crate::stages::finish::{FinishShape, PLANES};
use crate::stages::goodness::Goodness;
use std::ops::Range;
use std::sync::Arc;

/// Spectra of one fibre in electron per bin, on the padded grid, and its goodness on the grid.
#[derive(Clone, Debug)]
pub struct FibreRow {
    /// The fibre, counted from the bundle's first.
    pub fibre: usize,
    values: Values,
}

#[derive(Clone, Debug)]
enum Values {
    Host(Arc<HostRow>),
    /// Of a group's fibre.
    Device(Arc<LandedGroup>, usize),
    /// Of a group's fibre, on the grid alone.
    Finished(Arc<FinishedGroup>, usize),
}

/// Spectra of a group of bundles as [`crate::stages::finish`] makes them.
#[derive(Debug)]
pub(super) struct FinishedGroup {
    pub shape: FinishShape,
    pub values: FinishedValues,
}

/// Where they are.
#[derive(Debug)]
pub(super) enum FinishedValues {
    Landed(LandedReals),
    Kept(Vec<f64>),
}

impl FinishedGroup {
    /// Copies plane `which` of a fibre.
    fn copy(&self, fibre: usize, which: usize, to: &mut [f64]) {
        debug_assert_eq!(to.len(), self.shape.ncore);
        let first = fibre * self.shape.finished_len() + which * self.shape.ncore;
        match &self.values {
            FinishedValues::Landed(all) => all.fill(first, 1, to),
            FinishedValues::Kept(all) => to.copy_from_slice(&all[first..first + to.len()]),
        }
    }
}

/// Values of one fibre on the host.
#[derive(Debug)]
pub(super) struct HostRow {
    /// Deconvolved flux, `[nbin]`.
    pub x: Vec<f64>,
    /// Decorrelated flux, `[nbin]`.
    pub flux: Vec<f64>,
    /// Its inverse variance, `[nbin]`.
    pub ivar: Vec<f64>,
    /// R's rows, `[nbin, ndiag]`.
    pub resolution: Vec<f64>,
    /// Estimate of flux's truncation error, sigma, `[nbin]`.
    pub truncation_error: Vec<f64>,
    /// Goodness, `[core bins]`.
    pub goodness: Vec<Goodness>,
}

/// Values of a group of bundles that a device has copied to the host.
#[derive(Debug)]
pub(super) struct LandedGroup {
    pub shape: Shape,
    pub core_bins: Range<usize>,
    /// In the layout of [`crate::gpu::banded::Roots`].
    pub spectra: LandedReals,
    pub x: LandedReals,
    /// Core bins of each window, and `[fibre, core bin]` of it.
    pub goodness: Vec<(Range<usize>, LandedGoodness)>,
}

/// Goodness of a window's core bins, `[fibre, core bin]`.
#[derive(Debug)]
pub(super) enum LandedGoodness {
    Host(Vec<Goodness>),
    /// Three values each.
    Device(LandedReals),
}

/// A spectrum of a fibre.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowPart {
    /// Deconvolved flux.
    X,
    /// Decorrelated flux.
    Flux,
    /// Its inverse variance.
    Ivar,
    /// Estimate of flux's truncation error, sigma.
    TruncationError,
}

/// Values that a bin's error is judged by.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BinEstimate {
    /// Estimate of flux's truncation error, sigma.
    pub truncation_error: f64,
    /// Decorrelated flux.
    pub flux: f64,
    /// Its inverse variance.
    pub ivar: f64,
    /// Fraction of the PSF on masked or absent pixels.
    pub pixmask_fraction: f64,
}

impl HostRow {
    /// Takes `more` bins from each end of the padded grid.
    fn without_ends(&self, more: usize) -> Self {
        let (n, kept) = (self.x.len(), more..self.x.len() - more);
        let ndiag = self.resolution.len() / n;
        let cut = |values: &[f64]| values[kept.clone()].to_vec();
        Self {
            x: cut(&self.x),
            flux: cut(&self.flux),
            ivar: cut(&self.ivar),
            truncation_error: cut(&self.truncation_error),
            resolution: self.resolution[kept.start * ndiag..kept.end * ndiag].to_vec(),
            goodness: self.goodness.clone(),
        }
    }
}

impl FibreRow {
    /// A row on the host.
    pub(super) fn on_host(fibre: usize, row: HostRow) -> Self {
        Self { fibre, values: Values::Host(Arc::new(row)) }
    }

    /// A row of a group: `of_group` counts from the group's first fibre.
    pub(super) fn landed(fibre: usize, group: &Arc<LandedGroup>, of_group: usize) -> Self {
        Self { fibre, values: Values::Device(group.clone(), of_group) }
    }

    /// A row of a group that is finished.
    pub(super) fn finished(fibre: usize, group: &Arc<FinishedGroup>, of_group: usize) -> Self {
        Self { fibre, values: Values::Finished(group.clone(), of_group) }
    }

    /// Takes `more` bins from each end of the padded grid.
    pub(super) fn without_ends(self, more: usize) -> Self {
        match &self.values {
            Values::Host(row) if more > 0 => Self::on_host(self.fibre, row.without_ends(more)),
            _ => self,
        }
    }

    /// Bins of the grid.
    fn ncore(&self) -> usize {
        match &self.values {
            Values::Host(row) => row.goodness.len(),
            Values::Device(group, _) => group.core_bins.len(),
            Values::Finished(group, _) => group.shape.ncore,
        }
    }

    /// Copies a spectrum from bin `first` of the padded grid on, the first of the grid; x is 0 where nobody wants it.
    pub fn copy(&self, part: RowPart, first: usize, to: &mut [f64]) {
        match &self.values {
            Values::Host(row) => {
                let from = match part {
                    RowPart::X => &row.x,
                    RowPart::Flux => &row.flux,
                    RowPart::Ivar => &row.ivar,
                    RowPart::TruncationError => &row.truncation_error,
                };
                to.copy_from_slice(&from[first..first + to.len()]);
            }
            Values::Device(group, fibre) => {
                let Shape { nbin, nfibre, bundle, .. } = group.shape;
                let plane = |which: usize| (which * nfibre + fibre) * nbin + first;
                match part {
                    RowPart::X => {
                        let at = ((fibre / bundle) * nbin + first) * bundle + fibre % bundle;
                        group.x.fill(at, bundle, to);
                    }
                    RowPart::Flux => group.spectra.fill(plane(0), 1, to),
                    RowPart::Ivar => group.spectra.fill(plane(1), 1, to),
                    RowPart::TruncationError => group.spectra.fill(plane(2), 1, to),
                }
            }
            Values::Finished(group, fibre) => match part {
                RowPart::Flux => group.copy(*fibre, 0, to),
                RowPart::Ivar => group.copy(*fibre, 1, to),
                RowPart::TruncationError => group.copy(*fibre, 2, to),
                RowPart::X if group.shape.with_x => group.copy(*fibre, PLANES + 2 * group.shape.half + 1, to),
                RowPart::X => to.fill(0.0),
            },
        }
    }

    /// Copies diagonal `d` of R's columns, as files have it, from bin `first` of the padded grid on. Column j has element
    /// `R[j - ndiag/2 + d, j]`, 0 beyond the grid.
    pub fn copy_diagonal(&self, d: usize, first: usize, to: &mut [f64]) {
        let [nbin, ndiag] = match &self.values {
            Values::Host(row) => [row.x.len(), row.resolution.len() / row.x.len().max(1)],
            Values::Device(group, _) => [group.shape.nbin, 2 * group.shape.half + 1],
            Values::Finished(group, fibre) => return group.copy(*fibre, PLANES + d, to),
        };
        // The row of R of the first column, from ndiag/2 bins before the grid on.
        let row = first + d;
        let before = (ndiag / 2).saturating_sub(row).min(to.len());
        let inside = (nbin + ndiag / 2).saturating_sub(row).clamp(before, to.len());
        to[..before].fill(0.0);
        to[inside..].fill(0.0);
        if before == inside {
            return;
        }
        let at = (row + before - ndiag / 2) * ndiag + ndiag - 1 - d;
        let to = &mut to[before..inside];
        match &self.values {
            Values::Host(of) => {
                to.iter_mut().zip(of.resolution[at..].iter().step_by(ndiag)).for_each(|(to, from)| *to = *from);
            }
            Values::Device(group, fibre) => {
                let rows = (3 * group.shape.nfibre + fibre * ndiag) * nbin;
                group.spectra.fill(rows + at, ndiag, to);
            }
            Values::Finished(..) => unreachable!("its columns are copied above"),
        }
    }

    /// Copies chi2pix, pixmask_fraction and the fraction off the pixels of all bins of the grid.
    pub fn copy_goodness(&self, mut to: [&mut [f64]; 3]) {
        let copy = |to: &mut [&mut [f64]; 3], first: usize, of: &[Goodness]| {
            for (at, goodness) in (first..).zip(of) {
                (to[0][at], to[1][at], to[2][at]) = (goodness.chi2pix, goodness.pixmask_fraction, goodness.off_ccd);
            }
        };
        match &self.values {
            Values::Host(row) => copy(&mut to, 0, &row.goodness),
            Values::Device(group, fibre) => {
                for (core, goodness) in &group.goodness {
                    let wanted = &group.core_bins;
                    let bins = core.start.max(wanted.start)..core.end.min(wanted.end);
                    if bins.is_empty() {
                        continue;
                    }
                    let (first, from) = (bins.start - wanted.start, fibre * core.len() + bins.start - core.start);
                    match goodness {
                        LandedGoodness::Host(all) => copy(&mut to, first, &all[from..from + bins.len()]),
                        LandedGoodness::Device(all) => {
                            for (which, to) in to.iter_mut().enumerate() {
                                all.fill(3 * from + which, 3, &mut to[first..first + bins.len()]);
                            }
                        }
                    }
                }
            }
            Values::Finished(group, fibre) => {
                to.into_iter().enumerate().for_each(|(which, to)| group.copy(*fibre, 3 + which, to));
            }
        }
    }

    /// Returns what the errors of the bins of the grid are judged by; the first is bin `first` of the padded grid.
    pub fn estimates(&self, first: usize) -> Vec<BinEstimate> {
        let n = self.ncore();
        let mut values = vec![0.0; 6 * n];
        let mut parts = values.chunks_exact_mut(n.max(1));
        let mut next = || parts.next().unwrap_or_default();
        let [truncation_error, flux, ivar, chi2pix, masked, off] = [next(), next(), next(), next(), next(), next()];
        self.copy(RowPart::TruncationError, first, truncation_error);
        self.copy(RowPart::Flux, first, flux);
        self.copy(RowPart::Ivar, first, ivar);
        self.copy_goodness([chi2pix, masked, off]);
        let of_bin = |bin: usize| BinEstimate {
            truncation_error: truncation_error[bin],
            flux: flux[bin],
            ivar: ivar[bin],
            pixmask_fraction: masked[bin],
        };
        (0..n).map(of_bin).collect()
    }

    /// Returns the row in memory that no device wants back; the first bin of the grid is bin `first` of the padded one.
    pub fn kept(&self, ndiag: usize, first: usize) -> Self {
        if matches!(self.values, Values::Host(_)) {
            return self.clone();
        }
        let (half, ncore) = (ndiag / 2, self.ncore());
        let shape = FinishShape { nfibre: 1, bundle: 1, nbin: ncore, core_first: 0, ncore, half, with_x: true };
        let mut values = vec![0.0; shape.finished_len()];
        let (spectra, rest) = values.split_at_mut(3 * ncore);
        let parts = [RowPart::Flux, RowPart::Ivar, RowPart::TruncationError];
        let n = ncore.max(1);
        parts.into_iter().zip(spectra.chunks_exact_mut(n)).for_each(|(part, to)| self.copy(part, first, to));
        let (goodness, rest) = rest.split_at_mut(3 * ncore);
        let mut goodness = goodness.chunks_exact_mut(n);
        self.copy_goodness(std::array::from_fn(|_| goodness.next().unwrap_or_default()));
        for (d, to) in rest.chunks_exact_mut(n).enumerate() {
            if d < ndiag { self.copy_diagonal(d, first, to) } else { self.copy(RowPart::X, first, to) }
        }
        let group = FinishedGroup { shape, values: FinishedValues::Kept(values) };
        Self::finished(self.fibre, &Arc::new(group), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diagonals_of_r_are_those_of_its_rows_and_0_beyond_the_grid() {
        let (n, ndiag) = (9, 5);
        // R[row, column] is 10 row + column + 1 within its band.
        let element = |row: usize, column: i64| 10.0 * row as f64 + column as f64 + 1.0;
        let resolution = (0..n).flat_map(|row| (0..ndiag).map(move |k| element(row, (row + k) as i64 - 2))).collect();
        let zeros = || vec![0.0; n];
        let (x, flux, ivar, truncation_error, goodness) = (zeros(), zeros(), zeros(), zeros(), vec![]);
        let row = FibreRow::on_host(0, HostRow { x, flux, ivar, resolution, truncation_error, goodness });
        for (first, len) in [(0, 9), (1, 7), (3, 2), (8, 1)] {
            for d in 0..ndiag {
                let mut found = vec![f64::NAN; len];
                row.copy_diagonal(d, first, &mut found);
                for (k, value) in found.into_iter().enumerate() {
                    let of_row = (first + k + d).checked_sub(2).filter(|&row| row < n);
                    assert_eq!(value, of_row.map_or(0.0, |row| element(row, (first + k) as i64)), "{first} {d} {k}");
                }
            }
        }
    }

    #[test]
    fn a_row_that_is_kept_is_as_it_was() {
        let shape = FinishShape { nfibre: 2, bundle: 2, nbin: 9, core_first: 2, ncore: 4, half: 1, with_x: true };
        let values: Vec<f64> = (0..2 * shape.finished_len()).map(|k| k as f64).collect();
        let group = Arc::new(FinishedGroup { shape, values: FinishedValues::Kept(values) });
        let row = FibreRow::finished(1, &group, 1);
        let kept = row.kept(3, 2);
        assert!(!matches!(&kept.values, Values::Finished(of, _) if Arc::ptr_eq(of, &group)));
        let of = |row: &FibreRow, read: &dyn Fn(&FibreRow, &mut [f64])| {
            let mut values = vec![0.0; 4];
            read(row, &mut values);
            values
        };
        for part in [RowPart::X, RowPart::Flux, RowPart::Ivar, RowPart::TruncationError] {
            let read = |row: &FibreRow, to: &mut [f64]| row.copy(part, 2, to);
            assert_eq!(of(&kept, &read), of(&row, &read), "{part:?}");
        }
        for d in 0..3 {
            let read = |row: &FibreRow, to: &mut [f64]| row.copy_diagonal(d, 2, to);
            assert_eq!(of(&kept, &read), of(&row, &read), "diagonal {d}");
        }
        assert_eq!(kept.estimates(2), row.estimates(2));
        assert_eq!(of(&row, &|row, to| row.copy(RowPart::Ivar, 2, to)), [44.0, 45.0, 46.0, 47.0]);
    }
}
