//! Places for the results of one bundle in the spectra of all: bundles fill theirs at the same time.

use crate::backend::{FibreRow, RowPart};
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
    /// `[nspec, ndiag, nwave]`.
    pub(super) resolution: &'a mut [f64],
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
        let columns = resolution.par_chunks_mut((ndiag * nwave).max(1));
        let places = x.zip(flux).zip(ivar).zip(chi2pix).zip(masked).zip(off).zip(columns).zip(of_fibre);
        places.for_each(|(((((((x, flux), ivar), chi2pix), masked), off), columns), row)| {
            let Some(row) = row else { return };
            for (part, to) in [(RowPart::X, x), (RowPart::Flux, flux), (RowPart::Ivar, ivar)] {
                row.copy(part, padding, to);
            }
            row.copy_goodness([chi2pix, masked, off]);
            for (d, diagonal) in columns.chunks_exact_mut(n).enumerate() {
                row.copy_diagonal(d, padding, diagonal);
                diagonal.iter_mut().filter(|value| !is_number(**value)).for_each(|value| *value = 0.0);
            }
        });
    }
}
