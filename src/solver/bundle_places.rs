//! Places for the results of one bundle in the spectra of all: bundles fill theirs at the same time.

use crate::backend::{FibreRow, RowPart};
use crate::base::real_array::{RealSlice, RealSliceMut};
use crate::plan::Bundle;
use crate::stages::finish::LARGEST;
use rayon::prelude::*;

/// Returns whether a file can hold a number: NaN, infinity and larger flux or ivar are no result.
pub(super) fn is_number(value: f64) -> bool {
    value.abs() < LARGEST
}

/// The part of one bundle in [`super::BundleSpectra`].
pub(super) struct BundlePlaces<'a> {
    pub(super) bundle: Bundle,
    pub(super) nwave: usize,
    pub(super) ndiag: usize,
    /// Deconvolved flux, decorrelated flux and its inverse variance, `[nspec, nwave]`.
    pub(super) spectra: [&'a mut [f64]; 3],
    /// Chi2pix, masked fraction and fraction off the CCD, `[nspec, nwave]`.
    pub(super) goodness: [&'a mut [f64]; 3],
    /// `[nspec, ndiag, nwave]`; in f32 only for rows in f32.
    pub(super) resolution: RealSliceMut<'a>,
    /// Whether a bin has its column of R, `[nspec, nwave]`.
    pub(super) has_column: &'a mut [bool],
}

impl BundlePlaces<'_> {
    /// Takes the rows of fibres that are selected; `padding` bins precede those of the grid.
    pub(super) fn add_rows(self, rows: &[FibreRow], padding: usize) {
        let Self { bundle, nwave, ndiag, spectra, goodness, resolution, has_column } = self;
        let mut of_fibre: Vec<Option<&FibreRow>> = vec![None; bundle.selected.len()];
        for row in rows.iter().filter(|row| bundle.selected.contains(&(bundle.fibres.start + row.fibre))) {
            of_fibre[bundle.fibres.start + row.fibre - bundle.selected.start] = Some(row);
        }
        let n = nwave.max(1);
        let has_column = has_column.chunks_exact_mut(n).zip(&of_fibre);
        has_column.filter(|(_, row)| row.is_some()).for_each(|(has, _)| has.fill(true));
        let [x, flux, ivar] = spectra.map(|of| of.par_chunks_mut(n));
        let [chi2pix, masked, off] = goodness.map(|of| of.par_chunks_mut(n));
        let columns = resolution.parts((ndiag * nwave).max(1));
        let places = x.zip(flux).zip(ivar).zip(chi2pix).zip(masked).zip(off).zip(columns).zip(of_fibre);
        places.for_each(|(((((((x, flux), ivar), chi2pix), masked), off), columns), row)| {
            let Some(row) = row else { return };
            let spectra = [(RowPart::X, x), (RowPart::Flux, flux), (RowPart::Ivar, ivar)];
            let goodness = [(RowPart::Chi2pix, chi2pix), (RowPart::PixmaskFraction, masked), (RowPart::OffCcd, off)];
            for (part, to) in spectra.into_iter().chain(goodness).skip(usize::from(!row.has_x())) {
                row.line(part, padding).values().copy_to(to);
            }
            for (d, diagonal) in columns.parts(n).into_iter().enumerate() {
                copy_numbers(row.line(RowPart::Diagonal(d), padding).values(), diagonal);
            }
        });
    }
}

/// Copies what a file can hold; other values become 0.
fn copy_numbers(from: RealSlice, to: RealSliceMut) {
    match (from, to) {
        (RealSlice::F32(from), RealSliceMut::F32(to)) => {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = if from.abs() < LARGEST as f32 { *from } else { 0.0 });
        }
        (RealSlice::F32(from), RealSliceMut::F64(to)) => copy_to_f64(from, to),
        (RealSlice::F64(from), RealSliceMut::F64(to)) => copy_to_f64(from, to),
        (RealSlice::F64(_), RealSliceMut::F32(_)) => unreachable!("places in f32 are for rows in f32"),
    }
}

fn copy_to_f64<T: Copy + Into<f64>>(from: &[T], to: &mut [f64]) {
    to.iter_mut().zip(from).for_each(|(to, &from)| {
        let value = from.into();
        *to = if is_number(value) { value } else { 0.0 };
    });
}
