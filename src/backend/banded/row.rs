//! Spectra of one fibre: on the host, or in memory of the host that a device has copied them to.

use super::estimates::Estimates;
use crate::base::real_array::{RealArray, RealSlice};
use crate::gpu::LandedReals;
use crate::gpu::banded::Shape;
use crate::stages::finish::{FinishShape, PLANES};
use crate::stages::goodness::Goodness;
use std::ops::Range;
use std::sync::Arc;

/// A line of a fibre where it is, or copied.
#[derive(Debug)]
pub enum Line<'a> {
    /// Side by side in memory.
    InPlace(RealSlice<'a>),
    /// Gathered.
    Copied(Vec<f64>),
}

impl Line<'_> {
    /// Returns the values.
    pub fn values(&self) -> RealSlice<'_> {
        match self {
            Self::InPlace(values) => *values,
            Self::Copied(values) => RealSlice::F64(values),
        }
    }
}

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
    Kept(RealArray),
}

impl FinishedGroup {
    /// Returns plane `which` of a fibre.
    fn plane(&self, fibre: usize, which: usize) -> RealSlice<'_> {
        let first = fibre * self.shape.finished_len() + which * self.shape.ncore;
        let bins = first..first + self.shape.ncore;
        match &self.values {
            FinishedValues::Landed(all) => all.values().part(bins),
            FinishedValues::Kept(all) => all.part(bins),
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

/// A line of a fibre: one value per bin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowPart {
    /// Deconvolved flux; 0 where nobody wants it.
    X,
    /// Decorrelated flux.
    Flux,
    /// Its inverse variance.
    Ivar,
    /// Estimate of flux's truncation error, sigma.
    TruncationError,
    /// chi2pix.
    Chi2pix,
    /// Fraction of the PSF on masked or absent pixels.
    PixmaskFraction,
    /// Fraction of the PSF off the pixels.
    OffCcd,
    /// Diagonal d of R's columns, as files have it: column j has element `R[j - ndiag/2 + d, j]`, 0 beyond the padded grid.
    Diagonal(usize),
}

/// Bins whose estimates are judged at a time.
const BINS: usize = 256;

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

    /// Returns a line of the bins of the grid, the first of which is bin `first` of the padded grid.
    pub fn line(&self, part: RowPart, first: usize) -> Line<'_> {
        let n = self.ncore();
        let plane = match &self.values {
            Values::Finished(group, fibre) => {
                let after = PLANES + 2 * group.shape.half + 1;
                let plane = match part {
                    RowPart::Flux => 0,
                    RowPart::Ivar => 1,
                    RowPart::TruncationError => 2,
                    RowPart::Chi2pix => 3,
                    RowPart::PixmaskFraction => 4,
                    RowPart::OffCcd => 5,
                    RowPart::Diagonal(d) => PLANES + d,
                    RowPart::X if group.shape.with_x => after,
                    RowPart::X => return Line::Copied(vec![0.0; n]),
                };
                return Line::InPlace(group.plane(*fibre, plane));
            }
            Values::Host(row) => match part {
                RowPart::X => &row.x,
                RowPart::Flux => &row.flux,
                RowPart::Ivar => &row.ivar,
                RowPart::TruncationError => &row.truncation_error,
                _ => return Line::Copied(self.gathered(part, first)),
            },
            Values::Device(..) => return Line::Copied(self.gathered(part, first)),
        };
        Line::InPlace(RealSlice::F64(&plane[first..first + n]))
    }

    /// Copies a line of values that are not side by side.
    fn gathered(&self, part: RowPart, first: usize) -> Vec<f64> {
        let mut to = vec![0.0; self.ncore()];
        match part {
            RowPart::Diagonal(d) => self.copy_diagonal(d, first, &mut to),
            RowPart::Chi2pix => self.copy_goodness(0, |of| of.chi2pix, &mut to),
            RowPart::PixmaskFraction => self.copy_goodness(1, |of| of.pixmask_fraction, &mut to),
            RowPart::OffCcd => self.copy_goodness(2, |of| of.off_ccd, &mut to),
            RowPart::X | RowPart::Flux | RowPart::Ivar | RowPart::TruncationError => {
                let Values::Device(group, fibre) = &self.values else {
                    unreachable!("spectra of the host are side by side")
                };
                let Shape { nbin, nfibre, bundle, .. } = group.shape;
                let plane = |which: usize| (which * nfibre + fibre) * nbin + first;
                match part {
                    RowPart::X => {
                        let at = ((fibre / bundle) * nbin + first) * bundle + fibre % bundle;
                        group.x.fill(at, bundle, &mut to);
                    }
                    RowPart::Flux => group.spectra.fill(plane(0), 1, &mut to),
                    RowPart::Ivar => group.spectra.fill(plane(1), 1, &mut to),
                    _ => group.spectra.fill(plane(2), 1, &mut to),
                }
            }
        }
        to
    }

    /// Copies a diagonal of R that is stored by rows.
    fn copy_diagonal(&self, d: usize, first: usize, to: &mut [f64]) {
        let [nbin, ndiag] = match &self.values {
            Values::Host(row) => [row.x.len(), row.resolution.len() / row.x.len().max(1)],
            Values::Device(group, _) => [group.shape.nbin, 2 * group.shape.half + 1],
            Values::Finished(..) => unreachable!("its diagonals are side by side"),
        };
        // The row of R of the first column, from ndiag/2 bins before the grid on.
        let row = first + d;
        let before = (ndiag / 2).saturating_sub(row).min(to.len());
        let inside = (nbin + ndiag / 2).saturating_sub(row).clamp(before, to.len());
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
            Values::Finished(..) => {}
        }
    }

    /// Copies one of the three values of goodness.
    fn copy_goodness(&self, which: usize, value: impl Fn(&Goodness) -> f64, to: &mut [f64]) {
        let copy = |to: &mut [f64], of: &[Goodness]| to.iter_mut().zip(of).for_each(|(to, of)| *to = value(of));
        match &self.values {
            Values::Host(row) => copy(to, &row.goodness),
            Values::Device(group, fibre) => {
                for (core, goodness) in &group.goodness {
                    let wanted = &group.core_bins;
                    let bins = core.start.max(wanted.start)..core.end.min(wanted.end);
                    if bins.is_empty() {
                        continue;
                    }
                    let (first, from) = (bins.start - wanted.start, fibre * core.len() + bins.start - core.start);
                    let to = &mut to[first..first + bins.len()];
                    match goodness {
                        LandedGoodness::Host(all) => copy(to, &all[from..from + bins.len()]),
                        LandedGoodness::Device(all) => all.fill(3 * from + which, 3, to),
                    }
                }
            }
            Values::Finished(..) => unreachable!("its planes are side by side"),
        }
    }

    /// Calls `judge` with the values that errors are judged by, some bins of the grid at a time, in order. The first is bin `first`
    /// of the padded grid.
    pub fn estimates(&self, first: usize, mut judge: impl FnMut(Estimates)) {
        let parts = [RowPart::TruncationError, RowPart::Flux, RowPart::Ivar, RowPart::PixmaskFraction];
        let lines = parts.map(|part| self.line(part, first));
        for start in (0..self.ncore()).step_by(BINS) {
            let bins = start..(start + BINS).min(self.ncore());
            let [truncation_error, flux, ivar, pixmask_fraction] =
                lines.each_ref().map(|line| line.values().part(bins.clone()));
            judge(Estimates { truncation_error, flux, ivar, pixmask_fraction });
        }
    }

    /// Whether there is x, which nobody may want.
    pub fn has_x(&self) -> bool {
        !matches!(&self.values, Values::Finished(group, _) if !group.shape.with_x)
    }

    /// Whether its diagonals are in f32.
    pub fn is_f32(&self) -> bool {
        matches!(&self.values, Values::Finished(group, fibre) if matches!(group.plane(*fibre, PLANES), RealSlice::F32(_)))
    }

    /// Returns the row in memory that no device wants back; the first bin of the grid is bin `first` of the padded one.
    pub fn kept(&self, ndiag: usize, first: usize) -> Self {
        if matches!(self.values, Values::Host(_)) {
            return self.clone();
        }
        let (half, ncore) = (ndiag / 2, self.ncore());
        let shape = FinishShape { nfibre: 1, bundle: 1, nbin: ncore, core_first: 0, ncore, half, with_x: true };
        let planes = [RowPart::Flux, RowPart::Ivar, RowPart::TruncationError];
        let goodness = [RowPart::Chi2pix, RowPart::PixmaskFraction, RowPart::OffCcd];
        let parts = planes.into_iter().chain(goodness).chain((0..ndiag).map(RowPart::Diagonal)).chain([RowPart::X]);
        let mut values = vec![0.0; shape.finished_len()];
        for (part, to) in parts.zip(values.chunks_exact_mut(ncore.max(1))) {
            self.line(part, first).values().copy_to(to);
        }
        let values = match self.is_f32() {
            true => values.into_iter().map(|value| value as f32).collect::<Vec<_>>().into(),
            false => values.into(),
        };
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
                let mut found = vec![0.0; len];
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
        let values: Vec<f32> = (0..2 * shape.finished_len()).map(|k| k as f32).collect();
        let group = Arc::new(FinishedGroup { shape, values: FinishedValues::Kept(values.into()) });
        let row = FibreRow::finished(1, &group, 1);
        let kept = row.kept(3, 2);
        assert!(!matches!(&kept.values, Values::Finished(of, _) if Arc::ptr_eq(of, &group)));
        assert!(kept.is_f32() && row.is_f32());
        let of = |row: &FibreRow, part: RowPart| row.line(part, 2).values().to_f64().into_owned();
        let spectra = [RowPart::X, RowPart::Flux, RowPart::Ivar, RowPart::TruncationError];
        let goodness = [RowPart::Chi2pix, RowPart::PixmaskFraction, RowPart::OffCcd];
        for part in spectra.into_iter().chain(goodness).chain((0..3).map(RowPart::Diagonal)) {
            assert_eq!(of(&kept, part), of(&row, part), "{part:?}");
        }
        assert_eq!(of(&row, RowPart::Ivar), [44.0, 45.0, 46.0, 47.0]);
        let estimates = |row: &FibreRow| {
            let mut all: [Vec<f64>; 4] = Default::default();
            row.estimates(2, |of| {
                let parts = [of.truncation_error, of.flux, of.ivar, of.pixmask_fraction];
                all.iter_mut().zip(parts).for_each(|(all, part)| all.extend(part.iter()));
            });
            all
        };
        assert_eq!(estimates(&kept), estimates(&row));
        let expected = [48.0, 40.0, 44.0, 56.0].map(|first| [0.0, 1.0, 2.0, 3.0].map(|k| first + k).to_vec());
        assert_eq!(estimates(&row), expected);
    }
}
